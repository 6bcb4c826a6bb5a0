"""Data loader: reads what rules need besides the deal, only where a rule looks.

It is read for all such deals of a batch at once. Rules are pure, so they can be evaluated early on deals where nothing
of this is loaded: a rule that looks raises ``NotLoaded`` there, and the loader learns what to expect before the rules
are evaluated for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from amo_bridge.crm.reads import contacts_by_ids, deals_by_ids, open_tasks_of_contacts
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.data_sources import (
    CardTasks,
    ContactSteps,
    DealBloggers,
    DealCalls,
    DealContacts,
    DealFiles,
    DealNotes,
    DealTouches,
    OwnActs,
    OwnSteps,
    OwnTasks,
    Source,
    SourceContext,
)
from amo_bridge.engine.deal_view import deal_url, task_view
from amo_bridge.engine.own_deals import OwnDeals
from amo_bridge.rules.deal import DataNeed, Deal, Missing, OtherDeal, Task
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
        return {
            deal.id: [
                replace(task_view(task), responsible_is=self.context.names_of(task.responsible_user_id, deal))
                for task in found.get(deal.main_contact_id or 0, ())
            ]
            for deal in deals
        }

    def for_rule(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return tuple(found)


SOURCES: Mapping[DataNeed, Callable[[SourceContext], Source]] = {
    "own_tasks": OwnTasks,
    "own_deals": OwnDeals,
    "own_steps": OwnSteps,
    "own_acts": OwnActs,
    "contact_steps": ContactSteps,
    "open_tasks": lambda context: CardTasks(context, are_completed=False),
    "finished_tasks": lambda context: CardTasks(context, are_completed=True),
    "calls": DealCalls,
    "files": DealFiles,
    "contacts": DealContacts,
    "bloggers": DealBloggers,
    "notes": DealNotes,
    "touches": DealTouches,
    "other_deals": OtherDeals,
    "contact_tasks": ContactTasks,
}


class DataLoader:
    """``records``: the deals of this batch. Each need is read once; what was not expected is read by itself."""

    def __init__(self, context: SourceContext, records: Mapping[int, DealRecord]) -> None:
        self._context = context
        self._records = records
        self._expected: dict[DataNeed, set[int]] = {}
        self._found: dict[DataNeed, dict[int, Sequence[Any]]] = {}

    def expect(self, needs: Iterable[DataNeed], deal_id: int) -> None:
        """Some rule is going to need this."""
        for need in needs:
            self._expected.setdefault(need, set()).add(deal_id)

    def expected(self, deal_id: int) -> set[DataNeed]:
        """What is going to be needed for this deal and is not loaded yet."""
        return {need for need, deal_ids in self._expected.items() if deal_id in deal_ids}

    def loaded(self, rule: Rule, deal: Deal) -> Deal:
        """The deal with what has been loaded so far of what the rule needs; the rest is ``Missing``."""
        if not rule.handler.needs:
            return deal
        values: dict[str, Any] = {need: self._value(need, rule, deal.id) for need in rule.handler.needs}
        return replace(deal, **values)

    def load(self, rule: Rule, deal: Deal) -> Deal:
        """The deal with everything that the rule needs. Raises CrmError, StoreUnavailable."""
        for need in sorted(rule.handler.needs):
            if deal.id not in self._found.get(need, {}):
                self._read(need, self._expected.pop(need, set()) | {deal.id})
        return self.loaded(rule, deal)

    def _value(self, need: DataNeed, rule: Rule, deal_id: int) -> tuple[Any, ...]:
        found = self._found.get(need, {})
        return SOURCES[need](self._context).for_rule(found[deal_id], rule) if deal_id in found else Missing(need)

    def _read(self, need: DataNeed, deal_ids: Iterable[int]) -> None:
        found = self._found.setdefault(need, {})
        records = [self._records[deal_id] for deal_id in sorted(deal_ids) if deal_id in self._records]
        new = [record for record in records if record.id not in found]
        rows = SOURCES[need](self._context).read(new)
        found |= {record.id: rows.get(record.id, ()) for record in new}
