"""Shifts: moments before and after a date."""

from datetime import UTC, date, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.offset import Offset

MOSCOW = CalendarOptions().calendar("Europe/Moscow")
# A Thursday.
DATE = date(2026, 12, 10)


@pytest.mark.parametrize(
    ("phrase", "local"),
    [
        ("", "10.12.2026 00:00"),
        ("10:00", "10.12.2026 10:00"),
        ("+ 1 d", "11.12.2026 00:00"),
        ("- 5 d", "05.12.2026 00:00"),
        ("- 5 дней 12:30", "05.12.2026 12:30"),
        ("+ 3 working days", "15.12.2026 10:00"),
        ("- 7 рабочих дней", "01.12.2026 10:00"),
        ("+ 2 рабочих дня 11:00", "14.12.2026 11:00"),
        ("+ 7 d + 5 working days", "24.12.2026 10:00"),
        ("- 2 h", "09.12.2026 22:00"),
    ],
)
def test_what_a_phrase_means_of_a_date(phrase: str, local: str) -> None:
    moment = Offset.parse(phrase).from_(DATE, MOSCOW)
    assert MOSCOW.local(moment).strftime("%d.%m.%Y %H:%M") == local


@pytest.mark.parametrize(
    ("phrase", "utc"),
    [
        ("", datetime(2026, 12, 10, 12, 30, tzinfo=UTC)),
        ("- 2 h", datetime(2026, 12, 10, 10, 30, tzinfo=UTC)),
        ("+ 1 working day", datetime(2026, 12, 11, 16, 0, tzinfo=UTC)),
    ],
)
def test_of_a_moment_it_means_the_same_as_of_any_due_date(phrase: str, utc: datetime) -> None:
    assert Offset.parse(phrase).from_(datetime(2026, 12, 10, 12, 30, tzinfo=UTC), MOSCOW) == utc


def test_phrases_of_one_meaning_are_equal_and_shown_as_written() -> None:
    assert Offset.parse("+ 5 дней") == Offset.parse("+  5 d")
    assert [str(Offset.parse(text)) for text in ("+  5 d", "")] == ["+ 5 d", "в тот же день"]


@pytest.mark.parametrize("bad", ["позавчера", "5 d", 5])
def test_what_is_no_shift_is_refused_in_words(bad: object) -> None:
    with pytest.raises(ValidationError, match="Примеры: «- 5 d»"):
        TypeAdapter(Offset).validate_python(bad)
