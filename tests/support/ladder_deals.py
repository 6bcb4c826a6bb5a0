"""Deals that were on a ladder's stage before the ladder was there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from amo_bridge.crm.records import DealRecord
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import schedules
from support.pages import Pages, agency

WARMING = "stage_ladder.warming"
NOW = datetime.now(UTC)


def two_are_waiting(pages: Pages) -> None:
    """Deals 7 and 8 have been on «Новый клиент» for five days."""
    pages.know_account(agency())
    stage = agency().stage("Продажи / Новый клиент")
    since = NOW - timedelta(days=5)
    records = [
        DealRecord(
            id=number,
            name=f"Сделка {name}",
            pipeline_id=stage.pipeline_id,
            status_id=stage.status_id,
            created_at=since,
            updated_at=since,
        )
        for number, name in ((7, "первая"), (8, "вторая"))
    ]
    with pages.office.store.write() as connection:
        mirror = Mirror(AccountStore(pages.office.store, pages.account.key))
        mirror.put(connection, [MirroredDeal(record, since) for record in records], NOW)


def begin(pages: Pages) -> None:
    """The rule was first switched on just now, when the deals had been there for days."""
    row = {"account": pages.account.key, "rule": WARMING, "since": NOW.timestamp(), "digest": "", "is_planned": 1}
    with pages.office.store.write() as connection:
        connection.execute(insert(schedules).values(row))
