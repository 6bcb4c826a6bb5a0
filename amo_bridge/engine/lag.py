"""How long people wait: from a hook's arrival to its effects in amoCRM."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from amo_bridge.engine.meters import AccountMeters
from amo_bridge.engine.outbox import Sendable
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import events


def measure(store: Store, meters: AccountMeters, done: Iterable[Sendable], now: float) -> None:
    """Count effects that have just become true; those that a hook led to, with their time."""
    done = list(done)
    ids = {row.event_id for row in done if row.event_id is not None}
    with store.read() as connection:
        hooks = select(events.c.id, events.c.received_at).where(events.c.id.in_(ids), events.c.inbox_id.is_not(None))
        came = {row.id: row.received_at for row in connection.execute(hooks)} if ids else {}
    for row in done:
        meters.effect_done(row.kind)
        if row.event_id in came:
            meters.lagged(max(now - came[row.event_id], 0.0))
