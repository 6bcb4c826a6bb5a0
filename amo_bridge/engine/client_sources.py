"""Data sources about a client beyond the deal: his other deals, the tasks on his cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from amo_bridge.crm.reads import deals_by_ids, open_tasks_of_contacts, tasks_of_deals
from amo_bridge.crm.records import ContactRecord, DealRecord, TaskRecord
from amo_bridge.engine.data_sources import ContactSteps, SourceContext, created_tasks
from amo_bridge.engine.deal_view import deal_url, task_view
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.rules.deal import OtherDeal, Task
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.tables import made


@dataclass(frozen=True)
class OtherDeals:
    """The other deals of a deal's main contact, read afresh. Whoever else is on a deal, a blogger on dozens of them, is
    not the client."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[OtherDeal]]:
        client, enabled = self.context.client, self.context.account.is_api_filter_enabled
        others = {
            deal_id: {other for card in cards for other in card.deal_ids if other != deal_id}
            for deal_id, cards in self._cards(deals).items()
        }
        records = deals_by_ids(client, {other for ids in others.values() for other in ids}, filter_enabled=enabled)
        return {
            deal.id: [self._view(records[other], deal) for other in sorted(others[deal.id]) if other in records]
            for deal in deals
        }

    def _cards(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[ContactRecord]]:
        """The client's cards, for each deal."""
        contacts = _main_contacts(self.context, deals)
        return {deal.id: [contacts[main]] if (main := deal.main_contact_id or 0) in contacts else [] for deal in deals}

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
        return {deal.id: _views(found.get(deal.main_contact_id or 0, ()), deal, self.context) for deal in deals}

    def for_rule(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return tuple(found)


@dataclass(frozen=True)
class PeopleSteps(ContactSteps):
    """The steps that fell due on other deals of all the deal's contacts."""

    def _people(self, deal: DealRecord) -> Sequence[int]:
        return deal.contact_ids


# --- one person on several cards --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PersonDeals(OtherDeals):
    """The other deals of the main contact and of every other card of the same person."""

    def _cards(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[ContactRecord]]:
        return _cards_of_person(self.context, deals)


@dataclass(frozen=True)
class PersonTasks:
    """The open tasks that people have set on the person's other cards and other deals: all but those on the deal itself
    and on the main contact's card. What a rule has set goes with its deal, whose owner is known."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Task]]:
        cards = _cards_of_person(self.context, deals)
        main = {deal.id: deal.main_contact_id for deal in deals}
        every = [card for own in cards.values() for card in own]
        on_contacts = open_tasks_of_contacts(self.context.client, {card.id for card in every})
        deal_ids = {deal_id for card in every for deal_id in card.deal_ids}
        on_deals = tasks_of_deals(self.context.client, deal_ids, are_completed=False)
        found: dict[int, list[TaskRecord]] = {}
        for deal_id, own in cards.items():
            others = sorted({other for card in own for other in card.deal_ids if other != deal_id})
            tasks = [
                *(task for card in own if card.id != main[deal_id] for task in on_contacts.get(card.id, ())),
                *(task for other in others for task in on_deals.get(other, ())),
            ]
            found[deal_id] = tasks
        ids = [task.id for tasks in found.values() for task in tasks]
        by_rules = {row.entity_id for row in created_tasks(self.context, made.c.entity_id, ids)}
        return {
            deal.id: _views((task for task in found.get(deal.id, ()) if task.id not in by_rules), deal, self.context)
            for deal in deals
        }

    def for_rule(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return tuple(found)


def _views(tasks: Iterable[TaskRecord], deal: DealRecord, context: SourceContext) -> list[Task]:
    """The tasks, with who their people are on this deal."""
    return [replace(task_view(task), responsible_is=context.names_of(task.responsible_user_id, deal)) for task in tasks]


def _main_contacts(context: SourceContext, deals: Sequence[DealRecord]) -> Mapping[int, ContactRecord]:
    people = {deal.main_contact_id for deal in deals if deal.main_contact_id}
    return context.contacts(people)


def _cards_of_person(context: SourceContext, deals: Sequence[DealRecord]) -> dict[int, list[ContactRecord]]:
    """Deal id → its main contact's card and every other one with a phone or an e-mail of his."""
    main = _main_contacts(context, deals)
    same = {contact_id: _same_person(context, card) for contact_id, card in main.items()}
    ids = {contact_id for found in same.values() for contact_id in found} - set(main)
    cards = {**context.contacts(ids), **main}
    return {
        deal.id: [cards[card_id] for card_id in same.get(deal.main_contact_id or 0, ()) if card_id in cards]
        for deal in deals
    }


def _same_person(context: SourceContext, card: ContactRecord) -> list[int]:
    """The cards of a person as far as the contact index knows them, his own first."""
    if context.store is None:
        return [card.id]
    known, index = MirroredContact.of(card), ContactIndex(context.store)
    found: Iterable[tuple[MirroredContact, ...]] = (
        *index.by_phones(known.phones).values(),
        *index.by_mails(known.mails).values(),
    )
    return list(dict.fromkeys([card.id, *(one.id for some in found for one in some)]))
