"""A step of the journal taken once more, because a person asks for it: first as a question, then for good.

The event is judged as if it happened now, by the rules and the deal as they are now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.brain import Brain
from amo_bridge.engine.dispatch import Verdict
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.replay import verdicts_about
from amo_bridge.errors import BridgeError
from amo_bridge.events import Event
from amo_bridge.events.codec import from_json
from amo_bridge.storage.database import Store
from amo_bridge.storage.notify import ring_out
from amo_bridge.storage.tables import events


class NotRepeatable(BridgeError):
    """It can't be taken once more; the text (Russian) says why."""


class Repeating:
    def __init__(self, store: Store, account_key: int, brain: Brain, client: CrmClient, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._brain = brain
        self._client = client
        self._clock = clock

    def judge(self, deal_id: int, event_id: int) -> list[Verdict]:
        """What every rule that listens would say now. Raises NotRepeatable, CrmError, UnknownName."""
        return verdicts_about(self._event(deal_id, event_id), self._brain, self._client)

    def carry_out(self, deal_id: int, event_id: int, rule: str, mark: str, who: str) -> Verdict:
        """Do what the rule would do. ``mark``: of the question it answers; answered twice, it is done once.

        Raises NotRepeatable when the rule does not want to do anything now, and as ``judge``."""
        event = self._event(deal_id, event_id)
        verdict = _willing(verdicts_about(event, self._brain, self._client), rule)
        key = hashlib.sha256(f"{event_id} {rule} {mark}".encode()).hexdigest()[:24]
        again = replace(verdict, event_key=f"again:{key}", reason=f"повторено вручную, {who}")
        journal = Journal(self._store, self._key)
        with self._store.write() as connection:
            if Outbox(self._store, self._key, self._clock).add(connection, event_id, again):
                rows = journal.rows_of(self._clock.now(), event_id, deal_id, event, [again])
                # What came is in the journal already.
                journal.write(connection, rows[1:])
            ring_out(connection, self._key)
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
