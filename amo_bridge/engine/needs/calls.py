"""The calls with a deal's people, from the notes on their cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from amo_bridge.crm.reads import notes_of
from amo_bridge.crm.records import DealRecord, NoteRecord
from amo_bridge.crm.values import integer
from amo_bridge.engine.needs.source import Ways
from amo_bridge.rules.deal import Call
from amo_bridge.rules.handler import Rule

CALL_NOTES = ("call_in", "call_out")
Card = tuple[str, int]
# An integration that writes a call on two cards does so at once; nobody calls the same number twice so soon.
AT_ONCE = timedelta(minutes=2)
CARDS: Mapping[str, str] = {"leads": "deal", "contacts": "contact", "companies": "company"}


@dataclass(frozen=True)
class DealCalls:
    """amoCRM writes a call to the deal if the person has one open deal, else to the person (amoCRM docs, calls-api):
    so the cards of the deal, of its contacts and of its company are read. A call that stands on two of them is one."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Call]]:
        cards = {deal.id: _cards_of(deal) for deal in deals}
        calls = self._by_card({card for some in cards.values() for card in some})
        return {
            deal_id: _each_once([call for card in some for call in calls.get(card, ())])
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


def _each_once(calls: Iterable[Call]) -> list[Call]:
    """Oldest first. Of a call that was written on several cards the one on the deal counts."""
    kept: list[Call] = []
    for call in sorted(calls, key=lambda call: (call.on != "deal", call.at, call.id)):
        if not any(_is_same(call, other) for other in kept):
            kept.append(call)
    return sorted(kept, key=lambda call: (call.at, call.id))


def _is_same(one: Call, other: Call) -> bool:
    """The same call on another card? The exchange's name for it alone does not tell: some give one name to all."""
    return one.on != other.on and abs(one.at - other.at) <= AT_ONCE and _marks(one) == _marks(other)


def _marks(call: Call) -> tuple[object, ...]:
    return call.direction, call.seconds, call.uniq, call.phone


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
        uniq=str(params["uniq"]) if params.get("uniq") else None,
        on=on,
    )
