"""Dates that steps may be counted from: fields of the deal, a paid term added, once or every year. And such steps."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from amo_bridge.actions import Action, ChangeTask, CreateTask, FinishTask
from amo_bridge.config.names import ContactDateFieldName, DateFieldName, FieldName
from amo_bridge.dates.due import Due
from amo_bridge.dates.offset import Shift, due_after
from amo_bridge.deal import Deal
from amo_bridge.events import StepDue
from amo_bridge.rules import Options
from amo_bridge.step_options import TimedDeeds
from amo_bridge.text.names import same_name

# As much of a field's name as an anchor has room for.
_LONGEST_FIELD = 80
_LONGEST_TERM = 600
_FEBRUARY_28 = (2, 28)


def _some_hour(at: str) -> str:
    """Raises ValueError (Russian)."""
    Due.of_field("дата", at)
    return at


HourOfDay = Annotated[str, AfterValidator(_some_hour)]
"""At what o'clock of a day: «10:00»."""


@dataclass(frozen=True)
class Counted:
    """A date that counts. ``field``: the config's name of the field that it comes from."""

    field: str
    value: date

    @property
    def anchor(self) -> str:
        """Another date is another anchor: its steps are done, though those of the old date were."""
        return f"{self.field[:_LONGEST_FIELD]}={self.value.isoformat()}"


class Term(Options):
    """How long after the date in the field it is: ``{ field = "Оплачено месяцев", unit = "months" }``."""

    field: FieldName
    unit: Literal["months", "days"]

    def after(self, value: date, deal: Deal) -> date | None:
        """None if the field holds no whole number."""
        text = deal.text(self.field).strip()
        if not text.isdecimal() or int(text) > _LONGEST_TERM:
            return None
        return value + timedelta(days=int(text)) if self.unit == "days" else _months_after(value, int(text))


class Dates(Options):
    """``dates``: fields of the deal, each for itself; ``contact_dates``: fields of its main contact. ``term``: so long
    after those of the deal. ``yearly``: the day of the date comes every year (29 February is 28 February in a common
    year)."""

    dates: tuple[DateFieldName, ...] = ()
    contact_dates: tuple[ContactDateFieldName, ...] = ()
    term: Term | None = None
    yearly: bool = False

    @model_validator(mode="after")
    def some_date(self) -> Self:
        if not self.dates and not self.contact_dates:
            raise ValueError("от какой даты считать: нужны dates (поля сделки) или contact_dates (поля контакта)")
        return self

    def concern(self, field: str) -> tuple[DateFieldName, ...]:
        """The dates of the deal that are other ones when this field of it changes."""
        if self.term and same_name(self.term.field, field):
            return self.dates
        return tuple(name for name in self.dates if same_name(name, field))

    def concern_of_contact(self, field: str) -> tuple[ContactDateFieldName, ...]:
        """The dates of the main contact that are other ones when this field of it changes."""
        return tuple(name for name in self.contact_dates if same_name(name, field))

    def of(self, deal: Deal) -> Iterator[Counted]:
        """The dates that are filled. With ``contact_dates`` the deal's ``contacts`` must be known."""
        yield from self.of_the_deal(deal)
        yield from self.of_the_contact(deal)

    def of_the_contact(self, deal: Deal) -> Iterator[Counted]:
        """Those in fields of its main contact."""
        main = next((contact for contact in deal.contacts if contact.is_main), None) if self.contact_dates else None
        for name in self.contact_dates if main else ():
            value = main.value(name) if main else None
            if isinstance(value, date):
                yield Counted(name, value)

    def of_the_deal(self, deal: Deal) -> Iterator[Counted]:
        """Those in fields of the deal itself."""
        for name in self.dates:
            value = deal.value(name)
            if isinstance(value, date):
                value = self.term.after(value, deal) if self.term else value
                if value is not None:
                    yield Counted(name, value)

    def around(self, deal: Deal, year: int) -> Iterator[Counted]:
        """The same; what comes every year in the year before, this one and the next."""
        for counted in self.of(deal):
            if not self.yearly:
                yield counted
                continue
            for number in (year - 1, year, year + 1):
                yield Counted(counted.field, _in_year(counted.value, number))


class DateStep(TimedDeeds):
    """``shift``: how long before or after the date; without it when the date comes. ``on_arrival``: a deal that comes
    to the stages too late for it has it done at once."""

    shift: Shift = Shift.parse("")
    on_arrival: bool = False

    @property
    def title(self) -> str:
        return self.name or str(self.shift)

    def slot(self, field: str) -> str:
        """The mark of its tasks."""
        return f"{self.title}@{field}"[:110]

    def moves(self, field: str, value: date | None, deal: Deal, *, yearly: bool) -> Iterator[Action]:
        """What makes the open tasks of this step agree with the date; without a date they are closed. ``yearly``: with
        the day of that date which is nearest to them."""
        dues = {one.slot: one.due for one in self.for_deal(deal, slot=self.slot(field)) if isinstance(one, CreateTask)}
        for task in deal.own_tasks:
            if task.is_completed or task.slot not in dues:
                continue
            if value is None:
                told = f"Поле «{field}» очищено, задача снята"
                yield FinishTask(deal_id=deal.id, task_id=task.id, result=told)
            else:
                day = _nearest(value, task.due.date()) if yearly else value
                due = due_after(day, self.shift, dues[task.slot])
                yield ChangeTask(deal_id=deal.id, task_id=task.id, due=due)


def moved(
    steps: Iterable[DateStep],
    fields: Iterable[str],
    filled: Iterable[Counted],
    deal: Deal,
    *,
    closes: bool,
    yearly: bool,
) -> Iterator[Action]:
    """What makes the open tasks of the steps agree with these fields' dates, some of which are ``filled``. ``closes``:
    the tasks of an emptied one are closed, otherwise they stay."""
    values = {counted.field: counted.value for counted in filled}
    for field in fields:
        if field in values or closes:
            for step in steps:
                yield from step.moves(field, values.get(field), deal, yearly=yearly)


def is_for_an_older_deal(event: StepDue, deal: Deal) -> bool:
    """Has the same step fallen due on an older deal of the main contact? The schedule needs ``contact_steps``."""
    same = (one for one in deal.contact_steps if (one.name, one.anchor) == (event.step, event.anchor))
    return any(one.deal_id < deal.id for one in same)


def _months_after(value: date, months: int) -> date:
    """The same day of a later month, or its last one."""
    year, month = divmod(value.year * 12 + value.month - 1 + months, 12)
    return value.replace(year=year, month=month + 1, day=min(value.day, monthrange(year, month + 1)[1]))


def _nearest(value: date, day: date) -> date:
    """The day of the date that is nearest to this day, in whatever year."""
    days = (_in_year(value, year) for year in (day.year - 1, day.year, day.year + 1))
    return min(days, key=lambda one: abs(date(one.year, one.month, one.day) - day))


def _in_year(value: date, year: int) -> date:
    month, day = (value.month, value.day)
    if (month, day) == (2, 29) and monthrange(year, 2)[1] < day:
        month, day = _FEBRUARY_28
    return value.replace(year=year, month=month, day=day)
