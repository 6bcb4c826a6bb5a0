"""Data loader: reads what rules need besides the deal, only where a rule looks.

It is read for all such deals of a batch at once. Rules are pure, so they can be evaluated early on deals where nothing
of this is loaded: a rule that looks raises ``NotLoaded`` there, and the loader learns what to expect before the rules
are evaluated for good. Sources about the client beyond the deal stand here too: his other deals, tasks on his cards,
and deals that rules created (known by the store, or by the link fields of both deals).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from amo_bridge.crm.reads import deals_by_ids, open_tasks_of_contacts, tasks_of_deals
from amo_bridge.crm.records import ContactRecord, DealRecord, TaskRecord
from amo_bridge.engine.ad_campaigns import DealCampaign
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
    created_tasks,
)
from amo_bridge.engine.deal_view import deal_url, task_view
from amo_bridge.engine.people import DEAL_ADDRESS
from amo_bridge.errors import UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.rules.deal import DataNeed, Deal, Missing, OtherDeal, Task
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.options import CarryOver
from amo_bridge.storage.database import chunks
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


SOURCES: Mapping[DataNeed, Callable[[SourceContext], Source]] = {
    "own_tasks": OwnTasks,
    "own_deals": OwnDeals,
    "own_steps": OwnSteps,
    "own_acts": OwnActs,
    "contact_steps": ContactSteps,
    "people_steps": PeopleSteps,
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
    "person_deals": PersonDeals,
    "person_tasks": PersonTasks,
    "campaign": DealCampaign,
}


class DataLoader:
    """``records``: the deals of this batch. Each need is read once; what was not expected is read by itself."""

    def __init__(self, context: SourceContext, records: Mapping[int, DealRecord]) -> None:
        self._context = context
        self._records = records
        self._sources: dict[DataNeed, Source] = {}
        self._last_unread: tuple[Deal, dict[frozenset[DataNeed], Deal]] | None = None
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
        if not rule.needs:
            return deal
        if not any(deal.id in self._found.get(need, ()) for need in rule.needs):
            return self._unread(rule.needs, deal)
        return deal.with_read({need: self._value(need, rule, deal.id) for need in rule.needs})

    def _unread(self, needs: frozenset[DataNeed], deal: Deal) -> Deal:
        """The deal, with nothing of this; the same object for all rules that need the same."""
        if self._last_unread is None or self._last_unread[0] is not deal:
            self._last_unread = (deal, {})
        views = self._last_unread[1]
        if needs not in views:
            views[needs] = deal.with_read({need: Missing(need) for need in needs})
        return views[needs]

    def load(self, rule: Rule, deal: Deal) -> Deal:
        """The deal with everything that the rule needs. Raises CrmError, StoreUnavailable."""
        for need in sorted(rule.needs):
            if deal.id not in self._found.get(need, {}):
                self._read(need, self._expected.pop(need, set()) | {deal.id})
        return self.loaded(rule, deal)

    def _value(self, need: DataNeed, rule: Rule, deal_id: int) -> tuple[Any, ...]:
        found = self._found.get(need, {})
        return self._source(need).for_rule(found[deal_id], rule) if deal_id in found else Missing(need)

    def _source(self, need: DataNeed) -> Source:
        if need not in self._sources:
            self._sources[need] = SOURCES[need](self._context)
        return self._sources[need]

    def _read(self, need: DataNeed, deal_ids: Iterable[int]) -> None:
        found = self._found.setdefault(need, {})
        records = [self._records[deal_id] for deal_id in sorted(deal_ids) if deal_id in self._records]
        new = [record for record in records if record.id not in found]
        rows = self._source(need).read(new)
        found |= {record.id: rows.get(record.id, ()) for record in new}
