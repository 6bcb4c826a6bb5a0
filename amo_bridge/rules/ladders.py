"""Options of ladders: a step's name, actions, condition and hours; dates and rounds they count from."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

from amo_bridge.dates.due import Due
from amo_bridge.dates.offset import Offset, due_after
from amo_bridge.dates.recurrence import Recurrence, Slot
from amo_bridge.events import StageEntered, StepDue, TouchKind
from amo_bridge.events.calls import TALK_SECONDS
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.actions import Action, ChangeTask, CreateTask, FinishTask, Skip
from amo_bridge.rules.deal import Deal, DoneStep, Touches, stage_is_one_of
from amo_bridge.rules.handler import Options, Step, Times
from amo_bridge.rules.option_types import ContactDateFieldName, DateFieldName, FieldName, StageName
from amo_bridge.rules.options import ActionsSpec, Condition, WantedFile, new_tasks_only, skip_unless
from amo_bridge.text.names import same_name

LONGEST_NAME = 60
Hours = Literal["any", "working"]

# The deal has come where the ladder counts: nothing to do yet, and no reason why not either.
AWAITS_ITS_STEPS = "сделка пришла на этап этого правила; его шаги наступают по часам"


class TimedActions(ActionsSpec):
    """A step: deeds, and when they are due (the ladder's own matter).

    ``name``: under which the bridge remembers that it was done; without it, its time in words. ``when``: the deal must
    be like this when the step falls due. ``hours``: "working" waits for working time; without it what reaches the
    client (letters, SMS, calls) waits, and what stays inside the company does not. ``touched``: true or false, whether
    anybody has been in touch since the count began (talks, letters, messages, finished tasks, moves by people; not the
    move that began it). ``touched_by``: which of these count, all without it; ``talk_seconds``: how long a call must be
    to be a talk. ``without_file``: only while no such file is on the deal.
    """

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    when: Condition | None = None
    hours: Hours | None = None
    touched: bool | None = None
    touched_by: tuple[TouchKind, ...] = ()
    talk_seconds: Annotated[int, Field(ge=1)] = TALK_SECONDS
    without_file: WantedFile | None = None

    @property
    def title(self) -> str:
        """Its name, or what stands for it."""
        raise NotImplementedError

    @property
    def reaches_the_client(self) -> bool:
        return bool(self.letter or self.sms or self.start_series or self.auto_dial == "start")

    def step(self, moment: datetime, anchor: str, since: datetime, times: Times) -> Step:
        """The step, planned for that moment, counted from ``since``."""
        waits = self.hours == "working" or (self.hours is None and self.reaches_the_client)
        due = times.in_working_time(moment) if waits else moment
        return Step(name=self.title, anchor=anchor, due=due, since=since)

    def actions(self, event: StepDue, deal: Deal, *, slot: str) -> Skip | list[Action]:
        """What is to be done now that it is due; a task that this step set before and that is still open is not set
        again. ``slot`` marks its tasks. The schedule needs ``own_tasks``, ``touches`` and ``files``."""
        if unmet := skip_unless(self.when, deal, "условие шага"):
            return unmet
        if self.touched is not None and bool(self._touches(event, deal)) != self.touched:
            return Skip("с начала счёта с клиентом " + ("не работали" if self.touched else "работали"))
        if self.without_file and self.without_file.is_there(deal):
            return Skip(f"файл «{self.without_file.wanted(deal)}» приложен")
        wanted = self.for_deal(deal, slot=slot)
        if new := new_tasks_only(wanted, deal):
            return new
        return Skip("задача этого шага ещё открыта" if wanted else "шаг этой сделки не касается")

    def _touches(self, event: StepDue, deal: Deal) -> Touches:
        """Those since the count began."""
        touches = deal.touches.after(self._counted_from(event, deal)).counting(self.talk_seconds)
        return touches.of(*self.touched_by) if self.touched_by else touches

    def _counted_from(self, event: StepDue, deal: Deal) -> datetime:
        """The moment from which touches count."""
        return event.since


def on_leaving(
    event: StageEntered, deal: Deal, stages: Iterable[str], deeds: ActionsSpec | None
) -> Skip | list[Action]:
    """What to do when a deal leaves the stages of a ladder: ``deeds``, if a step of it has fallen due. The schedule
    needs ``own_steps``."""
    stages = tuple(stages)
    if not stage_is_one_of(event.from_stage_name, stages):
        if deal.is_on(stages):
            return Skip(AWAITS_ITS_STEPS)
        return Skip("сделка пришла не с этапа этого правила")
    if deal.is_on(stages):
        return Skip("этап сменился, но счёт идёт и на нём")
    if deeds is None:
        return Skip("на уходе с этапа это правило ничего не делает")
    if not deal.own_steps:
        return Skip("ни один шаг ещё не наступал, отменять нечего")
    return deeds.for_deal(deal, slot="on_leave") or Skip("на уходе делать нечего")


def names_are_unique(names: Iterable[str]) -> None:
    """ValueError (Russian) for a name that two steps have, or one that is too long to remember."""
    counted = Counter(names)
    if doubled := [name for name, count in counted.items() if count > 1]:
        raise ValueError(f"два шага называются «{doubled[0]}»: дайте им разные name")
    if long := [name for name in counted if len(name) > LONGEST_NAME]:
        raise ValueError(f"имя шага «{long[0]}» длиннее {LONGEST_NAME} знаков: дайте ему name покороче")


# Dates that steps may be counted from: fields of the deal, a paid term added, once or every year. And such steps.

# As much of a field's name as an anchor has room for.
_LONGEST_FIELD = 80
_LONGEST_TERM = 600
# Within so long the money of one invoice comes and is spent.
LATELY = timedelta(days=60)
# Days.
_LONGEST_SPENDING = 3650
_FEBRUARY_28 = (2, 28)


def _some_hour(at: str) -> str:
    """Raises ValueError (Russian)."""
    Due.of_field("дата", at)
    return at


HourOfDay = Annotated[str, AfterValidator(_some_hour)]
"""At what o'clock of a day: «10:00»."""


@dataclass(frozen=True)
class Counted:
    """A date that counts. ``field``: the config's name of the field that it comes from; ``contact_id``: on whose card,
    where it is not plain."""

    field: str
    value: date
    contact_id: int | None = None

    @property
    def anchor(self) -> str:
        """Another date is another anchor: its steps are done, though those of the old date were."""
        whose = f"#{self.contact_id}" if self.contact_id else ""
        return f"{self.field[:_LONGEST_FIELD]}{whose}={self.value.isoformat()}"


class Term(Options):
    """How long after the date in the field it is: ``{ field = "Оплачено месяцев", unit = "months" }``; or until the sum
    in ``field`` is spent: ``{ field = "Остаток средств", per_day = "Расход в день" }``. ``about_days``: spending is not
    even, and an end that is so near to the one of which a step was done already is no other one."""

    field: FieldName
    unit: Literal["months", "days"] | None = None
    per_day: FieldName | None = None
    about_days: Annotated[int, Field(ge=0, le=60)] = 5

    @model_validator(mode="after")
    def one_way_to_count(self) -> Self:
        if (self.unit is None) == (self.per_day is None):
            raise ValueError("нужно одно: unit (месяцы или дни) или per_day (поле с расходом в день)")
        return self

    @property
    def fields(self) -> tuple[FieldName, ...]:
        """By which its length changes."""
        return (self.field, self.per_day) if self.per_day else (self.field,)

    def after(self, value: date, deal: Deal) -> date | None:
        """None if the field holds no whole number, or nobody can tell how long the sum will last."""
        if self.per_day is not None:
            days = _days_of(deal.text(self.field), deal.text(self.per_day))
            return None if days is None else value + timedelta(days=days)
        text = deal.text(self.field).strip()
        if not text.isdecimal() or int(text) > _LONGEST_TERM:
            return None
        return value + timedelta(days=int(text)) if self.unit == "days" else _months_after(value, int(text))


def _days_of(left: str, per_day: str) -> int | None:
    """For how many whole days a sum lasts; what is overspent has ended."""
    try:
        amounts = [Decimal("".join(text.split()).replace(",", ".")) for text in (left, per_day)]
    except InvalidOperation:
        return None
    if not all(amount.is_finite() for amount in amounts) or amounts[1] <= 0:
        return None
    days = max(amounts[0], Decimal(0)) // amounts[1]
    return int(days) if days <= _LONGEST_SPENDING else None


class Dates(Options):
    """``dates``: fields of the deal, each for itself; ``contact_dates``: fields of its main contact, or with
    ``of_contacts = "every"`` of each of its contacts. ``term``: so long after those of the deal. ``yearly``: the day of
    the date comes every year (29 February is 28 February in a common year). ``when_emptied``, ``when_changed``: what
    becomes of the open task of a step. ``once_per_contact``: a step is done on one of a contact's deals."""

    dates: tuple[DateFieldName, ...] = ()
    contact_dates: tuple[ContactDateFieldName, ...] = ()
    of_contacts: Literal["main", "every"] = "main"
    term: Term | None = None
    yearly: bool = False
    when_emptied: Literal["close", "keep"] = "close"
    when_changed: Literal["move", "close"] = "move"
    once_per_contact: bool = False

    @model_validator(mode="after")
    def some_date(self) -> Self:
        if not self.dates and not self.contact_dates:
            raise ValueError("от какой даты считать: нужны dates (поля сделки) или contact_dates (поля контакта)")
        return self

    def concern(self, field: str) -> tuple[DateFieldName, ...]:
        """The dates of the deal that are other ones when this field of it changes."""
        if self.term and any(same_name(name, field) for name in self.term.fields):
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
        """Those in fields of its contacts."""
        every = self.of_contacts == "every"
        for contact in deal.contacts if self.contact_dates else ():
            for name in self.contact_dates if every or contact.is_main else ():
                value = contact.value(name)
                if isinstance(value, date):
                    yield Counted(name, value, contact.id if every else None)

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
                yield replace(counted, value=_in_year(counted.value, number))

    def moved(
        self, steps: Iterable[DateStep], fields: Sequence[str], filled: Iterable[Counted], deal: Deal, card: int | None
    ) -> Skip | list[Action]:
        """What makes the open tasks of the steps agree with these fields' dates, some of which are ``filled``.
        ``card``: only of the dates on this contact's card."""
        if not fields:
            return Skip("изменилось не это поле")
        values = {counted.field: counted.value for counted in filled if counted.contact_id == card}
        told = [
            action
            for field in fields
            if field in values or self.when_emptied == "close"
            for step in steps
            for action in step.moves(field, values.get(field), deal, self, card)
        ]
        return told or Skip("открытых задач по этой дате нет, будущие шаги назначены заново")

    def is_same_end(self, event: StepDue, deal: Deal, counted: Counted) -> bool:
        """Was the step done lately for nearly the same end of the money? The schedule needs ``own_steps``,
        ``own_acts``: a step that fell due but was skipped has told nobody of its end."""
        if self.term is None or self.term.per_day is None or event.at is None:
            return False
        beginning = f"{counted.field[:_LONGEST_FIELD]}="
        ends = (
            one.anchor.removeprefix(beginning)
            for one in _acted(deal, event.at - LATELY)
            if one.name == event.step and one.anchor != event.anchor and one.anchor.startswith(beginning)
        )
        return any(abs((counted.value - date.fromisoformat(end)).days) <= self.term.about_days for end in ends)

    def is_for_an_older_deal(self, event: StepDue, deal: Deal) -> bool:
        """Is it enough that the same step is done on an older deal of the contact, and is it? The schedule needs
        ``contact_steps`` and ``people_steps``."""
        if not self.once_per_contact:
            return False
        done = deal.people_steps if self.of_contacts == "every" else deal.contact_steps
        return any(one.deal_id < deal.id for one in done if (one.name, one.anchor) == (event.step, event.anchor))


class DateStep(TimedActions):
    """``shift``: how long before or after the date; without it when the date comes. ``on_arrival``: a deal that comes
    to the stages too late for it has it done at once."""

    shift: Offset = Offset.parse("")
    on_arrival: bool = False

    @property
    def title(self) -> str:
        return self.name or str(self.shift)

    def slot(self, field: str, contact_id: int | None = None) -> str:
        """The mark of its tasks."""
        whose = f"#{contact_id}" if contact_id else ""
        return f"{self.title}@{field}"[: 110 - len(whose)] + whose

    def actions_on(self, event: StepDue, deal: Deal, counted: Counted, fields: Sequence[str]) -> Skip | list[Action]:
        """What is to be done on this date; where there are several ``fields``, a task says which it is. A task on a
        contact's card stands on the card of whose date it is, one on the deal's names that contact."""
        found = self.actions(event, deal, slot=self.slot(counted.field, counted.contact_id))
        if isinstance(found, Skip):
            return found
        names = [f"«{counted.field}»"] if len(fields) > 1 else []
        names += (
            [contact.name for contact in deal.contacts if contact.id == counted.contact_id]
            if counted.contact_id
            else []
        )
        return [_about(one, names, counted.contact_id) if isinstance(one, CreateTask) else one for one in found]

    def moves(
        self, field: str, value: date | None, deal: Deal, dates: Dates, contact_id: int | None = None
    ) -> Iterator[Action]:
        """What makes the open tasks of this step agree with the date; without a date they are closed. What comes every
        year is moved to the day of that date which is nearest to them."""
        slot = self.slot(field, contact_id)
        dues = {one.slot: one.due for one in self.for_deal(deal, slot=slot) if isinstance(one, CreateTask)}
        for task in deal.own_open_tasks():
            if task.slot not in dues:
                continue
            if value is None or dates.when_changed == "close":
                told = f"Поле «{field}» {'очищено' if value is None else 'изменено'}, задача снята"
                yield FinishTask(deal_id=deal.id, task_id=task.id, result=told)
            else:
                day = _nearest(value, task.due.date()) if dates.yearly else value
                due = due_after(day, self.shift, dues[task.slot])
                yield ChangeTask(deal_id=deal.id, task_id=task.id, due=due)


def _acted(deal: Deal, since: datetime) -> Iterator[DoneStep]:
    """The steps that did something from then on: an act is of the step that fell due last before it."""
    dues = {one.due for one in deal.own_steps if one.due is not None}
    began = {max((due for due in dues if due <= act), default=None) for act in deal.own_acts if act >= since}
    return (one for one in deal.own_steps if one.due is not None and one.due in began)


def _about(task: CreateTask, names: Sequence[str], contact_id: int | None) -> CreateTask:
    """The task with what it is about. On a contact's card it is plain whom it is about."""
    if contact_id and task.on == "contact":
        return replace(task, contact_id=contact_id)
    return replace(task, text=f"{task.text} ({', '.join(names)})") if names else task


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


# What a step of any round may say in the config: deeds that are due again and again, for deals on some stages.

S = TypeVar("S", bound="RoundStep")


class RoundStep(TimedActions):
    """``every``: when it comes again. A step counts from the beginning of its week, month or day (``touched``), or with
    ``touched_since = "stage"`` from the moment the deal came to its stage."""

    every: Recurrence
    touched_since: Literal["round", "stage"] = "round"

    @property
    def title(self) -> str:
        return self.name or str(self.every)

    def _counted_from(self, event: StepDue, deal: Deal) -> datetime:
        return deal.stage_since or event.since if self.touched_since == "stage" else event.since


class FrequencyStep(RoundStep):
    """``at_least``: fewer are too few for this step; without it the rule's number."""

    at_least: Annotated[int, Field(ge=1, le=1000)] | None = None


class Round(Options):
    """On which deals: those on ``stages`` that are what ``when`` asks for at that moment."""

    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    when: Condition | None = None

    @field_validator("steps", check_fields=False)
    @classmethod
    def each_step_has_its_name(cls, steps: Sequence[RoundStep]) -> Sequence[RoundStep]:
        names_are_unique(step.title for step in steps)
        return steps

    def planned(self, deal: Deal, steps: Iterable[RoundStep], times: Times) -> Iterator[Step]:
        """The next slot of each step, and what was missed lately; none from before the deal came, or while the rule was
        off."""
        for step in steps:
            for slot in self.slots(step.every, deal, times):
                yield step.step(slot.moment, slot.day.isoformat(), slot.since, times)

    def slots(self, every: Recurrence, deal: Deal, times: Times) -> Iterator[Slot]:
        """The next slot and what was missed lately, as for ``planned``."""
        since = deal.stage_since
        if since is None or not deal.is_on(self.stages):
            return
        for slot in every.around(times.now, times.calendar):
            if slot.moment >= since and times.on_again(slot.moment) is None:
                yield slot

    def why_not(self, deal: Deal) -> str:
        """Why the round passes this deal by (Russian); empty if it does not."""
        if not deal.is_on(self.stages):
            return f"сделка ушла: она на этапе «{deal.stage.title}»"
        unmet = skip_unless(self.when, deal)
        return unmet.reason if unmet else ""


def always(options: object) -> bool:
    """Of rounds: what was done comes again."""
    return True


def step_of(event: StepDue, steps: Iterable[S]) -> S | None:
    """The step that has fallen due; None if it has left the rule."""
    return next((step for step in steps if step.title == event.step), None)
