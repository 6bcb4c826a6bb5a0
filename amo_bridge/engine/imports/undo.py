"""Taking an import back. amoCRM's API can't delete deals: those that were made are closed, with a reason and a tag.

What a person has changed since stays as he left it, and is told of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from amo_bridge.crm.account import LOST
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import deals_by_ids
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.writes import Written
from amo_bridge.engine.imports.book import ImportBook
from amo_bridge.engine.imports.deliver import AT_ONCE, Deliverer, Settle
from amo_bridge.engine.imports.drafting import Drafting
from amo_bridge.engine.imports.follow import Follower
from amo_bridge.engine.imports.records import Import, Kept

CONTACT_STAYS = "контакт остался: удалить его через API нельзя"


class Undo:
    def __init__(
        self,
        book: ImportBook,
        deliverer: Deliverer,
        follower: Follower,
        client: CrmClient,
        drafting: Drafting,
    ) -> None:
        self._book = book
        self._deliverer = deliverer
        self._follower = follower
        self._client = client
        self._account = drafting.account
        self._options = drafting.options
        self._loader = drafting.loader
        reason = drafting.options.undo_reason
        self._reason = self._account.loss_reason(reason) if reason else None

    def look(self, job: Import) -> bool:
        """A patch says what is to be: a lost one is simply judged anew, on a fresh read."""
        return self._book.again(job.id, "undo")

    def step(self, job: Import) -> bool:
        """One request's worth of rows."""
        rows = self._book.due(job.id, "undo", "ready", AT_ONCE)
        if not rows:
            return False
        wanted = [row.deal_id for row in rows if row.deal_id]
        fresh = deals_by_ids(self._client, wanted, filter_enabled=self._account.is_api_filter_enabled)
        bodies: dict[int, dict[str, Any]] = {}
        notes: dict[int, str] = {}
        with self._book.writing() as connection:
            for row in rows:
                body, note = self._back(row, fresh.get(row.deal_id or 0))
                if row.contact_was is not None:
                    # What could not be taken off his contact was said a step ago.
                    note = "; ".join(filter(None, (row.note, note)))
                notes[row.id] = note
                if len(body) > 1:
                    bodies[row.id] = body
                else:
                    self._book.mark(connection, [row.id], state="kept" if note else "undone", note=note)
        self._deliverer.send("patch_deal", bodies, self._settled(job, rows, bodies, notes))
        return True

    def _back(self, row: Kept, record: DealRecord | None) -> tuple[dict[str, Any], str]:
        """(patch, what can't be taken back)."""
        if record is None:
            return {}, "сделки больше нет в amoCRM"
        return self._close(row, record) if row.before is None else self._restore(row.before, record)

    def _close(self, row: Kept, record: DealRecord) -> tuple[dict[str, Any], str]:
        """A deal that the import made: closed, unless somebody has begun to work with it."""
        made_on = self._account.stage(row.row.to_stage or "")
        if record.status_id == LOST and self._options.undo_tag in record.tags:
            return {}, ""
        if (record.pipeline_id, record.status_id) != made_on.key:
            now = self._account.stage_of(record.pipeline_id, record.status_id)
            return {}, f"сделку уже перевели на «{now.name}»"
        if record.responsible_user_id != self._loader:
            name = next((user.name for user in self._account.users if user.id == record.responsible_user_id), "другой")
            return {}, f"сделку уже взял {name}"
        body: dict[str, Any] = {
            "id": record.id, "pipeline_id": record.pipeline_id, "status_id": LOST,
            "tags_to_add": [{"name": self._options.undo_tag}],
        }  # fmt: skip
        if self._reason:
            body["loss_reason_id"] = self._reason.id
        return body, CONTACT_STAYS if row.made_contact else ""

    def _restore(self, before: Mapping[str, Any], record: DealRecord) -> tuple[dict[str, Any], str]:
        """A deal that the import changed: each change is put back that still stands."""
        body: dict[str, Any] = {"id": record.id}
        kept = []
        fields = []
        for number, wrote in before["wrote"].items():
            now = [str(value) for value in record.fields.get(int(number), ())]
            old = before["fields"][number]
            if now == [str(value) for value in wrote]:
                fields.append({"field_id": int(number), "values": [{"value": value} for value in old] or None})
            elif now != [str(value) for value in old]:
                kept.append(f"поле «{self._field(int(number))}» изменили после загрузки")
        if fields:
            body["custom_fields_values"] = fields
        if tags := [tag for tag in before["tags"] if tag in record.tags]:
            body["tags_to_delete"] = [{"name": tag} for tag in tags]
        if before["moved"]:
            stage = [record.pipeline_id, record.status_id]
            if stage == before["moved"]:
                body |= {"pipeline_id": before["stage"][0], "status_id": before["stage"][1]}
            elif stage != before["stage"]:
                kept.append(f"сделку уже перевели на «{self._account.stage_of(*stage).name}»")
        return body, "; ".join(kept)

    def _field(self, number: int) -> str:
        return next((field.name for field in self._account.fields() if field.id == number), str(number))

    def _settled(
        self,
        job: Import,
        rows: Sequence[Kept],
        bodies: Mapping[int, Mapping[str, Any]],
        notes: Mapping[int, str],
    ) -> Settle:
        by_id = {row.id: row for row in rows}

        def settled(connection: Connection, written: Mapping[int, Written]) -> None:
            for number, one in written.items():
                self._book.mark(connection, [number], state="undone", note=notes[number])
                self._follower.undone(connection, job, by_id[number], bodies[number], one, self._reason)

        return settled
