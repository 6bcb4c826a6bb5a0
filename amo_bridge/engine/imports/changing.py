"""Open deals of people who came again: figures updated, moved where the regulation moves them (W3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import deals_by_ids
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.writes import Written
from amo_bridge.engine.imports.bodies import BodyMaker
from amo_bridge.engine.imports.book import ImportBook
from amo_bridge.engine.imports.deliver import AT_ONCE, Deliverer, Settle
from amo_bridge.engine.imports.drafting import Drafting
from amo_bridge.engine.imports.follow import Follower, before
from amo_bridge.engine.imports.records import Import, Kept
from amo_bridge.webinars.open_deal import of_open_deal
from amo_bridge.webinars.plan import Known

GONE = "сделки больше нет в работе"


class Changing:
    def __init__(
        self,
        book: ImportBook,
        deliverer: Deliverer,
        follower: Follower,
        client: CrmClient,
        drafting: Drafting,
        make: BodyMaker,
    ) -> None:
        self._book = book
        self._deliverer = deliverer
        self._follower = follower
        self._client = client
        self._drafting = drafting
        self._make = make

    def look(self, job: Import) -> bool:
        """A patch says what is to be: a lost one is simply judged anew, on a fresh read."""
        return self._book.again(job.id, "patch")

    def step(self, job: Import) -> bool:
        """One request's worth, judged by a fresh read: since the preview a manager may have taken, moved or closed the
        deal."""
        rows = self._book.due(job.id, "patch", "ready", AT_ONCE)
        if not rows:
            return False
        wanted = [row.deal_id for row in rows if row.deal_id]
        fresh = deals_by_ids(self._client, wanted, filter_enabled=self._drafting.is_filter_enabled)
        bodies = {}
        with self._book.writing() as connection:
            for row in rows:
                body, why_not = self._wanted(row, fresh.get(row.deal_id or 0))
                if len(body) > 1:
                    bodies[row.id] = body
                    if row.before is None:
                        self._book.remember(connection, row.id, before(fresh[body["id"]], body))
                else:
                    told = "; ".join(filter(None, (row.note, why_not)))
                    self._book.mark(connection, [row.id], state="skipped" if why_not else "done", note=told)
        self._deliverer.send("patch_deal", bodies, self._settled(job, rows, bodies))
        return True

    def _wanted(self, row: Kept, record: DealRecord | None) -> tuple[dict[str, Any], str]:
        """(patch, why nothing is to be done)."""
        deal = self._drafting.view(record) if record else None
        if record is None or deal is None or deal.stage.is_won or deal.stage.is_lost:
            return {}, GONE
        known = Known(loader=self._drafting.loader, opt_out_tag=self._drafting.opt_out_tag)
        now = of_open_deal(row.row, deal, known, self._drafting.options)
        return ({}, now.why) if now.what == "nothing" else (self._make.patch(now, record), "")

    def _settled(self, job: Import, rows: Sequence[Kept], bodies: Mapping[int, Mapping[str, Any]]) -> Settle:
        by_id = {row.id: row for row in rows}

        def settled(connection: Connection, written: Mapping[int, Written]) -> None:
            for number, one in written.items():
                self._book.mark(connection, [number], state="done")
                self._follower.changed(connection, job, by_id[number], bodies[number], one)

        return settled
