"""Cells are read whole or not at all: lengths, moments, days, marks, addresses."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from support.webinar_samples import MOSCOW

from amo_bridge.webinars.formats import cells


@pytest.mark.parametrize(
    ("told", "minutes"),
    [
        ("61", 61),
        ("61,5", 61.5),
        (61.0, 61),
        ("61 мин", 61),
        ("61 мин.", 61),
        ("75 мин 30 сек", 75.5),
        ("1 ч 15 мин", 75),
        ("1ч 05м", 65),
        ("1 ч 02 мин", 62),
        ("1 ч 05", 65),
        ("2 ч", 120),
        ("1,5 часа", 90),
        ("1 час 20 минут", 80),
        ("2 часа 10 минут", 130),
        ("90 секунд", 1.5),
        ("4500 сек", 75),
        ("полчаса", 30),
        ("1h 27m", 87),
        ("1 hr 27 min", 87),
        ("2 hr", 120),
        ("45 min", 45),
        ("1 hour and 5 minutes", 65),
        ("90s", 1.5),
        ("2h 10m 3s", 130.05),
        ("PT1H2M", 62),
        ("01:15:00", 75),
        ("1:02:30", 62.5),
        ("1:05", 65),
        ("45:10 мин", 45 + 1 / 6),
        (time(1, 5), 65),
        (timedelta(minutes=65), 65),
        (datetime.fromisoformat("1900-01-01 01:05"), None),
        (datetime.fromisoformat("1899-12-31 01:05"), 65),
        # what is left over after the number
        ("~60", None),
        ("60+", None),
        ("больше 60", None),
        ("60 из 90", None),
        ("75%", None),
        ("1 мин 2 ч", None),
        ("-5", None),
        ("1:75", None),
        ("7:02 PM", None),
        ("13.09.2021", None),
        ("abc", None),
        ("99999999", None),
        ("", None),
        (None, None),
        (True, None),
    ],
)
def test_a_length(told: Any, minutes: float | None) -> None:
    found = cells.minutes(told)
    assert found == (None if minutes is None else pytest.approx(minutes))


@pytest.mark.parametrize(
    ("unit", "told", "minutes"),
    [("s", "3900", 65), ("s", 3900.0, 65), ("h", "1,5", 90), ("s", "5 мин", 5), ("m", "3900", None)],
)
def test_a_unit_of_the_heading_is_that_of_bare_numbers(unit: cells.Unit, told: Any, minutes: float | None) -> None:
    assert cells.minutes(told, unit) == minutes


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("13.09.2021 19:02", "2021-09-13 19:02:00"),
        ("13.09.2021, 19:02:11", "2021-09-13 19:02:11"),
        ("13.09.2021 в 19:02", "2021-09-13 19:02:00"),
        ("19:02 13.09.2021", "2021-09-13 19:02:00"),
        ("2021-09-13T19:02:11+03:00", "2021-09-13 19:02:11"),
        ("2021-09-13T22:00:00+06:00", "2021-09-13 19:00:00"),
        ("2021-09-13T16:00:00Z", "2021-09-13 19:00:00"),
        ("2021-09-13 16:00:00 UTC", "2021-09-13 19:00:00"),
        ("2021-09-13 19:02 МСК", "2021-09-13 19:02:00"),
        ("2021-09-13 21:02 (UTC+5)", "2021-09-13 19:02:00"),
        ("2021-09-13 19:02:11.123", "2021-09-13 19:02:11"),
        ("Sep 13, 2021 7:02 PM", "2021-09-13 19:02:00"),
        ("Monday, September 13, 2021 7:02 PM", "2021-09-13 19:02:00"),
        ("13 Sep 2021 19:02:00 +0300", "2021-09-13 19:02:00"),
        ("13-Sep-2021 19:02", "2021-09-13 19:02:00"),
        ("13 сентября 2021 г., 19:02", "2021-09-13 19:02:00"),
        ("пн, 13 сент. 2021 г. в 19:02", "2021-09-13 19:02:00"),
        ("13 сентября 2021", "2021-09-13 00:00:00"),
        ("1631548931", "2021-09-13 19:02:11"),
        (1631548931000.0, "2021-09-13 19:02:11"),
        (44452.5, "2021-09-13 12:00:00"),
        ("12:05 AM 13.09.2021", "2021-09-13 00:05:00"),
        (date(2021, 9, 13), "2021-09-13 00:00:00"),
        ("32.13.2021", None),
        ("13.09.2021 25:00", None),
        ("13.09.2021 19:02 завтра", None),
        ("13 мартобря 2021", None),
        ("13:05 PM", None),
        ("скоро", None),
        ("19:02", None),
        (61.0, None),
        (None, None),
    ],
)
def test_a_moment_is_told_on_the_webinar_s_wall_clock(told: Any, moment: str | None) -> None:
    found = cells.moment(told, zone=MOSCOW)
    assert (str(found) if found else None) == moment


@pytest.mark.parametrize(("order", "day"), [("day first", "2022-10-04"), ("month first", "2022-04-10")])
def test_slashes_are_read_in_the_order_of_the_file(order: cells.Order, day: str) -> None:
    found = cells.moment("04/10/2022 06:55:02 PM", order=order)
    assert found == datetime.fromisoformat(f"{day} 18:55:02")
    assert cells.moment("04.10.2022", order=order) == datetime.fromisoformat("2022-10-04"), "dots are never American"


@pytest.mark.parametrize(
    ("told", "order"),
    [
        (["04/10/2022", "25/10/2022"], "day first"),
        (["04/10/2022", "04/25/2022"], "month first"),
        (["04/10/2022", "05/11/2022"], None),
        (["25/10/2022", "04/25/2022"], None),
        ([], None),
    ],
)
def test_one_date_may_show_the_order_of_all(told: list[str], order: str | None) -> None:
    assert cells.order_in(told) == order


@pytest.mark.parametrize(
    ("told", "clock"),
    [
        ("19:02", time(19, 2)),
        ("7:02 PM", time(19, 2)),
        ("12:00 am", time(0, 0)),
        ("19.02", time(19, 2)),
        (0.5, time(12, 0)),
        (time(19, 2), time(19, 2)),
        ("25:00", None),
        ("19:02 завтра", None),
        ("13.09.2021 19:02", None),
        (19.0, None),
        ("", None),
    ],
)
def test_a_time_of_day(told: Any, clock: time | None) -> None:
    assert cells.clock(told) == clock


@pytest.mark.parametrize(
    ("told", "found", "unread"),
    [
        ("Anna@Example.RU", ("anna@example.ru",), ""),
        ("mailto:anna@example.ru", ("anna@example.ru",), ""),
        ("Анна <anna@example.ru>", ("anna@example.ru",), ""),
        ("a@b.ru, c@d.ru", ("a@b.ru", "c@d.ru"), ""),
        ("anna@почта.рф", ("anna@xn--80a1acny.xn--p1ai",), ""),
        ("a@b.ru (рабочая)", ("a@b.ru",), ""),
        ("ivan_mail.ru#EXT#@school.onmicrosoft.com", (), ""),
        ("prohor@mail.exаmple", (), "prohor@mail.exаmple"),
        ("аnna@example.ru", (), "аnna@example.ru"),
        ("@anna", (), "@anna"),
        ("telegram @anna", (), "telegram @anna"),
        ("anna@example", (), "anna@example"),
        ("anna@example..ru", (), "anna@example..ru"),
        ("anna.example.ru", (), "anna.example.ru"),
        ("id@12345", (), "id@12345"),
        ("гость", (), ""),
        ("-", (), ""),
        ("нет", (), ""),
        ("", (), ""),
        (None, (), ""),
        ("a@b.ru;" * 200, (), None),
    ],
)
def test_addresses_are_mails_only_if_they_are_whole(told: Any, found: tuple[str, ...], unread: str | None) -> None:
    mails, rest = cells.mails(told)
    assert mails == found
    assert unread is None or rest == unread


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("+7 916 800 00 02", ("+79168000002",)),
        ("8 (916) 800-00-02", ("+79168000002",)),
        (79168000002.0, ("+79168000002",)),
        ('="79168000002"', ("+79168000002",)),
        ("'+79168000002", ("+79168000002",)),
        ("79168000002.0", ("+79168000002",)),
        ("+7 916 800 00 02 доб. 12", ("+79168000002",)),
        ("тел. 8 916 800 00 02", ("+79168000002",)),
        ("7,91612E+10", ()),
        ("7.91612E+10", ()),
        ("8916ABC0002", ()),
        ("4", ()),
        ("8 916 800 00 02 x" + "1" * 300, None),
    ],
)
def test_phones_are_numbers_only_if_they_are_whole(told: Any, found: tuple[str, ...] | None) -> None:
    numbers, unread = cells.phones(told)
    assert found is None or numbers == found
    assert bool(unread) != bool(numbers)


@pytest.mark.parametrize(
    ("told", "mark"),
    [
        ("да", True),
        ("Был", True),
        ("+", True),
        ("1", True),
        (3.0, True),
        ("3 клика", True),
        ("Attended", True),
        (True, True),
        ("нет", False),
        ("Не был", False),
        ("не пришёл", False),
        ("0", False),
        ("-", False),
        ("no show", False),
        (0.0, False),
        ("", None),
        (None, None),
        ("оплатил", None),
        ("утверждено", None),
        ("x", None),
    ],
)
def test_a_mark(told: Any, mark: bool | None) -> None:
    assert cells.mark(told) is mark


@pytest.mark.parametrize(
    ("told", "labels"),
    [
        ("Баннер, help", ("Баннер", "help")),
        ('["Купить", "Вопрос"]', ("Купить", "Вопрос")),
        ('[{"id": "main"}]', ("main",)),
        ("[]", ()),
        ("-", ()),
        ("нет", ()),
        ("не нажимал", ()),
        ("[Купить; Вопрос]", ("Купить", "Вопрос")),
        ("[" * 5000 + "]", ()),
    ],
)
def test_names_of_buttons(told: str, labels: tuple[str, ...]) -> None:
    found = cells.labels(told)
    assert found == labels or (not labels and len(told) > 100), found
