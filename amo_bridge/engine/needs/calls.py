"""The calls with a deal's people, from the notes on their cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from amo_bridge.card import Call
from amo_bridge.crm.entities import DealRecord, NoteRecord
from amo_bridge.crm.reading import notes_of
from amo_bridge.crm.values import integer
from amo_bridge.engine.needs.source import Ways
from amo_bridge.rules import Rule

CALL_NOTES = ("call_in", "call_out")
Card = tuple[str, int]
CARDS: Mapping[str, str] = {"leads": "deal", "contacts": "contact", "companies": "company"}


@dataclass(frozen=True)
class DealCalls:
    """amoCRM writes a call to the deal if the person has one open deal, else to the person (amoCRM docs, calls-api):
    so the cards of the deal, of its contacts and of its company are read."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Call]]:
        cards = {deal.id: _cards_of(deal) for deal in deals}
        calls = self._by_card({card for some in cards.values() for card in some})
        return {
            deal_id: sorted(
                (call for card in some for call in calls.get(card, ())), key=lambda call: (call.at, call.id)
            )
            for deal_id, some in cards.items()
        }

    def shown(self, found: Sequence[Call], rule: Rule) -> tuple[Call, ...]:
        return tuple(found)

    def _by_card(self, cards: Iterable[Card]) -> dict[Card, list[Call]]:
        ids: dict[str, set[int]] = {}
        for kind, number in cards:
            ids.setdefault(kind, set()).add(number)
        found: dict[Card, list[Call]] = {}
        for kind, numbers in sorted(ids.items()):
            for note in notes_of(self.ways.client, kind, numbers, CALL_NOTES):
                found.setdefault((kind, note.entity_id or 0), []).append(_view(note, CARDS[kind]))
        return found


def _cards_of(deal: DealRecord) -> list[Card]:
    company = [("companies", deal.company_id)] if deal.company_id else []
    return [("leads", deal.id), *(("contacts", number) for number in deal.contact_ids), *company]


def _when(call: Call) -> tuple[datetime, int]:
    return call.at, call.id


def _view(note: NoteRecord, on: str) -> Call:
    params = note.params
    return Call(
        id=note.id,
        direction="in" if note.note_type == "call_in" else "out",
        at=note.created_at,
        seconds=max(integer(params.get("duration")) or 0, 0),
        link=params.get("link") or None,
        phone=str(params["phone"]) if params.get("phone") else None,
        user_id=note.created_by or note.responsible_user_id or None,
        status=integer(params.get("call_status")),
        result=params.get("call_result") or None,
        on=on,
    )
