"""Sources of what rules need besides the deal (``DataNeed``), each read for many deals at once.

Tasks, calls, files, notes and contacts are read from amoCRM; what the bridge did itself and touches from the store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Column, select
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.files import file_ids_of_deal, files_by_ids
from amo_bridge.crm.reads import contacts_by_ids, notes_of, tasks_by_ids, tasks_of_deals
from amo_bridge.crm.records import ContactRecord, DealRecord, NoteRecord, integer, moment
from amo_bridge.engine.change_detection import DEFAULT_TASK_TYPE_ID
from amo_bridge.engine.deal_view import FieldReader, task_view
from amo_bridge.engine.timers import FIRED
from amo_bridge.errors import CrmForbidden
from amo_bridge.events.calls import by_call, knows_most, length_of
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact, known_contacts
from amo_bridge.mirror.touches import TouchLog, cards_of, in_order
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.deal import AttachedFile, Call, Contact, DoneStep, NamedBlogger, Note, Task, Touch, Touches
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.service_lines import Blogger, ServicesSection, read
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import made, outbox, timers
from amo_bridge.text.names import normalise


@dataclass(frozen=True)
class SourceContext:
    """What sources read from.

    Without a store (replay of a saved webhook) nothing is known of what the bridge did before. ``services``: how the
    account writes service lines, if it does. ``names_of``: a user's name and roles on a deal, in the config's words.
    ``ads``: how deals name their advertising campaigns, if they do.
    """

    client: CrmClient
    account: Account
    store: AccountStore | None = None
    services: ServicesSection | None = None
    names_of: Callable[[int, DealRecord], tuple[str, ...]] = lambda user_id, record: ()
    ads: AdsSection | None = None
    _cards: dict[int, ContactRecord | None] = field(default_factory=dict, repr=False, compare=False)

    def contacts(self, ids: Iterable[int]) -> dict[int, ContactRecord]:
        """Contacts' cards by their ids, each read once: several sources of one batch look at the same people."""
        wanted = set(ids)
        if unread := wanted - self._cards.keys():
            read = contacts_by_ids(self.client, unread, filter_enabled=self.account.is_api_filter_enabled)
            self._cards.update({contact_id: read.get(contact_id) for contact_id in unread})
        return {contact_id: card for contact_id in wanted if (card := self._cards[contact_id])}


class Source(Protocol):
    """One kind of data about deals."""

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Any]]:
        """Deal id → what was found; deals with nothing may be left out. Raises CrmError, StoreUnavailable."""
        ...

    def for_rule(self, found: Sequence[Any], rule: Rule) -> tuple[Any, ...]:
        """What was found, as this rule sees it."""
        ...


# --- bloggers -------------------------------------------------------------------------------------------------------

# Nobody has more bloggers of one surname.
MAX_NAMESAKES = 50


@dataclass(frozen=True)
class DealBloggers:
    """The bloggers that a deal's service lines name, found among the account's contacts.

    A name fits whatever the order of its words. Where the config says how bloggers are classified, only they are found;
    a contact named by its number is not looked for. The contact index comes first: amoCRM is only asked for names that
    it does not have, as a contact may have been added a moment ago.
    """

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[NamedBlogger]]:
        services = self.context.services
        if services is None:
            return {}
        named = {deal.id: self._named(deal, services) for deal in deals}
        wanted = {blogger.mark: blogger for each in named.values() for blogger in each if not blogger.contact_id}
        found = {mark: self._contacts(blogger.name, services) for mark, blogger in wanted.items()}
        return {
            deal_id: [
                NamedBlogger(
                    name=blogger.name,
                    contact_ids=(blogger.contact_id,) if blogger.contact_id else found[blogger.mark],
                )
                for blogger in bloggers
            ]
            for deal_id, bloggers in named.items()
        }

    def for_rule(self, found: Sequence[NamedBlogger], rule: Rule) -> tuple[NamedBlogger, ...]:
        return tuple(found)

    def _named(self, deal: DealRecord, services: ServicesSection) -> tuple[Blogger, ...]:
        field = self.context.account.field(services.field)
        text = FieldReader(self.context.account).texts(deal).get(field.name, "")
        return read(text, services.platforms).bloggers

    def _contacts(self, name: str, services: ServicesSection) -> tuple[int, ...]:
        kind = self.context.account.field(services.classification, "contacts") if services.classification else None
        found = self._from_index(name, kind, services.blogger) or [*self._from_crm(name, kind, services.blogger)]
        return tuple(sorted(found))

    def _from_index(self, name: str, kind: Field | None, value: str) -> list[int]:
        if self.context.store is None:
            return []
        index = ContactIndex(self.context.store)
        return [contact.id for contact in known_by_name(index, name, kind, value)]

    def _from_crm(self, name: str, kind: Field | None, value: str) -> Iterator[int]:
        field_ids = (kind.id,) if kind else ()
        for record in self._search(name):
            contact = MirroredContact.of(record, field_ids)
            if _words(contact.name) == _words(name) and (kind is None or contact.has(kind.id, value)):
                yield contact.id

    def _search(self, name: str) -> Iterable[ContactRecord]:
        """amoCRM's search, by the longest word: it finds the words of a name in their order only."""
        longest = max(_words(name), key=len)
        for row in self.context.client.pages("/api/v4/contacts", {"query": longest}, "contacts"):
            yield ContactRecord.from_api(row)


def known_by_name(index: ContactIndex, name: str, kind: Field | None, value: str) -> list[MirroredContact]:
    """The index's contacts of this name, whatever the order of its words. ``kind``: only those whose field has the
    value."""
    for word in _words(name):
        namesakes = index.by_surname(word, field_id=kind.id if kind else None, value=value, most=MAX_NAMESAKES)
        if same := [contact for contact in namesakes if _words(contact.name) == _words(name)]:
            return same
    return []


def _words(name: str) -> list[str]:
    return sorted(normalise(name).split())


# --- calls ----------------------------------------------------------------------------------------------------------

CALL_NOTES = ("call_in", "call_out")
NoteCard = tuple[str, int]
CARDS: Mapping[str, str] = {"leads": "deal", "contacts": "contact", "companies": "company"}


@dataclass(frozen=True)
class DealCalls:
    """Calls on the cards of the deal, of its contacts and of its company; one that is noted several times is one call.

    amoCRM writes a call to the deal if the person has one open deal, else to the person (amoCRM docs, calls-api).
    """

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Call]]:
        cards = {deal.id: _note_cards_of(deal) for deal in deals}
        calls = self._by_card({card for each in cards.values() for card in each})
        return {
            deal_id: _distinct_calls((card, call) for card in own for call in calls.get(card, ()))
            for deal_id, own in cards.items()
        }

    def for_rule(self, found: Sequence[Call], rule: Rule) -> tuple[Call, ...]:
        return tuple(found)

    def _by_card(self, cards: Iterable[NoteCard]) -> dict[NoteCard, list[Call]]:
        ids: dict[str, set[int]] = {}
        for kind, entity_id in cards:
            ids.setdefault(kind, set()).add(entity_id)
        found: dict[NoteCard, list[Call]] = {}
        for kind, entity_ids in sorted(ids.items()):
            for note in notes_of(self.context.client, kind, entity_ids, CALL_NOTES):
                found.setdefault((kind, note.entity_id or 0), []).append(_call_of_note(note, CARDS[kind]))
        return found


def _note_cards_of(deal: DealRecord) -> list[NoteCard]:
    company = [("companies", deal.company_id)] if deal.company_id else []
    return [("leads", deal.id), *(("contacts", contact_id) for contact_id in deal.contact_ids), *company]


def _distinct_calls(notes: Iterable[tuple[NoteCard, Call]]) -> list[Call]:
    """Each call once, oldest first, with what its notes say together."""
    return [_one_call(same) for same in by_call(notes)]


def _one_call(notes: Sequence[Call]) -> Call:
    """The call that these notes are about. Of several cards the deal's goes before."""
    head = min(notes, key=lambda note: (note.on != "deal", note.at, note.id))
    best = max(notes, key=knows_most)
    return replace(
        head,
        at=notes[0].at,
        seconds=best.seconds,
        status=best.status,
        result=best.result,
        link=next((note.link for note in notes if note.link), None),
        user_id=next((note.user_id for note in (head, *notes) if note.user_id), None),
        note_ids=tuple(sorted(note.id for note in notes)),
    )


def _call_of_note(note: NoteRecord, on: str) -> Call:
    params = note.params
    return Call(
        id=note.id,
        direction="in" if note.note_type == "call_in" else "out",
        at=note.created_at,
        seconds=length_of(params.get("duration")),
        link=params.get("link") or None,
        phone=str(params["phone"]) if params.get("phone") else None,
        user_id=note.created_by or note.responsible_user_id or None,
        status=integer(params.get("call_status")),
        result=params.get("call_result") or None,
        uniq=str(params["uniq"]) if params.get("uniq") else None,
        on=on,
    )


# --- deals that rules created ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnActs:
    """When rules did something about a deal, by amoCRM's clock, oldest first. From the store.

    Of a change it is when that was made, of what was created when its cause happened. Found are (rule's name, moment),
    a rule sees its own.
    """

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[tuple[str, datetime]]]:
        if self.context.store is None:
            return {}
        query = select(outbox.c.deal_id, outbox.c.rule, outbox.c.payload, outbox.c.result).order_by(outbox.c.id)
        found: dict[int, list[tuple[str, datetime]]] = {}
        with self.context.store.read() as connection:
            for chunk in chunks([deal.id for deal in deals]):
                ours = (self.context.store.owns(outbox), outbox.c.deal_id.in_(chunk))
                for row in connection.execute(query.where(*ours)):
                    if at := json.loads(row.result or "{}").get("at") or json.loads(row.payload).get("not_before"):
                        found.setdefault(row.deal_id, []).append((row.rule, datetime.fromtimestamp(at, UTC)))
        return found

    def for_rule(self, found: Sequence[tuple[str, datetime]], rule: Rule) -> tuple[datetime, ...]:
        return tuple(dict.fromkeys(moment for name, moment in found if name == rule.name))


# --- files ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DealFiles:
    """The files of a deal: in notes, in the card's file tab, in fields (amoCRM docs, files-capabilities).

    One file may be all three; it comes once. Notes are read for all deals at once, the card's list costs a request for
    each deal.
    """

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[AttachedFile]]:
        found: dict[int, list[AttachedFile]] = {deal.id: list(_in_fields(deal)) for deal in deals}
        for note in notes_of(self.context.client, "leads", found, ("attachment",)):
            found[note.entity_id or 0].append(_file_of_note(note))
        try:
            self._add_linked(found)
        except CrmForbidden as error:
            # The token was made without the right to files (scope): the notes are all there is.
            log.warning("files of cards can't be read", error=str(error))
        return {deal_id: _distinct(files) for deal_id, files in found.items()}

    def for_rule(self, found: Sequence[AttachedFile], rule: Rule) -> tuple[AttachedFile, ...]:
        return tuple(found)

    def _add_linked(self, found: Mapping[int, list[AttachedFile]]) -> None:
        missing: dict[int, list[str]] = {}
        for deal_id, files in found.items():
            known = {file.uuid for file in files}
            uuids = file_ids_of_deal(self.context.client, deal_id)
            missing[deal_id] = [uuid for uuid in uuids if uuid not in known]
        wanted = [uuid for uuids in missing.values() for uuid in uuids]
        rows = files_by_ids(self.context.client, self.context.account.drive_url, wanted)
        for deal_id, uuids in missing.items():
            found[deal_id] += [_file_of_row(rows[uuid]) for uuid in uuids if uuid in rows]


def _in_fields(deal: DealRecord) -> Iterable[AttachedFile]:
    for values in deal.fields.values():
        for value in values:
            if isinstance(value, Mapping) and value.get("file_uuid"):
                yield AttachedFile(name=str(value.get("file_name") or ""), uuid=str(value["file_uuid"]))


def _file_of_note(note: NoteRecord) -> AttachedFile:
    params = note.params
    other = str(params.get("file_name") or "")
    return AttachedFile(
        name=str(params.get("original_name") or params.get("text") or other),
        uuid=str(params["file_uuid"]) if params.get("file_uuid") else None,
        other_name=other,
        at=note.created_at,
        user_id=note.created_by or None,
    )


def _file_of_row(row: Mapping[str, Any]) -> AttachedFile:
    author = row.get("created_by")
    return AttachedFile(
        name=str(row.get("name") or ""),
        uuid=str(row["uuid"]),
        other_name=str(row.get("sanitized_name") or ""),
        at=moment(row.get("created_at")),
        user_id=integer(author.get("id")) if isinstance(author, Mapping) else None,
    )


def _distinct(files: Iterable[AttachedFile]) -> list[AttachedFile]:
    """One file for each uuid: the one with most data, a note's. Oldest first; those without a time lead."""
    by_detail = sorted(files, key=lambda file: file.at is None)
    by_uuid = {file.uuid: file for file in reversed(by_detail) if file.uuid}
    distinct = [file for file in by_detail if file.uuid is None or by_uuid[file.uuid] is file]
    return sorted(distinct, key=lambda file: file.at.timestamp() if file.at else 0.0)


# --- notes, contacts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DealNotes:
    """The text notes on a deal's card, without those of its contacts and its company."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Note]]:
        found: dict[int, list[Note]] = {deal.id: [] for deal in deals}
        for note in notes_of(self.context.client, "leads", found, ("common",)):
            view = Note(id=note.id, text=note.text, at=note.created_at, user_id=note.created_by)
            found[note.entity_id or 0].append(view)
        return found

    def for_rule(self, found: Sequence[Note], rule: Rule) -> tuple[Note, ...]:
        return tuple(found)


@dataclass(frozen=True)
class DealContacts:
    """The deal's contacts with their fields, read afresh; those that the token's user may not see are left out."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Contact]]:
        account = self.context.account
        ids = {contact_id for deal in deals for contact_id in deal.contact_ids}
        records = self.context.contacts(ids)
        reader = FieldReader(account, "contacts")
        return {
            deal.id: [
                _contact_of_record(records[contact_id], reader, is_main=contact_id == deal.main_contact_id)
                for contact_id in deal.contact_ids
                if contact_id in records
            ]
            for deal in deals
        }

    def for_rule(self, found: Sequence[Contact], rule: Rule) -> tuple[Contact, ...]:
        return tuple(found)


def _contact_of_record(record: ContactRecord, reader: FieldReader, *, is_main: bool) -> Contact:
    normalised = MirroredContact.of(record)
    return Contact(
        id=record.id,
        name=record.name,
        first_name=record.first_name,
        last_name=record.last_name,
        is_main=is_main,
        phones=normalised.phones,
        mails=normalised.mails,
        responsible_user_id=record.responsible_user_id,
        company_id=record.company_id,
        deal_ids=record.deal_ids,
        tags=record.tags,
        fields=reader.values(record),
    )


# --- steps of schedules ---------------------------------------------------------------------------------------------

FiredStep = tuple[str, DoneStep]


@dataclass(frozen=True)
class OwnSteps:
    """The steps of schedules that have fallen due on a deal. From the store.

    Found are (rule's name, step), a rule sees its own.
    """

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[FiredStep]]:
        if self.context.store is None:
            return {}
        with self.context.store.read() as connection:
            return _fired(connection, self.context.store.account_id, [deal.id for deal in deals])

    def for_rule(self, found: Sequence[FiredStep], rule: Rule) -> tuple[DoneStep, ...]:
        return _of_rule(found, rule)


@dataclass(frozen=True)
class ContactSteps:
    """The same of the other deals of the main contact, as far as the contact index has them. From the store."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[FiredStep]]:
        if self.context.store is None:
            return {}
        with self.context.store.read() as connection:
            contact_ids = {one for deal in deals for one in self._people(deal)}
            contacts = known_contacts(connection, self.context.store.account_id, contact_ids)
            fired = _fired(
                connection,
                self.context.store.account_id,
                {deal_id for each in contacts.values() for deal_id in each.deal_ids},
            )
        found: dict[int, list[FiredStep]] = {}
        for deal in deals:
            known = (contacts[one].deal_ids for one in self._people(deal) if one in contacts)
            others = dict.fromkeys(other for ids in known for other in ids if other != deal.id)
            found[deal.id] = [step for other in others for step in fired.get(other, ())]
        return found

    def _people(self, deal: DealRecord) -> Sequence[int]:
        return (deal.main_contact_id,) if deal.main_contact_id else ()

    def for_rule(self, found: Sequence[FiredStep], rule: Rule) -> tuple[DoneStep, ...]:
        return _of_rule(found, rule)


def _fired(connection: Connection, account: int, deal_ids: Iterable[int]) -> dict[int, list[FiredStep]]:
    query = select(timers).where(timers.c.account == account, timers.c.state == FIRED)
    found: dict[int, list[FiredStep]] = {}
    for chunk in chunks(sorted(deal_ids)):
        for row in connection.execute(query.where(timers.c.deal_id.in_(chunk)).order_by(timers.c.id)):
            step = DoneStep(row.step, row.anchor, row.deal_id, datetime.fromtimestamp(row.due_at, UTC))
            found.setdefault(row.deal_id, []).append((row.rule, step))
    return found


def _of_rule(found: Sequence[FiredStep], rule: Rule) -> tuple[DoneStep, ...]:
    return tuple(step for name, step in found if name == rule.name)


# --- tasks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnTasks:
    """The tasks that rules set for the deal, wherever they stand (a contact's card too), finished ones as well."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Task]]:
        rows = created_tasks(self.context, made.c.deal_id, [deal.id for deal in deals])
        records = tasks_by_ids(self.context.client, [row.entity_id for row in rows]) if rows else {}
        found: dict[int, list[Task]] = {}
        for row in rows:
            if record := records.get(row.entity_id):
                found.setdefault(row.deal_id, []).append(task_view(record, row.slot, row.rule, row.text))
        return found

    def for_rule(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return tuple(task for task in _with_owner(found, rule) if task.is_own)


@dataclass(frozen=True)
class CardTasks:
    """All tasks on the deal's card, people's too; the finished ones or the open ones."""

    context: SourceContext
    are_completed: bool

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Task]]:
        found = tasks_of_deals(self.context.client, [deal.id for deal in deals], are_completed=self.are_completed)
        by_rules = created_tasks(self.context, made.c.entity_id, [task.id for own in found.values() for task in own])
        made_by = {row.entity_id: (row.slot, row.rule, row.text) for row in by_rules}
        bridge = self.context.account.current_user_id
        set_by = {
            deal_id: {task.created_by for task in own if task.id not in made_by} for deal_id, own in found.items()
        }
        sent = _tasks_on_their_way(self.context, (deal_id for deal_id, users in set_by.items() if bridge in users))
        types = {kind.id: kind.name for kind in self.context.account.task_types if kind.id != DEFAULT_TASK_TYPE_ID}
        by_id = {deal.id: deal for deal in deals}
        owners = {(deal_id, task.responsible_user_id) for deal_id, own in found.items() for task in own}
        names = {(deal_id, user_id): self.context.names_of(user_id, by_id[deal_id]) for deal_id, user_id in owners}
        return {
            deal_id: [
                replace(
                    task_view(task, *(made_by.get(task.id) or sent.get((deal_id, task.text)) or ("", "", None))),
                    task_type=types.get(task.task_type_id),
                    responsible_is=names[deal_id, task.responsible_user_id],
                )
                for task in own
            ]
            for deal_id, own in found.items()
        }

    def for_rule(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return _with_owner(found, rule)


def created_tasks(context: SourceContext, column: Column[int], ids: Sequence[int]) -> list[Any]:
    """The tasks that rules created: those of some deals, or those with some ids (``column``)."""
    if context.store is None:
        return []
    query = select(made.c.rule, made.c.deal_id, made.c.slot, made.c.entity_id, made.c.text).order_by(made.c.id)
    tasks = (context.store.owns(made), made.c.kind == "create_task")
    with context.store.read() as connection:
        found = (connection.execute(query.where(*tasks, column.in_(chunk))).all() for chunk in chunks(ids))
        return [row for rows in found for row in rows]


def _tasks_on_their_way(context: SourceContext, deal_ids: Iterable[int]) -> dict[tuple[int, str], tuple[str, str, str]]:
    """(deal, text) → slot, rule, text of tasks whose answer is not known yet: they may be there already."""
    wanted = sorted(deal_ids)
    if context.store is None or not wanted:
        return {}
    sent = (context.store.owns(outbox), outbox.c.kind == "create_task", outbox.c.state.in_(("sending", "doubt")))
    query = select(outbox.c.deal_id, outbox.c.rule, outbox.c.payload).where(*sent)
    with context.store.read() as connection:
        rows = [row for some in chunks(wanted) for row in connection.execute(query.where(outbox.c.deal_id.in_(some)))]
    told = ((row, json.loads(row.payload)) for row in rows)
    texts = ((row, effect["slot"], str(effect["body"].get("text"))) for row, effect in told)
    return {(row.deal_id, text): (slot, row.rule, text) for row, slot, text in texts}


def texts_of_rules(store: AccountStore, task_ids: Iterable[int]) -> dict[int, str]:
    """The texts with which rules set some of these tasks. Raises StoreUnavailable."""
    query = select(made.c.entity_id, made.c.text).where(store.owns(made), made.c.kind == "create_task")
    found: dict[int, str] = {}
    if ids := sorted(task_ids):
        with store.read() as connection:
            for chunk in chunks(ids):
                rows = connection.execute(query.where(made.c.entity_id.in_(chunk), made.c.text.is_not(None)))
                found |= {row.entity_id: row.text for row in rows}
    return found


def _with_owner(tasks: Iterable[Task], rule: Rule) -> tuple[Task, ...]:
    return tuple(replace(task, is_own=task.made_by == rule.name) for task in tasks)


# --- touches --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DealTouches:
    """The touches on the cards of the deal, its contacts and its company. From the store: amoCRM has no such list.

    A call on a contact's own card counts for all deals of that contact.
    """

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Touch]]:
        if self.context.store is None:
            return {}
        cards = {deal.id: cards_of(deal) for deal in deals}
        touch_log = TouchLog(self.context.store, self.context.account.current_user_id)
        found = touch_log.on(card for each in cards.values() for card in each)
        return {deal_id: in_order(found, own) for deal_id, own in cards.items()}

    def for_rule(self, found: Sequence[Touch], rule: Rule) -> Touches:
        return Touches(found)
