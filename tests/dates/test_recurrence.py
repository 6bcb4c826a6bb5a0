"""«пн 10:00»: phrases → slots, over days off, a change of the clocks, ends of months."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.recurrence import Recurrence

MOSCOW = CalendarOptions().calendar("Europe/Moscow")
BERLIN = CalendarOptions(country="").calendar("Europe/Berlin")


@pytest.mark.parametrize(
    ("phrase", "weekdays", "day_of_month", "at"),
    [
        ("пн 10:00", {0}, None, time(10)),
        ("Среда в 9:05", {2}, None, time(9, 5)),
        ("каждый вторник и пятница 16:00", {1, 4}, None, time(16)),
        ("mon, thu at 08:00", {0, 3}, None, time(8)),
        ("рабочий день 18:30", set(), None, time(18, 30)),
        ("every working day 18:30", set(), None, time(18, 30)),
        ("1 число 10:00", set(), 1, time(10)),
        ("15-го числа 10:00", set(), 15, time(10)),
        ("day 5 10:00", set(), 5, time(10)),
        ("последнее число 16:00", set(), 31, time(16)),
    ],
)
def test_phrases(phrase: str, weekdays: set[int], day_of_month: int | None, at: time) -> None:
    every = Recurrence.parse(phrase)
    assert (every.weekdays, every.day_of_month, every.at) == (weekdays, day_of_month, at)
    assert str(every) == phrase


@pytest.mark.parametrize(
    "phrase", ["", "пн", "10:00", "пнн 10:00", "пн 25:00", "32 число 10:00", "day 32 10:00", "раз в неделю 10:00"]
)
def test_what_is_no_time_is_refused_with_examples(phrase: str) -> None:
    with pytest.raises(ValueError, match="Примеры: «пн 10:00»"):
        Recurrence.parse(phrase)


def moments(phrase: str, now: str, calendar=MOSCOW) -> list[str]:  # type: ignore[no-untyped-def]
    """The slots around ``now`` (local), as the account's clocks show them."""
    here = datetime.fromisoformat(now).replace(tzinfo=calendar.timezone).astimezone(UTC)
    return [f"{calendar.local(slot.moment):%d.%m.%Y %H:%M}" for slot in Recurrence.parse(phrase).around(here, calendar)]


@pytest.mark.parametrize(
    ("phrase", "now", "next_one"),
    [
        pytest.param("ср 12:00", "2026-11-23T12:00", "25.11.2026 12:00", id="this week"),
        pytest.param("ср 12:00", "2026-11-25T12:00", "02.12.2026 12:00", id="at that very moment it has passed"),
        pytest.param("рабочий день 18:30", "2026-11-27T19:00", "30.11.2026 18:30", id="over the weekend"),
        pytest.param("рабочий день 18:30", "2026-12-31T20:00", "11.01.2027 18:30", id="over the holidays"),
        pytest.param("пн 12:00", "2026-01-01T00:00", "12.01.2026 12:00", id="nobody works in the first full week"),
        pytest.param("ср 12:00", "2026-11-01T00:00", "03.11.2026 12:00", id="Wednesday the 4th is a holiday"),
        pytest.param("пн 12:00", "2026-03-07T00:00", "10.03.2026 12:00", id="no earlier day in that week"),
        pytest.param("1 число 10:00", "2026-11-23T00:00", "01.12.2026 10:00", id="next month"),
        pytest.param("1 число 10:00", "2026-10-20T00:00", "02.11.2026 10:00", id="the first is a Sunday"),
        pytest.param("последнее число 16:00", "2027-02-01T00:00", "26.02.2027 16:00", id="the last is a Sunday"),
        pytest.param("31 число 16:00", "2028-02-01T00:00", "29.02.2028 16:00", id="a leap year"),
    ],
)
def test_the_next_slot(phrase: str, now: str, next_one: str) -> None:
    assert moments(phrase, now)[-1] == next_one


def test_only_one_is_still_to_come_and_the_last_one_is_among_them() -> None:
    assert moments("ср 12:00", "2026-11-26T00:00")[-2:] == ["25.11.2026 12:00", "02.12.2026 12:00"]
    assert moments("1 число 10:00", "2026-12-20T00:00")[-2:] == ["01.12.2026 10:00", "11.01.2027 10:00"]


def test_the_hour_stays_when_the_clocks_are_changed() -> None:
    # In Berlin summer time ended on Sunday, 25 October 2026.
    before, after = moments("пт 10:00", "2026-10-24T00:00", BERLIN)[-2:]
    assert (before, after) == ("23.10.2026 10:00", "30.10.2026 10:00")
    friday, next_friday = list(Recurrence.parse("пт 10:00").around(datetime(2026, 10, 24, tzinfo=UTC), BERLIN))[-2:]
    assert next_friday.moment - friday.moment == timedelta(days=7, hours=1)


def test_a_slot_knows_since_when_its_week_or_month_counts() -> None:
    def since(phrase: str) -> str:
        *_, slot = Recurrence.parse(phrase).around(datetime(2026, 11, 24, tzinfo=UTC), MOSCOW)
        return f"{MOSCOW.local(slot.since):%d.%m.%Y %H:%M}"

    assert since("пт 16:00") == "23.11.2026 00:00"
    assert since("последнее число 16:00") == "01.11.2026 00:00"
    assert since("рабочий день 18:30") == "24.11.2026 00:00"


@pytest.mark.parametrize("country", ["RU", "KZ", ""])
def test_there_is_always_a_next_one(country: str) -> None:
    calendar = CalendarOptions.model_validate({"country": country}).calendar("Europe/Moscow")
    for phrase in ("пн 10:00", "вс 10:00", "рабочий день 9:00", "1 число 10:00", "последнее число 10:00"):
        for day in range(0, 730):
            now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
            slots = list(Recurrence.parse(phrase).around(now, calendar))
            assert [slot.moment > now for slot in slots[-2:]] == [False, True], (phrase, now)
