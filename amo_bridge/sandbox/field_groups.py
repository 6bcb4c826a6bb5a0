"""Groups of custom fields, the tabs of a card (amoCRM docs, custom-fields)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.custom_fields import entity_path
from amo_bridge.sandbox.http import Refused, hal, link, no_content, self_link
from amo_bridge.sandbox.validation import Reader, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

GROUPS = "/api/v4/<fielded:entity>/custom_fields/groups"
PREDEFINED = (("default", "Основное", "custom_field_group"), ("statistic", "Статистика", "linked_group"))
"""Every card has the first one, leads have both."""


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.get(GROUPS)
    def list_groups(entity: str) -> Response:
        return _listed(entity, _groups(world, entity))

    @app.get(f"{GROUPS}/<group_id>")
    def get_group(entity: str, group_id: str) -> Response:
        return hal(_shown(world, entity, _found(world, entity, group_id)))

    @app.post(GROUPS)
    def add_groups(entity: str) -> Response:
        entity_path(world, entity)
        drafts = checked(read_batch(world), lambda reader: _read(reader, entity, is_new=True))
        added = []
        for reader, plain in drafts:
            group = _add(world, entity, plain)
            added.append({**_shown(world, entity, group), "request_id": reader.request_id})
        return hal({"_total_items": len(added), "_embedded": {"custom_field_groups": added}}, 201)

    @app.patch(f"{GROUPS}/<group_id>")
    def change_group(entity: str, group_id: str) -> Response:
        group = _found(world, entity, group_id)
        ((_, plain),) = checked([read_one(world)], lambda reader: _read(reader, entity, is_new=False))
        fields = plain.pop("fields", None)
        changed = {**group, **plain}
        world.table(f"field_groups/{entity}")[group_id] = changed
        if fields is not None:
            _move_fields(world, entity, group_id, fields)
        return hal(_shown(world, entity, changed))

    @app.delete(f"{GROUPS}/<group_id>")
    def delete_group(entity: str, group_id: str) -> Response:
        if _found(world, entity, group_id)["is_predefined"]:
            raise Refused(400, "Group can not be deleted")
        del world.table(f"field_groups/{entity}")[group_id]
        _move_fields(world, entity, group_id, [])
        return no_content()

    def _listed(entity: str, groups: list[Record]) -> Response:
        shown = [_shown(world, entity, group) for group in groups]
        return hal({"_total_items": len(shown), "_links": self_link(), "_embedded": {"custom_field_groups": shown}})


def _groups(world: World, entity: str) -> list[Record]:
    entity_path(world, entity)
    own = world.table(f"field_groups/{entity}")
    kind = entity.partition("/")[0]
    predefined = [
        _record(group_id, name, place, kind, group_type, is_predefined=True)
        for place, (group_id, name, group_type) in enumerate(PREDEFINED[: 2 if entity == "leads" else 1])
    ]
    found = [own.get(group["id"], group) for group in predefined]
    found += [group for group in own.values() if not group["is_predefined"]]
    return sorted(found, key=lambda group: group["sort"])


def _found(world: World, entity: str, group_id: str) -> Record:
    group = next((group for group in _groups(world, entity) if group["id"] == group_id), None)
    if group is None:
        raise Refused(404, "Group not found")
    return group


def _shown(world: World, entity: str, group: Record) -> dict[str, Any]:
    fields = world.table(f"custom_fields/{entity}").values()
    in_group = [field["id"] for field in fields if (field["group_id"] or "default") == group["id"]]
    return {**group, "fields": in_group, "_links": link(f"{entity}/custom_fields/groups/{group['id']}")}


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(reader: Reader, entity: str, *, is_new: bool) -> dict[str, Any]:
    if is_new:
        reader.require("name", "sort")
    plain = {"name": reader.text("name"), "sort": reader.integer("sort")}
    fields = reader.body.get("fields")
    if fields is not None:
        known = reader.world.table(f"custom_fields/{entity}")
        if not isinstance(fields, list):
            reader.wrong_type("fields", "array")
        else:
            for number, field_id in enumerate(fields):
                if field_id not in known:
                    reader.not_a_choice(f"fields.{number}")
    return {name: value for name, value in {**plain, "fields": fields}.items() if value is not None}


# --- writing ---------------------------------------------------------------------------------------------------------


def _add(world: World, entity: str, plain: dict[str, Any]) -> Record:
    kind = entity.partition("/")[0]
    group_id = f"{kind}_{world.next_id('field_groups')}"
    group = _record(group_id, plain["name"], plain["sort"], kind, "custom_field_group", is_predefined=False)
    world.table(f"field_groups/{entity}")[group_id] = group
    _move_fields(world, entity, group_id, plain.get("fields", []))
    return group


def _record(group_id: str, name: str, sort: int, kind: str, group_type: str, *, is_predefined: bool) -> dict[str, Any]:
    body = {"id": group_id, "name": name, "is_predefined": is_predefined, "type": group_type}
    return {**body, "entity_type": kind, "sort": sort}


def _move_fields(world: World, entity: str, group_id: str, wanted: list[int]) -> None:
    """The group has these fields and no others; what leaves it stands in the first group."""
    fields = world.table(f"custom_fields/{entity}")
    for field in list(fields.values()):
        if field["id"] in wanted:
            fields[field["id"]] = {**field, "group_id": None if group_id == "default" else group_id}
        elif field["group_id"] == group_id:
            fields[field["id"]] = {**field, "group_id": None}
