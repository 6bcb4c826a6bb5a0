"""Adding and changing notes (amoCRM docs, events-and-notes): used by the API, by calls and by people's acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.sandbox import note_params
from amo_bridge.sandbox.entities import find, group_of, put, stamp
from amo_bridge.sandbox.validation import Reader
from amo_bridge.sandbox.world import Record, World

STAMPS = ("created_by", "updated_by", "created_at", "updated_at", "responsible_user_id")


def read_new(reader: Reader, entity_type: str, entity_id: int | None) -> dict[str, Any]:
    """``{"entity_id", "note_type", "params", …}``; ``entity_id`` None: the object itself names its entity."""
    if entity_id is None:
        reader.require("entity_id")
        entity_id = reader.integer("entity_id")
    if entity_id is not None and find(reader.world, entity_type, entity_id) is None:
        reader.not_a_choice("entity_id")
    reader.require("note_type")
    note_type = reader.choice("note_type", note_params.KNOWN)
    plain = {"entity_id": entity_id, "note_type": note_type, **_read_stamps(reader)}
    if note_type is not None:
        plain["params"] = note_params.read(reader, note_type)
    return plain


def read_patch(reader: Reader, entity_type: str) -> dict[str, Any]:
    """``{"id", "params", …}``; a note's type and entity stay."""
    reader.require("id")
    note = reader.world.table("notes").get(reader.integer("id") or 0)
    if note is None or note["entity_type"] != entity_type:
        reader.not_a_choice("id")
        return {}
    if (
        reader.body.get("note_type", note["note_type"]) != note["note_type"]
        or note["note_type"] not in note_params.KNOWN
    ):
        reader.not_a_choice("note_type")
        return {}
    plain = {"id": note["id"], **_read_stamps(reader)}
    if "params" in reader:
        plain["params"] = note_params.read(reader, note["note_type"])
    return plain


def add(
    world: World,
    entity_type: str,
    entity_id: int,
    note_type: str,
    params: Mapping[str, Any],
    user_id: int,
    **stamps: Any,
) -> Record:
    """Adds a note of any type, also of the read-only ones. ``stamps``: created_at and the like, if not the usual."""
    now = world.clock.now()
    entity = find(world, entity_type, entity_id) or {"responsible_user_id": user_id}
    note = {
        "id": world.next_id("notes"),
        "entity_id": entity_id,
        "entity_type": entity_type,
        "created_by": user_id,
        "updated_by": user_id,
        "created_at": now,
        "updated_at": now,
        "responsible_user_id": entity["responsible_user_id"],
        "group_id": 0,
        "note_type": note_type,
        "params": dict(params),
        "account_id": world.account["id"],
        "is_pinned": False,
        **stamps,
    }
    note["group_id"] = group_of(world, note["responsible_user_id"])
    put(world, "notes", note, user_id)
    return note


def change(world: World, plain: Mapping[str, Any], user_id: int) -> Record:
    before = world.table("notes")[plain["id"]]
    after = {**before, **plain, "params": {**before["params"], **plain.get("params", {})}}
    if after == before:
        return before
    after = {**after, **stamp(world, user_id), **{name: plain[name] for name in STAMPS if name in plain}}
    put(world, "notes", after, user_id)
    return after


def _read_stamps(reader: Reader) -> dict[str, Any]:
    stamps = {
        "created_by": reader.user("created_by", robot=True),
        "updated_by": reader.user("updated_by", robot=True),
        "created_at": reader.integer("created_at"),
        "updated_at": reader.integer("updated_at"),
        "responsible_user_id": reader.user("responsible_user_id"),
    }
    return {name: value for name, value in stamps.items() if value is not None}
