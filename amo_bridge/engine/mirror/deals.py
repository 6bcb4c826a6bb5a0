"""Deals as they were last seen, to see what changed and where a deal came from.

What is about to be written is always judged by a fresh read; this copy only says what was before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Connection

from amo_bridge.crm.entities import DealRecord
from amo_bridge.engine.rows import chunks, insert_or_replace
from amo_bridge.engine.store import Store, deals
from amo_bridge.events import DealReported


@dataclass(frozen=True)
class Mirrored:
    """A deal as it was when last seen. ``stage_since``: when it came onto its stage (account's clock)."""

    record: DealRecord
    stage_since: datetime

    @property
    def stage(self) -> tuple[int, int]:
        return (self.record.pipeline_id, self.record.status_id)

    def covers(self, event: DealReported) -> bool:
        """Is what the event says already in this copy? Then no read is needed: it is a repeat, or an old hook that
        came late. amoCRM's times have whole seconds, so within the same second the contents decide."""
        seen = self.record.updated_at
        if event.at is None or seen is None or event.at > seen:
            return False
        return event.at < seen or self._agrees(event)

    def _agrees(self, event: DealReported) -> bool:
        record = self.record
        pairs = (
            (event.status_id, record.status_id),
            (event.pipeline_id, record.pipeline_id),
            (event.responsible_user_id, record.responsible_user_id),
            (event.name or None, record.name),
            (event.price, record.price),
        )
        if any(told is not None and told != known for told, known in pairs):
            return False
        if event.name is None:
            # Not a full hook: it says nothing of tags and fields, so it can't disagree about them.
            return True
        told_fields = {field.field_id: tuple(text for text, _ in field.values) for field in event.fields}
        return set(event.tags) == set(record.tags) and told_fields == hook_texts(record)


def hook_texts(record: DealRecord) -> dict[int, tuple[str, ...]]:
    """The record's filled fields as a hook would tell them."""
    return {
        field_id: tuple(_hook_text(value) for value in values) for field_id, values in record.fields.items() if values
    }


def _hook_text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


class Mirror:
    def __init__(self, store: Store, account: int) -> None:
        self._store = store
        self._account = account

    def get(self, deal_ids: Iterable[int]) -> dict[int, Mirrored]:
        ids = sorted(set(deal_ids))
        found = {}
        with self._store.read() as connection:
            for chunk in chunks(ids):
                rows = connection.execute(
                    select(deals.c.deal_id, deals.c.record, deals.c.stage_since).where(
                        deals.c.account == self._account, deals.c.deal_id.in_(chunk)
                    )
                )
                for row in rows:
                    since = datetime.fromtimestamp(row.stage_since, UTC)
                    found[row.deal_id] = Mirrored(DealRecord.from_json(json.loads(row.record)), since)
        return found

    def record(self, deal_id: int) -> DealRecord | None:
        """One deal as it was last seen."""
        known = self.get([deal_id]).get(deal_id)
        return known.record if known else None

    def count(self) -> int:
        with self._store.read() as connection:
            return connection.execute(
                select(func.count()).select_from(deals).where(deals.c.account == self._account)
            ).scalar_one()

    def put(self, connection: Connection, copies: Iterable[Mirrored], read_at: datetime) -> None:
        rows = [
            {
                "account": self._account,
                "deal_id": copy.record.id,
                "pipeline_id": copy.record.pipeline_id,
                "status_id": copy.record.status_id,
                "stage_since": copy.stage_since.timestamp(),
                "updated_at": copy.record.updated_at.timestamp() if copy.record.updated_at else 0.0,
                "read_at": read_at.timestamp(),
                "record": json.dumps(copy.record.to_json(), ensure_ascii=False),
            }
            for copy in copies
        ]
        insert_or_replace(connection, deals, ("account", "deal_id"), rows)

    def amend(self, connection: Connection, deal_id: int, change: Callable[[DealRecord], DealRecord]) -> None:
        """Write down what the bridge itself changed on a deal; does nothing if the deal is not known here."""
        mine = (deals.c.account == self._account, deals.c.deal_id == deal_id)
        row = connection.execute(select(deals.c.record).where(*mine)).first()
        if row is None:
            return
        record = change(DealRecord.from_json(json.loads(row.record)))
        connection.execute(
            update(deals)
            .where(*mine)
            .values(
                pipeline_id=record.pipeline_id,
                status_id=record.status_id,
                updated_at=record.updated_at.timestamp(),
                record=json.dumps(record.to_json(), ensure_ascii=False),
            )
        )

    def forget(self, connection: Connection, deal_id: int) -> None:
        connection.execute(delete(deals).where(deals.c.account == self._account, deals.c.deal_id == deal_id))
