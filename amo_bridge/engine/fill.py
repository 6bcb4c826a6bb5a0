"""The first fill of the mirror: every deal is read once, so that the first change seen is known as a change."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.entities import DealRecord
from amo_bridge.engine.mirror import Mirror, Mirrored
from amo_bridge.engine.store import Store

log = structlog.get_logger()
PAGE = 250


def fill(store: Store, account_key: int, client: CrmClient, clock: Clock) -> int:
    """Read all deals, page by page, into the mirror; returns how many. Deals that are there already are left alone."""
    mirror = Mirror(store, account_key)
    total = 0
    for page in _pages(client):
        known = mirror.get(record.id for record in page)
        new = [Mirrored(record, record.updated_at) for record in page if record.id not in known]
        with store.write() as connection:
            mirror.put(connection, new, clock.now())
        total += len(page)
        log.info("mirror is being filled", deals=total)
    return total


def _pages(client: CrmClient) -> Iterator[list[DealRecord]]:
    page: list[DealRecord] = []
    params = {"with": "contacts,loss_reason", "order": {"id": "asc"}}
    for row in client.pages("/api/v4/leads", params, "leads", limit=PAGE):
        page.append(DealRecord.from_api(row))
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
