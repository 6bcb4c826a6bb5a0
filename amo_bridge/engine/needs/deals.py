"""The deals that rules made of a deal: how a rule finds out that what it makes once is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.needs.source import Ways
from amo_bridge.engine.view import deal_url
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import chunks
from amo_bridge.storage.tables import made


@dataclass(frozen=True)
class OwnDeals:
    """Remembered by the bridge itself: amoCRM is not asked. Found are (rule's name, address), shown the addresses."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[tuple[str, str]]]:
        if self.ways.store is None:
            return {}
        query = select(made.c.rule, made.c.deal_id, made.c.entity_id).order_by(made.c.id)
        mine = (made.c.account == self.ways.key, made.c.kind == "create_deal")
        found: dict[int, list[tuple[str, str]]] = {}
        with self.ways.store.read() as connection:
            for chunk in chunks([deal.id for deal in deals]):
                for row in connection.execute(query.where(*mine, made.c.deal_id.in_(chunk))):
                    address = deal_url(self.ways.client.url, row.entity_id)
                    found.setdefault(row.deal_id, []).append((row.rule, address))
        return found

    def shown(self, found: Sequence[tuple[str, str]], rule: Rule) -> tuple[str, ...]:
        return tuple(address for name, address in found if name == rule.name)
