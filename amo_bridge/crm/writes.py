"""Batched writes into amoCRM: one table of their kinds.

amoCRM takes arrays of up to 250 objects and answers with ids only (amoCRM docs, leads-api, tasks-api,
events-and-notes). ``request_id`` is echoed, so an answer finds its object whatever the order; answers to PATCH carry
the object's id. amoCRM has no idempotency keys: a write whose answer was lost is looked for before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from amo_bridge.crm.client import BATCH_SIZE, CrmClient, batches
from amo_bridge.crm.files import file_ids_of_deal
from amo_bridge.crm.values import embedded, field_values, identifier, is_written
from amo_bridge.errors import Complaint, CrmError, CrmForbidden, CrmRefused, CrmStopped, CrmTemporary, CrmUncertain

CrmKind = Literal[
    "create_task", "change_task", "patch_deal", "add_note", "create_deal", "create_contact", "patch_contact",
    "link_contact", "attach_files",
]  # fmt: skip
"""Names of the kinds. They stand in the outbox: never rename one."""

Body = Mapping[str, Any]
Bodies = Mapping[int, Body]
"""Our number of a write → amoCRM's object. The number goes out as ``request_id``."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """What amoCRM answered about one object: its id, and when it changed (PATCH only)."""

    id: int
    updated_at: datetime | None = None


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


def with_request_ids(bodies: Bodies) -> list[Body]:
    """The objects, each with our number for the answer to repeat."""
    return [{**body, "request_id": str(number)} for number, body in bodies.items()]


@dataclass(frozen=True, kw_only=True)
class WriteKind:
    """All that the bridge knows of a kind of write; a new kind is a row of ``WRITE_KINDS``.

    ``path`` may name keys of the body ({entity_id}) if ``batch_size`` is 1. ``collection``: the key under
    ``_embedded`` of the answer; None: the answer names no objects, and what was written is the body's ``entity_id``.
    ``find_lost``: which of these writes are there. ``appends``: adds something to a deal, so that several for one deal
    may stand in one request. ``creates``: the entity that comes into being. ``wire_body``: what the request holds.
    """

    name: CrmKind
    method: Literal["POST", "PATCH", "PUT"]
    path: str
    collection: str | None
    find_lost: FindLost
    batch_size: int = BATCH_SIZE
    appends: bool = False
    creates: Literal["task", "note", "deal", "contact"] | None = None
    wire_body: Callable[[Bodies], list[Body]] = with_request_ids


# --- sending ----------------------------------------------------------------------------------------------------------


def write(client: CrmClient, kind: str, bodies: Bodies) -> dict[int, Written]:
    """Send objects in one request; what amoCRM answered about each, in their order.

    Raises CrmError. An answer that does not name every object is CrmUncertain: nobody knows what was written.
    """
    row = WRITE_KINDS[kind]
    path = row.path.format_map(next(iter(bodies.values())))
    send = getattr(client, row.method.lower())
    answer = send(path, row.wire_body(bodies)) or {}
    if row.collection is None:
        return {number: Written(int(body["entity_id"])) for number, body in bodies.items()}
    written = _by_number(bodies, answer.get("_embedded", {}).get(row.collection, []))
    if set(written) != set(bodies):
        raise CrmUncertain("ответ amoCRM говорит не обо всех объектах запроса", method=row.method, path=path)
    return {number: written[number] for number in bodies}


def _by_number(bodies: Bodies, items: Sequence[Row]) -> dict[int, Written]:
    numbers = list(bodies)
    of_id = {body["id"]: number for number, body in bodies.items() if "id" in body}
    written = {}
    for item in items:
        echoed = str(item.get("request_id", ""))
        number = int(echoed) if echoed.isdigit() else None
        if number not in bodies:
            # Without ``request_id`` of ours amoCRM may answer with the object's place in the request.
            place = numbers[number] if number is not None and number < len(numbers) else None
            number = of_id.get(item.get("id"), place)
        if number is not None:
            written[number] = Written(int(item["id"]), _moment(item.get("updated_at")))
    return written


@dataclass(frozen=True)
class BatchResult:
    """What came of the objects of one request, by our numbers.

    ``refused``: wrote nothing, never to be sent again; amoCRM's words. ``complaints``: which of their parts it refused,
    if it says so. ``later``: surely not written. ``doubt``: nobody knows. ``error``: why later or doubt.
    """

    written: Mapping[int, Written] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    complaints: Mapping[int, tuple[Complaint, ...]] = field(default_factory=dict)
    later: Sequence[int] = ()
    doubt: Sequence[int] = ()
    error: CrmError | None = None

    @property
    def settled(self) -> int:
        """How many objects need nothing more."""
        return len(self.written) + len(self.refused)


def write_batch(client: CrmClient, kind: str, bodies: Bodies) -> Iterator[BatchResult]:
    """Send objects in one request, in more if amoCRM refuses some: the others are sent again without them.

    Gives a result after each request, to be stored before the next one goes out. Raises CrmStopped after the last
    result when amoCRM wants nothing more from us.
    """
    waiting = [bodies] if bodies else []
    while waiting:
        batch = waiting.pop(0)
        try:
            written = write(client, kind, batch)
        except CrmForbidden as error:
            # A right that is missing for this kind of write: it will be missing again, and other writes go on.
            yield BatchResult(refused=dict.fromkeys(batch, str(error)))
        except CrmStopped as error:
            yield BatchResult(later=[number for unsent in (batch, *waiting) for number in unsent], error=error)
            raise
        except CrmUncertain as error:
            yield BatchResult(doubt=list(batch), error=error)
        except CrmTemporary as error:
            yield BatchResult(later=list(batch), error=error)
        except CrmRefused as error:
            refused, again = _sort_refused(batch, error)
            if refused:
                yield BatchResult(refused=refused, complaints=_bad_parts(list(batch), error))
            waiting[:0] = again
        else:
            yield BatchResult(written=written)


def _sort_refused(batch: Bodies, error: CrmRefused) -> tuple[dict[int, str], list[Bodies]]:
    """(refused objects, what to send again) of a refused request, which wrote nothing. When the answer names no bad
    objects, the batch is halved until they stand alone."""
    refused = _named_bad(list(batch), error)
    numbers = list(batch)
    if not refused and len(batch) > 1:
        middle = len(batch) // 2
        return {}, [{number: batch[number] for number in half} for half in (numbers[:middle], numbers[middle:])]
    refused = refused or dict.fromkeys(numbers, str(error))
    rest = {number: body for number, body in batch.items() if number not in refused}
    return refused, [rest] if rest else []


def _named_bad(numbers: Sequence[int], error: CrmRefused) -> dict[int, str]:
    """The objects that amoCRM named as bad, with its words: by our request_id or, in some of its answers, by their
    place in the request. Empty when it names none."""
    named = _numbers_of(numbers, error.bad_items)
    return {named[name]: words for name, words in error.bad_items.items() if name in named}


def _bad_parts(numbers: Sequence[int], error: CrmRefused) -> dict[int, tuple[Complaint, ...]]:
    named = _numbers_of(numbers, error.complaints)
    return {named[name]: parts for name, parts in error.complaints.items() if name in named}


def _numbers_of(numbers: Sequence[int], names: Iterable[str]) -> dict[str, int]:
    """amoCRM's name of an object in a request → our number of it."""
    by_request_id = {str(number): number for number in numbers}
    by_place = {str(place): number for place, number in enumerate(numbers)}
    return by_request_id if set(names) <= set(by_request_id) else by_place


# --- finding a lost write ---------------------------------------------------------------------------------------------

# amoCRM stamps whole seconds, and its servers' clocks differ a little.
CLOCK_SLACK_SECONDS = 5
# 10,000 entities made since the cause: then the account is being filled by a machine, and the search ends.
MAX_PAGES = 40
IDS_PER_REQUEST = 100


def find_lost(client: CrmClient, kind: str, lost: LostWrites, taken: Taken) -> LostSearch:
    """Those of the lost writes that are in amoCRM. Raises CrmError if it can't be read."""
    return WRITE_KINDS[kind].find_lost(client, lost, taken)


def _find_tasks(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
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


def _find_notes_of(cards: str) -> FindLost:
    """The search for text notes on cards of a type (leads, contacts, companies)."""

    def find(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
        ids = {lost_write.body["entity_id"] for lost_write in lost.values()}
        rows = _rows_by(client, f"/api/v4/{cards}/notes", "notes", {"note_type": "common"}, "entity_id", ids)
        return _match(lost, rows, taken, _is_same_note, _likeness_of_notes)

    return find


def _find_new_deals(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    rows = _newest(client, "leads", "created_at", lost, {"with": "contacts"})
    return _match(lost, rows, taken, _is_same_deal, _likeness_of_deals)


def _find_new_contacts(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
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


def _find_patched(name: str) -> FindLost:
    """The search for patches of entities (leads, contacts, tasks): one is there if everything it says is so now."""

    def find(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
        ids = {lost_write.body["id"] for lost_write in lost.values()}
        rows = {row["id"]: row for row in _rows_by(client, f"/api/v4/{name}", name, {}, "id", ids)}
        return LostSearch(
            {
                number: Written(int(row["id"]), _moment(row.get("updated_at")))
                for number, lost_write in lost.items()
                if (row := rows.get(lost_write.body["id"])) and _holds(lost_write.body, row)
            }
        )

    return find


def _find_links(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    """Links belong to nobody, so none is taken. A repeated link changes nothing (amoCRM docs, entity-links-api): the
    search only saves the repetition."""
    wanted = {
        number: (int(lost_write.body["entity_id"]), int(lost_write.body["to_entity_id"]))
        for number, lost_write in lost.items()
    }
    links = set(_links(client, sorted({deal_id for deal_id, _ in wanted.values()})))
    return LostSearch({number: Written(link[0]) for number, link in wanted.items() if link in links})


def _links(client: CrmClient, deal_ids: list[int]) -> Iterator[tuple[int, int]]:
    """(deal, contact) of all contacts linked to these deals."""
    for ids in batches(deal_ids, IDS_PER_REQUEST):
        query = {"filter": {"entity_id": ids, "to_entity_type": "contacts"}}
        for row in embedded(client.get("/api/v4/leads/links", query) or {}, "links"):
            deal_id, contact_id = identifier(row.get("entity_id")), identifier(row.get("to_entity_id"))
            if deal_id and contact_id and row.get("to_entity_type") == "contacts":
                yield deal_id, contact_id


def _find_attached_files(client: CrmClient, lost: LostWrites, taken: Taken) -> LostSearch:
    """As ``_find_links``: a file that is attached again stays attached once (amoCRM docs, files-api)."""
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
                found[number] = Written(int(row["id"]), _moment(row.get("created_at")))
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
    made_at, touched_at = row.get("created_at", 0), row.get("updated_at", 0)
    is_ours = row.get("created_by") == lost_write.user_id and made_at >= lost_write.not_before - CLOCK_SLACK_SECONDS
    return is_ours and (touched_at > made_at or row.get("updated_by") != row.get("created_by"))


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
                found[pair.number] = Written(int(pair.row["id"]), _moment(pair.row.get("created_at")))
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
        row.get("entity_id") == body["entity_id"] and row.get("params", {}).get("text") == body["params"]["text"]
    )


def _is_same_deal(body: Body, row: Row) -> bool:
    keys = ("name", "pipeline_id", "responsible_user_id")
    fields = body.get("custom_fields_values", [])
    same = all(row.get(key) == body[key] for key in keys) and all(_field_holds(field, row) for field in fields)
    # Two people may have one name: whose deal it is tells them apart.
    return same and _contact_ids(body) <= _contact_ids(row)


def _contact_ids(deal: Mapping[str, Any]) -> set[int]:
    return {contact["id"] for contact in deal.get("_embedded", {}).get("contacts") or ()}


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


def _moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds else None


# --- the table --------------------------------------------------------------------------------------------------------


def _rows_of_links(bodies: Bodies) -> list[Body]:
    """``entity_id`` (the deal), ``to_entity_id``, ``to_entity_type``; this request takes no ``request_id``."""
    return list(bodies.values())


def _rows_of_files(bodies: Bodies) -> list[Body]:
    """Of a body ``entity_id`` (the deal) and ``file_uuids``: the files, since the deal stands in the address."""
    return [{"file_uuid": uuid} for body in bodies.values() for uuid in body["file_uuids"]]


WRITE_KINDS: Mapping[str, WriteKind] = {
    kind.name: kind
    for kind in (
        WriteKind(
            name="create_task", method="POST", path="/api/v4/tasks", collection="tasks",
            find_lost=_find_tasks, appends=True, creates="task",
        ),
        WriteKind(
            name="change_task", method="PATCH", path="/api/v4/tasks", collection="tasks",
            find_lost=_find_patched("tasks"),
        ),
        WriteKind(
            name="patch_deal", method="PATCH", path="/api/v4/leads", collection="leads",
            find_lost=_find_patched("leads"),
        ),
        WriteKind(
            name="add_note", method="POST", path="/api/v4/leads/notes", collection="notes",
            find_lost=_find_notes_of("leads"), appends=True, creates="note",
        ),
        WriteKind(
            name="create_deal", method="POST", path="/api/v4/leads", collection="leads",
            find_lost=_find_new_deals, creates="deal",
        ),
        WriteKind(
            name="create_contact", method="POST", path="/api/v4/contacts", collection="contacts",
            find_lost=_find_new_contacts, creates="contact",
        ),
        WriteKind(
            name="patch_contact", method="PATCH", path="/api/v4/contacts", collection="contacts",
            find_lost=_find_patched("contacts"),
        ),
        WriteKind(
            name="link_contact", method="POST", path="/api/v4/leads/link", collection=None,
            find_lost=_find_links, wire_body=_rows_of_links, appends=True,
        ),
        WriteKind(
            name="attach_files", method="PUT", path="/api/v4/leads/{entity_id}/files", collection=None,
            find_lost=_find_attached_files, wire_body=_rows_of_files, batch_size=1,
        ),
    )
}  # fmt: skip
