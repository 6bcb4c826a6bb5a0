"""Lost writes: what became of those whose answer never came, by looking for them in amoCRM.

amoCRM has no idempotency keys: a write whose answer was lost is looked for before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, NamedTuple

from amo_bridge.crm.client import CrmClient, batches
from amo_bridge.crm.files import file_ids_of_deal
from amo_bridge.crm.records import embedded, field_values, identifier, is_written
from amo_bridge.lazy.dataclasses import dataclass

Body = Mapping[str, Any]
Bodies = Mapping[int, Body]
"""Our number of a write → amoCRM's object. The number goes out as ``request_id``."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """What amoCRM answered about one object: its id, and when it changed (PATCH only). ``contact_id``: of the contact
    that was made with a deal."""

    id: int
    updated_at: datetime | None = None
    contact_id: int | None = None


@dataclass(frozen=True)
class LostWrite:
    """A write that may have happened. ``not_before``: when its cause happened, Unix seconds of amoCRM's clock; an equal
    task of last week is not taken for this one. ``user_id``: as whom the bridge writes (0: not known)."""

    body: Body
    not_before: float = 0.0
    user_id: int = 0


class LostSearch(NamedTuple):
    """What became of lost writes, by our numbers.

    ``found``: they are in amoCRM. ``ambiguous``: they may be these rows (their ids), which people have changed since;
    nothing may be sent again before a person has looked. The others are not there.
    """

    found: dict[int, Written]
    ambiguous: Mapping[int, Sequence[int]] = MappingProxyType({})


LostWrites = Mapping[int, LostWrite]
Taken = Callable[[Iterable[int]], set[int]]
"""Which of some ids are known to belong to earlier writes."""
FindLost = Callable[[CrmClient, LostWrites, Taken], LostSearch]


# amoCRM stamps whole seconds, and its servers' clocks differ a little.
CLOCK_SLACK_SECONDS = 5
# 10,000 entities made since the cause: then the account is being filled by a machine, and the search ends.
MAX_PAGES = 40
IDS_PER_REQUEST = 100


def find_tasks(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    searches = []
    for entity_type, writes in _by_entity_type(lost).items():
        # Tasks on nobody's card can't be asked for by card.
        rows = _tasks_on(client, entity_type, writes) if entity_type else _newest(client, "tasks", "id", writes)
        searches.append(_match(writes, rows, taken, _is_same_task, _likeness_of_tasks))
    return LostSearch(
        {number: written for search in searches for number, written in search.found.items()},
        {number: ids for search in searches for number, ids in search.ambiguous.items()},
    )


def _by_entity_type(lost: LostWrites) -> dict[str | None, dict[int, LostWrite]]:
    groups: dict[str | None, dict[int, LostWrite]] = {}
    for number, lost_write in lost.items():
        groups.setdefault(lost_write.body.get("entity_type"), {})[number] = lost_write
    return groups


def _tasks_on(client: CrmClient, entity_type: str, lost: LostWrites) -> Iterator[Row]:
    ids = {lost_write.body["entity_id"] for lost_write in lost.values()}
    return _rows_by(client, "/api/v4/tasks", "tasks", {"entity_type": entity_type}, "entity_id", ids)


def find_notes_of(cards: str) -> FindLost:
    """The search for notes on cards of a type (leads, contacts, companies), by the types of the lost ones."""

    def find(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
        ids_of: dict[str, set[int]] = {}
        for lost_write in lost.values():
            ids_of.setdefault(lost_write.body["note_type"], set()).add(lost_write.body["entity_id"])
        rows = chain.from_iterable(
            _rows_by(client, f"/api/v4/{cards}/notes", "notes", {"note_type": note_type}, "entity_id", ids)
            for note_type, ids in ids_of.items()
        )
        return _match(lost, rows, taken, _is_same_note, _likeness_of_notes)

    return find


def find_calls(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    """The search for call notes on deals: each has the exchange's own name of the call."""
    ids = {lost_write.body["entity_id"] for lost_write in lost.values()}
    more = {"note_type": ["call_in", "call_out"]}
    rows = _rows_by(client, "/api/v4/leads/notes", "notes", more, "entity_id", ids)
    noted = {(row.get("entity_id"), (row.get("params") or {}).get("uniq")): row for row in rows}
    found = {
        number: Written(int(row["id"]))
        for number, lost_write in lost.items()
        if (row := noted.get((lost_write.body["entity_id"], lost_write.body["params"]["uniq"])))
    }
    return LostSearch(found)


def find_new_deals(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    rows = _newest(client, "leads", "created_at", lost, {"with": "contacts"})
    return _match(lost, rows, taken, _is_same_deal, _likeness_of_deals)


def find_new_contacts(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    rows = _newest(client, "contacts", "created_at", lost)
    return _match(lost, rows, taken, _is_same_contact, _likeness_of_contacts)


def _newest(
    client: CrmClient, name: str, order: str, lost: LostWrites, more: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Row]:
    """What was made since the oldest of the causes, newest first."""
    oldest = min(lost_write.not_before for lost_write in lost.values()) - CLOCK_SLACK_SECONDS
    limit = (MAX_PAGES if oldest > 0 else 1) * client.batch_size
    for row in islice(client.pages(f"/api/v4/{name}", {"order": {order: "desc"}, **more}, name), limit):
        if row.get("created_at", 0) < oldest:
            return
        yield row


def find_patched(name: str) -> FindLost:
    """The search for patches of entities (leads, contacts, tasks): one is there if everything it says is so now."""

    def find(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
        ids = {lost_write.body["id"] for lost_write in lost.values()}
        rows = {row["id"]: row for row in _rows_by(client, f"/api/v4/{name}", name, {}, "id", ids)}
        return LostSearch(
            {
                number: Written(int(row["id"]), moment_of(row.get("updated_at")))
                for number, lost_write in lost.items()
                if (row := rows.get(lost_write.body["id"])) and _holds(lost_write.body, row)
            }
        )

    return find


def find_links(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    """Links belong to nobody, so none is taken. A repeated link changes nothing (amoCRM docs, entity-links-api): the
    search only saves the repetition."""
    wanted = {
        number: (int(lost_write.body["entity_id"]), int(lost_write.body["to_entity_id"]))
        for number, lost_write in lost.items()
    }
    links = set(_links(client, sorted({deal_id for deal_id, _ in wanted.values()})))
    return LostSearch({number: Written(link[0]) for number, link in wanted.items() if link in links})


def find_unlinked(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    """As ``find_links``: links that are there no more were unlinked, by us or by people."""
    linked = find_links(client, lost, taken).found
    gone = {number: one for number, one in lost.items() if number not in linked}
    return LostSearch({number: Written(int(one.body["entity_id"])) for number, one in gone.items()})


def _links(client: CrmClient, deal_ids: list[int]) -> Iterator[tuple[int, int]]:
    """(deal, contact) of all contacts linked to these deals."""
    for ids in batches(deal_ids, IDS_PER_REQUEST):
        query = {"filter": {"entity_id": ids, "to_entity_type": "contacts"}}
        for row in embedded(client.get("/api/v4/leads/links", query) or {}, "links"):
            deal_id, contact_id = identifier(row.get("entity_id")), identifier(row.get("to_entity_id"))
            if deal_id and contact_id and row.get("to_entity_type") == "contacts":
                yield deal_id, contact_id


def find_attached_files(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    """As ``find_links``: a file that is attached again stays attached once (amoCRM docs, files-api)."""
    deal_ids = {number: int(lost_write.body["entity_id"]) for number, lost_write in lost.items()}
    return LostSearch(
        {
            number: Written(deal_id)
            for number, deal_id in deal_ids.items()
            if set(lost[number].body["file_uuids"]) <= set(file_ids_of_deal(client, deal_id))
        }
    )


def _rows_by(
    client: CrmClient, path: str, name: str, more: Mapping[str, Any], key: str, ids: Iterable[int]
) -> Iterator[Row]:
    """Rows whose ``key`` is one of ``ids``. The filter may be silently ignored, so every row is checked."""
    for chunk in batches(sorted(ids), IDS_PER_REQUEST):
        params = {"filter": {**more, key: chunk}, "order": {"id": "desc"}}
        for row in client.pages(path, params, name):
            if row.get(key) in chunk:
                yield row


def _match(
    lost: LostWrites,
    rows: Iterable[Row],
    taken: Taken,
    is_same: Callable[[Body, Row], bool],
    likeness: Callable[[Body, Row], int],
) -> LostSearch:
    """Pair each body with one row that is equal to it and nobody else's; two equal bodies need two rows.

    What is left is looked for among the rows that we made and somebody has changed since (``likeness``: by how many of
    the properties that people change a row is still like the body; 0: it is another's).
    """
    found: dict[int, Written] = {}
    rows = list(rows)
    # Asked for these very rows: an equal task may have been made for another deal of the same contact.
    used = taken(row["id"] for row in rows)
    for number, lost_write in lost.items():
        for row in rows:
            late_enough = row.get("created_at", 0) >= lost_write.not_before - CLOCK_SLACK_SECONDS
            if row["id"] not in used and late_enough and is_same(lost_write.body, row):
                used.add(row["id"])
                found[number] = Written(int(row["id"]), moment_of(row.get("created_at")))
                break
    changed = [
        _Changed(number, row, alike)
        for number, lost_write in lost.items()
        if number not in found and lost_write.user_id
        for row in rows
        if row["id"] not in used and _is_ours_changed(lost_write, row) and (alike := likeness(lost_write.body, row))
    ]
    return _with_changed(found, changed)


class _Changed(NamedTuple):
    """A lost write, and a row that people may have made of it."""

    number: int
    row: Row
    alike: int


def _is_ours_changed(lost_write: LostWrite, row: Row) -> bool:
    """Made by the bridge's user since the cause, and changed since: a row that nobody has touched and that differs is
    another one."""
    touched = row.get("updated_at", 0) > row.get("created_at", 0) or row.get("updated_by") != row.get("created_by")
    return _is_ours(lost_write, row) and touched


def _is_ours(lost_write: LostWrite, row: Row) -> bool:
    """Made by the bridge's user since the cause."""
    late_enough = row.get("created_at", 0) >= lost_write.not_before - CLOCK_SLACK_SECONDS
    return bool(lost_write.user_id) and row.get("created_by") == lost_write.user_id and late_enough


def _with_changed(found: dict[int, Written], changed: list[_Changed]) -> LostSearch:
    """The most alike pair first; where two are equally alike, nobody can tell, and all of them are ambiguous."""
    found, ambiguous = dict(found), dict[int, list[int]]()
    while changed:
        best = max(pair.alike for pair in changed)
        ties = [pair for pair in changed if pair.alike == best]
        for pair in ties:
            rivals = [other for other in ties if (other.number == pair.number) != (other.row["id"] == pair.row["id"])]
            if rivals:
                ambiguous[pair.number] = sorted(tie.row["id"] for tie in ties if tie.number == pair.number)
            else:
                found[pair.number] = Written(int(pair.row["id"]), moment_of(pair.row.get("created_at")))
        numbers = {pair.number for pair in ties}
        rows = {pair.row["id"] for pair in ties}
        changed = [pair for pair in changed if pair.number not in numbers and pair.row["id"] not in rows]
    return LostSearch(found, ambiguous)


def _likeness(body: Body, row: Row, keys: Iterable[str]) -> int:
    return sum(key in body and row.get(key) == body[key] for key in keys)


def _is_same_task(body: Body, row: Row) -> bool:
    keys = ("text", "entity_id", "entity_type", "responsible_user_id", "complete_till")
    return all((row.get(key) or None) == body.get(key) for key in keys)


def _likeness_of_tasks(body: Body, row: Row) -> int:
    if any((row.get(key) or None) != body.get(key) for key in ("entity_id", "entity_type")):
        return 0
    return _likeness(body, row, ("text", "responsible_user_id", "complete_till", "task_type_id"))


def _likeness_of_notes(body: Body, row: Row) -> int:
    """On this card a note of ours that somebody has rewritten."""
    return int(row.get("entity_id") == body["entity_id"])


def _likeness_of_deals(body: Body, row: Row) -> int:
    """A deal's people stay; name, stage, responsible person and fields change."""
    people = _contact_ids(body)
    if not people <= _contact_ids(row):
        return 0
    fields = sum(_field_holds(field, row) for field in body.get("custom_fields_values", []))
    alike = fields + _likeness(body, row, ("name", "pipeline_id", "status_id", "responsible_user_id", "price"))
    return alike if people or fields or row.get("name") == body["name"] else 0


def _likeness_of_contacts(body: Body, row: Row) -> int:
    """An address or a number is the person's; a name alone is many people's."""
    fields = sum(_field_holds(field, row) for field in body.get("custom_fields_values", []))
    return fields and fields + _likeness(body, row, ("name",))


def _is_same_note(body: Body, row: Row) -> bool:
    return bool(
        row.get("entity_id") == body["entity_id"]
        and row.get("params", {}).get("text") == body["params"]["text"]
        and row.get("note_type", "common") == body.get("note_type", "common")
    )


def _is_same_deal(body: Body, row: Row) -> bool:
    keys = ("name", "pipeline_id", "responsible_user_id")
    fields = body.get("custom_fields_values", [])
    same = all(row.get(key) == body[key] for key in keys) and all(_field_holds(field, row) for field in fields)
    # Two people may have one name: whose deal it is tells them apart.
    return same and _contact_ids(body) <= _contact_ids(row)


def _contact_ids(deal: Mapping[str, Any]) -> set[int]:
    """Of those who have one: a contact that is made with the deal has none yet."""
    return {contact["id"] for contact in deal.get("_embedded", {}).get("contacts") or () if "id" in contact}


def _is_same_contact(body: Body, row: Row) -> bool:
    fields = body.get("custom_fields_values", [])
    return bool(row.get("name") == body["name"] and fields and all(_field_holds(field, row) for field in fields))


def _holds(patch: Body, row: Row) -> bool:
    """Is everything that a patch says so in amoCRM's row?"""
    for key, wanted in patch.items():
        if key == "custom_fields_values":
            if not all(_field_holds(field, row) for field in wanted):
                return False
        elif key == "tags_to_add":
            tags = {tag["name"] for tag in row.get("_embedded", {}).get("tags", [])}
            if not {tag["name"] for tag in wanted} <= tags:
                return False
        elif key == "result":
            if (row.get("result") or {}).get("text") != wanted["text"]:
                return False
        elif row.get(key) != wanted:
            return False
    return True


def _field_holds(wanted: Mapping[str, Any], row: Row) -> bool:
    return is_written(wanted["values"], field_values(row).get(wanted["field_id"], ()))


def moment_of(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds else None


# --- deals for clients ------------------------------------------------------------------------------------------------


def find_client_deals(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    """The search for deals that were made together with their contact.

    People with an address are told apart by it, the others by deal and name. A contact without its deal is ambiguous:
    amoCRM may have broken off in between, and a second contact would follow. So is a deal that is like the lost one
    while people have changed its contact beyond recognition.
    """
    contacts = {row["id"]: row for row in _newest(client, "contacts", "created_at", lost, {"with": "leads"})}
    deals = {row["id"]: row for row in _newest(client, "leads", "created_at", lost, {"with": "contacts"})}
    people = {
        number: replace(lost_write, body=contact)
        for number, lost_write in lost.items()
        if (contact := _new_contact(lost_write.body)).get("custom_fields_values")
    }
    persons = _match(people, contacts.values(), lambda ids: set(), _is_same_contact, _likeness_of_contacts)
    wanted = {
        number: replace(lost_write, body=_with_contact(lost_write.body, persons.found.get(number)))
        for number, lost_write in lost.items()
        if number in persons.found or number not in people
    }

    def of_contact(body: Body, row: Row) -> int | None:
        """The row's contact who is the body's; whoever has no id yet is known by the name."""
        contact, linked = _new_contact(body), sorted(_contact_ids(row))
        return next((one for one in linked if _is_named(contact, contacts.get(one, {"id": one}))), None)

    search = _match(
        wanted,
        deals.values(),
        taken,
        lambda body, row: of_contact(body, row) is not None and _is_same_deal(body, row),
        lambda body, row: 0 if of_contact(body, row) is None else _likeness_of_deals(body, row),
    )
    found = {
        number: Written(written.id, written.updated_at, of_contact(wanted[number].body, deals[written.id]))
        for number, written in search.found.items()
    }
    alone = {number: (contact.id,) for number, contact in persons.found.items() if number not in found}
    ambiguous = {**alone, **persons.ambiguous, **search.ambiguous}
    used = {written.id for written in found.values()} | taken(deals)
    for number in lost.keys() - found.keys() - ambiguous.keys():
        perhaps = [
            deal_id
            for deal_id, row in deals.items()
            if deal_id not in used and _is_perhaps_client_deal(lost[number], row, contacts)
        ]
        if perhaps:
            ambiguous[number] = sorted(perhaps)
    return LostSearch(found, ambiguous)


def _new_contact(deal: Body) -> Body:
    contact: Body = deal["_embedded"]["contacts"][0]
    return contact


def _with_contact(body: Body, contact: Written | None) -> Body:
    """The deal as it is looked for."""
    return body if contact is None else {**body, "_embedded": {**body["_embedded"], "contacts": [{"id": contact.id}]}}


def _is_named(contact: Body, row: Row) -> bool:
    return bool(row["id"] == contact["id"] if "id" in contact else row.get("name") == contact["name"])


def _is_perhaps_client_deal(lost_write: LostWrite, deal: Row, contacts: Mapping[int, Row]) -> bool:
    """Who made them and when is what people can't change: a deal of ours, like the lost one, with a contact whom people
    have changed, replaced, merged with an older one or taken off."""
    if not _is_ours(lost_write, deal):
        return False
    linked = [contacts.get(contact_id) for contact_id in _contact_ids(deal)]
    if linked and not any(row is None or _is_ours_changed(lost_write, row) for row in linked):
        return False
    body = lost_write.body
    fields = any(_field_holds(field, deal) for field in body.get("custom_fields_values", []))
    named = any(row and row.get("name") == _new_contact(body)["name"] for row in linked)
    return fields or named or bool(deal.get("name") == body["name"])


def find_unsorted(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    """The search in «Неразобранное»: each has an id of ours."""
    wanted = {lost_write.body["source_uid"]: number for number, lost_write in lost.items()}
    oldest = min(lost_write.not_before for lost_write in lost.values()) - CLOCK_SLACK_SECONDS
    query = {"filter": {"category": ["forms"]}, "order": {"created_at": "desc"}}
    found: dict[int, Written] = {}
    for row in client.pages("/api/v4/leads/unsorted", query, "unsorted"):
        if row.get("created_at", 0) < oldest:
            break
        metadata = row.get("metadata") or {}
        number = wanted.get(str(metadata.get("form_id", "")))
        if number is not None and (written := written_unsorted(row)):
            found[number] = written
    return LostSearch(found)


def written_unsorted(row: Row) -> Written | None:
    """The deal of an incoming lead; None if amoCRM does not name it."""
    lead = next((identifier(one.get("id")) for one in embedded(row, "leads")), None)
    contact = next((identifier(one.get("id")) for one in embedded(row, "contacts")), None)
    return None if lead is None else Written(lead, None, contact)
