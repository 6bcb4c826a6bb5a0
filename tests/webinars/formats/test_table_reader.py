"""Tables as platforms export them and as agencies make them: shapes, sections, sheets, who is no client."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import pytest
import xlsxwriter
from support.webinar_samples import DAY, MOSCOW, options

from amo_bridge.webinars import preview
from amo_bridge.webinars.formats.model import ColumnsUnknown, ExportError
from amo_bridge.webinars.formats.reading_process import read_content
from amo_bridge.webinars.formats.table_rows import ReadOptions

Told = tuple[dict[str, float | None], dict[str, str], list[str]]


def read(content: bytes | str, held_on: date | None = DAY, **changed: Any) -> dict[str, Told]:
    """Day → (minutes by mail, who is left out and why, doubts)."""
    raw = content.encode() if isinstance(content, str) else content
    exports = [read_content("t.csv", raw, ReadOptions(zone=MOSCOW, held_on=held_on))]
    drafts = preview.as_json(exports, preview.offline(exports, held_on, options(**changed)), held_on)
    return {
        draft["held_on"]: (
            {"".join(person["emails"]) or person["name"]: person["minutes"] for person in draft["people"]},
            {"".join(one["emails"]) or one["name"]: one["why"] for one in draft["left_out"]},
            draft["doubts"],
        )
        for draft in drafts
    }


def one(content: bytes | str, held_on: date | None = DAY, **changed: Any) -> Told:
    (found,) = read(content, held_on, **changed).values()
    return found


def book(sheets: Mapping[str, Sequence[Sequence[Any]]], hidden: Sequence[str] = ()) -> bytes:
    out = io.BytesIO()
    workbook = xlsxwriter.Workbook(out, {"in_memory": True})
    formats = {
        time: workbook.add_format({"num_format": "h:mm"}),
        date: workbook.add_format({"num_format": "dd.mm.yyyy"}),
        datetime: workbook.add_format({"num_format": "dd.mm.yyyy hh:mm"}),
    }
    for name, rows in sheets.items():
        sheet = workbook.add_worksheet(name)
        if name in hidden:
            sheet.hide()
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if type(cell) in formats:
                    sheet.write_datetime(number, column, cell, formats[type(cell)])
                else:
                    sheet.write(number, column, cell)
    workbook.close()
    return out.getvalue()


TEAMS = """1. Summary
Meeting title\tSecrets
Start time\t9/13/21, 6:55:02 PM
Meeting duration\t2h 9m 58s

2. Participants
Name\tFirst Join\tLast Leave\tIn-Meeting Duration\tEmail\tParticipant ID (UPN)\tRole
Olga\t9/13/21, 6:55:02 PM\t9/13/21, 9:05:00 PM\t2h 9m 58s\tolga@school.example\tolga@school.example\tOrganizer
Denis (Guest)\t9/13/21, 7:00:00 PM\t9/13/21, 9:00:00 PM\t45m\td@b.ru\td_b.ru#EXT#@x.onmicrosoft.com\tAttendee

3. In-Meeting Activities
Name\tJoin Time\tLeave Time\tDuration\tEmail\tRole
Denis (Guest)\t9/13/21, 7:00:00 PM\t9/13/21, 7:25:00 PM\t25m\td@b.ru\tAttendee
Denis (Guest)\t9/13/21, 8:40:00 PM\t9/13/21, 9:00:00 PM\t20m\td@b.ru\tAttendee
"""
TEAMS_RU = """1. Сводка
Название собрания\tСекреты
Время начала\t13.09.2021, 18:55:02

2. Участники
Имя\tПервое присоединение\tПоследний выход\tПродолжительность участия в собрании\tЭлектронная почта\tРоль
Ольга\t13.09.2021, 18:55:02\t13.09.2021, 21:05:00\t2 ч 9 мин 58 с\tolga@school.example\tОрганизатор
Денис\t13.09.2021, 19:00:00\t13.09.2021, 21:00:00\t45 мин\td@b.ru\tУчастник

3. Действия на собрании
Имя\tВремя присоединения\tВремя выхода\tДлительность\tЭлектронная почта\tРоль
Денис\t13.09.2021, 19:00:00\t13.09.2021, 19:45:00\t45 мин\td@b.ru\tУчастник
"""
ZOOM_MEETING = """Meeting ID,Topic,Start Time,End Time,User Email,Duration (Minutes),Participants
912 345,Secrets,09/13/2021 06:55:02 PM,09/13/2021 09:05:00 PM,olga@school.example,130,5

Name (Original Name),User Email,Join Time,Leave Time,Duration (Minutes),Guest,In Waiting Room
School,olga@school.example,09/13/2021 06:55:02 PM,09/13/2021 09:05:00 PM,130,No,No
Denis,d@b.ru,09/13/2021 06:50:00 PM,09/13/2021 07:00:00 PM,10,Yes,Yes
Denis,d@b.ru,09/13/2021 07:00:00 PM,09/13/2021 07:45:00 PM,45,Yes,No
Pyotr,p@b.ru,09/13/2021 06:58:00 PM,09/13/2021 07:40:00 PM,42,Yes,Yes
"""
ZOOM_MEETING_RU = """Тема,Идентификатор,Организатор,Длительность (минуты),Время начала,Время окончания,Участники
Секреты,912 345,Ольга (olga@school.example),130,13.09.2021 18:55:02,13.09.2021 21:05:00,5

Имя (исходное имя),Электронная почта,Время входа,Время выхода,Длительность (минуты),Гость,В зале ожидания
Ольга,olga@school.example,13.09.2021 18:55:02,13.09.2021 21:05:00,130,Нет,Нет
Денис,d@b.ru,13.09.2021 19:00:00,13.09.2021 19:45:00,45,Да,Нет
Пётр,p@b.ru,13.09.2021 18:58:00,13.09.2021 19:40:00,42,Да,Да
"""


@pytest.mark.parametrize(
    ("export", "left_out"),
    [
        (TEAMS.encode("utf-16"), {"olga@school.example"}),
        (TEAMS_RU.encode("utf-16-le"), {"olga@school.example"}),
        (ZOOM_MEETING, {"olga@school.example", "p@b.ru"}),
        (ZOOM_MEETING_RU, {"olga@school.example", "p@b.ru"}),
    ],
    ids=["teams", "teams ru", "zoom meeting", "zoom meeting ru"],
)
def test_reports_of_meetings_have_one_guest_of_45_minutes(export: bytes | str, left_out: set[str]) -> None:
    for held_on in (DAY, None):
        people, others, _ = one(export, held_on)
        assert people == {"d@b.ru": 45}
        assert others.keys() == left_out


@pytest.mark.parametrize(
    ("table", "minutes"),
    [
        ("Имя;Почта;Длительность, сек\nА;a@b.ru;3900", 65),
        ("Имя;Почта;Секунд на вебинаре\nА;a@b.ru;3900", 65),
        ("Имя;Почта;Часов на вебинаре\nА;a@b.ru;1,5", 90),
        ("Имя;Почта;Duration (hh:mm)\nА;a@b.ru;1:05", 65),
        ("Имя;Почта;Время просмотра\nА;a@b.ru;65:10\nБ;b@b.ru;12:30", 65.17),
        ("Имя;Почта;Время просмотра\nА;a@b.ru;1:05", 65),
        ("Имя;Почта;Время\nА;a@b.ru;65 мин", 65),
        ("Имя;Почта;Вошел;Вышел;Длительность\nА;a@b.ru;13.09.2021 19:00;13.09.2021 20:05;3900", 65),
        ("Имя;Почта;Вход;Выход\nА;a@b.ru;19:00;20:05", 65),
        ("Имя;Почта;Вход;Выход\nА;a@b.ru;23:30;00:35", 65),
        ("Имя;Почта;Вход;Выход\nА;a@b.ru;23:30;00:10\nА;a@b.ru;00:00;00:35", 65),
        ("Имя;Почта;Вход (UTC);Выход (UTC)\nА;a@b.ru;2021-09-13 16:00;2021-09-13 17:05", 65),
        ("Дата входа;Время входа;Время выхода;Почта\n13.09.2021;19:00;20:05;a@b.ru", 65),
        ("Имя;Почта;Вход;Выход;Минут\nА;a@b.ru;19:00;21:00;65", 65),
        ("Участник;;Время;\nИмя;Почта;входа;выхода\nА;a@b.ru;19:00;20:05", 65),
        ("Кто был\nДата:;13.09.2021\n\n№;ФИО;Почта;Время в эфире\n1;А;a@b.ru;1 ч 5 мин\n;Итого;;1 ч 5 мин", 65),
        ('"Имя,Почта,Минут"\n"А,a@b.ru,65"', 65),
        ('Имя;Почта;Минут\n"Школа;a@b.ru;65\nБ;b@b.ru;1', 65),
        ("sep=;\nИмя;Почта;Минут\nА;a@b.ru;65", 65),
        ("Имя;Почта;Минут\nА;a@b.ru;65\nБ;b@b.ru;35\n;;100", 65),
        ("Имя;Почта;Минут\nА;a@b.ru;60\n\nИмя;Почта;Минут\nА;a@b.ru;5", 65),
        ("Имя;Почта;Длительность;Время на вебинаре\nА;a@b.ru;120;65", 65),
    ],
)
def test_a_table_of_any_shape_tells_65_minutes(table: str, minutes: float) -> None:
    people, left_out, _ = one(table)
    assert people["a@b.ru" if "a@b.ru" in people else "А"] == pytest.approx(minutes, abs=0.01)
    assert "Итого" not in {*people, *left_out}


@pytest.mark.parametrize(
    ("columns", "row", "why"),
    [
        ("Роль", "Ведущий", "ведущий"),
        ("Роль", "Модератор", "ведущий"),
        ("Role", "Co-host", "ведущий"),
        ("Тип", "Спикер", "ведущий"),
        ("Статус", "не был", "не был"),
        ("Присутствовал", "Нет", "не был"),
        ("Attended", "No", "не был"),
        ("Бан", "+", "забанен"),
        ("In Waiting Room", "Yes", "зал"),
    ],
)
def test_who_is_no_client(columns: str, row: str, why: str) -> None:
    usual = {
        "Роль": "Участник",
        "Role": "Attendee",
        "Тип": "Слушатель",
        "Статус": "был",
        "Присутствовал": "Да",
        "Attended": "Yes",
    }
    people, left_out, _ = one(f"Имя;Почта;Минут;{columns}\nА;a@b.ru;65;{row}\nБ;b@b.ru;65;{usual.get(columns, '')}\n")
    assert people == {"b@b.ru": 65}
    assert why in left_out["a@b.ru"]


@pytest.mark.parametrize(
    ("person", "staff", "is_client"),
    [
        ("Анна;anna@school.ru", ("school.ru",), False),
        ("Анна;anna@mail.school.ru", ("school.ru",), False),
        ("Анна;anna@gmail.com", ("anna@gmail.com",), False),
        ("Анна;anna@preschool.ru", ("school.ru",), True),
        ("Тест;x@b.ru", (), False),
        ("Тестовый участник;x@b.ru", (), False),
        ("Анна;test@b.ru", (), False),
        ("Тестова Анна;anna@b.ru", (), True),
        ("Анна (ведущая);anna@b.ru", (), False),
        ("Анна (мама);anna@b.ru", (), True),
    ],
)
def test_own_people_and_those_who_only_try(person: str, staff: tuple[str, ...], is_client: bool) -> None:
    people, left_out, _ = one(f"Имя;Почта;Минут\n{person};65", staff=staff)
    assert (len(people), len(left_out)) == ((1, 0) if is_client else (0, 1))


def test_sections_of_one_sheet() -> None:
    people, left_out, doubts = one(
        "Ведущие:;;\nИмя;Почта;Минут\nО;o@b.ru;100\nУчастники:;;\nИмя;Почта;Минут\nА;a@b.ru;65\n"
        "Не пришли:;;\nБ;b@b.ru;\nВсего: 2;;\n"
    )
    assert people == {"a@b.ru": 65}
    assert {mail: why.partition(":")[0] for mail, why in left_out.items()} == {
        "o@b.ru": "ведущий или организатор", "b@b.ru": "не был на вебинаре",
    }  # fmt: skip
    assert any("в списке ведущие" in doubt for doubt in doubts)


@pytest.mark.parametrize(
    ("columns", "row", "is_absent"),
    [
        ("Вход;Выход;Минут", "-;-;-", True),
        ("Первый вход;Последний выход;Общее время", ";;", True),
        ("Вход;Выход;Минут", "19:00;;", False),
        ("Вход;Выход;Минут", "скоро;;", False),
        ("Вход;Выход;Кнопки", ";;Купить", False),
        ("Время присутствия", "00:00:00", True),
        ("Время присутствия", "", False),
        ("Был на вебинаре", "не был", True),
    ],
)
def test_who_did_not_come_and_who_is_unknown(columns: str, row: str, is_absent: bool) -> None:
    filled = ";".join(
        "65" if name not in ("Вход", "Выход", "Первый вход", "Последний выход") else "19:00"
        for name in columns.split(";")
    )
    people, left_out, _ = one(f"Имя;Почта;{columns}\nА;a@b.ru;{filled}\nБ;b@b.ru;{row}\n")
    assert ("b@b.ru" in left_out, "b@b.ru" in people) == (is_absent, not is_absent)


HEADER = ["ФИО", "Почта", "Минут"]


def test_all_sheets_of_a_book_are_read_or_told() -> None:
    people, left_out, doubts = one(
        book(
            {
                "Участники": [
                    ["ФИО", "Почта", "Дата", "Вход", "Выход"],
                    ["А", "a@b.ru", DAY, time(19, 0), time(20, 5)],
                ],
                "Были больше часа": [HEADER, ["А", "a@b.ru", 65]],
                "Не пришли": [["ФИО", "Почта"], ["Б", "b@b.ru"]],
                "Ведущие": [["ФИО", "Почта"], ["О", "o@b.ru"]],
                "Оплаты": [["Покупатель", "Контакт"], ["А", "a@b.ru"]],
                "Черновик": [HEADER, ["В", "v@b.ru", 99]],
            },
            hidden=["Черновик"],
        ),
        None,
    )
    assert people == {"a@b.ru": 65}, "the second sheet tells the same minutes once more"
    assert left_out.keys() == {"b@b.ru", "o@b.ru"}
    text = "; ".join(doubts)
    assert "лист «Черновик»: он скрыт" in text
    assert "лист «Оплаты»" in text
    assert "повторяет людей и минуты" in text


def test_sheets_of_several_days_are_several_webinars() -> None:
    told = read(book({"13 сентября": [HEADER, ["А", "a@b.ru", 61]], "14.09.2021": [HEADER, ["А", "a@b.ru", 30]]}))
    assert {day: people for day, (people, _, _) in told.items()} == {
        "2021-09-13": {"a@b.ru": 61},
        "2021-09-14": {"a@b.ru": 30},
    }
    assert all("несколько дней" in doubts[0] for _, _, doubts in told.values())


def test_the_day_that_a_person_names_beats_the_file_s() -> None:
    _, _, doubts = one("Имя;Почта;Минут;Дата вебинара;Дата регистрации\nА;a@b.ru;65;14.09.2021;01.09.2021")
    assert doubts == ["дата в файле другая: 14.09.2021; загружается как 13.09.2021, как названо"]


@pytest.mark.parametrize(
    ("table", "doubt"),
    [
        ("Имя;Почта;Вход;Выход\nА;a@b.ru;19:00;\nБ;b@b.ru;19:05;", "минуты неизвестны у всех"),
        ("Имя;Почта;Минут\nА;a@b.ru;долго\nБ;b@b.ru;5", "минуты неизвестны у 1 из 2: А"),
        ("Имя;Почта;Длительность\nА;a@b.ru;1,1\nБ;b@b.ru;1,8", "у всех не больше 2 минут"),
        ("Имя;Почта;Минут\nА;a@b.ru;90\nБ;b@b.ru;90\nВ;c@b.ru;90", "у всех одинаково, 90 мин"),
        (
            "Длительность: 2 часа\nИмя;Почта;Минут на вебинаре\nА;a@b.ru;500\nБ;b@b.ru;80",
            "дольше самого вебинара (120 мин): А",
        ),
        ("Имя;Почта;Длительность\nА;a@b.ru;1200\nБ;b@b.ru;900", "не сказано, минуты это или секунды"),
        ("Имя;Почта;Минут;Роль\nА;a@b.ru;65;Слушатель\nБ;b@b.ru;65;VIP", "роли незнакомы, их люди загрузятся: «VIP»"),
        ("Имя;Почта;Телефон;Минут\nА;a@b.ru;7,91612E+10;65", "у 1 из 1 что-то не читается: А"),
        ("Имя;Почта;Минут;Вебинар\nА;a@b.ru;65;Один\nБ;b@b.ru;65;Два", "в таблице несколько вебинаров: «Два», «Один»"),
        ("Имя;Почта;Минут;Роль\nА;a@b.ru;65;Ведущий", "загружать некого"),
        ("Имя;Почта;Минут\nА;a@b.ru;65\nБ;b@b.ru;5", ""),
    ],
)
def test_what_looks_odd_is_told(table: str, doubt: str) -> None:
    _, _, doubts = one(table)
    assert any(doubt in told for told in doubts) if doubt else doubts == []


@pytest.mark.parametrize(
    ("heading", "cell", "buttons"),
    [
        ("Кнопки", "Купить, Вопрос", ["Купить", "Вопрос"]),
        ("Кнопки", '"[""Купить""]"', ["Купить"]),
        ("Кнопки", "[]", []),
        ("Клики", "3", ["Кнопка"]),
        ("Клики", "0", []),
        ("Кликов по кнопкам", "2", ["Кнопка"]),
        ("Что нажал", "-", []),
        ("Кнопка «Купить»", "1", ["Купить"]),
        ("Кнопка «Купить»", "0", []),
        ("Кнопка: Купить", "да", ["Купить"]),
        ("Баннер", "+", ["Баннер"]),
        ("Баннер", "не нажимал", []),
    ],
)
def test_buttons_are_names_and_never_counts(heading: str, cell: str, buttons: list[str]) -> None:
    table = f"Имя;Почта;Минут;{heading}\nА;a@b.ru;65;{cell}\n"
    exports = [read_content("t.csv", table.encode(), ReadOptions(held_on=DAY))]
    (draft,) = preview.as_json(exports, preview.offline(exports, DAY, options()), DAY)
    assert draft["people"][0]["buttons"] == buttons


@pytest.mark.parametrize(
    ("table", "needs"),
    [
        ("Имя;Почта;Дата регистрации\nА;a@b.ru;13.09.2021", ("minutes",)),
        ("Кто;Адрес;Длительность вебинара\nА;a@b.ru;120", ("mail", "minutes")),
        ("Имя;Контакт;Минут\nА;a@b.ru;65", ("mail",)),
    ],
)
def test_what_a_table_does_not_tell_is_asked(table: str, needs: tuple[str, ...]) -> None:
    with pytest.raises(ColumnsUnknown) as asked:
        read_content("t.csv", table.encode(), ReadOptions())
    assert asked.value.needs == needs


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b',"' * 32_768, "столбцов больше"),
        (b'"' * 65_536, "в ячейке больше"),
        ("Имя;Почта;Минут\n".encode() * 5_000, "заголовков больше"),
    ],
)
def test_texts_made_to_do_harm_are_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        read_content("t.csv", content, ReadOptions())
