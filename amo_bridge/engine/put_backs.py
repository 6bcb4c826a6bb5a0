"""How often the bridge has put a deal back lately."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.engine.store import Store, outbox

WITHIN = timedelta(hours=1)


class PutBacks:
    def __init__(self, store: Store, account_key: int, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._clock = clock

    def counter(self, deal_id: int, stage: tuple[int, int]) -> Callable[[], int]:
        """Counts the put-backs of a deal from this stage within the last hour, when it is called."""
        return lambda: self._count(deal_id, stage)

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
