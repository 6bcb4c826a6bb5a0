"""Reconciliation: what no hook told of is found and fed in, by the same door as hooks.

Two lists are read back to where the last look ended: the account's events (moves, files, calls, finished tasks) and the
deals by ``order[updated_at]=desc``, which works with API filtering off. What hooks have told already is known by its
key or covered by the mirror, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import structlog

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.entities import EPOCH, DealRecord
from amo_bridge.crm.event_list import events_since, newest_at
from amo_bridge.engine.cursors import Cursors
from amo_bridge.engine.intake import add_events
from amo_bridge.engine.mirror import Mirror, Mirrored, hook_texts
from amo_bridge.engine.store import Store
from amo_bridge.events import DealAdded, DealReported, DealUpdated, Event, FieldValue

log = structlog.get_logger()
CURSOR = "reconciled_until"
LOOKED_AT = "reconciled_at"
# The events list lags behind writes by seconds, and a deal may change while its page is being read.
OVERLAP = timedelta(minutes=2)
PAGE = 250


class Reconciler:
    def __init__(self, store: Store, account_key: int, client: CrmClient, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._client = client
        self._clock = clock
        self._mirror = Mirror(store, account_key)
        self._cursors = Cursors(store, account_key)

    def begin(self) -> None:
        """From now on nothing may be missed; what happened before the bridge met the account is history.

        Does nothing in an account that it knows. Raises CrmError."""
        if self._cursors.read(CURSOR) is None:
            now = newest_at(self._client) or EPOCH
            with self._store.write() as connection:
                self._cursors.write(connection, CURSOR, now.timestamp())

    def run(self) -> int:
        """Look once; returns how many changes were handed on. Raises CrmError; then the next look finds them."""
        until = datetime.fromtimestamp(self._cursors.read(CURSOR) or 0.0, UTC)
        since = max(until - OVERLAP, EPOCH)
        told = [*self._changed_deals(since), *events_since(self._client, since)]
        newest = max((event.at for event in told if event.at), default=until)
        unknown = self._not_covered(told)
        with self._store.write() as connection:
            now = self._clock.now().timestamp()
            new = add_events(connection, self._key, unknown, now)
            self._cursors.write(connection, CURSOR, max(newest, until).timestamp())
            self._cursors.write(connection, LOOKED_AT, now)
        if new:
            log.info("reconciled", changes=new, since=since.isoformat())
        return new

    def _changed_deals(self, since: datetime) -> Iterator[DealReported]:
        """Deals that changed since then, newest first."""
        params = {"order": {"updated_at": "desc"}, "with": "contacts,loss_reason"}
        for row in self._client.pages("/api/v4/leads", params, "leads", limit=PAGE):
            record = DealRecord.from_api(row)
            if record.updated_at < since:
                return
            yield _as_event(record, since)

    def _not_covered(self, told: list[Event]) -> list[Event]:
        """In the order in which they happened, without what the mirror has seen."""
        known = self._mirror.get(event.deal_id for event in told if isinstance(event, DealReported))
        return sorted((event for event in told if not _covered(event, known)), key=lambda event: event.at or EPOCH)


def _as_event(record: DealRecord, since: datetime) -> DealReported:
    kind = DealAdded if record.created_at >= since else DealUpdated
    return kind(
        at=record.updated_at,
        caught_up=True,
        deal_id=record.id,
        # Told in full, as a hook does: a change within the second of the last read shows in the contents alone.
        name=record.name,
        tags=record.tags,
        fields=tuple(
            FieldValue(field_id=field_id, values=tuple((text, None) for text in texts))
            for field_id, texts in hook_texts(record).items()
        ),
        pipeline_id=record.pipeline_id,
        status_id=record.status_id,
        price=record.price,
        responsible_user_id=record.responsible_user_id,
        user_id=record.updated_by,
        created_at=record.created_at,
    )


def _covered(event: Event, known: dict[int, Mirrored]) -> bool:
    if not isinstance(event, DealReported):
        return False
    mirrored = known.get(event.deal_id)
    return mirrored is not None and mirrored.covers(event)
