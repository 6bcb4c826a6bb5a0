"""Keeping what was decided: journal, outbox, mirror and the events' end, all of one event in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from sqlalchemy import case, update
from sqlalchemy.engine import Connection
from structlog.contextvars import bound_contextvars

from amo_bridge.clock import Clock
from amo_bridge.engine.dispatcher import EvaluationContext, Verdict
from amo_bridge.engine.event_queue import TIME_TO_ANSWER, add_events, await_answers
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.loop_guard import LoopGuard
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.timers import Timers
from amo_bridge.events import CallLogged, Event, TaskAnswered
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.retry import delay
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import events

log = structlog.get_logger()
# Events kept in one transaction: some ten milliseconds' work.
TOGETHER = 100
MOST_TRIES = 5


@dataclass(frozen=True)
class Judged:
    """One event and what was said to it. ``case`` is None when no rule had to be asked; ``note`` then says why.
    ``awaited``: the answer that is still to come, to be judged in a while."""

    event_id: int
    event: Event
    verdicts: tuple[Verdict, ...] = ()
    note: str = ""
    case: EvaluationContext | None = None
    awaited: TaskAnswered | None = None


@dataclass
class Plan:
    """What one round of planning is about to write. ``calls``: event id → the same call, told on the deals that it is
    about."""

    done: list[int] = field(default_factory=list)
    postponed: dict[int, str] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    copies: dict[int, MirroredDeal] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    calls: Mapping[int, Sequence[CallLogged]] = field(default_factory=dict)


class Recorder:
    """``time_to_answer``: how long an answer that did not come with its completion is waited for, in seconds."""

    def __init__(
        self,
        store: Store,
        account_id: int,
        rule_engine: RuleEngine,
        clock: Clock,
        *,
        time_to_answer: float = TIME_TO_ANSWER,
    ) -> None:
        self._store = store
        self._key = account_id
        self._rule_engine = rule_engine
        self._patience = time_to_answer
        self._clock = clock
        self._mirror = Mirror(store, account_id)
        self._timers = Timers(account_id)
        self._journal = Journal(store, account_id)
        self._outbox = Outbox(store, account_id, clock)

    def record(self, plan: Plan) -> None:
        """Some events at a time, each with all that follows from it in one transaction: hooks that come in meanwhile
        are waiting for their own."""
        now = self._clock.now()
        judged = {one.event_id: one for one in plan.judged}
        for start in range(0, len(plan.done), TOGETHER):
            ids = plan.done[start : start + TOGETHER]
            some = [judged[event_id] for event_id in ids if event_id in judged]
            with self._store.write() as connection:
                self._keep_copies(connection, plan, some, now)
                self._keep_verdicts(connection, some, now)
                calls = [call for one in ids for call in plan.calls.get(one, ())]
                add_events(connection, self._key, calls, now.timestamp())
                await_answers(connection, self._key, [one.awaited for one in some if one.awaited], now, self._patience)
                connection.execute(update(events).where(events.c.id.in_(ids)).values(state="done", error=None))
        if plan.postponed:
            self._postpone(plan.postponed, now)

    def _keep_copies(self, connection: Connection, plan: Plan, some: Sequence[Judged], now: datetime) -> None:
        deal_ids = {deal_id for one in some if (deal_id := one.event.about_deal_id)}
        gone = plan.gone & deal_ids
        for deal_id in gone:
            self._mirror.forget(connection, deal_id)
        self._timers.forget(connection, gone)
        copies = [plan.copies[one] for one in deal_ids if one in plan.copies]
        self._mirror.put(connection, copies, now)
        self._timers.follow(connection, self._rule_engine.timetable, copies)

    def _keep_verdicts(self, connection: Connection, some: Sequence[Judged], now: datetime) -> None:
        guard = LoopGuard(self._key, self._rule_engine, self._clock)
        guard.look_at(connection, [one.case.deal.id for one in some if one.case is not None])
        told = [(one, self._guarded(connection, guard, one, verdict)) for one in some for verdict in one.verdicts]
        acting = [(one.event_id, verdict) for one, verdict in told if verdict.outcome in ("acts", "held")]
        new = iter(self._outbox.add_all(connection, acting))
        kept: dict[int, list[Verdict]] = {}
        for one, verdict in told:
            is_acting = verdict.outcome in ("acts", "held")
            kept.setdefault(one.event_id, []).append(_done_before(verdict) if is_acting and not next(new) else verdict)
        self._journal.write(
            connection,
            [
                row
                for one in some
                for row in self._journal.rows_of(
                    now, one.event_id, one.event.about_deal_id, one.event, kept.get(one.event_id, []), one.note
                )
            ],
        )

    def _guarded(self, connection: Connection, guard: LoopGuard, judged: Judged, verdict: Verdict) -> Verdict:
        with bound_contextvars(event_id=judged.event_id, deal=judged.event.about_deal_id):
            if verdict.outcome == "failed":
                log.error("rule failed", rule=verdict.rule.name, error=verdict.reason)
            return verdict if judged.case is None else guard.held(connection, verdict, judged.case)

    def _postpone(self, postponed: Mapping[int, str], now: datetime) -> None:
        tries = events.c.attempts + 1
        state = case((tries >= MOST_TRIES, "failed"), else_="open")
        with self._store.write() as connection:
            for event_id, error in postponed.items():
                log.warning("event postponed", event_id=event_id, error=error)
                again = {"attempts": tries, "error": error, "due_at": now.timestamp() + delay(1), "state": state}
                connection.execute(update(events).where(events.c.id == event_id).values(**again))


def _done_before(verdict: Verdict) -> Verdict:
    """None of its effects was new."""
    if verdict.outcome == "held":
        return replace(verdict, effects=())
    return replace(verdict, outcome="skipped", reason="уже сделано раньше", effects=())
