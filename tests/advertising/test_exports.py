"""Exports of advertising cabinets: presets, Russian numbers, rows of sums, currencies; what is wrong is told with its
sheet, row and column, and then nothing is taken."""

from __future__ import annotations

from datetime import date, datetime
from io import BytesIO
from typing import Any

import pytest
import xlsxwriter

from amo_bridge.advertising.exports import AdExport, amount, read_ad_export, total_of, whole_number
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.deal import AdDay
from amo_bridge.webinars.formats.model import ExportError

pytestmark = pytest.mark.usefixtures("files_read_here")
TODAY, DAY = date(2026, 11, 28), date(2026, 11, 27)


def read(content: str | bytes, service: Any = "vk", encoding: str = "utf-8", **more: Any) -> AdExport:
    body = content.encode(encoding) if isinstance(content, str) else content
    section = AdsSection.model_validate({"columns": more.pop("columns", {}), "currency": more.pop("currency", "RUB")})
    return read_ad_export("отчёт.csv", body, service, section, today=TODAY, **more)


def figures(content: str | bytes, service: Any = "vk", **more: Any) -> list[AdDay]:
    return [row.figures for row in read(content, service, **more).rows]


def why(content: str | bytes, service: Any = "vk", **more: Any) -> str:
    with pytest.raises(ExportError) as refused:
        read(content, service, **more)
    return str(refused.value)


def book(**sheets: list[list[Any]]) -> bytes:
    out = BytesIO()
    made = xlsxwriter.Workbook(out)
    day = made.add_format({"num_format": "dd.mm.yyyy"})
    for name, rows in sheets.items():
        sheet = made.add_worksheet(name)
        for at, row in enumerate(rows):
            for place, cell in enumerate(row):
                if isinstance(cell, datetime):
                    sheet.write_datetime(at, place, cell, day)
                else:
                    sheet.write(at, place, cell)
    made.close()
    return out.getvalue()


VK = "Дата;Название;Показы;Клики;Потрачено всего, ₽;Лид-формы\n27.11.2026;Ромашка;12 345;56;1 234,50;4\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_vk_ads(encoding: str) -> None:
    (row,) = read(VK, encoding=encoding).rows
    assert row.campaign == "Ромашка"
    assert row.figures == AdDay(day=DAY, shows=12345, clicks=56, cost=123450, leads=4, currency="RUB", service="vk")


def test_yandex_direct_in_windows_encoding_with_a_title_above_and_sums_below() -> None:
    content = (
        "Статистика по кампаниям за 27.11.2026\n\n"
        "Дата\tНазвание Кампании\tТип площадки\tПоказы\tКлики\tРасход (руб.)\tКонверсии\n"
        "27.11.2026\tРомашка\tПоиск\t1000\t20\t300,5\t--\n"
        "27.11.2026\tРомашка\tСети\t9000\t30\t99,5\t2\n"
        "Итого\t\t\t10000\t50\t400\t2\n"
    )
    export = read(content, "yandex", encoding="cp1251")
    assert [(row.figures.placement, row.figures.cost, row.figures.leads) for row in export.rows] == [
        ("Поиск", 30050, 0),
        ("Сети", 9950, 2),
    ]
    assert export.totals == 1
    assert list(total_of(export.rows)) == [("RUB", 40000)]


def test_meta_with_placements_and_dollars() -> None:
    content = (
        "Campaign name,Reporting starts,Reporting ends,Placement,Impressions,Clicks (all),Link clicks,"
        "Amount spent (USD),Results\n"
        'A,2026-11-27,2026-11-27,instagram_stories,"1,100",90,50,"1,234.56",2\n'
        "A,2026-11-27,2026-11-27,feed,900,30,10,7,\n"
        ",,,,2000,120,60,1241.56,2\n"
    )
    stories, feed = figures(content, "meta")
    assert (stories.placement, stories.shows, stories.clicks, stories.cost) == ("Stories", 1100, 50, 123456)
    assert (feed.placement, feed.currency, feed.leads) == ("Лента", "USD", 0)


def test_a_book_with_numbers_and_dates() -> None:
    day = datetime.fromisoformat("2026-11-27")
    content = book(Отчёт=[["Дата", "Кампания", "Показы", "Клики", "Расход"], [day, "А", 10, 2, 0.1]])
    assert figures(content) == [AdDay(day=DAY, shows=10, clicks=2, cost=10, service="vk")]


def test_a_file_without_days_is_of_the_day_that_was_told() -> None:
    content = "Кампания;Показы;Клики;Расход\nА;1;1;1\n"
    assert figures(content, "file", day=DAY)[0].day == DAY
    assert "столбца с днём нет; укажите день на странице" in why(content, "file")


def test_columns_by_the_names_of_the_config() -> None:
    content = "Дата;Мой проект;Показы;Клики;Списано за день\n27.11.2026;А;1;1;5\n"
    assert figures(content, columns={"campaign": "Мой проект", "cost": "Списано за день"})[0].cost == 500
    told = "нет столбцов: кампания, расход; если они названы иначе, впишите названия в [ads.columns]"
    assert why(content) == f"отчёт.csv, строка 1: {told}"


def test_a_cell_s_own_currency_and_a_column_of_them() -> None:
    content = (
        "Дата;Кампания;Показы;Клики;Расход;Валюта\n27.11.2026;А;1;1;5 ₸;\n27.11.2026;А;1;1;5;kzt\n27.11.2026;А;1;1;5;\n"
    )
    assert [row.currency for row in figures(content, currency="BYN")] == ["KZT", "KZT", "BYN"]


HEAD = "Дата;Кампания;Показы;Клики;Расход;Лиды\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("27.11.2026;;1;1;1;1", "столбец «Кампания»: пусто"),
        ("позавчера;А;1;1;1;1", "столбец «Дата»: «позавчера» — не дата"),
        ("29.11.2026;А;1;1;1;1", "столбец «Дата»: 29.11.2026 — такого дня в статистике быть не может"),
        ("27.11.2026;А;много;1;1;1", "столбец «Показы»: «много» — не целое число"),
        ("27.11.2026;А;1;1,5;1;1", "столбец «Клики»: «1,5» — не целое число"),
        ("27.11.2026;А;1;1;дорого;1", "столбец «Расход»: «дорого» — не сумма"),
        ("27.11.2026;А;1;1;-5;1", "столбец «Расход»: «-5» — расход меньше нуля"),
        ("27.11.2026;А;1;1;1,234;1", "столбец «Расход»: «1,234» — тысячи это или доли, не понять"),
        ("27.11.2026;А;1;1;5 фунтов;1", "незнакомая валюта «фунтов»"),
        ("27.11.2026;А;1;1;5;x", "столбец «Лиды»: «x» — не целое число"),
    ],
)
def test_one_bad_cell_takes_nothing_and_is_told_with_its_place(row: str, words: str) -> None:
    told = why(f"{HEAD}27.11.2026;Хорошая;1;1;1;1\n{row}\n")
    assert told.startswith("отчёт.csv, строка 3")
    assert words in told


def test_a_dot_that_parts_thousands_of_shows_may_part_those_of_a_sum() -> None:
    told = why(f"{HEAD}27.11.2026;А;12.000;40;1.234;1\n27.11.2026;Б;900;40;0.123;1\n")
    assert told == (
        "отчёт.csv, строка 2, столбец «Расход»: «1.234» — тысячи это или доли, не понять: сохраните файл с обычными "
        "числами"
    )


def test_in_a_book_the_sheet_is_told_too() -> None:
    rows = [["Дата", "Кампания", "Показы", "Клики", "Расход"], ["27.11.2026", "А", "x", 2, 1]]
    assert "лист «Ноябрь», строка 2, столбец «Показы»" in why(book(Ноябрь=rows))


def test_many_mistakes_are_counted() -> None:
    assert "и ещё строк с ошибками: 5" in why(HEAD + "27.11.2026;А;x;1;1;1\n" * 15)


def test_two_sheets_of_statistics_would_count_twice() -> None:
    rows = [["Дата", "Кампания", "Показы", "Клики", "Расход"], ["27.11.2026", "А", 1, 2, 1]]
    assert "на листах «Кампании», «Площадки»; оставьте один" in why(book(Кампании=rows, Площадки=rows))


def test_a_report_of_several_days_is_no_statistics_of_a_day() -> None:
    head = "Campaign name,Reporting starts,Reporting ends,Impressions,Clicks,Amount spent (USD)"
    content = f"{head}\nA,2026-11-01,2026-11-27,1,1,1\n"
    assert "строка за несколько дней, по 27.11.2026: выгрузите с разбивкой по дням" in why(content, "meta")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "файл пустой"),
        (b"%PDF-1.7 ...", "это документ PDF, а не таблица; нужна выгрузка статистики"),
        (b"PK\x03\x04broken", "книга повреждена"),
        ('{"a": 1}', "это JSON"),
        ("<html>Войдите</html>", "веб-страница"),
        ("a;b\n1;2\n", "заголовков статистики не нашлось"),
        (HEAD, "строк с кампаниями нет"),
    ],
)
def test_what_is_no_export(content: str | bytes, words: str) -> None:
    assert words in why(content)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("1 234,50", (123450, "")),
        ("1\u00a0234,5 ₽", (123450, "RUB")),
        ("12.345", (1234, "")),
        ("1,234,567.5", (123456750, "")),
        ("1.234,56", (123456, "")),
        ("$ 12.5", (1250, "USD")),
        ("12,5 руб.", (1250, "RUB")),
        ("--", (0, "")),
        ("", (0, "")),
        (7, (700, "")),
        (0.07, (7, "")),
    ],
)
def test_sums_as_people_write_them(told: Any, wanted: tuple[int, str]) -> None:
    assert amount(told) == wanted


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("1 234", 1234),
        ("1,234", 1234),
        ("1.234.567", 1234567),
        ("--", 0),
        (5.0, 5),
        (5.5, None),
        ("12,5", None),
        (-1, None),
    ],
)
def test_counts(told: Any, wanted: int | None) -> None:
    assert whole_number(told) == wanted


@pytest.mark.parametrize(
    ("campaign", "day", "is_kept"),
    [
        ("Всего за 990", "27.11.2026", True),
        ("Total Body Fitness", "27.11.2026", True),
        ("Итого", "27.11.2026", False),
        ("Итого: 2", "27.11.2026", False),
        ("Всего за период", "", False),
        ("Total (2 campaigns)", "27.11.2026", False),
    ],
)
def test_a_campaign_that_begins_like_a_sum_is_a_campaign(campaign: str, day: str, is_kept: bool) -> None:
    told = read(f"{VK}{day};{campaign};1;1;1;0\n")
    assert [row.campaign for row in told.rows] == (["Ромашка", campaign] if is_kept else ["Ромашка"])
    assert told.totals == (not is_kept)


def test_dates_with_slashes_are_read_by_those_that_are_clear() -> None:
    head = "Дата;Название;Показы;Клики;Потрачено всего, ₽\n"
    rows = "11/05/2026;А;1;1;1\n11/25/2026;А;1;1;1\n"
    assert [one.day for one in figures(head + rows)] == [date(2026, 11, 5), date(2026, 11, 25)]
    assert "день или месяц впереди?" in why(head + "11/05/2026;А;1;1;1\n")
