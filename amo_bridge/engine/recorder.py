"""Recorder: verdicts of one event into journal, outbox, mirror, timers, in one transaction.

The loop guard stands before it: a rule that acts on one deal too often within an hour (``most_per_hour``) is held back.
Two rules that undo each other's work, or a rule and a robot of the account, would otherwise go on for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, func, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.dates.due import Due
from amo_bridge.engine.dispatcher import EvaluationContext, Verdict
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.event_queue import ANSWER_DELAY_SECONDS, WaitingEvents, add_events, queue_pending_answers
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.timers import Timers
from amo_bridge.errors import BridgeError
from amo_bridge.events import (
    ClientAnswered,
    DealMoved,
    DealReported,
    EnquiryOnDeal,
    EnquiryReceived,
    Event,
    TaskAnswered,
)
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log, with_facts
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.facts import record_stages
from amo_bridge.retry import delay
from amo_bridge.rules.actions import CreateTask
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import events, outbox

# Events written in one transaction: some ten milliseconds' work, for which incoming webhooks wait.
CHUNK_SIZE = 100
MAX_ATTEMPTS = 5
# A deal that is changed twice is read once: of the second change its own webhook tells when all is known.
TOLD_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True)
class ProcessedEvent:
    """One event and its verdicts. ``context`` is None when no rule had to be evaluated; ``note`` then says why.

    ``pending_answer``: a task's result that is still to come, to be looked at in a while.
    """

    event_id: int
    event: Event
    verdicts: tuple[Verdict, ...] = ()
    note: str = ""
    context: EvaluationContext | None = None
    pending_answer: TaskAnswered | None = None


@dataclass
class BatchResult:
    """What one round is about to write.

    ``done``, ``postponed``: ids of events, and why those must be tried again. ``mirrored``, ``deleted``: deals.
    ``calls``: event id → the same call on the deals that it is about.
    """

    done: list[int] = field(default_factory=list)
    postponed: dict[int, str] = field(default_factory=dict)
    processed: list[ProcessedEvent] = field(default_factory=list)
    mirrored: dict[int, MirroredDeal] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    calls: Mapping[int, Sequence[Event]] = field(default_factory=dict)


class Recorder:
    """``time_to_answer``: for how many seconds a task's result that did not come with its completion is waited for."""

    def __init__(
        self,
        store: AccountStore,
        rule_engine: RuleEngine,
        clock: Clock,
        *,
        time_to_answer: float = ANSWER_DELAY_SECONDS,
    ) -> None:
        self._store = store
        self._rule_engine = rule_engine
        self._time_to_answer = time_to_answer
        self._clock = clock
        self._mirror = Mirror(store)
        self._timers = Timers(store.account_id)
        self._waiting = WaitingEvents(store)
        self._journal = Journal(store)
        self._outbox = Outbox(store, clock)

    def record(self, result: BatchResult) -> None:
        """Write a round's result, some events at a time."""
        now = self._clock.now()
        processed = {event.event_id: event for event in result.processed}
        for ids in chunks(result.done, CHUNK_SIZE):
            chunk = [processed[event_id] for event_id in ids if event_id in processed]
            calls = [call for event_id in ids for call in result.calls.get(event_id, ())]
            pending = [event.pending_answer for event in chunk if event.pending_answer]
            with self._store.write() as connection:
                self._write_mirror(connection, result, chunk, now)
                self._write_verdicts(connection, chunk, now)
                self._write_waiting(connection, chunk, now)
                add_events(connection, self._store.account_id, calls, now.timestamp())
                queue_pending_answers(connection, self._store.account_id, pending, now, self._time_to_answer)
                connection.execute(update(events).where(events.c.id.in_(ids)).values(state="done", error=None))
        if result.postponed:
            self._postpone(result.postponed, now)

    def _write_mirror(
        self, connection: Connection, result: BatchResult, chunk: Sequence[ProcessedEvent], now: datetime
    ) -> None:
        deal_ids = {deal_id for processed in chunk if (deal_id := processed.event.about_deal_id)}
        deleted = result.deleted & deal_ids
        for deal_id in deleted:
            self._mirror.forget(connection, deal_id)
        self._timers.forget(connection, deleted)
        self._waiting.forget(connection, deleted)
        mirrored = [result.mirrored[deal_id] for deal_id in deal_ids if deal_id in result.mirrored]
        # Before the copies: a deal that has been moved on since is met on its last stage.
        record_stages(connection, self._store.account_id, [move for one in chunk if (move := _move(one.event))])
        self._mirror.put(connection, mirrored, now, _found(chunk, result.mirrored))
        if self._rule_engine.timetable.from_messages:
            told = {one.event.deal_id for one in chunk if isinstance(one.event, ClientAnswered)}
            told -= {copy.record.id for copy in mirrored}
            mirrored += self._mirror.among(connection, told).values()
        self._timers.follow(connection, self._rule_engine.timetable, mirrored)

    def _write_waiting(self, connection: Connection, chunk: Sequence[ProcessedEvent], now: datetime) -> None:
        """Keep the events with which rules wait; drop those that were settled, and those of a stage left behind."""
        for processed in chunk:
            if processed.context is None:
                continue
            deal = processed.context.deal
            past = [one for one in processed.context.waiting if one.stage != deal.stage.key]
            settled = [verdict.settles for verdict in processed.verdicts if verdict.settles]
            self._waiting.settle(connection, [*past, *settled])
            for verdict in processed.verdicts:
                if verdict.waits:
                    self._waiting.put(
                        connection,
                        deal.id,
                        verdict.rule.name,
                        verdict.event,
                        verdict.settles.event_key if verdict.settles else verdict.event_key,
                        deal.stage.key,
                        verdict.done_slots,
                        now,
                    )

    def _write_verdicts(self, connection: Connection, chunk: Sequence[ProcessedEvent], now: datetime) -> None:
        guard = LoopGuard(self._store.account_id, self._rule_engine, self._clock)
        guard.load(connection, [event.context.deal.id for event in chunk if event.context is not None])
        checked = [
            (processed, self._checked(connection, guard, processed, verdict))
            for processed in chunk
            for verdict in processed.verdicts
        ]
        acting = [(processed.event_id, verdict) for processed, verdict in checked if _is_acting(verdict)]
        is_new = iter(self._outbox.add_all(connection, acting))
        verdicts: dict[int, list[Verdict]] = {}
        for processed, verdict in checked:
            is_repeated = _is_acting(verdict) and not next(is_new)
            verdicts.setdefault(processed.event_id, []).append(_without_effects(verdict) if is_repeated else verdict)
        self._journal.write(
            connection,
            [
                row
                for processed in chunk
                for row in self._journal.rows_of(
                    now,
                    processed.event_id,
                    processed.event.about_deal_id,
                    processed.event,
                    verdicts.get(processed.event_id, []),
                    processed.note,
                )
            ],
        )

    def _checked(
        self, connection: Connection, guard: LoopGuard, processed: ProcessedEvent, verdict: Verdict
    ) -> Verdict:
        """The verdict, held back if the rule acts too often on this deal."""
        if verdict.outcome == "skipped":
            # Nearly all of them; there is nothing to be said in the log.
            return verdict
        with with_facts(event_id=processed.event_id, deal=processed.event.about_deal_id):
            if verdict.outcome == "failed":
                log.error("rule failed", rule=verdict.rule.name, error=verdict.reason)
            return verdict if processed.context is None else guard.check(connection, verdict, processed.context)

    def _postpone(self, postponed: Mapping[int, str], now: datetime) -> None:
        attempts = events.c.attempts + 1
        state = case((attempts >= MAX_ATTEMPTS, "failed"), else_="open")
        with self._store.write() as connection:
            for event_id, error in postponed.items():
                log.warning("event postponed", event_id=event_id, error=error)
                values = {"attempts": attempts, "error": error, "due_at": now.timestamp() + delay(1), "state": state}
                connection.execute(update(events).where(events.c.id == event_id).values(**values))


def _found(chunk: Iterable[ProcessedEvent], mirrored: Mapping[int, MirroredDeal]) -> set[int]:
    """Deals of whose last change no webhook has told: none came of itself about the minute in which that was."""
    told = {
        deal_id
        for one in chunk
        if isinstance(one.event, DealReported)
        and not one.event.caught_up
        and (deal_id := one.event.deal_id) in mirrored
        # A webhook without a time is about what was read after it.
        and (one.event.at is None or mirrored[deal_id].record.updated_at - one.event.at < TOLD_WITHIN)
    }
    return mirrored.keys() - told


def _move(event: Event) -> tuple[int, tuple[int, int], datetime, int | None] | None:
    if not isinstance(event, DealMoved) or event.at is None or event.pipeline_id is None or event.status_id is None:
        return None
    return event.deal_id, (event.pipeline_id, event.status_id), event.at, event.user_id


def _is_acting(verdict: Verdict) -> bool:
    return verdict.outcome in ("acts", "held")


def _without_effects(verdict: Verdict) -> Verdict:
    """The verdict when none of its effects was new."""
    if verdict.outcome == "held":
        return replace(verdict, effects=())
    return replace(verdict, outcome="skipped", reason="уже сделано раньше", effects=())


WINDOW = timedelta(hours=1)
DUE = Due.parse("end of day")
SLOT = "loop"


class LoopGuard:
    """Checks verdicts. The first one held back in an hour sets a task on the deal for the person in ``tell``."""

    def __init__(self, account_id: int, rule_engine: RuleEngine, clock: Clock) -> None:
        self._account_id = account_id
        self._tell = rule_engine.config.bridge.tell
        self._resolver = rule_engine.resolver
        self._clock = clock
        self._counts: dict[tuple[int, str], int] | None = None

    def load(self, connection: Connection, deal_ids: Iterable[int]) -> None:
        """Count for all these deals in one statement; afterwards ``check`` must be called for no others."""
        wanted = outbox.c.deal_id.in_(sorted(set(deal_ids)))
        counts = self._count_query().add_columns(outbox.c.deal_id, outbox.c.rule)
        rows = connection.execute(counts.where(wanted).group_by(outbox.c.deal_id, outbox.c.rule))
        self._counts = {(row.deal_id, row.rule): row.acted for row in rows}

    def check(self, connection: Connection, verdict: Verdict, context: EvaluationContext) -> Verdict:
        """The verdict, or ``held`` with the alert as its only effect."""
        if verdict.outcome != "acts" or isinstance(verdict.event, EnquiryReceived | EnquiryOnDeal):
            # A client may write as often as he likes: nothing of ours comes round in that.
            return verdict
        acted = self._acted(connection, verdict, context.deal.id)
        if acted < verdict.rule.most_per_hour:
            return verdict
        log.error("rule held back", rule=verdict.rule.name, deal=context.deal.id, times=acted)
        reason = f"правило сработало на этой сделке {acted} раз за час и остановлено до следующего часа"
        return replace(verdict, outcome="held", reason=reason, effects=self._alert(verdict, context, acted))

    def _acted(self, connection: Connection, verdict: Verdict, deal_id: int) -> int:
        """For how many events of the last hour the rule has acted on this deal."""
        if self._counts is not None:
            return self._counts.get((deal_id, verdict.rule.name), 0)
        of_rule = (outbox.c.deal_id == deal_id, outbox.c.rule == verdict.rule.name)
        return int(connection.execute(self._count_query().where(*of_rule)).scalar_one())

    def _count_query(self) -> Select[Any]:
        since = (self._clock.now() - WINDOW).timestamp()
        return select(func.count(func.distinct(outbox.c.event_id)).label("acted")).where(
            outbox.c.account == self._account_id, outbox.c.created_at > since
        )

    def _alert(self, verdict: Verdict, context: EvaluationContext, acted: int) -> tuple[Effect, ...]:
        if self._tell is None:
            return ()
        text = (
            f"Правило «{verdict.rule.words}» сработало на этой сделке {acted} раз за час и остановлено. "
            f"Похоже на зацикливание: посмотрите историю (amo-bridge why {context.deal.id})"
        )
        task = CreateTask(deal_id=context.deal.id, text=text, to=self._tell, due=DUE, slot=SLOT)
        once_an_hour = f"{SLOT}:{int(self._clock.now().timestamp() // WINDOW.total_seconds())}"
        try:
            effects = self._resolver.effects(task, context.deal, context.record, self._clock.now())
            return tuple(replace(effect, once=True, slot=once_an_hour) for effect in effects)
        except (BridgeError, ValueError) as error:
            log.error("nobody could be told", error=str(error))
            return ()
