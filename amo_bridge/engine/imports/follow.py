"""What follows from a row that was written: the rules hear of it as of the bridge's own doing, the mirror knows it,
the deal's journal tells of it.

An imported deal has entered its stage all the same: rules about that stage act (a task for the manager, say), with
nobody as the mover. What an import changes on a deal is no news to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LossReason
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.writes import Written
from amo_bridge.engine.imports.records import Import, Kept
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.timetable import Timetable
from amo_bridge.engine.write_results import Aftermath
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage.database import Store


class Follower:
    """``timetable``: by it the deals' steps follow what was written."""

    def __init__(
        self, store: Store, key: int, clock: Clock, account_clock: Clock, timetable: Callable[[], Timetable]
    ) -> None:
        self._timetable = timetable
        self._key = key
        self._clock = clock
        self._account_clock = account_clock
        self._aftermath = Aftermath(store, key, clock)
        self._journal = Journal(store, key)
        self._mirror = Mirror(store, key)

    def now(self) -> datetime:
        """By amoCRM's clock."""
        return self._account_clock.now()

    def made(self, connection: Connection, job: Import, row: Kept, body: Mapping[str, Any], written: Written) -> None:
        """A deal was created."""
        self._aftermath.of_all(connection, [(self._as_effect("create_deal", row, written.id, body), written)])
        self._tell(connection, job, written.id, f"создана: {row.row.why}; {row.row.sorted.why}")

    def changed(
        self, connection: Connection, job: Import, row: Kept, body: Mapping[str, Any], written: Written
    ) -> None:
        """A deal was patched."""
        self._patched(connection, self._as_effect("patch_deal", row, written.id, body), written)
        self._tell(connection, job, written.id, f"изменена: {row.row.why}; {row.row.sorted.why}")

    def undone(
        self,
        connection: Connection,
        job: Import,
        row: Kept,
        body: Mapping[str, Any],
        written: Written,
        reason: LossReason | None,
    ) -> None:
        """A deal was put back, as if nothing had happened to it, or closed for ``reason``: no rule hears of that."""
        self._patched(connection, self._as_effect("patch_deal", row, written.id, body, back=True), written)
        if reason and body.get("loss_reason_id") == reason.id:
            self._mirror.amend(
                connection, written.id, lambda deal: replace(deal, loss_reason=reason.name, loss_reason_id=reason.id)
            )
        self._tell(connection, job, written.id, "загрузка отменена")

    def _patched(self, connection: Connection, effect: Sendable, written: Written) -> None:
        self._aftermath.of_all(connection, [(effect, written)])
        self._aftermath.plan(connection, self._timetable(), [effect])

    def _as_effect(
        self, kind: str, row: Kept, deal_id: int, body: Mapping[str, Any], *, back: bool = False
    ) -> Sendable:
        """As the outbox would have sent it."""
        now = self._account_clock.now().timestamp()
        payload = {"body": dict(body), "rolls_back": back, "not_before": now}
        return Sendable(row.id, "", deal_id, kind, payload, attempts=0, created_at=now)

    def _tell(self, connection: Connection, job: Import, deal_id: int, words: str) -> None:
        what = f"загрузка вебинара № {job.id} ({job.held_on:%d.%m.%Y})"
        self._journal.note(connection, self._clock.now(), deal_id, what, words)


def before(record: DealRecord, body: Mapping[str, Any]) -> dict[str, Any]:
    """What a patch is about to change, as it was; and what it writes, to see later if that still stands."""
    fields = {str(one["field_id"]): one for one in body.get("custom_fields_values") or ()}
    return {
        "fields": {number: list(record.fields.get(int(number), ())) for number in fields},
        "wrote": {number: [value["value"] for value in one["values"] or ()] for number, one in fields.items()},
        "stage": [record.pipeline_id, record.status_id],
        "moved": [body["pipeline_id"], body["status_id"]] if "status_id" in body else None,
        "tags": [tag["name"] for tag in body.get("tags_to_add") or ()],
    }
