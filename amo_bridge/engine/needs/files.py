"""The files of a deal: those in notes, those in the card's file tab, those kept in fields.

amoCRM knows three kinds of attachments (amoCRM docs, files-capabilities): a note, a link of the card, and a field. One
file may be all three; it is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from amo_bridge.crm.reads import file_ids_of_deal, files_by_ids, notes_of
from amo_bridge.crm.records import DealRecord, NoteRecord
from amo_bridge.crm.values import integer, moment
from amo_bridge.engine.needs.source import Ways
from amo_bridge.errors import CrmForbidden
from amo_bridge.rules.deal import AttachedFile
from amo_bridge.rules.handler import Rule

log = structlog.get_logger()


@dataclass(frozen=True)
class DealFiles:
    """Notes are read for all deals at once; the card's own list costs a request for each deal."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[AttachedFile]]:
        found: dict[int, list[AttachedFile]] = {deal.id: list(_in_fields(deal)) for deal in deals}
        for note in notes_of(self.ways.client, "leads", found, ("attachment",)):
            found[note.entity_id or 0].append(_of_note(note))
        try:
            self._add_linked(found)
        except CrmForbidden as error:
            # The token was made without the right to files (scope): what the notes tell is all there is.
            log.warning("files of cards can't be read", error=str(error))
        return {deal_id: _each_once(files) for deal_id, files in found.items()}

    def shown(self, found: Sequence[AttachedFile], rule: Rule) -> tuple[AttachedFile, ...]:
        return tuple(found)

    def _add_linked(self, found: Mapping[int, list[AttachedFile]]) -> None:
        missing: dict[int, list[str]] = {}
        for deal_id, files in found.items():
            known = {one.uuid for one in files}
            missing[deal_id] = [one for one in file_ids_of_deal(self.ways.client, deal_id) if one not in known]
        wanted = [one for some in missing.values() for one in some]
        rows = files_by_ids(self.ways.client, self.ways.account.drive_url, wanted)
        for deal_id, some in missing.items():
            found[deal_id] += [_of_row(rows[one]) for one in some if one in rows]


def _in_fields(deal: DealRecord) -> Iterable[AttachedFile]:
    for values in deal.fields.values():
        for value in values:
            if isinstance(value, Mapping) and value.get("file_uuid"):
                yield AttachedFile(name=str(value.get("file_name") or ""), uuid=str(value["file_uuid"]))


def _of_note(note: NoteRecord) -> AttachedFile:
    params = note.params
    other = str(params.get("file_name") or "")
    return AttachedFile(
        name=str(params.get("original_name") or params.get("text") or other),
        uuid=str(params["file_uuid"]) if params.get("file_uuid") else None,
        other_name=other,
        at=note.created_at,
        user_id=note.created_by or None,
    )


def _of_row(row: Mapping[str, Any]) -> AttachedFile:
    author = row.get("created_by")
    return AttachedFile(
        name=str(row.get("name") or ""),
        uuid=str(row["uuid"]),
        other_name=str(row.get("sanitized_name") or ""),
        at=moment(row.get("created_at")),
        user_id=integer(author.get("id")) if isinstance(author, Mapping) else None,
    )


def _each_once(files: Iterable[AttachedFile]) -> list[AttachedFile]:
    """One file under one uuid; the copy that tells most (a note's) counts. Oldest first; those without a time lead."""
    told = sorted(files, key=lambda one: one.at is None)
    by_uuid = {one.uuid: one for one in reversed(told) if one.uuid}
    kept = [one for one in told if one.uuid is None or by_uuid[one.uuid] is one]
    return sorted(kept, key=lambda one: one.at.timestamp() if one.at else 0.0)
