"""Common part of leads, contacts, companies: lists (amoCRM docs, filters-api), fields, records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, get_args

from amo_bridge.sandbox import field_values, tags
from amo_bridge.sandbox.changes import Action, Change, Kind
from amo_bridge.sandbox.http import Span, Tree, branch, integers, parts, query, strings
from amo_bridge.sandbox.validation import Reader
from amo_bridge.sandbox.world import Record, World

SINGULAR = {"leads": "lead", "contacts": "contact", "companies": "company", "customers": "customer", "tasks": "task"}
PEOPLE = ("contacts", "companies")


@dataclass(frozen=True)
class Draft:
    """What one object of a write asks for, already checked."""

    plain: dict[str, Any]
    fields: field_values.Changes
    tags: tags.TagChange
    contacts: Sequence[dict[str, Any]] = ()
    companies: Sequence[dict[str, Any]] = ()


ORDERED_BY = ("created_at", "updated_at", "id")
RANGES = ("created_at", "updated_at", "closed_at", "price")
IDS = ("pipeline_id", "created_by", "updated_by", "responsible_user_id")
BY_ENUM = ("select", "multiselect", "radiobutton", "category", "multitext")
Test = Callable[[Record], bool]


# --- lists -----------------------------------------------------------------------------------------------------------


def listed_rows(world: World, kind: str, closest: Callable[[int], int | None], is_listed: Test) -> list[Record]:
    """The records that ``is_listed`` takes and the request's ``filter``, ``query`` and ``order`` ask for.

    Filters are a paid function of an account: where it is off, they are ignored in silence.
    """
    params, table = query(), world.table(kind)
    rows: Iterable[Record] = table.values()
    tests: list[Test] = [is_listed]
    if world.account["is_api_filter_enabled"]:
        wanted = branch(params, "filter")
        tests += _filters(world, kind, wanted, closest)
        if ids := integers(branch(wanted, "id")):
            rows = [table[entity_id] for entity_id in ids if entity_id in table]
    text = params.get("query")
    if isinstance(text, str) and text.strip():
        tests.append(_search(text.strip().casefold()))
    for test in tests:
        rows = [row for row in rows if test(row)]
    return ordered(rows, params)


def ordered(rows: Iterable[Record], params: Tree, by: Iterable[str] = ORDERED_BY) -> list[Record]:
    """``order[updated_at]=desc``; by id ascending if nothing (known) is asked."""
    found = [(name, way) for name, way in parts(params, "order").items() if name in by]
    rows = sorted(rows, key=itemgetter("id"))
    for name, way in reversed(found):
        rows.sort(key=itemgetter(name), reverse=str(way).lower() == "desc")
    return rows


def _filters(world: World, kind: str, wanted: object, closest: Callable[[int], int | None]) -> Iterable[Test]:
    if not isinstance(wanted, Mapping):
        return
    for name in IDS:
        if ids := integers(wanted.get(name)):
            yield lambda row, name=name, ids=ids: row.get(name) in ids  # type: ignore[misc]
    for name in RANGES:
        if (span := Span.of(wanted.get(name))) is not None:
            yield lambda row, name=name, span=span: span.holds(row.get(name))  # type: ignore[misc]
    if (span := Span.of(wanted.get("closest_task_at"))) is not None:
        yield lambda row: span.holds(closest(row["id"]))
    if names := strings(wanted.get("name"), commas=False):
        yield lambda row: row["name"] in names
    if pairs := _stages(wanted.get("statuses")):
        yield lambda row: (row["pipeline_id"], row["status_id"]) in pairs
    for field_id, value in parts(wanted, "custom_fields_values").items():
        yield _field_filter(world, kind, field_id, value)


def _stages(wanted: object) -> set[tuple[int, int]]:
    """Only whole pairs count: 142 and 143 say nothing without their pipeline."""
    pairs = set()
    for item in wanted.values() if isinstance(wanted, Mapping) else ():
        for pipeline_id in integers(branch(item, "pipeline_id")):
            pairs |= {(pipeline_id, status_id) for status_id in integers(branch(item, "status_id"))}
    return pairs


def _field_filter(world: World, kind: str, field_id: str, wanted: object) -> Test:
    field = world.table(f"custom_fields/{kind}").get(int(field_id)) if field_id.isdecimal() else None
    span = Span.of(wanted) if isinstance(wanted, Mapping) and ("from" in wanted or "to" in wanted) else None
    words = set(strings(wanted, commas=False))

    def holds(row: Record) -> bool:
        for item in _values(row, field["id"] if field else None):
            if span is not None:
                if span.holds(_as_number(item.get("value"))):
                    return True
            elif _filter_value(field, item) in words:
                return True
        return False

    return holds


def _filter_value(field: Record | None, item: Mapping[str, Any]) -> str:
    if field is not None and field["type"] in BY_ENUM:
        return str(item.get("enum_id"))
    return field_values.text_of(field and field["type"], item)


def _as_number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _values(row: Record, field_id: int | None) -> Iterable[Mapping[str, Any]]:
    for field in row["custom_fields_values"] or ():
        if field_id is None or field["field_id"] == field_id:
            yield from field["values"]


def _search(part: str) -> Test:
    """``query``: the text anywhere in the name, the id or a filled field; phones are compared as typed."""
    return lambda row: (
        part in row["name"].casefold()
        or part == str(row["id"])
        or any(
            part in field_values.text_of(field["field_type"], item).casefold()
            for field in row["custom_fields_values"] or ()
            for item in field["values"]
        )
    )


def closest_tasks(world: World, kind: str) -> Callable[[int], int | None]:
    """``closest_task_at`` of every entity of a kind: when the first of its open tasks is due."""
    closest: dict[int, int] = {}
    for task in world.table("tasks").values():
        if task["entity_type"] == kind and not task["is_completed"]:
            due = task["complete_till"]
            closest[task["entity_id"]] = min(due, closest.get(task["entity_id"], due))
    return closest.get


# --- reading ---------------------------------------------------------------------------------------------------------


def find(world: World, kind: str, entity_id: object) -> Record | None:
    """The entity, None also for one that was deleted."""
    record = world.table(kind).get(entity_id) if isinstance(entity_id, int) else None
    return None if record is None or record.get("is_deleted") else record


def read_common(reader: Reader, kind: str) -> dict[str, Any]:
    """The fields every entity has, those only that the object names."""
    plain = {
        "name": reader.text("name"),
        "responsible_user_id": reader.user("responsible_user_id"),
        "created_by": reader.user("created_by", robot=True),
        "updated_by": reader.user("updated_by", robot=True),
        "created_at": reader.integer("created_at"),
        "updated_at": reader.integer("updated_at"),
    }
    return {name: value for name, value in plain.items() if value is not None}


def draft(reader: Reader, kind: str, plain: dict[str, Any], *, links: bool) -> Draft:
    """``links``: the object may link contacts and companies (a POST may, a PATCH can't)."""
    within = reader.embedded() if links else {}
    return Draft(
        plain,
        field_values.read(reader, kind),
        tags.read(reader, kind),
        _linked(reader, "contacts", within),
        _linked(reader, "companies", within),
    )


def must_exist(reader: Reader, kind: str) -> None:
    """Notes an error unless ``id`` names an entity that can be changed."""
    reader.require("id")
    if (entity_id := reader.integer("id")) is not None and find(reader.world, kind, entity_id) is None:
        reader.not_a_choice("id")


def _linked(reader: Reader, kind: str, within: dict[str, Any]) -> list[dict[str, Any]]:
    items = reader.objects(kind, within, "_embedded.")
    for number, item in enumerate(items):
        if "id" not in item:
            reader.fail("FieldMissing", f"_embedded.{kind}.{number}.id")
        elif find(reader.world, kind, item["id"]) is None:
            reader.not_a_choice(f"_embedded.{kind}.{number}.id")
    return items


def kind_of(word: str) -> Kind:
    """A path's word as a Change's kind. Raises ValueError."""
    for kind in get_args(Kind):
        if kind == word:
            return kind  # type: ignore[no-any-return]
    raise ValueError(word)


# --- writing ---------------------------------------------------------------------------------------------------------


def new_record(world: World, kind: str, wanted: Draft, user_id: int, **own: Any) -> dict[str, Any]:
    """A record with an id, not yet in its table. ``own``: the kind's own fields with their defaults."""
    now = world.clock.now()
    record = {
        "id": world.next_id(kind),
        "name": "",
        **own,
        "responsible_user_id": user_id,
        "group_id": 0,
        "created_by": user_id,
        "updated_by": user_id,
        "created_at": now,
        "updated_at": now,
        "is_deleted": False,
        "custom_fields_values": field_values.merged(world, kind, None, wanted.fields),
        "tags": tags.applied(world, kind, [], wanted.tags),
        "account_id": world.account["id"],
    }
    if "created_at" in wanted.plain:
        record["updated_at"] = wanted.plain["created_at"]
    record.update(wanted.plain)
    record["group_id"] = group_of(world, record["responsible_user_id"])
    return record


def patched(world: World, kind: str, before: Record, wanted: Draft, user_id: int) -> Record:
    """The record after the patch.

    The very same one if the patch changes nothing (``updated_at`` then stays, too).
    """
    after = {
        **before,
        **wanted.plain,
        "custom_fields_values": field_values.merged(world, kind, before["custom_fields_values"], wanted.fields),
        "tags": tags.applied(world, kind, before["tags"], wanted.tags),
    }
    if after == before:
        return before
    after["group_id"] = group_of(world, after["responsible_user_id"])
    return {**after, **stamp(world, user_id), **_stamps_of(wanted)}


def stamp(world: World, user_id: int) -> dict[str, int]:
    return {"updated_at": world.clock.now(), "updated_by": user_id}


def _stamps_of(wanted: Draft) -> dict[str, Any]:
    return {name: wanted.plain[name] for name in ("updated_at", "updated_by") if name in wanted.plain}


def put(world: World, kind: Kind, after: Record, user_id: int, **extra: Any) -> bool:
    """Write the record and record the change; False if it is what the table has already."""
    before = world.table(kind).get(after["id"])
    if before == after:
        return False
    world.table(kind)[after["id"]] = after
    action: Action = "add" if before is None else "update"
    world.record(Change(kind, action, after["id"], before, after, user_id, world.clock.now(), extra))
    return True


def group_of(world: World, user_id: int) -> int:
    user = world.table("users").get(user_id)
    return int(user["group_id"]) if user else 0
