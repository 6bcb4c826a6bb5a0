"""Was it written? Looking in amoCRM for a write whose answer was lost: it has no idempotency keys.

Each look takes the bodies that may have been written and says which are there. ``taken`` says which of some ids are
known to belong to earlier writes; ``not_before`` is when the cause happened, on amoCRM's clock, so an equal task of
last week is not taken for this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import Any

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.link_writes import attached_files, linked_contacts
from amo_bridge.crm.writes import Written

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
