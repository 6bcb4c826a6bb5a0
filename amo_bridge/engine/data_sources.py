"""What rules need to know beside the deal itself: one file for each kind, read for many deals at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import Column, select
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import contacts_by_ids, file_ids_of_deal, files_by_ids, notes_of, tasks_by_ids, tasks_of_deals
from amo_bridge.crm.records import ContactRecord, DealRecord, NoteRecord
from amo_bridge.crm.values import integer, moment
from amo_bridge.engine.change_detection import USUAL_TYPE
from amo_bridge.engine.deal_view import FieldReader, deal_url, task_view
from amo_bridge.engine.timers import FIRED
from amo_bridge.errors import CrmForbidden
from amo_bridge.events import Card
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact, known_contacts
from amo_bridge.mirror.touches import TouchLog, in_order
from amo_bridge.rules.deal import AttachedFile, Call, Contact, DoneStep, NamedBlogger, Note, Task, Touch, Touches
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.service_lines import Blogger, ServicesSection, read
from amo_bridge.storage.database import Store, chunks
from amo_bridge.storage.tables import made, timers
from amo_bridge.text.names import normalise

# What all sources of needs have in common.


@dataclass(frozen=True)
class SourceContext:
    """The ways to find out. ``key`` is the account's in the ``store``; without a store (a saved hook is judged again)
    nothing is known of what the bridge did before. ``services``: how the account keeps service lines, if it does."""

    client: CrmClient
    account: Account
    store: Store | None = None
    key: int = 0
    services: ServicesSection | None = None


class Source(Protocol):
    """One kind of thing that lies around deals."""

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Any]]:
        """Deal id → what was found; deals with nothing may be left out. Raises CrmError, StoreUnavailable."""
        ...

    def shown(self, found: Sequence[Any], rule: Rule) -> tuple[Any, ...]:
        """What was found, as this rule is to see it."""
        ...


# The bloggers that a deal's service lines name, found among the account's contacts.
#
# The index of contacts answers; only whom it does not know amoCRM is asked for: he may have been added a moment ago.

# Namesakes that are looked through; nobody has more bloggers of one surname.
MOST = 50


@dataclass(frozen=True)
class DealBloggers:
    """A name fits whatever the order of its words. Where the config says how bloggers are classified, only they are
    found; a contact named by its number is taken at its word."""

    ways: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[NamedBlogger]]:
        services = self.ways.services
        if services is None:
            return {}
        named = {deal.id: self._named(deal, services) for deal in deals}
        each = {blogger.mark: blogger for some in named.values() for blogger in some if not blogger.contact_id}
        found = {mark: self._contacts(blogger.name, services) for mark, blogger in each.items()}
        return {
            deal_id: [
                NamedBlogger(name=one.name, contact_ids=(one.contact_id,) if one.contact_id else found[one.mark])
                for one in some
            ]
            for deal_id, some in named.items()
        }

    def shown(self, found: Sequence[NamedBlogger], rule: Rule) -> tuple[NamedBlogger, ...]:
        return tuple(found)

    def _named(self, deal: DealRecord, services: ServicesSection) -> tuple[Blogger, ...]:
        field = self.ways.account.field(services.field)
        text = FieldReader(self.ways.account).texts(deal).get(field.name, "")
        return read(text, services.platforms).bloggers

    def _contacts(self, name: str, services: ServicesSection) -> tuple[int, ...]:
        kind = self.ways.account.field(services.classification, "contacts") if services.classification else None
        found = [*self._known(name, kind, services.blogger)] or [*self._asked(name, kind, services.blogger)]
        return tuple(sorted(found))

    def _known(self, name: str, kind: Field | None, value: str) -> list[int]:
        if self.ways.store is None:
            return []
        return [one.id for one in known_by_name(ContactIndex(self.ways.store, self.ways.key), name, kind, value)]

    def _asked(self, name: str, kind: Field | None, value: str) -> Iterator[int]:
        kept = (kind.id,) if kind else ()
        for record in self._search(name):
            one = MirroredContact.of(record, kept)
            if _words(one.name) == _words(name) and (kind is None or one.has(kind.id, value)):
                yield one.id

    def _search(self, name: str) -> Iterable[ContactRecord]:
        """amoCRM's own search, by the longest word: it finds the words of a name in their order only."""
        longest = max(_words(name), key=len)
        for row in self.ways.client.pages("/api/v4/contacts", {"query": longest}, "contacts"):
            yield ContactRecord.from_api(row)


def known_by_name(index: ContactIndex, name: str, kind: Field | None, value: str) -> list[MirroredContact]:
    """Whom the index knows by this very name, whatever the order of its words; with ``kind``, only those whose field
    has the value."""
    for word in _words(name):
        alike = index.by_surname(word, field_id=kind.id if kind else None, value=value, most=MOST)
        if fitting := [one for one in alike if _words(one.name) == _words(name)]:
            return fitting
    return []


def _words(name: str) -> list[str]:
    return sorted(normalise(name).split())


# The calls with a deal's people, from the notes on their cards.

CALL_NOTES = ("call_in", "call_out")
NoteCard = tuple[str, int]
# An integration that writes a call on two cards does so at once; nobody calls the same number twice so soon.
AT_ONCE = timedelta(minutes=2)
CARDS: Mapping[str, str] = {"leads": "deal", "contacts": "contact", "companies": "company"}


@dataclass(frozen=True)
class DealCalls:
    """amoCRM writes a call to the deal if the person has one open deal, else to the person (amoCRM docs, calls-api):
    so the cards of the deal, of its contacts and of its company are read. A call that stands on two of them is one."""

    ways: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Call]]:
        cards = {deal.id: _note_cards_of(deal) for deal in deals}
        calls = self._by_card({card for some in cards.values() for card in some})
        return {
            deal_id: _each_call_once([call for card in some for call in calls.get(card, ())])
            for deal_id, some in cards.items()
        }

    def shown(self, found: Sequence[Call], rule: Rule) -> tuple[Call, ...]:
        return tuple(found)

    def _by_card(self, cards: Iterable[NoteCard]) -> dict[NoteCard, list[Call]]:
        ids: dict[str, set[int]] = {}
        for kind, number in cards:
            ids.setdefault(kind, set()).add(number)
        found: dict[NoteCard, list[Call]] = {}
        for kind, numbers in sorted(ids.items()):
            for note in notes_of(self.ways.client, kind, numbers, CALL_NOTES):
                found.setdefault((kind, note.entity_id or 0), []).append(_call_of_note(note, CARDS[kind]))
        return found


def _note_cards_of(deal: DealRecord) -> list[NoteCard]:
    company = [("companies", deal.company_id)] if deal.company_id else []
    return [("leads", deal.id), *(("contacts", number) for number in deal.contact_ids), *company]


def _each_call_once(calls: Iterable[Call]) -> list[Call]:
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


def _call_of_note(note: NoteRecord, on: str) -> Call:
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


# The deals that rules made of a deal: how a rule finds out that what it makes once is there.


@dataclass(frozen=True)
class OwnDeals:
    """Remembered by the bridge itself: amoCRM is not asked. Found are (rule's name, address), shown the addresses."""

    ways: SourceContext

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


# The files of a deal: those in notes, those in the card's file tab, those kept in fields.
#
# amoCRM knows three kinds of attachments (amoCRM docs, files-capabilities): a note, a link of the card, and a field.
# One file may be all three; it is told once.

log = structlog.get_logger()


@dataclass(frozen=True)
class DealFiles:
    """Notes are read for all deals at once; the card's own list costs a request for each deal."""

    ways: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[AttachedFile]]:
        found: dict[int, list[AttachedFile]] = {deal.id: list(_in_fields(deal)) for deal in deals}
        for note in notes_of(self.ways.client, "leads", found, ("attachment",)):
            found[note.entity_id or 0].append(_of_note(note))
        try:
            self._add_linked(found)
        except CrmForbidden as error:
            # The token was made without the right to files (scope): what the notes tell is all there is.
            log.warning("files of cards can't be read", error=str(error))
        return {deal_id: _each_file_once(files) for deal_id, files in found.items()}

    def shown(self, found: Sequence[AttachedFile], rule: Rule) -> tuple[AttachedFile, ...]:
        return tuple(found)

    def _add_linked(self, found: Mapping[int, list[AttachedFile]]) -> None:
        missing: dict[int, list[str]] = {}
        for deal_id, files in found.items():
            known = {one.uuid for one in files}
            missing[deal_id] = [one for one in file_ids_of_deal(self.ways.client, deal_id) if one not in known]
        wanted = [one for some in missing.values() for one in some]
        rows = files_by_ids(self.ways.client, self.ways.account.drive_url, wanted)
        for deal_id, some in missing.items():
            found[deal_id] += [_of_row(rows[one]) for one in some if one in rows]


def _in_fields(deal: DealRecord) -> Iterable[AttachedFile]:
    for values in deal.fields.values():
        for value in values:
            if isinstance(value, Mapping) and value.get("file_uuid"):
                yield AttachedFile(name=str(value.get("file_name") or ""), uuid=str(value["file_uuid"]))


def _of_note(note: NoteRecord) -> AttachedFile:
    params = note.params
    other = str(params.get("file_name") or "")
    return AttachedFile(
        name=str(params.get("original_name") or params.get("text") or other),
        uuid=str(params["file_uuid"]) if params.get("file_uuid") else None,
        other_name=other,
        at=note.created_at,
        user_id=note.created_by or None,
    )


def _of_row(row: Mapping[str, Any]) -> AttachedFile:
    author = row.get("created_by")
    return AttachedFile(
        name=str(row.get("name") or ""),
        uuid=str(row["uuid"]),
        other_name=str(row.get("sanitized_name") or ""),
        at=moment(row.get("created_at")),
        user_id=integer(author.get("id")) if isinstance(author, Mapping) else None,
    )


def _each_file_once(files: Iterable[AttachedFile]) -> list[AttachedFile]:
    """One file under one uuid; the copy that tells most (a note's) counts. Oldest first; those without a time lead."""
    told = sorted(files, key=lambda one: one.at is None)
    by_uuid = {one.uuid: one for one in reversed(told) if one.uuid}
    kept = [one for one in told if one.uuid is None or by_uuid[one.uuid] is one]
    return sorted(kept, key=lambda one: one.at.timestamp() if one.at else 0.0)


# The text notes on a deal's card, those of its people and its company left out.


@dataclass(frozen=True)
class DealNotes:
    ways: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Note]]:
        found: dict[int, list[Note]] = {deal.id: [] for deal in deals}
        for note in notes_of(self.ways.client, "leads", found, ("common",)):
            view = Note(id=note.id, text=note.text, at=note.created_at, user_id=note.created_by)
            found[note.entity_id or 0].append(view)
        return found

    def shown(self, found: Sequence[Note], rule: Rule) -> tuple[Note, ...]:
        return tuple(found)


# The deal's contacts with their fields.


@dataclass(frozen=True)
class DealContacts:
    """Read afresh; contacts that the token's user may not see are left out."""

    ways: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Contact]]:
        account = self.ways.account
        ids = {number for deal in deals for number in deal.contact_ids}
        records = contacts_by_ids(self.ways.client, ids, filter_enabled=account.is_api_filter_enabled)
        reader = FieldReader(account, "contacts")
        return {
            deal.id: [
                _contact_of_record(records[number], reader, is_main=number == deal.main_contact_id)
                for number in deal.contact_ids
                if number in records
            ]
            for deal in deals
        }

    def shown(self, found: Sequence[Contact], rule: Rule) -> tuple[Contact, ...]:
        return tuple(found)


def _contact_of_record(record: ContactRecord, reader: FieldReader, *, is_main: bool) -> Contact:
    comparable = MirroredContact.of(record)
    return Contact(
        id=record.id,
        name=record.name,
        first_name=record.first_name,
        last_name=record.last_name,
        is_main=is_main,
        phones=comparable.phones,
        mails=comparable.mails,
        responsible_user_id=record.responsible_user_id,
        company_id=record.company_id,
        deal_ids=record.deal_ids,
        tags=record.tags,
        fields=reader.values(record),
    )


# The steps of schedules that have fallen due on a deal: what a schedule has begun, and may have to end.

FiredStep = tuple[str, DoneStep]


@dataclass(frozen=True)
class OwnSteps:
    """Remembered by the bridge itself: amoCRM is not asked. Found are (rule's name, step), shown the rule's own."""

    ways: SourceContext

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

    ways: SourceContext

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


# The tasks around a deal: those its rules set themselves, those that are open, those that are finished.


@dataclass(frozen=True)
class OwnTasks:
    """The tasks that rules set for the deal, wherever they stand (a contact's card too), finished ones as well."""

    ways: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Task]]:
        rows = _made(self.ways, made.c.deal_id, [deal.id for deal in deals])
        records = tasks_by_ids(self.ways.client, [row.entity_id for row in rows]) if rows else {}
        found: dict[int, list[Task]] = {}
        for row in rows:
            if record := records.get(row.entity_id):
                found.setdefault(row.deal_id, []).append(task_view(record, row.slot, row.rule))
        return found

    def shown(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return tuple(task for task in _as_seen(found, rule) if task.is_own)


@dataclass(frozen=True)
class CardTasks:
    """All tasks on the deal's card, people's too; the open ones or the finished ones."""

    ways: SourceContext
    are_completed: bool

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Task]]:
        found = tasks_of_deals(self.ways.client, [deal.id for deal in deals], are_completed=self.are_completed)
        by_rules = _made(self.ways, made.c.entity_id, [task.id for own in found.values() for task in own])
        marks = {row.entity_id: (row.slot, row.rule) for row in by_rules}
        types = {kind.id: kind.name for kind in self.ways.account.task_types if kind.id != USUAL_TYPE}
        return {
            deal_id: [
                replace(task_view(task, *marks.get(task.id, ("", ""))), task_type=types.get(task.task_type_id))
                for task in own
            ]
            for deal_id, own in found.items()
        }

    def shown(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return _as_seen(found, rule)


def _made(ways: SourceContext, by: Column[int], numbers: Sequence[int]) -> list[Any]:
    """What rules remember of the tasks they made: those of some deals, or those with some ids."""
    if ways.store is None:
        return []
    query = select(made.c.rule, made.c.deal_id, made.c.slot, made.c.entity_id).order_by(made.c.id)
    tasks = (made.c.account == ways.key, made.c.kind == "create_task")
    with ways.store.read() as connection:
        some = (connection.execute(query.where(*tasks, by.in_(chunk))).all() for chunk in chunks(numbers))
        return [row for rows in some for row in rows]


def _as_seen(tasks: Iterable[Task], rule: Rule) -> tuple[Task, ...]:
    return tuple(replace(task, is_own=task.made_by == rule.name) for task in tasks)


# The touches of a deal: those on its own card and those on its people's.


@dataclass(frozen=True)
class DealTouches:
    """From the store: amoCRM has no list of touches. A call on a contact's own card counts for all his deals."""

    ways: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Touch]]:
        if self.ways.store is None:
            return {}
        cards = {deal.id: _touch_cards_of(deal) for deal in deals}
        log = TouchLog(self.ways.store, self.ways.key, self.ways.account.current_user_id)
        found = log.on(card for some in cards.values() for card in some)
        return {deal_id: in_order(found, some) for deal_id, some in cards.items()}

    def shown(self, found: Sequence[Touch], rule: Rule) -> Touches:
        return Touches(found)


def _touch_cards_of(deal: DealRecord) -> list[Card]:
    company = [("company", deal.company_id)] if deal.company_id else []
    return [("deal", deal.id), *(("contact", number) for number in deal.contact_ids), *company]
