from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from amo_bridge.dates.calendar import CalendarOptions, WorkCalendar

TEN_TO_TWENTY = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), "10:00-20:00")


def calendar_of(zone: str = "Europe/Moscow", **block: object) -> WorkCalendar:
    return CalendarOptions.model_validate({"hours": TEN_TO_TWENTY, **block}).calendar(zone)


def at(calendar: WorkCalendar, text: str) -> datetime:
    """«2026-11-23 20:30» on the account's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=calendar.timezone)


def shown(calendar: WorkCalendar, moment: datetime) -> str:
    assert moment.tzinfo is UTC
    return f"{calendar.local(moment):%Y-%m-%d %H:%M}"


# --- the country's days -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "start", "hours", "due"),
    [
        pytest.param("RU", "2026-11-23 20:30", 1, "2026-11-24 11:00", id="after hours on Monday"),
        pytest.param("RU", "2026-11-20 19:30", 1, "2026-11-23 10:30", id="over a weekend"),
        pytest.param("RU", "2025-10-31 19:00", 2, "2025-11-01 11:00", id="into a working Saturday"),
        pytest.param("RU", "2026-12-30 19:00", 4, "2027-01-11 13:00", id="over New Year, 31 December moved off"),
        pytest.param("RU", "2027-02-19 19:00", 3, "2027-02-20 12:00", id="working Saturday of 2027"),
        pytest.param("KZ", "2026-03-20 19:00", 2, "2026-03-26 11:00", id="Nauryz with observed days"),
        pytest.param("UA", "2026-12-31 19:00", 2, "2027-01-01 11:00", id="no holidays under martial law"),
    ],
)
def test_hours_over_public_holidays(country: str, start: str, hours: int, due: str) -> None:
    zone = {"RU": "Europe/Moscow", "KZ": "Asia/Almaty", "UA": "Europe/Kyiv"}[country]
    calendar = calendar_of(zone, country=country)
    assert shown(calendar, calendar.add_working(at(calendar, start), timedelta(hours=hours))) == due


@pytest.mark.parametrize(
    ("day", "is_worked"),
    [
        ("2026-01-09", False),  # moved from a Saturday
        ("2026-12-31", False),
        ("2027-02-22", False),
        ("2027-11-05", False),
        ("2024-04-27", True),
        ("2025-11-01", True),
        ("2025-11-08", False),  # an ordinary Saturday
        ("2026-11-04", False),  # Unity Day, a Wednesday
        ("2024-02-29", True),
    ],
)
def test_days_of_russia(day: str, is_worked: bool) -> None:
    assert calendar_of().is_working_day(date.fromisoformat(day)) is is_worked


def test_without_a_country_only_the_week_counts() -> None:
    calendar = calendar_of(country="")
    assert calendar.is_working_day(date(2027, 1, 1))
    assert not calendar.is_working_day(date(2025, 11, 1))


def test_a_saturday_worked_every_week_is_off_on_a_public_holiday() -> None:
    calendar = calendar_of(hours={**TEN_TO_TWENTY, "sat": "11:00-15:00"})
    assert calendar.is_working_day(date(2026, 11, 28))
    assert not calendar.is_working_day(date(2026, 1, 3))


# --- own exceptions -----------------------------------------------------------------------------------------------


def test_own_days_go_before_the_country() -> None:
    calendar = calendar_of(days_off=["2026-11-24", "2025-11-01"], working_days=["2026-11-04", "2026-11-28"])
    assert not calendar.is_working_day(date(2026, 11, 24))
    assert not calendar.is_working_day(date(2025, 11, 1))
    assert calendar.is_working_day(date(2026, 11, 4))
    assert calendar.is_working_day(date(2026, 11, 28))


def test_a_working_saturday_has_fridays_hours_or_its_own() -> None:
    hours = {**TEN_TO_TWENTY, "fri": "10:00-18:00"}
    by_friday = calendar_of(hours=hours, working_days=["2026-11-28"])
    assert shown(by_friday, by_friday.close_of(date(2026, 11, 28))) == "2026-11-28 18:00"
    assert shown(by_friday, by_friday.close_of(date(2025, 11, 1))) == "2025-11-01 18:00"
    own = calendar_of(hours={**hours, "sat": "12:00-16:00"}, working_days=["2026-11-28"])
    assert shown(own, own.close_of(date(2026, 11, 28))) == "2026-11-28 16:00"


def test_without_friday_a_working_saturday_has_the_hours_of_the_weeks_last_working_day() -> None:
    calendar = calendar_of(hours={"mon": "09:00-17:00", "wed": "10:00-14:00"}, working_days=["2026-11-28"])
    assert shown(calendar, calendar.close_of(date(2026, 11, 28))) == "2026-11-28 14:00"


def test_special_hours_make_a_short_day_even_on_a_holiday() -> None:
    calendar = calendar_of(special_hours={"2026-12-30": "10:00-16:00", "2026-12-31": "10:00-13:00"})
    assert shown(calendar, calendar.close_of(date(2026, 12, 30))) == "2026-12-30 16:00"
    start = at(calendar, "2026-12-30 15:00")
    assert shown(calendar, calendar.add_working(start, timedelta(hours=3))) == "2026-12-31 12:00"


# --- hours, breaks, borders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "is_worked"),
    [("09:59", False), ("10:00", True), ("12:59", True), ("13:00", False), ("14:00", True), ("20:00", False)],
)
def test_opening_is_working_time_closing_and_breaks_are_not(moment: str, is_worked: bool) -> None:
    calendar = calendar_of(breaks=["13:00-14:00"])
    assert calendar.is_working(at(calendar, f"2026-11-23 {moment}")) is is_worked


def test_work_stops_for_breaks_even_overlapping_ones() -> None:
    calendar = calendar_of(breaks=["13:30-14:30", "13:00-14:00", "08:00-10:30"])
    assert shown(calendar, calendar.open_of(date(2026, 11, 23))) == "2026-11-23 10:30"
    due = calendar.add_working(at(calendar, "2026-11-23 12:00"), timedelta(hours=2))
    assert shown(calendar, due) == "2026-11-23 15:30"


def test_an_hour_that_ends_at_closing_is_due_at_closing_not_at_the_next_opening() -> None:
    calendar = calendar_of()
    assert shown(calendar, calendar.add_working(at(calendar, "2026-11-23 19:00"), timedelta(hours=1))).endswith("20:00")


def test_adding_nothing_out_of_hours_leads_to_the_next_opening() -> None:
    calendar = calendar_of()
    assert shown(calendar, calendar.add_working(at(calendar, "2026-11-23 20:00"), timedelta())) == "2026-11-24 10:00"
    assert shown(calendar, calendar.add_working(at(calendar, "2026-11-23 12:00"), timedelta())) == "2026-11-23 12:00"


def test_hours_can_be_counted_back() -> None:
    calendar = calendar_of()
    assert shown(calendar, calendar.add_working(at(calendar, "2026-11-23 11:00"), -timedelta(hours=2))) == (
        "2026-11-20 19:00"
    )


def test_work_until_midnight() -> None:
    calendar = calendar_of(hours=dict.fromkeys(("mon", "tue"), "10:00-24:00"))
    assert shown(calendar, calendar.close_of(date(2026, 11, 23))) == "2026-11-24 00:00"


def test_open_and_close_of_a_day_off_are_an_error() -> None:
    with pytest.raises(ValueError, match="2026-11-22 is not a working day"):
        calendar_of().open_of(date(2026, 11, 22))
    with pytest.raises(ValueError, match="2026-11-22 is not a working day"):
        calendar_of().close_of(date(2026, 11, 22))


def test_naive_moments_are_refused() -> None:
    naive = datetime.fromisoformat("2026-11-23T12:00:00")
    calendar = calendar_of()
    for use in (calendar.is_working, lambda moment: calendar.add_working_days(moment, 1)):
        with pytest.raises(ValueError, match="time zone"):
            use(naive)


# --- working days -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2026-11-20 12:00", 1, "2026-11-23 20:00"),  # Friday
        ("2026-11-20 23:00", 1, "2026-11-23 20:00"),
        ("2026-11-21 12:00", 1, "2026-11-23 20:00"),  # Saturday
        ("2026-11-23 08:00", 2, "2026-11-25 20:00"),
        ("2026-12-30 12:00", 1, "2027-01-11 20:00"),
        ("2024-02-28 12:00", 1, "2024-02-29 20:00"),
        ("2026-11-23 12:00", -1, "2026-11-20 20:00"),
        ("2026-11-23 12:00", 0, "2026-11-23 20:00"),  # the day that is going on
        ("2026-11-23 20:00", 0, "2026-11-24 20:00"),
        ("2026-11-22 12:00", 0, "2026-11-23 20:00"),
    ],
)
def test_working_days_end_at_the_close_of_the_last(start: str, days: int, due: str) -> None:
    calendar = calendar_of()
    assert shown(calendar, calendar.add_working_days(at(calendar, start), days)) == due


def test_working_days_with_a_time_of_day() -> None:
    calendar = calendar_of()
    assert shown(calendar, calendar.add_working_days(at(calendar, "2026-11-20 12:00"), 1, time(11))) == (
        "2026-11-23 11:00"
    )


def test_next_and_previous_working_day_are_never_the_day_itself() -> None:
    calendar = calendar_of()
    assert calendar.next_working_day(date(2026, 11, 20)) == date(2026, 11, 23)
    assert calendar.previous_working_day(date(2026, 11, 23)) == date(2026, 11, 20)


def test_the_day_is_the_accounts_not_utcs() -> None:
    calendar = calendar_of("Asia/Vladivostok", country="")
    late_thursday_in_utc = datetime(2026, 11, 19, 22, tzinfo=UTC)  # Friday 08:00 there
    assert shown(calendar, calendar.add_working_days(late_thursday_in_utc, 1)) == "2026-11-23 20:00"


def test_a_calendar_without_working_days_is_an_error_not_an_endless_search() -> None:
    every_day = [date(2026, 11, 24) + timedelta(days=n) for n in range(500)]
    calendar = calendar_of(days_off=every_day)
    with pytest.raises(ValueError, match="no working day"):
        calendar.next_working_day(date(2026, 11, 23))


# --- the nights when the clocks change ----------------------------------------------------------------------------

ROUND_THE_CLOCK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "00:00-24:00")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Kyiv", "2026-03-29", 23),
        ("Europe/Kyiv", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/New_York", "2026-11-02", 24),
    ],
)
def test_a_day_is_as_long_as_it_really_is(zone: str, day: str, hours: int) -> None:
    calendar = calendar_of(zone, hours=ROUND_THE_CLOCK, country="")
    start = at(calendar, f"{day} 00:00")
    end = start + timedelta(days=1)
    assert calendar.working_time_between(start, end) == timedelta(hours=hours)
    assert calendar.add_working(start, timedelta(hours=hours)) == calendar.close_of(start.date())


def test_office_hours_stay_on_the_wall_clock_when_the_clocks_change() -> None:
    calendar = calendar_of("Europe/Kyiv", country="")
    due = calendar.add_working(at(calendar, "2026-10-23 19:00"), timedelta(hours=2))
    assert shown(calendar, due) == "2026-10-26 11:00"
    assert due == datetime(2026, 10, 26, 9, tzinfo=UTC)


def test_a_span_inside_the_skipped_hour_is_no_working_time() -> None:
    calendar = calendar_of("Europe/Kyiv", hours={"sun": "03:30-04:10"}, country="")
    assert not calendar.is_working_day(date(2026, 3, 29))
    assert calendar.is_working_day(date(2026, 4, 5))


# --- laws ---------------------------------------------------------------------------------------------------------

CALENDARS = [
    calendar_of("Europe/Moscow", breaks=["13:00-14:00"], working_days=["2026-11-28"]),
    calendar_of("Europe/Kyiv", country="UA", hours=ROUND_THE_CLOCK, breaks=["03:15-03:45"]),
    calendar_of("America/New_York", country="", hours={**TEN_TO_TWENTY, "sun": "00:30-02:30"}),
    calendar_of("Asia/Almaty", country="KZ", special_hours={"2026-12-31": "10:00-13:00"}),
]
law = settings(deadline=None)  # the first question about a year loads the country's book
calendars = st.sampled_from(CALENDARS)
moments = st.datetimes(
    min_value=datetime.fromisoformat("2024-02-01"),
    max_value=datetime.fromisoformat("2027-12-31"),
    timezones=st.just(UTC),
)
amounts = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(hours=200))


@law
@given(calendars, moments, amounts)
def test_what_was_added_lies_between(calendar: WorkCalendar, start: datetime, amount: timedelta) -> None:
    assert calendar.working_time_between(start, calendar.add_working(start, amount)) == amount
    assert calendar.working_time_between(start, calendar.add_working(start, -amount)) == -amount


@law
@given(calendars, moments, amounts)
def test_a_due_moment_is_in_working_time_or_at_its_end(
    calendar: WorkCalendar, start: datetime, amount: timedelta
) -> None:
    due = calendar.add_working(start, amount)
    assert due > start
    assert calendar.is_working(due - timedelta(microseconds=1))


@law
@given(calendars, moments, moments, amounts, amounts)
def test_later_or_more_is_never_due_earlier(
    calendar: WorkCalendar, a: datetime, b: datetime, x: timedelta, y: timedelta
) -> None:
    assert calendar.add_working(min(a, b), min(x, y)) <= calendar.add_working(max(a, b), max(x, y))


@law
@given(calendars, moments, moments, moments)
def test_working_time_adds_up(calendar: WorkCalendar, a: datetime, b: datetime, c: datetime) -> None:
    whole = calendar.working_time_between(a, c)
    assert whole == calendar.working_time_between(a, b) + calendar.working_time_between(b, c)


@law
@given(calendars, moments, st.integers(min_value=1, max_value=60))
def test_working_days_are_counted_one_by_one(calendar: WorkCalendar, start: datetime, count: int) -> None:
    due = calendar.add_working_days(start, count)
    day, last = calendar.local(start).date(), calendar.local(due - timedelta(minutes=1)).date()
    passed = [day + timedelta(days=n) for n in range(1, (last - day).days + 1)]
    assert sum(map(calendar.is_working_day, passed)) == count
    assert due == calendar.close_of(last)


@law
@given(calendars, moments)
def test_the_zone_a_moment_comes_in_does_not_matter(calendar: WorkCalendar, start: datetime) -> None:
    elsewhere = start.astimezone(ZoneInfo("America/New_York"))
    hour = timedelta(hours=1)
    assert calendar.add_working(start, hour) == calendar.add_working(elsewhere, hour)
    assert calendar.add_working_days(start, 1) == calendar.add_working_days(elsewhere, 1)
    assert calendar.is_working(start) == calendar.is_working(elsewhere)


# --- the config block ---------------------------------------------------------------------------------------------

BLOCK = """
country = "ru"
hours = {mon = "10:00-19:00", tue = "10:00-19:00", fri = "10:00 – 18:00"}
breaks = ["13:00-14:00"]
days_off = ["2026-12-29", 2026-12-30]
working_days = ["2026-11-28"]
special_hours = {"2026-12-28" = "9:00-24:00"}
timezone = ""
"""


def test_the_block_as_the_manual_shows_it() -> None:
    options = CalendarOptions.model_validate(tomllib.loads(BLOCK))
    calendar = options.calendar("Asia/Novosibirsk")
    assert calendar.timezone == ZoneInfo("Asia/Novosibirsk")
    assert shown(calendar, calendar.close_of(date(2026, 11, 28))) == "2026-11-28 18:00"
    assert not calendar.is_working_day(date(2026, 12, 30))
    assert CalendarOptions.model_validate(options.model_dump(mode="json")) == options


def test_an_empty_block_is_a_russian_office() -> None:
    calendar = CalendarOptions().calendar("Europe/Moscow")
    assert shown(calendar, calendar.open_of(date(2026, 11, 23))) == "2026-11-23 10:00"
    assert shown(calendar, calendar.close_of(date(2026, 11, 23))) == "2026-11-23 19:00"
    assert not calendar.is_working_day(date(2026, 12, 31))
    assert not calendar.is_working_day(date(2026, 11, 28))


def test_the_blocks_zone_goes_before_the_accounts() -> None:
    assert CalendarOptions(timezone="asia/almaty").calendar("Europe/Moscow").timezone.key == "Asia/Almaty"


@pytest.mark.parametrize("zone", ["", "Europe/Moskow"])
def test_a_useless_zone_of_the_account_is_told(zone: str) -> None:
    with pytest.raises(ValueError, match="часов"):
        CalendarOptions().calendar(zone)


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"hours": {"mon": "10-19"}}, '«10-19» не похоже на часы: пишите "10:00-19:00"'),
        ({"hours": {"mon": "19:00-10:00"}}, "конец должен быть позже начала"),
        ({"hours": {"mon": "10:00-25:00"}}, "такого времени в сутках нет"),
        ({"hours": {"понедельник": "10:00-19:00"}}, "не день недели: годятся mon, tue, wed"),
        ({"hours": {}}, "нужен хотя бы один рабочий день"),
        ({"breaks": [13]}, "«13» не похоже на часы"),
        ({"breaks": ["09:00-19:00"]}, "не оставляют рабочего времени"),
        ({"special_hours": {"2026-12-30": "13:00-14:00"}, "breaks": ["13:00-14:00"]}, "2026-12-30"),
        ({"days_off": ["31.12.2026"]}, "«31.12.2026» — не дата: пишите год-месяц-день"),
        ({"days_off": ["2026-02-29"]}, "«2026-02-29» — не дата"),
        ({"days_off": ["2026-11-28"], "working_days": ["2026-11-28"]}, "2026-11-28: и выходной (days_off), и рабочий"),
        ({"country": "Россия"}, "праздники такой страны неизвестны"),
        ({"timezone": "Europe/Moskow"}, "часового пояса «Europe/Moskow» нет; может быть, «Europe/Moscow»?"),
    ],
)
def test_a_mistake_in_the_block_is_told_in_russian(block: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CalendarOptions.model_validate(block)
    assert told in str(caught.value)


def test_an_unknown_key_is_refused_and_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        CalendarOptions.model_validate({"holidays": [], "country": "XX", "days_off": ["x", "2026-12-31", "y"]})
    places = {error["loc"] for error in caught.value.errors()}
    assert places == {("holidays",), ("country",), ("days_off", 0), ("days_off", 2)}
