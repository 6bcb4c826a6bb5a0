"""The text notes on a deal's card, those of its people and its company left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amo_bridge.crm.reads import notes_of
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.needs.source import Ways
from amo_bridge.rules.deal import Note
from amo_bridge.rules.handler import Rule


@dataclass(frozen=True)
class DealNotes:
    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Note]]:
        found: dict[int, list[Note]] = {deal.id: [] for deal in deals}
        for note in notes_of(self.ways.client, "leads", found, ("common",)):
            view = Note(id=note.id, text=note.text, at=note.created_at, user_id=note.created_by)
            found[note.entity_id or 0].append(view)
        return found

    def shown(self, found: Sequence[Note], rule: Rule) -> tuple[Note, ...]:
        return tuple(found)
