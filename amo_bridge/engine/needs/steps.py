"""The steps of schedules that have fallen due on a deal: what a schedule has begun, and may have to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.needs.source import Ways
from amo_bridge.engine.timers import FIRED
from amo_bridge.mirror.contacts import known_contacts
from amo_bridge.rules.deal import DoneStep
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import chunks
from amo_bridge.storage.tables import timers

FiredStep = tuple[str, DoneStep]


@dataclass(frozen=True)
class OwnSteps:
    """Remembered by the bridge itself: amoCRM is not asked. Found are (rule's name, step), shown the rule's own."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[FiredStep]]:
        if self.ways.store is None:
            return {}
        with self.ways.store.read() as connection:
            return _fired(connection, self.ways.key, [deal.id for deal in deals])

    def shown(self, found: Sequence[FiredStep], rule: Rule) -> tuple[DoneStep, ...]:
        return _of_rule(found, rule)


@dataclass(frozen=True)
class ContactSteps:
    """Those of the other deals of the main contact, as far as the contacts' index knows them: no question either."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[FiredStep]]:
        if self.ways.store is None:
            return {}
        with self.ways.store.read() as connection:
            owners = {deal.main_contact_id for deal in deals if deal.main_contact_id}
            contacts = known_contacts(connection, self.ways.key, owners)
            fired = _fired(connection, self.ways.key, {one for each in contacts.values() for one in each.deal_ids})
        return {
            deal.id: [step for other in owner.deal_ids if other != deal.id for step in fired.get(other, ())]
            for deal in deals
            if (owner := contacts.get(deal.main_contact_id or 0))
        }

    def shown(self, found: Sequence[FiredStep], rule: Rule) -> tuple[DoneStep, ...]:
        return _of_rule(found, rule)


def _fired(connection: Connection, account: int, deal_ids: Iterable[int]) -> dict[int, list[FiredStep]]:
    query = select(timers).where(timers.c.account == account, timers.c.state == FIRED)
    found: dict[int, list[FiredStep]] = {}
    for chunk in chunks(sorted(deal_ids)):
        for row in connection.execute(query.where(timers.c.deal_id.in_(chunk)).order_by(timers.c.id)):
            found.setdefault(row.deal_id, []).append((row.rule, DoneStep(row.step, row.anchor, row.deal_id)))
    return found


def _of_rule(found: Sequence[FiredStep], rule: Rule) -> tuple[DoneStep, ...]:
    return tuple(step for name, step in found if name == rule.name)
