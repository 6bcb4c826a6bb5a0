"""The touches of a deal: those on its own card and those on its people's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.needs.source import Ways
from amo_bridge.mirror.touches import Card, TouchLog, in_order
from amo_bridge.rules.deal import Touch, Touches
from amo_bridge.rules.handler import Rule


@dataclass(frozen=True)
class DealTouches:
    """From the store: amoCRM has no list of touches. A call on a contact's own card counts for all his deals."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Touch]]:
        if self.ways.store is None:
            return {}
        cards = {deal.id: _cards_of(deal) for deal in deals}
        log = TouchLog(self.ways.store, self.ways.key, self.ways.account.current_user_id)
        found = log.on(card for some in cards.values() for card in some)
        return {deal_id: in_order(found, some) for deal_id, some in cards.items()}

    def shown(self, found: Sequence[Touch], rule: Rule) -> Touches:
        return Touches(found)


def _cards_of(deal: DealRecord) -> list[Card]:
    company = [("company", deal.company_id)] if deal.company_id else []
    return [("deal", deal.id), *(("contact", number) for number in deal.contact_ids), *company]
