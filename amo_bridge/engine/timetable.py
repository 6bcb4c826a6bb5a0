"""Timetable: which steps the timed rules want for a deal, and since when each rule has been in force."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from sqlalchemy import Row

from amo_bridge.clock import Clock
from amo_bridge.dates.calendar import CalendarOptions, WorkCalendar
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import MirroredContact
from amo_bridge.mirror.deals import MirroredDeal
from amo_bridge.rules.deal import Deal, Touches
from amo_bridge.rules.handler import Pause, Rule, Schedule, Step, StepsOf, Times
from amo_bridge.rules.option_types import ContactDateFieldName, names_in


@dataclass(frozen=True)
class InForce:
    """``pauses``: from when to when it was off; the last one has no end as long as the rule is off. Unix seconds by the
    account's clock."""

    since: float
    pauses: tuple[tuple[float, float | None], ...] = ()

    @classmethod
    def of(cls, row: Row[Any]) -> InForce:
        """What the store's row says."""
        return cls(row.since, tuple((off, on) for off, on in json.loads(row.pauses)))

    @property
    def pauses_json(self) -> str:
        return json.dumps(self.pauses)

    def switched_off(self, now: float) -> InForce:
        """The same rule, off from now on, if it was not off before."""
        return self if self._is_off else replace(self, pauses=(*self.pauses, (now, None)))

    def switched_on(self, now: float) -> InForce:
        """The same rule, on from now on, if it was not on before."""
        if not self._is_off:
            return self
        *before, (off, _) = self.pauses
        return replace(self, pauses=(*before, (off, now)) if now > off else tuple(before))

    def times(self, calendar: WorkCalendar, now: datetime) -> Times:
        """How the rule counts time."""
        pauses = tuple(Pause(_moment(off), _moment(on)) for off, on in self.pauses if on is not None)
        return Times(calendar, _moment(self.since), now, pauses)

    @property
    def _is_off(self) -> bool:
        return bool(self.pauses) and self.pauses[-1][1] is None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# What the enabled schedules want: the steps of a deal as the mirror knows it. A pure function; ``timers.py`` keeps
# them.


@dataclass(frozen=True)
class TimerKey:
    """What a step is done once for."""

    deal_id: int
    rule: str
    step: str
    anchor: str


class Moments(NamedTuple):
    """When a step falls due, and from when it is counted: Unix seconds."""

    due_at: float
    since: float


@dataclass(frozen=True)
class WantedStep:
    """``steps``: those that the deals are to have. ``unknown``: (deal id, rule) pairs whose steps can't be told because
    the rule's own code failed: what they have stays as it is."""

    steps: Mapping[TimerKey, Moments]
    unknown: frozenset[tuple[int, str]]


class Timetable:
    """``digests``: rule → of all that its steps depend on besides the deal; another one means that they may differ.
    ``contact_dates``: the contact's fields that something is counted from. ``from_messages``: something is counted from
    the clients' messages."""

    def __init__(
        self,
        rules: Iterable[Rule],
        viewer: Viewer,
        calendar: WorkCalendar,
        calendar_options: CalendarOptions,
        account_clock: Clock,
    ) -> None:
        self._clock = account_clock
        self._calendar_options = calendar_options
        self._viewer = viewer
        self._calendar = calendar
        scheduled = [(rule, rule.handler) for rule in rules if rule.works]
        self._rules = {rule.name: (rule, how.steps) for rule, how in scheduled if isinstance(how, Schedule)}
        self.recurring = frozenset(
            rule.name for rule, how in scheduled if isinstance(how, Schedule) and how.recurs(rule.options)
        )  # fmt: skip
        self.from_messages = any(isinstance(how, Schedule) and how.from_messages for _, how in scheduled)
        words = (name for rule, _ in self._rules.values() for _, name in names_in(rule.options))
        self.contact_dates = frozenset(name for name in words if isinstance(name, ContactDateFieldName))
        shared = f"{version('amo-bridge')} {calendar.timezone.key} {calendar_options.model_dump_json()}"
        self.digests: Mapping[str, str] = {
            name: _digest(rule, steps, shared) for name, (rule, steps) in self._rules.items()
        }

    def with_rules(self, rules: Iterable[Rule]) -> Timetable:
        """The same calendar and clock for other rules."""
        return Timetable(rules, self._viewer, self._calendar, self._calendar_options, self._clock)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def wanted(
        self,
        copies: Iterable[MirroredDeal],
        in_force: Mapping[str, InForce],
        people: Mapping[int, MirroredContact] | None = None,
        unanswered: Mapping[int, Touches] | None = None,
    ) -> WantedStep:
        """The steps of these deals by the rules that have begun: those in ``in_force``. ``people``: the deals'
        contacts, if the timetable sees them; ``unanswered``: what clients wait for an answer to, if it
        counts from that."""
        now = self._clock.now()
        wanted: dict[TimerKey, Moments] = {}
        unknown: set[tuple[int, str]] = set()
        for copy in copies:
            if copy.record.is_deleted:
                continue
            deal = self._viewer.deal(copy.record, copy, people)
            if unanswered:
                deal = replace(deal, unanswered=unanswered.get(deal.id, Touches()))
            for name, (rule, steps) in self._rules.items():
                if name not in in_force:
                    continue
                try:
                    times = in_force[name].times(self._calendar, now)
                    wanted |= dict(_keyed(deal, rule, steps(deal, rule.options, times)))
                except Exception as error:  # noqa: BLE001 - a rule's bug must not stop the others; it is told
                    log.error("a deal's steps can't be planned", rule=name, deal=deal.id, error=repr(error))
                    unknown.add((deal.id, name))
        return WantedStep(wanted, frozenset(unknown))


def _keyed(deal: Deal, rule: Rule, steps: Iterable[Step]) -> Iterator[tuple[TimerKey, Moments]]:
    for step in steps:
        moments = Moments(step.due.timestamp(), step.since.timestamp())
        yield TimerKey(deal.id, rule.name, step.name, step.anchor), moments


def _digest(rule: Rule, steps: StepsOf, shared: str) -> str:
    """``shared``: the program's version and the calendar. The agency's own code has no version: its text counts."""
    # As written: a name that was only renamed in amoCRM changes no step.
    options = rule.written or rule.options
    parts = (shared, inspect.getsource(inspect.getmodule(steps) or steps), options.model_dump_json(by_alias=True))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=32).hexdigest()
