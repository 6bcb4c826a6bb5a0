"""Sources of what rules need about the client beyond the deal: his other deals, the tasks on his own card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amo_bridge.crm.reads import contacts_by_ids, deals_by_ids, open_tasks_of_contacts
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.data_sources import SourceContext
from amo_bridge.engine.deal_view import deal_url, task_view
from amo_bridge.rules.deal import OtherDeal, Task
from amo_bridge.rules.handler import Rule


@dataclass(frozen=True)
class OtherDeals:
    """The other deals of a deal's main contact, read afresh. Whoever else is on a deal, a blogger on dozens of them, is
    not the client."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[OtherDeal]]:
        client, enabled = self.context.client, self.context.account.is_api_filter_enabled
        people = {deal.main_contact_id for deal in deals if deal.main_contact_id}
        contacts = contacts_by_ids(client, people, filter_enabled=enabled)
        ids = {deal_id for contact in contacts.values() for deal_id in contact.deal_ids}
        records = deals_by_ids(client, ids, filter_enabled=enabled)
        found: dict[int, list[OtherDeal]] = {}
        for deal in deals:
            contact = contacts.get(deal.main_contact_id or 0)
            others = [records[other] for other in contact.deal_ids if other in records] if contact else []
            found[deal.id] = [self._view(other, deal) for other in others if other.id != deal.id]
        return found

    def for_rule(self, found: Sequence[OtherDeal], rule: Rule) -> tuple[OtherDeal, ...]:
        return tuple(sorted(found, key=lambda other: (other.created_at, other.id), reverse=True))

    def _view(self, record: DealRecord, deal: DealRecord) -> OtherDeal:
        user_id = record.responsible_user_id
        return OtherDeal(
            id=record.id,
            name=record.name,
            url=deal_url(self.context.client.url, record.id),
            stage=self.context.account.stage_of(record.pipeline_id, record.status_id),
            responsible_user_id=user_id,
            responsible_is=self.context.names_of(user_id, record),
            created_at=record.created_at,
            is_newer=(record.created_at, record.id) > (deal.created_at, deal.id),
        )


@dataclass(frozen=True)
class ContactTasks:
    """The open tasks on the card of a deal's main contact, people's too."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Task]]:
        people = {deal.main_contact_id for deal in deals if deal.main_contact_id}
        found = open_tasks_of_contacts(self.context.client, people)
        return {deal.id: [task_view(task) for task in found.get(deal.main_contact_id or 0, ())] for deal in deals}

    def for_rule(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return tuple(found)
