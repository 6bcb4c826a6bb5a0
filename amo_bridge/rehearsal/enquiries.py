"""Enquiries of the past weeks, brought into a rehearsal on the same weekday at the same time.

What was under way when the rehearsal begins is judged at once. What is settled is known: who has a deal by it has one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import Enquiry, PbxCall, from_json
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import OPEN_ENQUIRY_STATES, enquiries

WEEK = timedelta(days=7)
WEEKS_BACK = 13
"""Older ones are not taken along; of a longer rehearsal only the first weeks have enquiries."""
Row = dict[str, Any]
_CARRIED = ("kind", "source", "key", "received_at", "body", "state", "contact_id", "deal_id")
AGAIN = "again:"


def recalled_enquiries(store: AccountStore, now: datetime, deal_id: int | None = None) -> list[Row]:
    """Enquiries and calls of the last weeks; with ``deal_id`` those of this deal. Raises StoreUnavailable."""
    since = (now - WEEKS_BACK * WEEK).timestamp()
    wanted = [store.owns(enquiries), enquiries.c.received_at >= since, enquiries.c.kind.in_(("enquiry", "call"))]
    if deal_id is not None:
        wanted.append(enquiries.c.deal_id == deal_id)
    query = select(*(enquiries.c[name] for name in _CARRIED)).where(*wanted).order_by(enquiries.c.id)
    with store.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def bring_enquiries(
    store: AccountStore, clock: Clock, home: str, rows: Sequence[Mapping[str, Any]], days: float
) -> None:
    """Put them into the store of a rehearsal of so many days that begins now. Raises StoreUnavailable."""
    repository = EnquiryRepository(store, clock, home)
    now = clock.now().timestamp()
    with store.write() as connection:
        for row in rows:
            outcome = from_json(row["kind"], json.loads(row["body"]))
            is_open = row["state"] in OPEN_ENQUIRY_STATES and not _wants_more(outcome)
            repository.add(
                connection,
                outcome,
                request_id=None,
                received_at=row["received_at"],
                state="new" if is_open else "done",
            )
            known = enquiries.c.source == outcome.source, enquiries.c.key == outcome.key
            settled = {"contact_id": row["contact_id"], "deal_id": row["deal_id"]} if not is_open else {}
            connection.execute(enquiries.update().where(store.owns(enquiries), *known).values(**settled, due_at=now))
        for at, row in _returning(rows, now, days):
            outcome = from_json(row["kind"], {**json.loads(row["body"]), "key": f"{AGAIN}{row['key']}"})
            if repository.add(connection, outcome, request_id=None, received_at=at):
                known = enquiries.c.source == outcome.source, enquiries.c.key == outcome.key
                connection.execute(enquiries.update().where(store.owns(enquiries), *known).values(due_at=at))


def _returning(rows: Sequence[Mapping[str, Any]], now: float, days: float) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """(when, what) of those that come once more within the rehearsal."""
    later = min(math.ceil(days / WEEK.days), WEEKS_BACK) * WEEK.total_seconds()
    for row in rows:
        at = float(row["received_at"]) + later
        is_known = row["state"] in OPEN_ENQUIRY_STATES
        if now <= at < now + days * 86400 and not is_known:
            outcome = from_json(row["kind"], json.loads(row["body"]))
            if not _wants_more(outcome):
                yield at, row


def _wants_more(outcome: Enquiry | PbxCall) -> bool:
    """Its vendor would have to be asked for the rest, and a rehearsal asks nobody."""
    return isinstance(outcome, Enquiry) and outcome.fetch is not None
