"""What leads, contacts and companies have in common: their usual fields, read from a request and put into records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from amo_bridge.sandbox import field_values, tags
from amo_bridge.sandbox.changes import Action, Change, Kind
from amo_bridge.sandbox.validation import Reader

if TYPE_CHECKING:
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
    """The record after the patch; the very same one if the patch changes nothing (``updated_at`` then stays, too)."""
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


def put(world: World, kind: Kind, after: Record, user_id: int, **extra: Any) -> bool:
    """Writes the record and tells of it; False if it is what the table has already."""
    before = world.table(kind).get(after["id"])
    if before == after:
        return False
    world.table(kind)[after["id"]] = after
    action: Action = "add" if before is None else "update"
    world.record(Change(kind, action, after["id"], before, after, user_id, world.clock.now(), extra))
    return True


def kind_of(word: str) -> Kind:
    """A path's word as a Change's kind. Raises ValueError."""
    for kind in get_args(Kind):
        if kind == word:
            return kind  # type: ignore[no-any-return]
    raise ValueError(word)


def group_of(world: World, user_id: int) -> int:
    user = world.table("users").get(user_id)
    return int(user["group_id"]) if user else 0


def must_exist(reader: Reader, kind: str) -> None:
    """Notes an error unless ``id`` names an entity that can be changed."""
    if "id" not in reader:
        reader.fail("FieldMissing", "id")
    elif reader.integer("id") is not None and find(reader.world, kind, reader.body["id"]) is None:
        reader.not_a_choice("id")


def closest_tasks(world: World, kind: str) -> Callable[[int], int | None]:
    """``closest_task_at`` of every entity of a kind: when the first of its open tasks is due."""
    closest: dict[int, int] = {}
    for task in world.table("tasks").values():
        if task["entity_type"] == kind and not task["is_completed"]:
            due = task["complete_till"]
            closest[task["entity_id"]] = min(due, closest.get(task["entity_id"], due))
    return closest.get


def _linked(reader: Reader, kind: str, within: dict[str, Any]) -> list[dict[str, Any]]:
    items = reader.objects(kind, within, "_embedded.")
    for number, item in enumerate(items):
        if "id" not in item:
            reader.fail("FieldMissing", f"_embedded.{kind}.{number}.id")
        elif find(reader.world, kind, item["id"]) is None:
            reader.not_a_choice(f"_embedded.{kind}.{number}.id")
    return items


def _stamps_of(wanted: Draft) -> dict[str, Any]:
    return {name: wanted.plain[name] for name in ("updated_at", "updated_by") if name in wanted.plain}
