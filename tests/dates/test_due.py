from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from amo_bridge.dates.calendar import CalendarOptions, WorkCalendar
from amo_bridge.dates.due import EXAMPLES, Due, FieldNotADate, FieldNotFilled, Fields

MANUAL = (Path(__file__).parents[2] / "docs" / "due-dates.md").read_text("utf-8")
MOSCOW = ZoneInfo("Europe/Moscow")
CALENDAR = CalendarOptions().calendar("Europe/Moscow")
NO_FIELDS: Fields = MappingProxyType({})
MONDAY = datetime(2026, 11, 23, 12, tzinfo=MOSCOW)
WEEKDAYS = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")


def due(phrase: str, now: datetime = MONDAY, calendar: WorkCalendar = CALENDAR, fields: Fields = NO_FIELDS) -> str:
    """When the phrase falls due, as the account's clocks show it."""
    moment = Due.parse(phrase).resolve(now, calendar, fields)
    assert moment.tzinfo is UTC
    return f"{calendar.local(moment):%Y-%m-%d %H:%M}"


# --- the manual ---------------------------------------------------------------------------------------------------


def manual_rows(columns: int) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in MANUAL.splitlines() if line[:1] == "|"]
    return [row for row in rows if len(row) == columns]


def manual_date(text: str) -> datetime | date:
    """«пн 23.11.2026 11:00» (the weekday must be true), «23.11.2026 11:00», or «23.11.2026»."""
    *weekday, day = re.split(r" (?=\d\d\.)", text)
    moment = datetime.strptime(day, "%d.%m.%Y %H:%M" if ":" in day else "%d.%m.%Y").replace(tzinfo=MOSCOW)
    assert not weekday or weekday == [WEEKDAYS[moment.weekday()]], text
    return moment if ":" in day else moment.date()


def manual_calendar() -> WorkCalendar:
    block = re.search(r"```toml\n(.*?)```", MANUAL, re.DOTALL)
    assert block
    return CalendarOptions.model_validate(tomllib.loads(block[1])["calendar"]).calendar("Asia/Tokyo")


FIELDS = {name: manual_date(value) for name, value in manual_rows(2) if re.fullmatch(r"[\d.]{10}( [\d:]{5})?", value)}
MANUAL_EXAMPLES = manual_rows(4)[2:]


def test_the_manual_has_its_tables() -> None:
    assert len(FIELDS) == 4
    assert len(MANUAL_EXAMPLES) > 30


@pytest.mark.parametrize(("russian", "english", "now", "then"), MANUAL_EXAMPLES)
def test_the_manuals_examples_are_true(russian: str, english: str, now: str, then: str) -> None:
    calendar, phrases = manual_calendar(), [Due.parse(text.strip("`")) for text in (russian, english)]
    assert phrases[0] == phrases[1]
    asked_at = manual_date(now)
    assert isinstance(asked_at, datetime)
    assert [phrase.resolve(asked_at, calendar, FIELDS) for phrase in phrases] == [manual_date(then)] * 2


def test_the_manual_names_only_valid_phrases_and_shows_every_example_of_the_errors() -> None:
    named = {phrase for row in manual_rows(2) for phrase in re.findall(r"`([^`=]+)`", row[0])}
    assert len(named) > 30
    assert {str(Due.parse(phrase)) for phrase in named} == named
    shown = {Due.parse(phrase) for phrase in named} | {Due.parse(row[0].strip("`")) for row in MANUAL_EXAMPLES}
    assert {Due.parse(example) for example in EXAMPLES} <= shown


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 working hour", "1 рабочий час"),
        ("30 minutes", "через 30 мин."),
        ("2 hours", "In 2 H"),
        ("48 h", "2880 минут"),
        ("3 d", "+3 дня"),
        ("2 weeks", "14 days"),
        ("2 business days", "2 раб. дня"),
        ("tomorrow 9:00", "завтра в 09:00"),
        ("end of day", "до конца рабочего дня"),
        ("next working day at 11:00", "на следующий рабочий день в 11:00"),
        ("1 working день", "1  РАБОЧИЙ\u00a0day"),
        ("field: Дата дедлайна", "Поле:Дата дедлайна"),
        ("field: Срок − 5 d", 'поле: "Срок" - 5 дней'),
        ("2 d, until 11:00 tomorrow if after 20:00", "2 дня до 11:00 завтра если после 20:00"),
    ],
)
def test_phrases_of_one_meaning_are_equal(one: str, other: str) -> None:
    assert Due.parse(one) == Due.parse(other)
    assert hash(Due.parse(one)) == hash(Due.parse(other))


def test_phrases_of_different_meaning_are_not_equal() -> None:
    assert Due.parse("2 days") != Due.parse("2 working days")
    assert Due.parse("24 hours") != Due.parse("1 day")
    assert Due.parse("field: Срок") != Due.parse("field: Срок 12:00")


@pytest.mark.parametrize("phrase", EXAMPLES)
def test_the_phrase_is_given_back(phrase: str) -> None:
    assert str(Due.parse(f"  {phrase} ")) == phrase


# --- fields -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "names"),
    [
        ("2 hours", ()),
        ("field: Дата оплаты 1", ("Дата оплаты 1",)),
        ("field: Дата оплаты 1 + 2 working days", ("Дата оплаты 1",)),
        ("field: Пост-релиз 2-й этап - 3 d", ("Пост-релиз 2-й этап",)),
        ("field: «Оплата - 2 часть»", ("Оплата - 2 часть",)),
        ("field: «Выход 12:00» 15:00", ("Выход 12:00",)),
        ("field: Срок, until 11:00 next working day if after 20:00", ("Срок",)),
    ],
)
def test_the_fields_a_phrase_needs(phrase: str, names: tuple[str, ...]) -> None:
    assert Due.parse(phrase).fields == names


@pytest.mark.parametrize(
    ("name", "shift"),
    [("Оплата - 2 d", ""), ("Дата «старт»", "- 2 рабочих дня"), ('Дата "а" «б» 12:00', "+ 1 d 15:00")],
)
def test_any_field_name_can_be_counted_from(name: str, shift: str) -> None:
    made = Due.of_field(name, shift)
    assert made.fields == (name,)
    assert Due.parse(str(made)) == made


def test_a_field_is_found_as_people_type_it() -> None:
    assert due("field: дата отчета", fields={"Дата отчёта": date(2026, 12, 1)}) == "2026-12-01 23:59"


def test_all_day_is_all_day_on_the_accounts_clocks() -> None:
    moment = Due.parse("field: Срок").resolve(MONDAY, CALENDAR, {"Срок": date(2026, 12, 1)})
    assert moment == datetime(2026, 12, 1, 20, 59, tzinfo=UTC)


def test_a_date_that_has_passed_is_given_as_it_is() -> None:
    assert due("field: Срок - 5 d", fields={"Срок": date(2026, 1, 20)}) == "2026-01-15 23:59"


@pytest.mark.parametrize("fields", [{}, {"Срок": None}, {"Другое": date(2026, 1, 1)}])
def test_an_empty_field_is_named(fields: dict[str, object]) -> None:
    with pytest.raises(FieldNotFilled, match="поле «Срок» не заполнено") as caught:
        Due.parse("field: Срок + 1 d").resolve(MONDAY, CALENDAR, fields)
    assert caught.value.field == "Срок"


def test_a_field_that_is_no_date_is_named() -> None:
    with pytest.raises(FieldNotADate, match="в поле «Срок» не дата, а «скоро»"):
        Due.parse("field: Срок").resolve(MONDAY, CALENDAR, {"Срок": "скоро"})


def test_naive_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Due.parse("2 hours").resolve(MONDAY.replace(tzinfo=None), CALENDAR)
    with pytest.raises(ValueError, match="time zone"):
        Due.parse("field: Срок").resolve(MONDAY, CALENDAR, {"Срок": MONDAY.replace(tzinfo=None)})


# --- borders ------------------------------------------------------------------------------------------------------

LATE = "1 working hour, until 11:00 next working day if after 20:00"


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-11-23 19:59", "2026-11-24 11:00"),  # closed since 19:00: an hour from 10:00
        ("2026-11-23 20:00", "2026-11-24 11:00"),
        ("2026-11-24 00:30", "2026-11-24 11:00"),  # after midnight it is no longer late
        ("2026-11-27 23:59", "2026-11-30 11:00"),
        ("2026-11-28 12:00", "2026-11-30 11:00"),
        ("2026-12-30 20:30", "2027-01-11 11:00"),
    ],
)
def test_a_late_payment_waits_for_the_next_working_morning(now: str, then: str) -> None:
    assert due(LATE, datetime.fromisoformat(now).replace(tzinfo=MOSCOW)) == then


def test_late_is_late_on_the_accounts_clocks() -> None:
    almaty = CalendarOptions(country="KZ").calendar("Asia/Almaty")
    assert due("2 hours, until 9:00 tomorrow if after 20:00", datetime(2026, 11, 23, 15, tzinfo=UTC), almaty) == (
        "2026-11-24 09:00"
    )


@pytest.mark.parametrize(
    ("phrase", "now", "then"),
    [
        ("1 day", "2024-02-28 12:00", "2024-02-29 12:00"),
        ("1 day", "2024-02-29 12:00", "2024-03-01 12:00"),
        ("tomorrow", "2026-12-31 23:59", "2027-01-01 23:59"),
        ("2 hours", "2026-12-31 23:00", "2027-01-01 01:00"),
        ("today 9:00", "2026-11-23 12:00", "2026-11-23 09:00"),
    ],
)
def test_ends_of_months_and_years(phrase: str, now: str, then: str) -> None:
    assert due(phrase, datetime.fromisoformat(now).replace(tzinfo=MOSCOW)) == then


@pytest.mark.parametrize(
    ("phrase", "then"),
    [("24 hours", "2026-11-01 11:00"), ("1 day", "2026-11-01 12:00"), ("next working day 12:00", "2026-11-02 12:00")],
)
def test_hours_are_real_and_days_follow_the_wall_clock_when_clocks_change(phrase: str, then: str) -> None:
    new_york = CalendarOptions(country="").calendar("America/New_York")
    assert due(phrase, datetime(2026, 10, 31, 12, tzinfo=new_york.timezone), new_york) == then


# --- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "bad", "nearest"),
    [
        ("2 wrking days", "wrking", "2 working days"),
        ("2 рабочх дня", "рабочх", "2 рабочих дня"),
        ("завтро", "завтро", "завтра"),
        ("7", "7", None),
        ("working 2 days", "working 2 days", "2 working days"),
        ("2 hours 12:00", "12:00", "2 hours"),
        ("end of day 12:00", "12:00", "end of day"),
        ("next working day 25:00", "25:00", "next working day 11:00"),
        ("until 11:00 next working day", "11:00", "until 11:00 next working day if after 20:00"),
        ("1 hour, until 11:00 someday if after 20:00", "someday", None),
        ("2 working weeks", "2 working weeks", "2 working days"),
        ("0 days", "0", None),
        ("9999 days", "9999", None),
        ("1.5 hours", "1.5", None),
        ("-2 days", "-2", "2 days"),
        ("field:", "field:", "field: Дата дедлайна"),
        ("field: Срок - 5 dd", "dd", "field: Срок - 5 d"),
        ("field: Срок - 5", "5", None),
        ("field: «Срок» потом", "потом", None),
        ("field: Срок, until 11:00 if after 20:00", "Срок, until 11:00 if after", None),
        ("", "", None),
    ],
)
def test_a_mistake_is_named_with_the_nearest_phrase(phrase: str, bad: str, nearest: str | None) -> None:
    with pytest.raises(ValueError, match="непонятен") as caught:
        Due.parse(phrase)
    told = re.fullmatch(
        r"срок «(.*)» непонятен: «(.*?)» — .+\. Ближайшая верная запись: «(.+)»\. Примеры: (.+)", str(caught.value)
    )
    assert told
    assert told[1] == phrase
    assert told[2] == bad
    assert nearest in (None, told[3])
    assert Due.parse(told[3])
    assert told[4].count("«") == 3


# --- in option models ---------------------------------------------------------------------------------------------


class Task(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    due: Due = Due.parse("end of day")
    later: list[Due] = []


def test_a_due_is_a_string_in_the_config() -> None:
    task = Task.model_validate(tomllib.loads('due = "1 рабочий час"\nlater = ["2 d", "завтра 12:00"]'))
    assert task.due == Due.parse("1 working hour")
    assert Task().due == Due.parse("конец дня")
    assert Task(due=task.due) == Task(due=Due.parse("1 working hour"))
    assert task.model_dump(mode="json") == {"due": "1 рабочий час", "later": ["2 d", "завтра 12:00"]}
    assert Task.model_validate_json(task.model_dump_json()) == task
    assert Task.model_json_schema()["properties"]["due"]["type"] == "string"


@pytest.mark.parametrize("value", ["скоро", 5, None])
def test_a_bad_due_in_the_config_is_told_in_russian(value: object) -> None:
    with pytest.raises(ValidationError, match="Примеры: «1 working hour»") as caught:
        Task.model_validate({"later": ["2 d", value]})
    assert [error["loc"] for error in caught.value.errors()] == [("later", 1)]
