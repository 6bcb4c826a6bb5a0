"""Own deals: what rules created of a deal, known by the store, or by the link fields of both deals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from amo_bridge.crm.reads import deals_by_ids
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.data_sources import SourceContext
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.engine.people import DEAL_ADDRESS
from amo_bridge.errors import UnknownName
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.options import CarryOver
from amo_bridge.storage.database import chunks
from amo_bridge.storage.tables import made


@dataclass(frozen=True)
class LinkedDeal:
    """A deal whose address stands in a field of another one. ``points_back``: its same field has the other's address;
    ``is_later``: it was made after the other."""

    address: str
    field_id: int
    pipeline_id: int
    points_back: bool
    is_later: bool


@dataclass(frozen=True)
class OwnDeals:
    """The deals that rules created from a deal, so that a rule creates them once. From the store.

    Found are (rule's name, address), a rule sees the addresses of its own. A store that was restored has forgotten what
    was created after the copy: then the link field is believed, if both deals carry it, and the later one is in the
    pipeline in which the rule creates deals.
    """

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[tuple[str, str] | LinkedDeal]]:
        if self.context.store is None:
            return {}
        query = select(made.c.rule, made.c.deal_id, made.c.entity_id).order_by(made.c.id)
        created = (self.context.store.owns(made), made.c.kind == "create_deal")
        found: dict[int, list[tuple[str, str] | LinkedDeal]] = {}
        with self.context.store.read() as connection:
            for chunk in chunks([deal.id for deal in deals]):
                for row in connection.execute(query.where(*created, made.c.deal_id.in_(chunk))):
                    address = deal_url(self.context.client.url, row.entity_id)
                    found.setdefault(row.deal_id, []).append((row.rule, address))
        for deal_id, linked in self._linked(deals).items():
            found.setdefault(deal_id, []).extend(linked)
        return found

    def for_rule(self, found: Sequence[tuple[str, str] | LinkedDeal], rule: Rule) -> tuple[str, ...]:
        own = tuple(one[1] for one in found if isinstance(one, tuple) and one[0] == rule.name)
        if own or not isinstance(rule.options, CarryOver) or rule.options.link_field is None:
            return own
        try:
            field_id = self.context.account.field(rule.options.link_field).id
            pipeline_id = self.context.account.stage(rule.options.to_stage).pipeline_id
        except UnknownName:
            return own
        return tuple(
            one.address
            for one in found
            if isinstance(one, LinkedDeal)
            and (one.field_id, one.pipeline_id) == (field_id, pipeline_id)
            and one.points_back
            and one.is_later
        )

    def _linked(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[LinkedDeal]]:
        links = [(deal, field_id, other) for deal in deals for field_id, other in _linked_ids(deal) if other != deal.id]
        if not links:
            return {}
        is_filtered = self.context.account.is_api_filter_enabled
        others = deals_by_ids(self.context.client, {other for *_, other in links}, is_filtered)
        found: dict[int, list[LinkedDeal]] = {}
        for deal, field_id, number in links:
            if (other := others.get(number)) and not other.is_deleted:
                points_back = (field_id, deal.id) in _linked_ids(other)
                is_later = (other.created_at, other.id) > (deal.created_at, deal.id)
                address = deal_url(self.context.client.url, number)
                linked = LinkedDeal(address, field_id, other.pipeline_id, points_back, is_later)
                found.setdefault(deal.id, []).append(linked)
        return found


def _linked_ids(deal: DealRecord) -> list[tuple[int, int]]:
    """(field's id, deal's id) of the addresses of deals that stand in a deal's fields."""
    texts = (
        (field_id, value) for field_id, values in deal.fields.items() for value in values if isinstance(value, str)
    )
    return [(field_id, int(address[1])) for field_id, text in texts if (address := DEAL_ADDRESS.search(text))]
