"""Forecast of timed rules: what they would do about existing deals, and which steps are coming.

The steps are planned by the timetable that the engine plans by, as if the rule were switched on now (if it is off), and
what has fired stays done. Everything comes from the store: the mirror tells where the deals are, and since when. amoCRM
is not asked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, Row, Select, and_, case, cast, func, literal_column, select

from amo_bridge.clock import Clock
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.timers import OPEN, InForce, Moments, TimerKey, Timers, Timetable, contacts_of, waiting_clients
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.accounts import CLOCK_AHEAD, Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import deals, schedules, timers

CHUNK = 500
# Done already; would be done at once; its time is too long past to be done; its time is to come.
Fate = Literal["done", "at once", "too late", "later"]


@dataclass(frozen=True)
class Planned:
    """A step of the rule, and what would become of it. ``violates``: it writes down a violation."""

    step: str
    due: datetime
    fate: Fate
    violates: bool = False

    @property
    def at_once(self) -> bool:
        return self.fate == "at once"

    def to_json(self) -> dict[str, Any]:
        told = {"step": self.step, "due": self.due.isoformat(), "at_once": self.at_once}
        return told | {"fate": self.fate, "violates": self.violates}


@dataclass(frozen=True)
class ExistingDeal:
    """A deal that has steps by some choice. ``choices``: «skip», «from now», «catch up» → what they are."""

    deal_id: int
    name: str
    stage: str
    since: datetime
    choices: Mapping[str, tuple[Planned, ...]]

    @property
    def urgency(self) -> tuple[bool, bool, datetime]:
        """Sorts first what by some choice is done at once, then what is to come, the nearest first."""
        steps = [one for steps in self.choices.values() for one in steps]
        fates = {one.fate for one in steps}
        return "at once" not in fates, "later" not in fates, min(one.due for one in steps)

    def to_json(self) -> dict[str, Any]:
        told = {choice: [one.to_json() for one in steps] for choice, steps in self.choices.items()}
        return {"deal_id": self.deal_id, "name": self.name, "stage": self.stage, "since": self.since.isoformat()} | {
            "choices": told
        }


def choices_of(rule: Rule) -> tuple[str, ...]:
    """What the rule's ``existing`` may be; empty for a rule that has no such option."""
    option = type(rule.options).model_fields.get("existing")
    return tuple(get_args(option.annotation)) if option else ()


class ExistingDeals:
    def __init__(self, store: AccountStore, rule_engine: RuleEngine, now: datetime) -> None:
        self._store = store
        self._rule_engine = rule_engine
        self._now = now
        self._mirror = Mirror(store)

    def of(self, rule: Rule) -> Iterator[ExistingDeal]:
        """The deals that have steps by one of the choices at least, in the order of their ids."""
        in_force = self.in_force(rule)
        tables = {choice: self._table(rule, choice) for choice in choices_of(rule)}
        if not tables:
            return
        # The choices differ in what they count, not in what they look at.
        table, *_ = tables.values()
        last = 0
        while True:
            with self._store.read() as connection:
                copies = self._mirror.next_after(connection, last, CHUNK)
                people = contacts_of(connection, self._store.account_id, copies)
                unanswered = waiting_clients(connection, self._store.account_id, table, copies)
                fired = Timers(self._store.account_id).fired(connection, rule.name, [copy.record.id for copy in copies])
            if not copies:
                return
            last = copies[-1].record.id
            wanted = {
                choice: table.wanted(copies, {rule.name: in_force}, people, unanswered).steps
                for choice, table in tables.items()
            }
            plans = {choice: self._plan(rule, steps, fired) for choice, steps in wanted.items()}
            yield from self._with_steps(copies, plans)

    def begun(self, rule: Rule) -> datetime:
        """When the rule was first switched on; now, if it never was."""
        return datetime.fromtimestamp(self.in_force(rule).since, self._now.tzinfo)

    def in_force(self, rule: Rule) -> InForce:
        """When the rule was on, as it will be known once it is switched on now, if it is off."""
        # In whole seconds, as the engine notes it.
        now = float(int(self._now.timestamp()))
        mine = (self._store.owns(schedules), schedules.c.rule == rule.name)
        with self._store.read() as connection:
            row = connection.execute(select(schedules).where(*mine)).first()
        return (InForce.of(row) if row else InForce(now)).switched_on(now)

    def _table(self, rule: Rule, choice: str) -> Timetable:
        chosen = replace(rule, enabled=True, options=rule.options.model_copy(update={"existing": choice}))
        return self._rule_engine.timetable.with_rules([chosen])

    def _plan(
        self, rule: Rule, wanted: Mapping[TimerKey, Moments], fired: Collection[TimerKey]
    ) -> dict[int, tuple[Planned, ...]]:
        violating = {step.title for step in getattr(rule.options, "steps", ()) if getattr(step, "violation", None)}
        steps: dict[int, list[Planned]] = {}
        for key, moments in wanted.items():
            due = datetime.fromtimestamp(moments.due_at, self._now.tzinfo)
            fate: Fate = "done" if key in fired else self._fate(rule, due)
            steps.setdefault(key.deal_id, []).append(Planned(key.step, due, fate, key.step in violating))
        return {deal_id: tuple(sorted(found, key=lambda one: one.due)) for deal_id, found in steps.items()}

    def _fate(self, rule: Rule, due: datetime) -> Fate:
        if due > self._now:
            return "later"
        return "at once" if self._now - due <= rule.max_lateness else "too late"

    def _with_steps(
        self, copies: Iterable[MirroredDeal], plans: Mapping[str, Mapping[int, tuple[Planned, ...]]]
    ) -> Iterator[ExistingDeal]:
        for copy in copies:
            choices = {choice: plan.get(copy.record.id, ()) for choice, plan in plans.items()}
            if any(choices.values()):
                stage = self._rule_engine.account.stage_of(*copy.stage).title
                yield ExistingDeal(copy.record.id, copy.record.name, stage, copy.stage_since, choices)


# The steps that are due next, as the store knows them: amoCRM is not asked.

# How many seconds amoCRM's clock is ahead of the machine's, as the worker heard it last.
MOST = 10_000
EVER = timedelta(days=36_500)
# In every zone a day begins on a quarter of an hour.
QUARTER_SECONDS = 900


@dataclass(frozen=True)
class Coming:
    """A step that stands ready. ``due``: when (UTC); it may have passed, if the worker has not looked since."""

    due: datetime
    rule: str
    clause: str
    step: str
    deal_id: int
    deal_name: str
    says: str

    def to_json(self) -> dict[str, Any]:
        return {
            "due": self.due.isoformat(),
            "rule": self.rule,
            "clause": self.clause,
            "step": self.step,
            "deal_id": self.deal_id,
            "deal_name": self.deal_name,
            "says": self.says,
        }


class Upcoming:
    """``rules``: the config's, for their words."""

    def __init__(self, store: AccountStore, rules: Iterable[Rule], clock: Clock) -> None:
        self._store = store
        self._rules = {rule.name: rule for rule in rules}
        self._clock = clock
        self._cursors = Cursors(store)

    def now(self) -> datetime:
        """By amoCRM's clock."""
        return self._clock.now() + timedelta(seconds=self._cursors.read(CLOCK_AHEAD) or 0.0)

    def nearest(self, *, rule: str | None = None) -> Coming | None:
        """The step that is due first, however far it is."""
        return next(iter(self.within(EVER, rule=rule, most=1)), None)

    def within(
        self,
        span: timedelta,
        *,
        rule: str | None = None,
        deal_id: int | None = None,
        most: int = MOST,
        passed: int = 0,
    ) -> list[Coming]:
        """What is due from now until then, and what is overdue; the nearest first, ``most`` at most after the first
        ``passed``."""
        query = self._query(span, rule, deal_id, timers, deals.c.record).limit(most).offset(passed)
        with self._store.read() as connection:
            return [self._coming(row) for row in connection.execute(query)]

    def by_day(self, span: timedelta, zone: tzinfo, *, rule: str | None = None) -> Counter[date]:
        """How many of these are due on each day of the zone."""
        # A cast cuts the fraction off on SQLite and rounds it on PostgreSQL.
        seconds = cast(timers.c.due_at, BigInteger)
        whole = seconds - case((seconds > timers.c.due_at, 1), else_=0)
        quarter = (whole // QUARTER_SECONDS).label("quarter")
        query = self._query(span, rule, None, quarter, func.count()).order_by(None).group_by("quarter")
        found: Counter[date] = Counter()
        with self._store.read() as connection:
            for number, many in connection.execute(query):
                found[datetime.fromtimestamp(number * QUARTER_SECONDS, zone).date()] += many
        return found

    def count(self, span: timedelta, *, rule: str | None = None, deal_id: int | None = None) -> int:
        """How many these are, counted up to ``MOST``."""
        found = self._query(span, rule, deal_id, timers.c.id).order_by(None).limit(MOST).subquery()
        with self._store.read() as connection:
            return int(connection.execute(select(func.count()).select_from(found)).scalar_one())

    def _query(self, span: timedelta, rule: str | None, deal_id: int | None, *columns: Any) -> Select[Any]:
        until = (self.now() + span).timestamp()
        wanted = [timers.c.state == literal_column(f"'{OPEN}'"), timers.c.due_at <= until]
        if rule is not None:
            wanted.append(timers.c.rule == rule)
        if deal_id is not None:
            # By the deal, and not by the index of all that is open, which begins with the term.
            wanted[0] = timers.c.state + "" == OPEN
            wanted.append(timers.c.deal_id == deal_id)
        known = and_(deals.c.account == timers.c.account, deals.c.deal_id == timers.c.deal_id)
        found = select(*columns).join_from(timers, deals, known).where(self._store.owns(timers), *wanted)
        return found.order_by(timers.c.due_at, timers.c.id)

    def _coming(self, row: Row[Any]) -> Coming:
        rule = self._rules.get(row.rule)
        return Coming(
            due=datetime.fromtimestamp(row.due_at, UTC),
            rule=row.rule,
            clause=rule.clause if rule else "",
            step=row.step,
            deal_id=row.deal_id,
            deal_name=json.loads(row.record)["name"],
            says=rule.words if rule else "",
        )
