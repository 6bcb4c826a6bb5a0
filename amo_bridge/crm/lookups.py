"""Was it written? Looking in amoCRM for a write whose answer was lost: it has no idempotency keys.

Each look takes the bodies that may have been written and says which are there. ``taken`` are ids known to belong to
earlier writes; ``not_before`` is when the cause happened, on amoCRM's clock, so an equal task of last week is not taken
for this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import embedded

# amoCRM stamps whole seconds and its servers' clocks differ a little.
SLACK = 5
NEWEST = 250

Sought = Mapping[str, Mapping[str, Any]]
"""Our mark → payload of the effect (see engine/effects.py)."""


def find(client: CrmClient, kind: str, sought: Sought, taken: set[int]) -> dict[str, int]:
    """Our mark → id of what was written, for those that are there. Raises CrmError if amoCRM can't be read."""
    return LOOKS[kind](client, sought, set(taken))


def _tasks(client: CrmClient, sought: Sought, taken: set[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entity_type, marks in _by_entity_type(sought).items():
        rows = _newest_tasks(client) if entity_type is None else _tasks_on(client, entity_type, sought, marks)
        found |= _match({mark: sought[mark] for mark in marks}, rows, taken, _same_task)
    return found


def _tasks_on(client: CrmClient, entity_type: str, sought: Sought, marks: list[str]) -> list[Mapping[str, Any]]:
    ids = sorted({sought[mark]["body"]["entity_id"] for mark in marks})
    return list(_pages_of(client, "/api/v4/tasks", "tasks", {"entity_type": entity_type}, "entity_id", ids))


def _newest_tasks(client: CrmClient) -> list[Mapping[str, Any]]:
    """Tasks on nobody's card can't be asked for by card."""
    return embedded(client.get("/api/v4/tasks", {"order": {"id": "desc"}, "limit": NEWEST}) or {}, "tasks")


def _notes(client: CrmClient, sought: Sought, taken: set[int]) -> dict[str, int]:
    ids = sorted({payload["body"]["entity_id"] for payload in sought.values()})
    rows = list(_pages_of(client, "/api/v4/leads/notes", "notes", {"note_type": "common"}, "entity_id", ids))
    return _match(sought, rows, taken, _same_note)


def _new_deals(client: CrmClient, sought: Sought, taken: set[int]) -> dict[str, int]:
    params = {"order": {"created_at": "desc"}, "limit": NEWEST}
    answer = client.get("/api/v4/leads", params) or {}
    return _match(sought, embedded(answer, "leads"), taken, _same_deal)


def _changed_tasks(client: CrmClient, sought: Sought, taken: set[int]) -> dict[str, int]:
    return _changed(client, "/api/v4/tasks", "tasks", sought)


def _patched_deals(client: CrmClient, sought: Sought, taken: set[int]) -> dict[str, int]:
    return _changed(client, "/api/v4/leads", "leads", sought)


def _changed(client: CrmClient, path: str, name: str, sought: Sought) -> dict[str, int]:
    """A patch is there if everything it says is so now."""
    ids = sorted({payload["body"]["id"] for payload in sought.values()})
    rows = {row["id"]: row for row in _pages_of(client, path, name, {}, "id", ids)}
    return {
        mark: payload["body"]["id"]
        for mark, payload in sought.items()
        if (row := rows.get(payload["body"]["id"])) and _holds(payload["body"], row)
    }


def _holds(patch: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
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


def _field_holds(wanted: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    values = _values(row, wanted["field_id"])
    return values == [str(value["value"]) for value in wanted["values"] or []]


def _values(row: Mapping[str, Any], field_id: int) -> list[str]:
    for field in row.get("custom_fields_values") or []:
        if field["field_id"] == field_id:
            return [str(value.get("value")) for value in field["values"]]
    return []


def _same_task(body: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    keys = ("text", "entity_id", "entity_type", "responsible_user_id", "complete_till")
    return all((row.get(key) or None) == body.get(key) for key in keys)


def _same_note(body: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return bool(
        row.get("entity_id") == body["entity_id"] and row.get("params", {}).get("text") == body["params"]["text"]
    )


def _same_deal(body: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    keys = ("name", "pipeline_id", "responsible_user_id")
    fields = body.get("custom_fields_values", [])
    return all(row.get(key) == body[key] for key in keys) and all(_field_holds(field, row) for field in fields)


def _match(
    sought: Sought,
    rows: Iterable[Mapping[str, Any]],
    taken: set[int],
    same: Callable[[Mapping[str, Any], Mapping[str, Any]], bool],
) -> dict[str, int]:
    """Pair each body with one row that is equal to it and nobody else's; two equal bodies need two rows."""
    found = {}
    rows = list(rows)
    for mark, payload in sought.items():
        for row in rows:
            late_enough = row.get("created_at", 0) >= payload.get("not_before", 0) - SLACK
            if row["id"] not in taken and late_enough and same(payload["body"], row):
                taken.add(row["id"])
                found[mark] = int(row["id"])
                break
    return found


def _by_entity_type(sought: Sought) -> dict[str | None, list[str]]:
    groups: dict[str | None, list[str]] = {}
    for mark, payload in sought.items():
        groups.setdefault(payload["body"].get("entity_type"), []).append(mark)
    return groups


def _pages_of(
    client: CrmClient, path: str, name: str, more: Mapping[str, Any], key: str, ids: list[int]
) -> Iterator[Mapping[str, Any]]:
    """Rows whose ``key`` is one of ``ids``. The filter may be silently ignored, so every row is checked."""
    for start in range(0, len(ids), 100):
        chunk = ids[start : start + 100]
        params = {"filter": {**more, key: chunk}, "order": {"id": "desc"}}
        for row in client.pages(path, params, name):
            if row.get(key) in chunk:
                yield row


LOOKS: Mapping[str, Callable[[CrmClient, Sought, set[int]], dict[str, int]]] = {
    "create_task": _tasks,
    "change_task": _changed_tasks,
    "patch_deal": _patched_deals,
    "add_note": _notes,
    "create_deal": _new_deals,
}
