"""``/api/v4/{entity}/custom_fields`` (amoCRM docs, custom-fields): 50 a page, so a client must turn pages."""

from __future__ import annotations

from typing import Any, get_args

from flask import Flask, Response

from amo_bridge.sandbox.account_file import ENUM_TYPES, FieldType
from amo_bridge.sandbox.custom_field_records import field_record
from amo_bridge.sandbox.field_values import described
from amo_bridge.sandbox.http import Refused, hal, link, listing, no_content, self_link
from amo_bridge.sandbox.query import branch, query, strings
from amo_bridge.sandbox.validation import Reader, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

FIELDS = "/api/v4/<any(leads, contacts, companies, customers):entity>/custom_fields"


def register(app: Flask, world: World) -> None:
    @app.get(FIELDS)
    def list_fields(entity: str) -> Response:
        types = strings(branch(query(), "filter", "type"))
        rows = [row for row in world.table(f"custom_fields/{entity}").values() if not types or row["type"] in types]
        by, way = next(iter((branch(query(), "order") or {}).items()), ("sort", "asc"))
        rows.sort(key=lambda row: row["id" if by == "id" else "sort"], reverse=way == "desc")
        return listing("custom_fields", rows, _shown, totals=True)

    @app.get(f"{FIELDS}/<int:field_id>")
    def get_field(entity: str, field_id: int) -> Response:
        return hal(_shown(_found(world, entity, field_id)))

    @app.post(FIELDS)
    def add_fields(entity: str) -> Response:
        drafts = checked(read_batch(world), lambda reader: _read(reader, None))
        return _written([_add(world, entity, plain, reader) for reader, plain in drafts])

    @app.patch(FIELDS)
    def change_fields(entity: str) -> Response:
        def read(reader: Reader) -> dict[str, Any]:
            reader.require("id")
            record = world.table(f"custom_fields/{entity}").get(reader.integer("id") or 0)
            if record is None:
                reader.not_a_choice("id")
                return {}
            return {"id": record["id"], **_read(reader, record)}

        drafts = checked(read_batch(world), read)
        changed = [_change(world, entity, plain.pop("id"), plain) for _, plain in drafts]
        return _written([_shown(record) for record in changed])

    @app.patch(f"{FIELDS}/<int:field_id>")
    def change_field(entity: str, field_id: int) -> Response:
        record = _found(world, entity, field_id)
        ((_, plain),) = checked([read_one(world)], lambda reader: _read(reader, record))
        return hal(_shown(_change(world, entity, field_id, plain)))

    @app.delete(f"{FIELDS}/<int:field_id>")
    def delete_field(entity: str, field_id: int) -> Response:
        if not _found(world, entity, field_id)["is_deletable"]:
            raise Refused(400, "Custom field can not be deleted")
        _rewrite_values(world, entity, field_id, None)
        del world.table(f"custom_fields/{entity}")[field_id]
        return no_content()


def _read(reader: Reader, known: Record | None) -> dict[str, Any]:
    if known is None:
        reader.require("name", "type")
    plain: dict[str, Any] = {
        "name": reader.text("name"),
        "sort": reader.integer("sort"),
        "code": reader.text("code"),
        "is_api_only": reader.flag("is_api_only"),
    }
    if "required_statuses" in reader:
        plain["required_statuses"] = reader.objects("required_statuses")
    field_type = known["type"] if known else reader.choice("type", get_args(FieldType))
    if known is None:
        plain["type"] = field_type
        if field_type == "multitext":
            reader.not_a_choice("type")  # phones and e-mails are the account's own, there are no others
    enums = reader.objects("enums")
    for number, enum in enumerate(enums):
        if not isinstance(enum.get("value"), str) or not enum["value"]:
            reader.fail("NotBlank" if "value" in enum else "FieldMissing", f"enums.{number}.value")
    if enums and field_type not in ENUM_TYPES:
        reader.not_a_choice("enums")
    if known is None and field_type in ENUM_TYPES and not enums:
        reader.fail("FieldMissing", "enums")
    if enums:
        plain["enums"] = enums
    return {name: value for name, value in plain.items() if value is not None}


def _add(world: World, entity: str, plain: dict[str, Any], reader: Reader) -> dict[str, Any]:
    field_id = world.next_id("custom_fields")
    last = max((row["sort"] for row in world.table(f"custom_fields/{entity}").values()), default=499)
    enums = _enums(world, plain.pop("enums")) if "enums" in plain else None
    told = {"sort": last + 1, **plain}
    record = field_record(field_id, entity, world.account["id"], enums=enums, **told)
    world.table(f"custom_fields/{entity}")[field_id] = record
    return {**_shown(record), "request_id": reader.request_id}


def _change(world: World, entity: str, field_id: int, plain: dict[str, Any]) -> Record:
    before = world.table(f"custom_fields/{entity}")[field_id]
    after = {**before, **plain}
    if "enums" in plain:
        after["enums"] = _enums(world, plain["enums"])
    world.table(f"custom_fields/{entity}")[field_id] = after
    _rewrite_values(world, entity, field_id, after)
    return after


def _enums(world: World, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The list sent replaces the old one; an item with a known id keeps it."""
    return [
        {
            "id": enum["id"] if isinstance(enum.get("id"), int) else world.next_id("enums"),
            "value": enum["value"],
            "sort": enum.get("sort", 10 * place),
            "code": enum.get("code"),
        }
        for place, enum in enumerate(sent)
    ]


def _rewrite_values(world: World, entity: str, field_id: int, field: Record | None) -> None:
    """A renamed field or enum is renamed in every entity, a deleted one is gone from them; nobody is told."""
    for record in list(world.table(entity).values()):
        kept = []
        for value in record["custom_fields_values"] or ():
            if value["field_id"] != field_id:
                kept.append(value)
            elif field is not None:
                kept.append(described(field, _renamed(field, value["values"])))
        if kept != (record["custom_fields_values"] or []):
            world.table(entity)[record["id"]] = {**record, "custom_fields_values": kept or None}


def _renamed(field: Record, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if field["type"] not in ENUM_TYPES or field["type"] in ("multitext", "smart_address"):
        return values
    texts = {enum["id"]: enum["value"] for enum in field["enums"]}
    return [{**item, "value": texts.get(item["enum_id"], item["value"])} for item in values]


def _found(world: World, entity: str, field_id: int) -> Record:
    record = world.table(f"custom_fields/{entity}").get(field_id)
    if record is None:
        raise Refused(404, "Custom field not found")
    return record


def _shown(field: Record) -> dict[str, Any]:
    return {**field, "_links": link(f"{field['entity_type']}/custom_fields/{field['id']}")}


def _written(items: list[dict[str, Any]]) -> Response:
    """Both adding and changing answer 201, as documented."""
    body = {"_total_items": len(items), "_links": self_link(), "_embedded": {"custom_fields": items}}
    return hal(body, 201)
