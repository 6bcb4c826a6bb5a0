"""Tables as they come: shapes, spellings and remains of Excel that others stumbled over. The people are invented."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from support.webinar_samples import DAY, MOSCOW, options

from amo_bridge.webinars import preview
from amo_bridge.webinars.formats import cells
from amo_bridge.webinars.formats.model import ColumnsUnknown
from amo_bridge.webinars.formats.reading_process import read_content
from amo_bridge.webinars.formats.table_reader import read
from amo_bridge.webinars.formats.table_rows import ReadOptions
from amo_bridge.webinars.formats.tables import Table, heading

EVENING = datetime(2021, 9, 13, 19)  # noqa: DTZ001 - the wall clock of the file
OPTIONS = ReadOptions(zone=MOSCOW, held_on=DAY)

SECTIONS = """Отчёт
Дата проведения;13.09.2021 19:00 (МСК)

Докладчики
Имя;Email;Время присутствия
О;o@b.ru;2:10:00

Слушатели (1)
Имя;Email;Время присутствия
А;a@b.ru;1:05:00

Не явились
В;v@b.ru;

Всего слушателей: 1
"""


def draft(table: str, encoding: str = "utf-8") -> dict[str, Any]:
    export = read_content("t.csv", table.encode(encoding), OPTIONS)
    (found,) = preview.as_json([export], preview.offline([export], DAY, options()), DAY)
    return found


def minutes(table: str, encoding: str = "utf-8") -> dict[str, float | None]:
    return {person["emails"][0]: person["minutes"] for person in draft(table, encoding)["people"]}


@pytest.mark.parametrize(
    "table",
    [
        # Identifiers of programs.
        "name,email,join_time,leave_time,duration_seconds\nA,a@b.ru,1631548800,1631552700,3900\n",
        "userName,userEmail,joinTime,leaveTime,durationMin\nA,a@b.ru,2021-09-13T16:00:00.000Z,2021-09-13T17:05:00Z,65\n",
        "FirstName|LastName|Email|TimeInSession_Minutes\nA|B|a@b.ru|65\n",
        # Spaces that only look like one, hyphens that only look like one.
        "\ufeffФ.И.О.\u00a0участника;E\u2011mail;Время\u00a0на\u00a0вебинаре\u202f(мин)\nА;\u200ba@b.ru\u00a0;65\u00a0мин\n",
        "Имя;Почта;Время присутствия\nА;a@b.ru;3\u202f900 сек\n",
        "Имя;Почта;Всего времени;Первый вход;Последний выход\nА;a@b.ru;1:05:00;13.09.2021 19:00;13.09.2021 21:00\n",
        "Список\nсоздан 15.09.2021\n;Участник;Почта;Онлайн, мин;Доля времени\n1;А;a@b.ru;65;54%\n",
        "Имя;Почта;Зашёл;Вышел\nА;a@b.ru;13.09.2021 19:00;19:30\nА;A@B.RU ;13.09.2021 19:40;20:15\n",
        "ФИО;Почта;Вход;Выход;Длит.\nА;a@b.ru;19:00;19:30;30\n;;19:40;20:15;35\n;;;;\nИТОГО по вебинару;;;;65\n",
        'Name,Email,Join Time,Leave Time\n"Fox, Jr.",a@b.ru,09/13/2021 11:30:00 PM,09/14/2021 12:35:00 AM\n',
        SECTIONS,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1251"])
def test_one_guest_of_65_minutes(table: str, encoding: str) -> None:
    if encoding == "cp1251" and table.encode("cp1251", "ignore").decode("cp1251") != table:
        encoding = "utf-8"
    assert minutes(table, encoding) == {"a@b.ru": 65}


@pytest.mark.parametrize(
    "cell", ["~65 мин", "больше часа", "65 из 120", "54%", "65 мин?", "1:75", "25:00:00", "час с лишним", "н/д", "-"]
)
def test_minutes_that_are_not_told_are_not_guessed(cell: str) -> None:
    (person,) = draft(f"Имя;Почта;Вход;Время на вебинаре\nА;a@b.ru;19:00;{cell}\n")["people"]
    assert (person["minutes"], person["class"]) == (None, "unknown")


def test_a_part_of_a_day_without_a_format_beside_times_is_not_read() -> None:
    rows = (
        ("Имя", "Почта", "Время в эфире", "Вход"),
        ("А", "a@b.ru", timedelta(minutes=65), EVENING),
        ("Б", "b@b.ru", 65 / 1440, EVENING),
    )
    first, second = read([Table("t.xlsx", "Лист", rows)], OPTIONS).visits
    assert (first.minutes, second.minutes) == (65, None)
    assert "minutes" in second.odd


@pytest.mark.parametrize(
    ("heading", "cell", "buttons"),
    [
        ("Кликнул на оффер", "да", ["Кнопка"]),
        ("Перешёл по ссылке", "нет", []),
        ("clickedCTA", "true", ["Кнопка"]),
        ("Кнопки", "\"[{'name': 'Купить', 'clicks': 2}, {'name': 'Вопрос', 'clicks': 0}]\"", ["Купить"]),
        ("Кнопки", '"{""Купить"": 1, ""Вопрос"": 0}"', ["Купить"]),
        ("Кнопки", "Купить (2), Вопрос (0)", ["Купить"]),
        ("Кнопки", "Купить x2 | Вопрос ×1", ["Купить", "Вопрос"]),
        ("Кнопки", "Тариф 2", ["Тариф 2"]),
        ("Кнопки", "[[[", ["[[["]),
    ],
)
def test_what_was_clicked(heading: str, cell: str, buttons: list[str]) -> None:
    (person,) = draft(f"Имя;Почта;Минут;{heading}\nА;a@b.ru;65;{cell}\n")["people"]
    assert person["buttons"] == buttons


@pytest.mark.parametrize(
    ("status", "came"),
    [("Присутствовал до конца", True), ("Ушёл раньше", True), ("Left early", True), ("Не явился", False)],
)
def test_statuses_of_presence(status: str, came: bool) -> None:
    found = draft(f"Имя;Почта;Статус участия;Минут\nА;a@b.ru;{status};{65 if came else ''}\nБ;b@b.ru;Был;5\n")
    assert len(found["people"]) == 1 + came
    assert not any("не читается" in doubt for doubt in found["doubts"])


def test_a_span_with_breaks_in_it_is_told() -> None:
    found = draft("Имя;Почта;Первый вход;Последний выход\nА;a@b.ru;13.09.2021 19:00;13.09.2021 21:00\n")
    assert any("перерывы в таблице не названы" in doubt for doubt in found["doubts"])


def test_who_is_asked_sees_the_headings_and_not_the_first_person() -> None:
    with pytest.raises(ColumnsUnknown) as asked:
        draft(";Гость;Куда писать;Сколько\n1;А;a@b.ru;65\n2;Б;b@b.ru;5\n")
    assert asked.value.headers == ("Гость", "Куда писать", "Сколько")


def test_headings_of_programs() -> None:
    assert (heading("durationSec").fields, heading("durationSec").unit) == (("minutes",), "s")
    assert heading("leftAt").fields == ("left",)
    assert cells.minutes("3 900 сек") == 65
