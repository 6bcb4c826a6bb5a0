"""Reconciliation: what no hook told of is found and fed in, by the same door as hooks.

Three lists are read back to where the last look ended: the account's events (moves, files, calls, letters, messages,
tasks), and deals and contacts by ``order[updated_at]=desc``, which works with API filtering off. What hooks have told
already is known by its key or covered by the mirror, and changes nothing. Where nothing happened it costs three
requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.entities import EPOCH, DealRecord
from amo_bridge.crm.event_list import look_since, newest_at
from amo_bridge.engine.cursors import Cursors
from amo_bridge.engine.intake import add_events
from amo_bridge.engine.mirror import Mirror, Mirrored, hook_texts
from amo_bridge.engine.mirror.contact_keeper import ContactKeeper
from amo_bridge.engine.mirror.learning import learn
from amo_bridge.engine.rows import chunks
from amo_bridge.engine.store import Store, events
from amo_bridge.events import DealAdded, DealReported, DealUpdated, Event, FieldValue

log = structlog.get_logger()
CURSOR = "reconciled_until"
LOOKED_AT = "reconciled_at"
# The events list lags behind writes by seconds, and a deal may change while its page is being read.
OVERLAP = timedelta(minutes=2)
PAGE = 250


class Reconciler:
    def __init__(
        self, store: Store, account_key: int, client: CrmClient, clock: Clock, contacts: ContactKeeper
    ) -> None:
        self._store = store
        self._key = account_key
        self._client = client
        self._clock = clock
        self._mirror = Mirror(store, account_key)
        self._contacts = contacts
        self._cursors = Cursors(store, account_key)
        self._seen: frozenset[str] = frozenset()

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
        look = look_since(self._client, since, known_notes=self._known_notes, seen=self._seen)
        told = [*self._changed_deals(since), *look.events]
        self._contacts.catch_up(since)
        newest = max((event.at for event in told if event.at), default=until)
        unknown = self._not_covered(told)
        with self._store.write() as connection:
            now = self._clock.now().timestamp()
            # What the mirror has seen is no event any more, but who did it only this list knows.
            learn(connection, self._key, told)
            new = add_events(connection, self._key, unknown, now)
            self._cursors.write(connection, CURSOR, max(newest, until).timestamp())
            self._cursors.write(connection, LOOKED_AT, now)
        # Not before they are kept: a look that broke off must find them again.
        self._seen = look.row_ids
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

    def _known_notes(self, note_ids: Sequence[int]) -> set[int]:
        """Those whose events are there, so that they need not be read."""
        keys = {f"note:{number}": number for number in note_ids}
        found: set[int] = set()
        with self._store.read() as connection:
            for chunk in chunks(sorted(keys)):
                mine = (events.c.account == self._key, events.c.key.in_(chunk))
                found |= {keys[key] for key in connection.execute(select(events.c.key).where(*mine)).scalars()}
        return found

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
