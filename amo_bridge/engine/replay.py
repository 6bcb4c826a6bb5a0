"""Replay: rules evaluated on a saved webhook or a past event; backtest of one rule on the last events.

A saved webhook is taken literally: what it reports is what just happened, even if it is years old. What it leaves out
(contacts, the loss reason, fields) is taken from the deal in the account, if there is such a deal. Only a repeat that a
person confirms (``ManualRepeat.carry_out``) writes anything.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from amo_bridge.clock import Clock
from amo_bridge.crm import webhooks
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import EPOCH, DealRecord
from amo_bridge.engine.data_loader import DataLoader
from amo_bridge.engine.data_sources import SourceContext
from amo_bridge.engine.deal_view import deal_to_come
from amo_bridge.engine.dispatcher import EarlyAnswers, EvaluationContext, Verdict
from amo_bridge.engine.journal import Journal, describe
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.processor import CurrentTasks
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, UnknownName
from amo_bridge.events import DealAdded, DealDeleted, DealReported, EnquiryReceived, Event, TaskReported
from amo_bridge.events.base import fingerprint, from_json, to_json
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import AccountStore, notify
from amo_bridge.storage.tables import OPEN_STATES, events, outbox


@dataclass(frozen=True)
class RuleDecision:
    """What a rule would do about an event; ``verdict`` "undecided" if that can't be known, ``reason`` says why."""

    event: Event
    rule: Rule
    verdict: str
    reason: str = ""
    actions: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """What happened, in words."""
        return describe(self.event)

    def to_json(self) -> dict[str, Any]:
        return {
            "event": type(self.event).__name__,
            "what": describe(self.event),
            "deal_id": self.event.about_deal_id,
            "rule": self.rule.name,
            "clause": self.rule.clause,
            "verdict": self.verdict,
            "reason": self.reason,
            "actions": list(self.actions),
        }


@dataclass(frozen=True)
class ReplayResult:
    """``events``: what the webhook reports and what is observed from it. ``decisions``: of every enabled rule that
    listens."""

    events: tuple[Event, ...]
    decisions: tuple[RuleDecision, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "events": [to_json(event) for event in self.events],
            "decisions": [decision.to_json() for decision in self.decisions],
        }


def replay(body: bytes, rule_engine: RuleEngine, client: CrmClient) -> ReplayResult:
    """Decode and evaluate. Only reads from amoCRM; raises CrmError if it can't be read."""
    events: list[Event] = []
    decisions: list[RuleDecision] = []
    for event in webhooks.decode(body):
        deal_id = event.about_deal_id
        if deal_id is None or isinstance(event, DealDeleted):
            events.append(event)
            continue
        observed, decided = _evaluated(event, _read_deal(deal_id, client), rule_engine, client)
        events += observed
        decisions += decided
    return ReplayResult(tuple(events), tuple(decisions))


def undecided(body: bytes, rules: tuple[Rule, ...], reason: str) -> ReplayResult:
    """Without the account: what the webhook reports, and that the rules that may listen can't be evaluated."""
    events = webhooks.decode(body)
    decisions = [
        RuleDecision(event, rule, "undecided", reason)
        for event in events
        for rule in rules
        if rule.enabled and event.about_deal_id is not None and _may_listen(rule, event)
    ]
    return ReplayResult(tuple(events), tuple(decisions))


def _may_listen(rule: Rule, event: Event) -> bool:
    """From a webhook about a deal anything may follow that can be observed on a deal."""
    return rule.hears(event) or (isinstance(event, DealReported) and rule.handler.is_about_deals)


def verdicts_about(event: Event, rule_engine: RuleEngine, client: CrmClient) -> list[Verdict]:
    """The verdicts if the event happened just now. Only reads from amoCRM; raises CrmError, UnknownName."""
    deal_id = event.about_deal_id
    if isinstance(event, EnquiryReceived) and event.is_to_come:
        current: DealRecord | None = deal_to_come(event, rule_engine.account)
    else:
        current = None if deal_id is None else _read_deal(deal_id, client)
    return _verdicts(event, [event], current, rule_engine, client)


def _read_deal(deal_id: int, client: CrmClient) -> DealRecord | None:
    row = client.get(f"/api/v4/leads/{deal_id}", {"with": "contacts,loss_reason"})
    return DealRecord.from_api(row) if row else None


def _verdicts(
    event: Event, events: list[Event], current: DealRecord | None, rule_engine: RuleEngine, client: CrmClient
) -> list[Verdict]:
    """The verdicts about the event and what is observed from it, which is added to ``events``."""
    record = _as_reported(event, current, rule_engine.account)
    if isinstance(event, DealReported):
        events += rule_engine.observer.changes(_before(event, record), record, event)
    elif isinstance(event, TaskReported):
        tasks = CurrentTasks(client, [event])
        events += rule_engine.task_observer.changes(tasks.with_author(event), tasks.get(event.task_id), record)
    context = EvaluationContext(tuple(events), fingerprint(event), record, rule_engine.viewer.deal(record))
    data = DataLoader(
        SourceContext(
            client,
            rule_engine.account,
            services=rule_engine.config.services,
            names_of=rule_engine.people.names_of,
        ),
        {record.id: record},
    )
    return rule_engine.dispatcher.evaluate(context, data)


def _evaluated(
    event: Event, current: DealRecord | None, rule_engine: RuleEngine, client: CrmClient
) -> tuple[list[Event], list[RuleDecision]]:
    events: list[Event] = [event]
    try:
        verdicts = _verdicts(event, events, current, rule_engine, client)
    except UnknownName as error:
        rules = rule_engine.dispatcher.enabled
        pairs = [(happened, rule) for happened in events for rule in rules if _may_listen(rule, happened)]
        return events, [RuleDecision(happened, rule, "undecided", str(error)) for happened, rule in pairs]
    return events, [decision_of(verdict) for verdict in verdicts]


def decision_of(verdict: Verdict) -> RuleDecision:
    """The verdict as it is told to people and programs."""
    outcome = "would_act" if verdict.outcome == "acts" else verdict.outcome
    actions = tuple(text for effect in verdict.effects for text in effect.all_words)
    return RuleDecision(verdict.event, verdict.rule, outcome, verdict.reason, actions)


def _as_reported(event: Event, current: DealRecord | None, account: Account) -> DealRecord:
    """The deal as the webhook reports it, completed from the account."""
    if not isinstance(event, DealReported):
        if current is None:
            raise UnknownName("сделки", str(event.about_deal_id))
        return current
    base = current or DealRecord(id=event.deal_id)
    stage = _reported_stage(event, base, account)
    reported: dict[str, Any] = {
        "name": event.name,
        "price": event.price,
        "responsible_user_id": event.responsible_user_id,
        "tags": event.tags or None,
        "updated_at": event.at,
        "updated_by": event.user_id,
        "created_at": event.created_at,
    }
    fields = dict(base.fields) | {field.field_id: tuple(text for text, _ in field.values) for field in event.fields}
    changed: Mapping[str, Any] = {key: value for key, value in reported.items() if value is not None}
    return replace(base, pipeline_id=stage[0], status_id=stage[1], fields=fields, **changed)


def _reported_stage(event: DealReported, base: DealRecord, account: Account) -> tuple[int, int]:
    """The (pipeline, status) of the webhook. Old ones name no pipeline: then the one with that status, if only one has
    it."""
    status = event.status_id if event.status_id is not None else base.status_id
    if event.pipeline_id is not None:
        return (event.pipeline_id, status)
    pipelines = [stage.pipeline_id for stage in account.stages if stage.status_id == status]
    if base.pipeline_id and (not pipelines or base.pipeline_id in pipelines):
        return (base.pipeline_id, status)
    if len(pipelines) != 1:
        raise UnknownName("этапа", f"? / {status}")
    return (pipelines[0], status)


def _before(event: DealReported, now: DealRecord) -> MirroredDeal | None:
    """The deal before the webhook: on the stage it came from, without the fields that the webhook reports."""
    if isinstance(event, DealAdded):
        return None
    reported = {field.field_id for field in event.fields}
    stage = (now.pipeline_id, now.status_id)
    if event.old_status_id is not None:
        stage = (event.old_pipeline_id or now.pipeline_id, event.old_status_id)
    fields = {field_id: values for field_id, values in now.fields.items() if field_id not in reported}
    before = replace(now, pipeline_id=stage[0], status_id=stage[1], fields=fields)
    if event.old_responsible_user_id:
        before = replace(before, responsible_user_id=event.old_responsible_user_id)
    return MirroredDeal(before, EPOCH)


# --- backtest: a rule that is not in force yet, on what has happened lately -------------------------------------------


MOST_READ = 3000
"""Events that are read, the newest first."""
MOST_TRIED = 200
MOST_DEALS = 60
"""Deals of which more is read than the mirror has: that costs requests."""
SAME_THING = timedelta(minutes=10)


@dataclass(frozen=True)
class Backtest:
    """What a rule would have done about the last events. ``since``: of the oldest of them. ``decisions``: newest first;
    of those that it was to skip only the reasons are counted. ``trouble``: why some could not be decided (Russian)."""

    since: datetime | None
    events: int
    decisions: tuple[RuleDecision, ...]
    skips: tuple[tuple[str, int], ...]
    undecided: int
    trouble: str


def backtest(store: AccountStore, rule_engine: RuleEngine, rule: Rule, client: CrmClient) -> Backtest:
    """Evaluate a rule on the events that the store still has, on the deals as the mirror knows them: the stage and the
    fields that an event reports, everything else as it is today. Nothing of what the rule did before counts, nothing is
    written. ``rule_engine``: of the config with this rule alone, and of a clock that finds nothing late."""
    contexts = list(islice(_contexts(store, rule_engine, rule), MOST_TRIED))
    records = {context.record.id: context.record for context in contexts}
    source = SourceContext(
        client,
        rule_engine.account,
        store=store,
        services=rule_engine.config.services,
        names_of=rule_engine.people.names_of,
        ads=rule_engine.config.ads,
    )
    loader, dispatcher = DataLoader(source, records), rule_engine.dispatcher
    needs = [dispatcher.evaluate_early(context, EarlyAnswers()) for context in contexts]
    pairs = list(zip(contexts, needs, strict=True))
    costly = list(dict.fromkeys(context.record.id for context, need in pairs if need))[:MOST_DEALS]
    for context, need in pairs:
        if context.record.id in costly:
            loader.expect(need, context.record.id)
    decisions: list[RuleDecision] = []
    skips: Counter[str] = Counter()
    undecided, trouble = 0, ""
    for context, need in pairs:
        if need and (trouble or context.record.id not in costly):
            undecided += 1
            continue
        try:
            found = [decision_of(one) for one in dispatcher.evaluate(context, loader) if one.rule.name == rule.name]
        except (BridgeError, UnknownName) as error:
            undecided, trouble = undecided + 1, trouble or str(error)
            continue
        decisions += [one for one in found if one.verdict != "skipped"]
        skips.update(one.reason for one in found if one.verdict == "skipped")
    oldest = contexts[-1].events[0].at if contexts else None
    return Backtest(
        oldest, len(contexts), tuple(_each_once(decisions)), tuple(skips.most_common(5)), undecided, trouble
    )


def _contexts(store: AccountStore, rule_engine: RuleEngine, rule: Rule) -> Iterator[EvaluationContext]:
    """The newest events first that the rule would hear of, each with its deal; one that reports a deal with what is to
    be observed on it."""
    query = select(events.c.key, events.c.deal_id, events.c.body, events.c.received_at)
    query = query.where(store.owns(events)).order_by(events.c.id.desc()).limit(MOST_READ)
    with store.read() as connection:
        rows = connection.execute(query).all()
    known = Mirror(store).get({row.deal_id for row in rows if row.deal_id is not None})
    for row in rows:
        event = _readable(row.body)
        if event is None or not _may_listen(rule, event) or _tells_no_stage(event):
            continue
        event = event if event.at else replace(event, at=datetime.fromtimestamp(row.received_at, UTC))
        copy = known.get(row.deal_id)
        current = copy.record if copy else None
        if isinstance(event, EnquiryReceived) and event.is_to_come:
            current = deal_to_come(event, rule_engine.account)
        try:
            record = _as_reported(event, current, rule_engine.account)
        except UnknownName:
            # The deal is gone, or its stage is.
            continue
        happened: list[Event] = [event]
        if isinstance(event, DealReported) and rule_engine.account.has_stage(record.pipeline_id, record.status_id):
            happened += rule_engine.observer.changes(_before(event, record), record, event)
        if any(rule.hears(one) for one in happened):
            yield EvaluationContext(tuple(happened), row.key, record, rule_engine.viewer.deal(record))


def _tells_no_stage(event: Event) -> bool:
    """That a deal is there, from amoCRM's events list: on which stage it was made is not said, and today's is another
    one."""
    return isinstance(event, DealAdded) and event.status_id is None


def _each_once(decisions: Iterable[RuleDecision]) -> Iterator[RuleDecision]:
    """What several webhooks, or one and the reconciliation, told of is one thing: the mirror is not asked here."""
    told: dict[tuple[object, ...], datetime] = {}
    for one in decisions:
        key, at = (one.event.about_deal_id, one.what, one.verdict), one.event.at or EPOCH
        if key not in told or told[key] - at > SAME_THING:
            yield one
        told[key] = at


def _readable(body: str) -> Event | None:
    try:
        return from_json(json.loads(body))
    except (LookupError, TypeError, ValueError):
        return None


# --- repeats by a person --------------------------------------------------------------------------------------------


class NotRepeatable(BridgeError):
    """The event can't be repeated; the text (Russian) says why."""


class ManualRepeat:
    """Evaluates an event of the journal as if it happened now, on the rules and the deal as they are now."""

    def __init__(self, store: AccountStore, rule_engine: RuleEngine, client: CrmClient, clock: Clock) -> None:
        self._store = store
        self._rule_engine = rule_engine
        self._client = client
        self._clock = clock

    def evaluate(self, deal_id: int, event_id: int) -> list[Verdict]:
        """The verdict of every rule that listens. Raises NotRepeatable, CrmError, UnknownName."""
        return verdicts_about(self._event(deal_id, event_id), self._rule_engine, self._client)

    def done_at(self, event_id: int, *, except_for: str = "") -> dict[str, datetime]:
        """Rules that acted on this event, or are about to → when last; ``except_for``: a repeat's event key."""
        mine = (self._store.owns(outbox), outbox.c.event_id == event_id)
        settled = outbox.c.state.in_(("done", *OPEN_STATES))
        query = select(outbox.c.rule, outbox.c.key, func.coalesce(outbox.c.done_at, outbox.c.created_at).label("at"))
        with self._store.read() as connection:
            rows = connection.execute(query.where(*mine, settled).order_by("at")).all()
        return {
            row.rule: datetime.fromtimestamp(row.at, UTC)
            for row in rows
            if not except_for or f"|{except_for}|" not in row.key
        }

    def carry_out(
        self, deal_id: int, event_id: int, rule: str, mark: str, who: str, *, once_more: bool = False
    ) -> Verdict:
        """Queue the effects that the rule wants now. ``mark``: of the form that a person confirmed; with the same mark
        it is done once. ``who``: for the journal. ``once_more``: although the rule has acted on this event.

        Raises NotRepeatable if the rule wants nothing now, or has acted already, and as ``evaluate``.
        """
        event = self._event(deal_id, event_id)
        key = hashlib.sha256(f"{event_id} {rule} {mark}".encode()).hexdigest()[:24]
        event_key = f"again:{key}"
        done_at = self.done_at(event_id, except_for=event_key).get(rule)
        if done_at and not once_more:
            when = done_at.astimezone(ZoneInfo(self._rule_engine.account.timezone))
            raise NotRepeatable(f"правило {rule} это уже сделало {when:%d.%m.%Y %H:%M}: второй раз — только нарочно")
        verdict = _acting_verdict(verdicts_about(event, self._rule_engine, self._client), rule)
        again = replace(verdict, event_key=event_key, reason=f"повторено вручную, {who}")
        journal = Journal(self._store)
        with self._store.write() as connection:
            if Outbox(self._store, self._clock).add(connection, event_id, again):
                rows = journal.rows_of(self._clock.now(), event_id, deal_id, event, [again])
                # The event itself is in the journal already.
                journal.write(connection, rows[1:])
            notify(connection, self._store.account_id)
        return again

    def _event(self, deal_id: int, event_id: int) -> Event:
        query = select(events.c.body).where(
            self._store.owns(events), events.c.id == event_id, events.c.deal_id == deal_id
        )
        with self._store.read() as connection:
            body = connection.execute(query).scalar()
        if body is None:
            raise NotRepeatable("этого события в базе уже нет: хранятся последние ([bridge] keep_hooks)")
        try:
            return replace(from_json(json.loads(body)), at=self._clock.now())
        except (LookupError, TypeError, ValueError) as error:
            raise NotRepeatable(f"событие не читается: {error}") from error


def _acting_verdict(verdicts: Sequence[Verdict], rule: str) -> Verdict:
    for verdict in verdicts:
        if verdict.rule.name == rule and verdict.outcome == "acts":
            return verdict
    found = next((verdict for verdict in verdicts if verdict.rule.name == rule), None)
    if found is None:
        raise NotRepeatable(f"правило {rule} этого события не ждёт или выключено")
    if found.outcome == "would_act":
        raise NotRepeatable(f"правило {rule} работает вхолостую: в amoCRM оно ничего не меняет")
    raise NotRepeatable(f"правило {rule} сейчас ничего не сделало бы: {found.reason}")
