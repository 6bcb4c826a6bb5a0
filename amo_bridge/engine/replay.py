"""A saved hook judged again, touching nothing: what it says, and what each rule would do about it.

The hook is taken at its word: what it tells is what just happened, even if it is years old. What a hook does not tell
(contacts, the loss reason, fields it left out) is taken from the deal in the account, if there is such a deal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm import webhooks
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import EPOCH, DealRecord
from amo_bridge.engine.data_loader import DataLoader
from amo_bridge.engine.data_sources import SourceContext
from amo_bridge.engine.dispatcher import EvaluationContext, Verdict
from amo_bridge.engine.journal import Journal, describe
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.processor import TasksNow
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, UnknownName
from amo_bridge.events import DealAdded, DealDeleted, DealReported, Event, TaskReported
from amo_bridge.events.codec import fingerprint, from_json, to_json
from amo_bridge.mirror.deals import MirroredDeal
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import Store
from amo_bridge.storage.notify import notify
from amo_bridge.storage.tables import events


@dataclass(frozen=True)
class Decided:
    """What a rule would do about an event, or why it can't be said."""

    event: Event
    rule: Rule
    verdict: str
    reason: str = ""
    actions: tuple[str, ...] = ()

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
class Replayed:
    """``events``: what the hook says and what follows from it. ``decisions``: of every enabled rule that listens."""

    events: tuple[Event, ...]
    decisions: tuple[Decided, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "events": [to_json(event) for event in self.events],
            "decisions": [decision.to_json() for decision in self.decisions],
        }


def replay(body: bytes, rule_engine: RuleEngine, client: CrmClient) -> Replayed:
    """Decode and judge. Only reads from amoCRM; raises CrmError if it can't be read."""
    told = webhooks.decode(body)
    events: list[Event] = []
    decisions: list[Decided] = []
    for event in told:
        deal_id = event.about_deal_id
        if deal_id is None or isinstance(event, DealDeleted):
            events.append(event)
            continue
        happened, decided = _judged(event, _known(deal_id, client), rule_engine, client)
        events += happened
        decisions += decided
    return Replayed(tuple(events), tuple(decisions))


def undecided(body: bytes, rules: tuple[Rule, ...], why: str) -> Replayed:
    """Without the account: what the hook says, and that the rules that may care can't be asked."""
    told = webhooks.decode(body)
    decisions = [
        Decided(event, rule, "undecided", why)
        for event in told
        for rule in rules
        if rule.enabled and event.about_deal_id is not None and _may_care(rule, event)
    ]
    return Replayed(tuple(told), tuple(decisions))


def _may_care(rule: Rule, event: Event) -> bool:
    """A hook about a deal may turn out to be anything that can be observed on a deal."""
    return rule.hears(event) or (isinstance(event, DealReported) and rule.handler.is_about_deals)


def verdicts_about(event: Event, rule_engine: RuleEngine, client: CrmClient) -> list[Verdict]:
    """What the rules say if the event happened just now. Only reads from amoCRM; raises CrmError, UnknownName."""
    deal_id = event.about_deal_id
    known = None if deal_id is None else _known(deal_id, client)
    return _verdicts(event, [event], known, rule_engine, client)


def _known(deal_id: int, client: CrmClient) -> DealRecord | None:
    row = client.get(f"/api/v4/leads/{deal_id}", {"with": "contacts,loss_reason"})
    return DealRecord.from_api(row) if row else None


def _verdicts(
    event: Event, happened: list[Event], known: DealRecord | None, rule_engine: RuleEngine, client: CrmClient
) -> list[Verdict]:
    """``happened`` gets what follows from the event."""
    record = _as_told(event, known, rule_engine.account)
    if isinstance(event, DealReported):
        happened += rule_engine.observer.changes(_before(event, record), record, event)
    elif isinstance(event, TaskReported):
        now = TasksNow(client, [event])
        happened += rule_engine.task_observer.changes(now.with_doer(event), now.get(event.task_id), record)
    case = EvaluationContext(tuple(happened), fingerprint(event), record, rule_engine.viewer.deal(record))
    around = DataLoader(
        SourceContext(client, rule_engine.account, services=rule_engine.config.services), {record.id: record}
    )
    return rule_engine.dispatcher.judge(case, around)


def _judged(
    event: Event, known: DealRecord | None, rule_engine: RuleEngine, client: CrmClient
) -> tuple[list[Event], list[Decided]]:
    happened: list[Event] = [event]
    try:
        verdicts = _verdicts(event, happened, known, rule_engine, client)
    except UnknownName as error:
        heard = [(one, rule) for one in happened for rule in rule_engine.dispatcher.enabled if _may_care(rule, one)]
        return happened, [Decided(one, rule, "undecided", str(error)) for one, rule in heard]
    return happened, [_decided(verdict) for verdict in verdicts]


def _decided(verdict: Verdict) -> Decided:
    outcome = "would_act" if verdict.outcome == "acts" else verdict.outcome
    words = tuple(words for effect in verdict.effects for words in effect.all_words)
    return Decided(verdict.event, verdict.rule, outcome, verdict.reason, words)


def _as_told(event: Event, known: DealRecord | None, account: Account) -> DealRecord:
    """The deal as the hook describes it, completed by the account's own record."""
    if not isinstance(event, DealReported):
        if known is None:
            raise UnknownName("сделки", str(event.about_deal_id))
        return known
    base = known or DealRecord(id=event.deal_id)
    stage = _stage_told(event, base, account)
    told: dict[str, Any] = {
        "name": event.name,
        "price": event.price,
        "responsible_user_id": event.responsible_user_id,
        "tags": event.tags or None,
        "updated_at": event.at,
        "updated_by": event.user_id,
        "created_at": event.created_at,
    }
    fields = dict(base.fields) | {field.field_id: tuple(text for text, _ in field.values) for field in event.fields}
    changed: Mapping[str, Any] = {key: value for key, value in told.items() if value is not None}
    return replace(base, pipeline_id=stage[0], status_id=stage[1], fields=fields, **changed)


def _stage_told(event: DealReported, base: DealRecord, account: Account) -> tuple[int, int]:
    """Old hooks name no pipeline: then the one that has the status, if only one does."""
    status = event.status_id if event.status_id is not None else base.status_id
    if event.pipeline_id is not None:
        return (event.pipeline_id, status)
    having = [stage.pipeline_id for stage in account.stages if stage.status_id == status]
    if base.pipeline_id and (not having or base.pipeline_id in having):
        return (base.pipeline_id, status)
    if len(having) != 1:
        raise UnknownName("этапа", f"? / {status}")
    return (having[0], status)


def _before(event: DealReported, now: DealRecord) -> MirroredDeal | None:
    """The deal before what the hook tells: on the stage it came from, with none of the fields the hook speaks of."""
    if isinstance(event, DealAdded):
        return None
    told = {field.field_id for field in event.fields}
    stage = (now.pipeline_id, now.status_id)
    if event.old_status_id is not None:
        stage = (event.old_pipeline_id or now.pipeline_id, event.old_status_id)
    fields = {field_id: values for field_id, values in now.fields.items() if field_id not in told}
    before = replace(now, pipeline_id=stage[0], status_id=stage[1], fields=fields)
    if event.old_responsible_user_id:
        before = replace(before, responsible_user_id=event.old_responsible_user_id)
    return MirroredDeal(before, EPOCH)


# A step of the journal taken once more, because a person asks for it: first as a question, then for good.
#
# The event is judged as if it happened now, by the rules and the deal as they are now.


class NotRepeatable(BridgeError):
    """It can't be taken once more; the text (Russian) says why."""


class Repeating:
    def __init__(self, store: Store, account_id: int, rule_engine: RuleEngine, client: CrmClient, clock: Clock) -> None:
        self._store = store
        self._key = account_id
        self._rule_engine = rule_engine
        self._client = client
        self._clock = clock

    def judge(self, deal_id: int, event_id: int) -> list[Verdict]:
        """What every rule that listens would say now. Raises NotRepeatable, CrmError, UnknownName."""
        return verdicts_about(self._event(deal_id, event_id), self._rule_engine, self._client)

    def carry_out(self, deal_id: int, event_id: int, rule: str, mark: str, who: str) -> Verdict:
        """Do what the rule would do. ``mark``: of the question it answers; answered twice, it is done once.

        Raises NotRepeatable when the rule does not want to do anything now, and as ``judge``."""
        event = self._event(deal_id, event_id)
        verdict = _willing(verdicts_about(event, self._rule_engine, self._client), rule)
        key = hashlib.sha256(f"{event_id} {rule} {mark}".encode()).hexdigest()[:24]
        again = replace(verdict, event_key=f"again:{key}", reason=f"повторено вручную, {who}")
        journal = Journal(self._store, self._key)
        with self._store.write() as connection:
            if Outbox(self._store, self._key, self._clock).add(connection, event_id, again):
                rows = journal.rows_of(self._clock.now(), event_id, deal_id, event, [again])
                # What came is in the journal already.
                journal.write(connection, rows[1:])
            notify(connection, self._key)
        return again

    def _event(self, deal_id: int, event_id: int) -> Event:
        query = select(events.c.body).where(
            events.c.account == self._key, events.c.id == event_id, events.c.deal_id == deal_id
        )
        with self._store.read() as connection:
            body = connection.execute(query).scalar()
        if body is None:
            raise NotRepeatable("этого события в базе уже нет: хранятся последние ([bridge] keep_hooks)")
        try:
            return replace(from_json(json.loads(body)), at=self._clock.now())
        except (LookupError, TypeError, ValueError) as error:
            raise NotRepeatable(f"событие не читается: {error}") from error


def _willing(verdicts: Sequence[Verdict], rule: str) -> Verdict:
    for verdict in verdicts:
        if verdict.rule.name == rule and verdict.outcome == "acts":
            return verdict
    said = next((verdict for verdict in verdicts if verdict.rule.name == rule), None)
    if said is None:
        raise NotRepeatable(f"правило {rule} этого события не ждёт или выключено")
    if said.outcome == "would_act":
        raise NotRepeatable(f"правило {rule} работает вхолостую: в amoCRM оно ничего не меняет")
    raise NotRepeatable(f"правило {rule} сейчас ничего не сделало бы: {said.reason}")
