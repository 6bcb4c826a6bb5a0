"""How often the bridge has put a deal back lately, and which of its explanations are still open."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache

from sqlalchemy import and_, select

from amo_bridge.clock import Clock
from amo_bridge.engine.refusals import EXPLAINS, Explanation
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import made, outbox, tasks

WITHIN = timedelta(hours=1)


class PutBacks:
    def __init__(self, store: Store, account_key: int, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._clock = clock

    def counter(self, deal_id: int, stage: tuple[int, int]) -> Callable[[], int]:
        """Counts the put-backs of a deal from this stage within the last hour, when it is called."""
        return lambda: self._count(deal_id, stage)

    def explanations(self, deal_id: int) -> Callable[[], Sequence[Explanation]]:
        """Looks for the open tasks that explain why the deal was put back, when it is called first."""
        return cache(lambda: self._open(deal_id))

    def _open(self, deal_id: int) -> Sequence[Explanation]:
        there = and_(tasks.c.account == made.c.account, tasks.c.task_id == made.c.entity_id)
        query = (
            select(made.c.entity_id, made.c.rule, made.c.slot)
            .join_from(made, tasks, there)
            .where(made.c.account == self._key, made.c.deal_id == deal_id, made.c.kind == "create_task")
            .where(made.c.slot.startswith(EXPLAINS), tasks.c.is_completed.is_(False))
            .order_by(made.c.entity_id)
        )
        with self._store.read() as connection:
            return [Explanation(*row) for row in connection.execute(query)]

    def _count(self, deal_id: int, stage: tuple[int, int]) -> int:
        since = (self._clock.now() - WITHIN).timestamp()
        patches = select(outbox.c.payload).where(
            outbox.c.account == self._key,
            outbox.c.deal_id == deal_id,
            outbox.c.kind == "patch_deal",
            outbox.c.created_at > since,
        )
        with self._store.read() as connection:
            payloads = [json.loads(text) for text in connection.execute(patches).scalars()]
        return sum(bool(payload["rolls_back"]) and payload["expects"] == list(stage) for payload in payloads)
