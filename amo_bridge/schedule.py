"""A schedule is a file in ``schedules/``: a handler that the clock calls.

It has the handler's face, and a second function that says beforehand when the clock is to call: a deal's *steps*, each
with its moment. The engine keeps them as timers (``engine/timers.py``) and, when one falls due, asks the first function
by a ``StepDue``, on a fresh read, as about any other event. Both functions are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Literal, NamedTuple

from amo_bridge.card import Need
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.due import Due, FieldNotADate, FieldNotFilled
from amo_bridge.dates.offset import Shift, day_begins
from amo_bridge.deal import Deal
from amo_bridge.events import Event, StepDue
from amo_bridge.rules import MARK, Handler, J, Options, said_by_its_file

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

    def shifted(self, value: date, shift: Shift) -> datetime:
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
    a step that has fallen due may be followed by a next one, though nothing on the deal has changed.
    """

    section: ClassVar[str] = "schedules"

    steps: StepsOf
    recurs: Callable[[Any], bool]


def never(options: object) -> bool:
    """Of most schedules: what was done once does not come again by itself."""
    return False


def schedule(
    *,
    options: type[Options],
    steps: StepsOf,
    on: tuple[type[Event], ...] = (),
    needs: Iterable[Need] = (),
    recurs: Callable[[Any], bool] = never,
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
            steps=steps,
            recurs=recurs,
            **said_by_its_file(judge),
        )
        setattr(judge, MARK, made)
        return judge

    return mark
