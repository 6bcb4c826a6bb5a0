"""What hangs on a deal's card: linking contacts and files to it, and looking whether a lost answer has linked them.

Linking what is linked already changes nothing (amoCRM docs, entity-links-api, files-api): here a repeat could do no
harm, and the look only saves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import file_ids_of_deal
from amo_bridge.crm.values import embedded, identifier
from amo_bridge.errors import CrmRefused, CrmUncertain

IDS_IN_ADDRESS = 100
Bodies = Mapping[str, Mapping[str, Any]]


def link_contacts(client: CrmClient, bodies: Bodies) -> dict[str, int]:
    """Our mark → the deal's id. A body is amoCRM's: ``entity_id`` (the deal), ``to_entity_id``, ``to_entity_type``."""
    client.post("/api/v4/leads/link", list(bodies.values()))
    return {mark: int(body["entity_id"]) for mark, body in bodies.items()}


def linked_contacts(client: CrmClient, bodies: Bodies) -> dict[str, int]:
    """Of these links those that are there: our mark → the deal's id."""
    deals = sorted({int(body["entity_id"]) for body in bodies.values()})
    there = set(_links(client, deals))
    wanted = {mark: (int(body["entity_id"]), int(body["to_entity_id"])) for mark, body in bodies.items()}
    return {mark: deal for mark, (deal, contact) in wanted.items() if (deal, contact) in there}


def attach_files(client: CrmClient, bodies: Bodies) -> dict[str, int]:
    """Our mark → the deal's id. A body: ``entity_id`` (the deal) and ``file_uuids``; a request for each deal."""
    for body in bodies.values():
        files = [{"file_uuid": uuid} for uuid in body["file_uuids"]]
        client.put(f"/api/v4/leads/{int(body['entity_id'])}/files", files)
    return {mark: int(body["entity_id"]) for mark, body in bodies.items()}


def attached_files(client: CrmClient, bodies: Bodies) -> dict[str, int]:
    """Of these bodies those whose files are all on the card: our mark → the deal's id."""
    deals = {mark: int(body["entity_id"]) for mark, body in bodies.items()}
    return {
        mark: deal
        for mark, deal in deals.items()
        if set(bodies[mark]["file_uuids"]) <= set(file_ids_of_deal(client, deal))
    }


def _links(client: CrmClient, deals: list[int]) -> Iterable[tuple[int, int]]:
    """(deal, contact) of all contacts linked to these deals."""
    for start in range(0, len(deals), IDS_IN_ADDRESS):
        sought = {"filter": {"entity_id": deals[start : start + IDS_IN_ADDRESS], "to_entity_type": "contacts"}}
        for row in embedded(client.get("/api/v4/leads/links", sought) or {}, "links"):
            deal, contact = identifier(row.get("entity_id")), identifier(row.get("to_entity_id"))
            if deal and contact and row.get("to_entity_type") == "contacts":
                yield deal, contact


# Writing into amoCRM in batches: which request each kind of effect is, and how its answer is read.
#
# amoCRM takes arrays of up to 250 objects and answers with ids only (amoCRM docs, leads-api, tasks-api,
# events-and-notes). ``request_id`` is echoed, so an answer finds its object whatever the order; PATCH answers carry the
# id.


@dataclass(frozen=True)
class Request:
    """One kind of write. ``name``: the key under ``_embedded``; ``most``: objects in one request."""

    method: Literal["post", "patch"]
    path: str
    name: str
    most: int = 250


REQUESTS: Mapping[str, Request] = {
    "create_task": Request("post", "/api/v4/tasks", "tasks"),
    "change_task": Request("patch", "/api/v4/tasks", "tasks"),
    "patch_deal": Request("patch", "/api/v4/leads", "leads"),
    "add_note": Request("post", "/api/v4/leads/notes", "notes"),
    "create_deal": Request("post", "/api/v4/leads", "leads"),
    "create_contact": Request("post", "/api/v4/contacts", "contacts"),
    "patch_contact": Request("patch", "/api/v4/contacts", "contacts"),
}
LINKING: Mapping[str, Callable[[CrmClient, Mapping[str, Mapping[str, Any]]], Mapping[str, int]]] = {
    "link_contact": link_contacts,
    "attach_files": attach_files,
}
"""Kinds whose requests and answers look otherwise; their objects have no ids of their own."""


def most_of(kind: str) -> int:
    """How many objects of this kind one request may hold."""
    if kind == "attach_files":
        return 1
    return REQUESTS[kind].most if kind in REQUESTS else 250


@dataclass(frozen=True)
class Written:
    """What amoCRM said of one object: its id, and when it changed (PATCH only)."""

    id: int
    updated_at: datetime | None = None


def write(client: CrmClient, kind: str, objects: Mapping[str, Mapping[str, Any]]) -> dict[str, Written]:
    """Send objects (our mark → body) in one request; our mark → what amoCRM said.

    Raises CrmError. An answer that does not speak of every object is CrmUncertain: nobody knows what was written.
    """
    if kind in LINKING:
        return {mark: Written(deal_id) for mark, deal_id in LINKING[kind](client, objects).items()}
    request = REQUESTS[kind]
    bodies = [{**body, "request_id": mark} for mark, body in objects.items()]
    send = client.post if request.method == "post" else client.patch
    answer = send(request.path, bodies) or {}
    items = answer.get("_embedded", {}).get(request.name, [])
    written = _by_mark(objects, items)
    if set(written) != set(objects):
        raise CrmUncertain(
            "ответ amoCRM говорит не обо всех объектах запроса", method=request.method, path=request.path
        )
    return written


def _by_mark(objects: Mapping[str, Mapping[str, Any]], items: Sequence[Mapping[str, Any]]) -> dict[str, Written]:
    marks = list(objects)
    by_id = {body["id"]: mark for mark, body in objects.items() if "id" in body}
    found = {}
    for item in items:
        mark = str(item.get("request_id", ""))
        if mark not in objects:
            mark = by_id.get(item.get("id"), marks[int(mark)] if mark.isdigit() and int(mark) < len(marks) else "")
        if mark:
            at = item.get("updated_at")
            found[mark] = Written(int(item["id"]), datetime.fromtimestamp(at, UTC) if at else None)
    return found


def named_bad(marks: Sequence[str], error: CrmRefused) -> dict[str, str]:
    """Which objects of a refused request amoCRM named: mark → its words. It names them by our request_id or, in some of
    its answers, by their place in the request; empty when it names none."""
    by_place = {str(place): mark for place, mark in enumerate(marks)}
    known = {mark: mark for mark in marks} if set(error.bad_items) <= set(marks) else by_place
    return {known[mark]: words for mark, words in error.bad_items.items() if mark in known}


# Was it written? Looking in amoCRM for a write whose answer was lost: it has no idempotency keys.
#
# Each look takes the bodies that may have been written and says which are there. ``taken`` says which of some ids are
# known to belong to earlier writes; ``not_before`` is when the cause happened, on amoCRM's clock, so an equal task of
# last week is not taken for this one.

# amoCRM stamps whole seconds and its servers' clocks differ a little.
SLACK = 5
# 10,000 entities made since the cause: then the account is being filled by a machine, and the search ends.
MOST_PAGES = 40

Row = Mapping[str, Any]
Sought = Mapping[str, Mapping[str, Any]]
"""Our mark → payload of the effect (see engine/effects.py)."""
Taken = Callable[[Iterable[int]], set[int]]


def find(client: CrmClient, kind: str, sought: Sought, taken: Taken) -> dict[str, Written]:
    """Our mark → what was written, for those that are there. Raises CrmError if amoCRM can't be read."""
    return LOOKS[kind](client, sought, taken)


def _tasks(client: CrmClient, sought: Sought, taken: Taken) -> dict[str, Written]:
    found: dict[str, Written] = {}
    for entity_type, marks in _by_entity_type(sought).items():
        mine = {mark: sought[mark] for mark in marks}
        # Tasks on nobody's card can't be asked for by card.
        rows = _tasks_on(client, entity_type, mine) if entity_type else _newest(client, "tasks", "id", mine)
        found |= _match(mine, rows, taken, _same_task)
    return found


def _tasks_on(client: CrmClient, entity_type: str, sought: Sought) -> Iterable[Row]:
    ids = sorted({payload["body"]["entity_id"] for payload in sought.values()})
    return _pages_of(client, "/api/v4/tasks", "tasks", {"entity_type": entity_type}, "entity_id", ids)


def _notes(client: CrmClient, sought: Sought, taken: Taken) -> dict[str, Written]:
    ids = sorted({payload["body"]["entity_id"] for payload in sought.values()})
    rows = _pages_of(client, "/api/v4/leads/notes", "notes", {"note_type": "common"}, "entity_id", ids)
    return _match(sought, rows, taken, _same_note)


def _new_deals(client: CrmClient, sought: Sought, taken: Taken) -> dict[str, Written]:
    rows = _newest(client, "leads", "created_at", sought, {"with": "contacts"})
    return _match(sought, rows, taken, _same_deal)


def _new_contacts(client: CrmClient, sought: Sought, taken: Taken) -> dict[str, Written]:
    return _match(sought, _newest(client, "contacts", "created_at", sought), taken, _same_contact)


def _newest(
    client: CrmClient, name: str, order: str, sought: Sought, more: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Row]:
    """What was made since the oldest of the causes, newest first."""
    oldest = min(payload.get("not_before", 0) for payload in sought.values()) - SLACK
    most = (MOST_PAGES if oldest > 0 else 1) * client.batch_size
    for row in islice(client.pages(f"/api/v4/{name}", {"order": {order: "desc"}, **more}, name), most):
        if row.get("created_at", 0) < oldest:
            return
        yield row


def _changed_tasks(client: CrmClient, sought: Sought, taken: Taken) -> dict[str, Written]:
    return _changed(client, "/api/v4/tasks", "tasks", sought)


def _patched_deals(client: CrmClient, sought: Sought, taken: Taken) -> dict[str, Written]:
    return _changed(client, "/api/v4/leads", "leads", sought)


def _changed(client: CrmClient, path: str, name: str, sought: Sought) -> dict[str, Written]:
    """A patch is there if everything it says is so now."""
    ids = sorted({payload["body"]["id"] for payload in sought.values()})
    rows = {row["id"]: row for row in _pages_of(client, path, name, {}, "id", ids)}
    return {
        mark: Written(int(row["id"]), _moment(row.get("updated_at")))
        for mark, payload in sought.items()
        if (row := rows.get(payload["body"]["id"])) and holds(payload["body"], row)
    }


def holds(patch: Mapping[str, Any], row: Row) -> bool:
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
    values = _values(row, wanted["field_id"])
    return values == [str(value["value"]) for value in wanted["values"] or []]


def _values(row: Row, field_id: int) -> list[str]:
    for field in row.get("custom_fields_values") or []:
        if field["field_id"] == field_id:
            return [str(value.get("value")) for value in field["values"]]
    return []


def _same_task(body: Mapping[str, Any], row: Row) -> bool:
    keys = ("text", "entity_id", "entity_type", "responsible_user_id", "complete_till")
    return all((row.get(key) or None) == body.get(key) for key in keys)


def _same_note(body: Mapping[str, Any], row: Row) -> bool:
    return bool(
        row.get("entity_id") == body["entity_id"] and row.get("params", {}).get("text") == body["params"]["text"]
    )


def _same_deal(body: Mapping[str, Any], row: Row) -> bool:
    keys = ("name", "pipeline_id", "responsible_user_id")
    fields = body.get("custom_fields_values", [])
    same = all(row.get(key) == body[key] for key in keys) and all(_field_holds(field, row) for field in fields)
    # Two people may have one name: whose deal it is tells them apart.
    return same and _contacts(body) <= _contacts(row)


def _contacts(deal: Mapping[str, Any]) -> set[int]:
    return {contact["id"] for contact in deal.get("_embedded", {}).get("contacts") or ()}


def _same_contact(body: Mapping[str, Any], row: Row) -> bool:
    fields = body.get("custom_fields_values", [])
    return bool(row.get("name") == body["name"] and fields and all(_field_holds(field, row) for field in fields))


def _match(
    sought: Sought,
    rows: Iterable[Row],
    taken: Taken,
    same: Callable[[Mapping[str, Any], Row], bool],
) -> dict[str, Written]:
    """Pair each body with one row that is equal to it and nobody else's; two equal bodies need two rows."""
    found = {}
    rows = list(rows)
    # Asked for these very rows: an equal task may have been made for another deal of the same contact.
    used = taken(row["id"] for row in rows)
    for mark, payload in sought.items():
        for row in rows:
            late_enough = row.get("created_at", 0) >= payload.get("not_before", 0) - SLACK
            if row["id"] not in used and late_enough and same(payload["body"], row):
                used.add(row["id"])
                found[mark] = Written(int(row["id"]), _moment(row.get("created_at")))
                break
    return found


def _linked(
    look: Callable[[CrmClient, Mapping[str, Mapping[str, Any]]], Mapping[str, int]],
) -> Callable[[CrmClient, Sought, Taken], dict[str, Written]]:
    """A look at what hangs on cards; that belongs to nobody, so nothing is taken."""

    def found(client: CrmClient, sought: Sought, taken: Taken) -> dict[str, Written]:
        there = look(client, {mark: payload["body"] for mark, payload in sought.items()})
        return {mark: Written(deal_id) for mark, deal_id in there.items()}

    return found


def _moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds else None


def _by_entity_type(sought: Sought) -> dict[str | None, list[str]]:
    groups: dict[str | None, list[str]] = {}
    for mark, payload in sought.items():
        groups.setdefault(payload["body"].get("entity_type"), []).append(mark)
    return groups


def _pages_of(
    client: CrmClient, path: str, name: str, more: Mapping[str, Any], key: str, ids: list[int]
) -> Iterator[Row]:
    """Rows whose ``key`` is one of ``ids``. The filter may be silently ignored, so every row is checked."""
    for start in range(0, len(ids), 100):
        chunk = ids[start : start + 100]
        params = {"filter": {**more, key: chunk}, "order": {"id": "desc"}}
        for row in client.pages(path, params, name):
            if row.get(key) in chunk:
                yield row


LOOKS: Mapping[str, Callable[[CrmClient, Sought, Taken], dict[str, Written]]] = {
    "create_task": _tasks,
    "change_task": _changed_tasks,
    "patch_deal": _patched_deals,
    "add_note": _notes,
    "create_deal": _new_deals,
    "create_contact": _new_contacts,
    "link_contact": _linked(linked_contacts),
    "attach_files": _linked(attached_files),
}
