"""A handler is a file in ``handlers/``; a rule is a handler plus a named block of the config.

The folder is scanned (``registry.py``), nothing is registered by hand. The name of the file is the name of the
function, of the config's block and of the test file, and it reads as a sentence. A schedule (``@schedule``) is a
handler that the clock calls.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.due import Due, FieldNotADate, FieldNotFilled
from amo_bridge.dates.offset import Offset, day_begins
from amo_bridge.events import DealObserved, Event, StepDue
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.actions import Decision
from amo_bridge.rules.deal import DataNeed, Deal
from amo_bridge.rules.option_types import AccountName, Strict, names_in

Judge = Callable[[Any, Deal, Any], Decision]
J = TypeVar("J", bound=Judge)

MARK = "__amo_bridge_handler__"
TasksUntil = Literal["stage left", "deal closed", "never"]
OutsideChannel = Literal["mail", "notices", "audiences", "sms", "dial", "series", "ledger", "storage", "chats"]


class Options(Strict):
    """What a rule's block in the config may say. An unknown key is an error, so a typo never switches anything off.

    ``compared_stages``: keys of stages on which the rule does not work: it only looks where a deal comes from or is."""

    compared_stages: ClassVar[tuple[str, ...]] = ()

    def needs(self) -> frozenset[DataNeed]:
        """What these options, or options within them, look at, beside what every rule of their kind does."""
        values = (one for value in vars(self).values() for one in (value if isinstance(value, tuple) else (value,)))
        return frozenset().union(*(one.needs() for one in values if isinstance(one, Options)))


@dataclass(frozen=True)
class Handler:
    """The code of one kind of rule.

    ``on``: the events it listens to. ``gate``: it may refuse a move; gates are judged first, and when one rolls the
    deal back the other rules about that move stay silent. ``needs``: what it looks at beside the deal's fields
    (see Deal).
    ``tasks_until``: what ends a task of its rules that says nothing of its own end: the deal leaves the stages that the
    task was set for, or is closed, or nothing.
    ``sends``: the channels that its function uses by itself, whatever its options say.
    ``only``: of the events those that are of interest, if not all; for the others no deal is read.
    ``section``: where its blocks stand in the config, and its file among the folders.
    """

    section: ClassVar[str] = "handlers"

    name: str
    on: tuple[type[Event], ...]
    options: type[Options]
    judge: Judge
    gate: bool
    needs: frozenset[DataNeed]
    summary: str
    covers: str
    tasks_until: TasksUntil = "deal closed"
    sends: frozenset[OutsideChannel] = frozenset()
    only: Callable[[Any], bool] | None = None

    @property
    def is_about_deals(self) -> bool:
        """Does it listen to what is observed on deals (stages, fields, people)?"""
        return any(issubclass(kind, DealObserved) for kind in self.on)


@dataclass(frozen=True)
class Rule:
    """A handler plus its named block: «[handlers.file_moves_deal.offer]».

    ``max_lateness``: what happened longer ago is not acted on any more. ``most_per_hour``: how often it may act on one
    deal within an hour before it is taken for a loop. ``broken``: why it can't work though it is switched on: the
    account has lost a name of its (Russian). ``written``: the options as the config has them, where a name was renamed.
    """

    handler: Handler
    block: str
    options: Options
    enabled: bool
    dry_run: bool = False
    clause: str = ""
    says: str = ""
    off_reason: str = ""
    max_lateness: timedelta = timedelta(hours=24)
    most_per_hour: int = 10
    broken: str = ""
    written: Options | None = None

    @cached_property
    def needs(self) -> frozenset[DataNeed]:
        """What it may look at beside the deal's fields; asked for each event."""
        return self.handler.needs | self.options.needs()

    @property
    def works(self) -> bool:
        """Is it switched on, and does the account know what it speaks of?"""
        return self.enabled and not self.broken

    @cached_property
    def name(self) -> str:
        return f"{self.handler.name}.{self.block}"

    @cached_property
    def account_names(self) -> tuple[tuple[tuple[str | int, ...], AccountName], ...]:
        """Every account name in its options, with its path: found once, as options don't change."""
        return tuple(names_in(self.options))

    @property
    def called(self) -> str:
        """As people are told of it: by the clause, and by the name that the config has for it."""
        return f"{self.clause} ({self.name})" if self.clause else self.name

    @property
    def path(self) -> tuple[str, str, str]:
        """Its block in the config: handlers, file_moves_deal, offer."""
        return (self.handler.section, self.handler.name, self.block)

    @property
    def clauses(self) -> tuple[str, ...]:
        """The clauses it serves, one by one: «A20–A23» are four, «A64, A65» two."""
        return tuple(clause for part in re.split(r"[,;]\s*", self.clause) if part for clause in _spelled_out(part))

    @property
    def words(self) -> str:
        return self.says or self.handler.summary

    def hears(self, event: Event) -> bool:
        """Does the rule listen to this event? A step that fell due is heard by the rule that planned it alone."""
        if isinstance(event, StepDue) and event.rule != self.name:
            return False
        return isinstance(event, self.handler.on) and (self.handler.only is None or self.handler.only(event))


DrySource = Literal["bridge", "rule"]
DRY_WORDS: dict[DrySource, str] = {"bridge": "весь мост ([bridge] dry_run)", "rule": "это правило (dry_run)"}


def dry_sources(rule: Rule, *, is_bridge_dry: bool) -> tuple[DrySource, ...]:
    """What makes the rule decide and change nothing: the whole bridge, its own key, both; empty if it acts."""
    return (*(("bridge",) if is_bridge_dry else ()), *(("rule",) if rule.dry_run else ()))


def dry_reason(sources: Iterable[DrySource]) -> str:
    """For the journal, in Russian; empty for a rule that acts."""
    words = " и ".join(DRY_WORDS[source] for source in sources)
    return f"вхолостую: {words}" if words else ""


def _spelled_out(clauses: str) -> list[str]:
    span = re.fullmatch(r"([A-Z])(\d+)\s*[-–—]\s*\1(\d+)", clauses.strip())
    if span is None:
        return [clauses.strip()]
    return [f"{span[1]}{number}" for number in range(int(span[2]), int(span[3]) + 1)]


def handler(
    *,
    on: type[Event] | tuple[type[Event], ...],
    options: type[Options],
    gate: bool = False,
    needs: Iterable[DataNeed] = (),
    tasks_until: TasksUntil = "deal closed",
    sends: Iterable[OutsideChannel] = (),
    only: Callable[[Any], bool] | None = None,
) -> Callable[[J], J]:
    """Mark the function that judges: ``(event, deal, options) → action(s) | Skip``. ``only``: of these events, by the
    event alone; for the others no deal is read.

    It must be pure: no clock, no environment, no network, no other handler. That is what makes dry run, rehearsal and
    table tests possible.
    """

    def mark(judge: J) -> J:
        made = Handler(
            on=on if isinstance(on, tuple) else (on,),
            options=options,
            gate=gate,
            needs=frozenset(needs),
            tasks_until=tasks_until,
            sends=frozenset(sends),
            only=only,
            **described_by_its_file(judge),
        )
        setattr(judge, MARK, made)
        return judge

    return mark


def described_by_its_file(judge: Judge) -> dict[str, Any]:
    """What the file of the function that judges says of it: name, summary, clauses."""
    module = inspect.getmodule(judge)
    doc = inspect.cleandoc((module.__doc__ if module else "") or "")
    return {
        "name": judge.__name__,
        "judge": judge,
        "summary": doc.partition("\n")[0],
        "covers": next((line for line in doc.splitlines() if line.startswith("Covers ")), ""),
    }


# A schedule is a file in ``schedules/``: a handler that the clock calls.
#
# It has the handler's face, and a second function that says beforehand when the clock is to call: a deal's *steps*,
# each with its moment. The engine keeps them as timers (``engine/timers.py``) and, when one falls due, asks the first
# function by a ``StepDue``, on a fresh read, as about any other event. Both functions are pure.

Existing = Literal["skip", "from now", "catch up"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to be done about a deal at ``due``, counted from ``since``. It is done once for each (deal, rule, name,
    anchor).

    ``name``: unique within the rule, 60 characters at most; ``anchor``: what it counts from, 120 at most.
    """

    name: str
    anchor: str
    due: datetime
    since: datetime


class Pause(NamedTuple):
    """From when to when a rule was off."""

    off: datetime
    on: datetime


@dataclass(frozen=True)
class Times:
    """How a schedule counts time. ``since``: when its rule was first switched on; ``pauses``: when it was off since
    then; ``now``: the moment of planning, for what comes again and again and nothing else: a step that is planned today
    must be the same tomorrow."""

    calendar: WorkCalendar
    since: datetime
    now: datetime
    pauses: tuple[Pause, ...] = ()

    @property
    def year(self) -> int:
        """The year of planning, by the account's clocks."""
        return self.calendar.local(self.now).year

    def on_again(self, moment: datetime) -> datetime | None:
        """When the rule was switched on next, if it was off at that moment; None: it was on."""
        if moment < self.since:
            return self.since
        return next((pause.on for pause in self.pauses if pause.off <= moment < pause.on), None)

    def begin(self, moment: datetime, existing: Existing) -> datetime | None:
        """From when to count what began at ``moment``; None: not at all, because the rule was off then."""
        on_again = self.on_again(moment)
        if on_again is None or existing == "catch up":
            return moment
        return on_again if existing == "from now" else None

    def after(self, start: datetime, due: Due, deal: Deal) -> datetime | None:
        """``due`` counted from ``start``; None if it counts from a field that holds no date now."""
        fields = {name: value for name in due.fields if (value := deal.value(name)) is not None}
        try:
            return due.resolve(start, self.calendar, fields)
        except (FieldNotFilled, FieldNotADate):
            return None

    def to_come(self, moment: datetime, existing: Existing) -> datetime | None:
        """The moment, unless the rule was off then: then None, or as soon as it was on for «catch up»."""
        on_again = self.on_again(moment)
        if on_again is None:
            return moment
        return on_again if existing == "catch up" else None

    def shifted(self, value: date, shift: Offset) -> datetime:
        """The moment so long before or after a date."""
        return shift.from_(value, self.calendar)

    def day_begins(self, value: date) -> datetime:
        """When the date begins by the account's clocks."""
        return day_begins(value, self.calendar)

    def in_working_time(self, moment: datetime) -> datetime:
        """The moment itself in working time, otherwise the next opening."""
        return moment if self.calendar.is_working(moment) else self.calendar.add_working(moment, timedelta())


StepsOf = Callable[[Deal, Any, Times], Iterable[Step]]


@dataclass(frozen=True)
class Schedule(Handler):
    """A handler with ``steps``: a deal as the mirror knows it, the options, times → the steps it is to have.

    What is no longer among them is forgotten, what was done once is never done again. ``recurs``: by these options
    a step that has fallen due may be followed by a next one, though nothing on the deal has changed. ``from_messages``:
    steps count from ``Deal.unanswered``.
    """

    section: ClassVar[str] = "schedules"

    steps: StepsOf = field(kw_only=True)
    recurs: Callable[[Any], bool] = field(kw_only=True)
    from_messages: bool = field(kw_only=True, default=False)


def never(options: object) -> bool:
    """Of most schedules: what was done once does not come again by itself."""
    return False


def schedule(
    *,
    options: type[Options],
    steps: StepsOf,
    on: tuple[type[Event], ...] = (),
    needs: Iterable[DataNeed] = (),
    recurs: Callable[[Any], bool] = never,
    from_messages: bool = False,
    tasks_until: TasksUntil = "deal closed",
    sends: Iterable[OutsideChannel] = (),
) -> Callable[[J], J]:
    """Mark the function that judges, as ``@handler`` does: ``(event, deal, options) → action(s) | Skip``.

    It hears of its own steps (``StepDue``), and of the events ``on`` (a deal that leaves the stage, a changed date).
    """

    def mark(judge: J) -> J:
        made = Schedule(
            on=(StepDue, *on),
            options=options,
            gate=False,
            needs=frozenset(needs),
            tasks_until=tasks_until,
            sends=frozenset(sends),
            steps=steps,
            recurs=recurs,
            from_messages=from_messages,
            **described_by_its_file(judge),
        )
        setattr(judge, MARK, made)
        return judge

    return mark
