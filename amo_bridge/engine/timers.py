"""Timers: the steps that timed rules want for a deal, kept in the store until they fall due."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.dates.calendar import CalendarOptions, WorkCalendar
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import MirroredContact, known_contacts
from amo_bridge.mirror.deals import MirroredDeal
from amo_bridge.mirror.touches import unanswered_touches
from amo_bridge.rules.deal import Deal, Touches
from amo_bridge.rules.handler import Pause, Rule, Schedule, Step, StepsOf, Times
from amo_bridge.rules.option_types import ContactDateFieldName, names_in
from amo_bridge.storage.database import chunks, insert_new
from amo_bridge.storage.tables import schedules, timers


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


# --- timers in the store ----------------------------------------------------------------------------------------------
# They are a function of the mirror and the config. Whenever a deal's copy is written, its timers are brought into line
# in the same transaction: missing ones are added, open ones that nobody wants any more are deleted, those that have
# fired stay as they are as long as anybody could want them (``old_timers``). So a restart, a missed tick or a moved
# clock changes nothing: a step fires once.

OPEN, FIRED = "open", "fired"


def contacts_of(connection: Connection, account: int, copies: Iterable[MirroredDeal]) -> dict[int, MirroredContact]:
    """The contacts of these deals, as far as the index knows them."""
    return known_contacts(connection, account, {one for copy in copies for one in copy.record.contact_ids})


def waiting_clients(
    connection: Connection, account: int, timetable: Timetable, copies: Iterable[MirroredDeal]
) -> dict[int, Touches]:
    """What the clients of these deals wait for an answer to, if something is counted from that."""
    if not timetable.from_messages:
        return {}
    return unanswered_touches(connection, account, [copy.record for copy in copies])


class Timers:
    def __init__(self, account: int) -> None:
        self._account = account

    def follow(self, connection: Connection, timetable: Timetable, copies: Iterable[MirroredDeal]) -> None:
        """The mirror's copies of these deals are being written: their timers follow, in the same transaction."""
        known = {copy.record.id: copy for copy in copies}
        if not known or not timetable:
            return
        in_force = self.in_force(connection)
        for some in chunks(sorted(known)):
            these = [known[deal_id] for deal_id in some]
            people = contacts_of(connection, self._account, these) if timetable.contact_dates else None
            unanswered = waiting_clients(connection, self._account, timetable, these)
            wanted = timetable.wanted(these, in_force, people, unanswered)
            self._bring_into_line(connection, self._of(connection, some), wanted)

    def forget(self, connection: Connection, deal_ids: Collection[int]) -> None:
        """The deals are gone."""
        for some in chunks(sorted(deal_ids)):
            gone = timers.c.deal_id.in_(some)
            connection.execute(delete(timers).where(timers.c.account == self._account, timers.c.state == OPEN, gone))

    def in_force(self, connection: Connection) -> dict[str, InForce]:
        """When the rules that have ever been on were on."""
        rows = connection.execute(select(schedules).where(schedules.c.account == self._account))
        return {row.rule: InForce.of(row) for row in rows}

    def fired(self, connection: Connection, rule: str, deal_ids: Iterable[int]) -> set[TimerKey]:
        """The steps of this rule that fell due for these deals: they never come again."""
        mine = (timers.c.account == self._account, timers.c.rule == rule, timers.c.state == FIRED)
        rows = connection.execute(select(timers).where(*mine, timers.c.deal_id.in_(deal_ids)))
        return {_key(row) for row in rows}

    def _of(self, connection: Connection, deal_ids: Collection[int]) -> Mapping[TimerKey, Row[Any]]:
        rows = connection.execute(
            select(timers).where(timers.c.account == self._account, timers.c.deal_id.in_(deal_ids))
        )
        return {_key(row): row for row in rows}

    def _bring_into_line(self, connection: Connection, there: Mapping[TimerKey, Row[Any]], wanted: WantedStep) -> None:
        new = [self._row(key, moments) for key, moments in wanted.steps.items() if key not in there]
        insert_new(connection, timers, new)
        still_open = {key: row for key, row in there.items() if row.state == OPEN}
        unwanted = [
            row.id
            for key, row in still_open.items()
            if key not in wanted.steps and (key.deal_id, key.rule) not in wanted.unknown
        ]
        for some in chunks(unwanted):
            connection.execute(delete(timers).where(timers.c.id.in_(some)))
        moved = [
            {"timer": row.id, "moment": wanted.steps[key].due_at, "counted": wanted.steps[key].since}
            for key, row in still_open.items()
            if key in wanted.steps and wanted.steps[key] != (row.due_at, row.since)
        ]
        if moved:
            by_id = update(timers).where(timers.c.id == bindparam("timer"))
            connection.execute(by_id.values(due_at=bindparam("moment"), since=bindparam("counted")), moved)

    def _row(self, key: TimerKey, moments: Moments) -> dict[str, Any]:
        return {
            "account": self._account,
            "deal_id": key.deal_id,
            "rule": key.rule,
            "step": key.step,
            "anchor": key.anchor,
            "due_at": moments.due_at,
            "since": moments.since,
            "state": OPEN,
        }


def _key(row: Row[Any]) -> TimerKey:
    return TimerKey(row.deal_id, row.rule, row.step, row.anchor)
