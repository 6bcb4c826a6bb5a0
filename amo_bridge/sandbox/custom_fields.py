"""Custom fields and their values on entities (amoCRM docs, custom-fields).

``/api/v4/{entity}/custom_fields`` lists 50 a page, so a client must turn pages.
"""

from __future__ import annotations

from typing import Any, get_args

from flask import Flask, Response
from werkzeug.routing import BaseConverter

from amo_bridge.sandbox.account_file import ENUM_TYPES, FieldType
from amo_bridge.sandbox.field_values import described
from amo_bridge.sandbox.http import Refused, branch, hal, link, listing, no_content, parts, query, self_link, strings
from amo_bridge.sandbox.validation import Reader, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

FIELDS = "/api/v4/<fielded:entity>/custom_fields"
ADDRESS_LINES = ("address_line_1", "address_line_2", "city", "state", "zip", "country")
OWN_SETTINGS = {
    "chained_list": ("chained_lists", list),
    "linked_entity": ("search_in", str),
    "monetary": ("currency", str),
    "tracking_data": ("tracking_callback", str),
    "birthday": ("remind", str),
}
"""What only fields of one type have."""


class FieldedConverter(BaseConverter):
    """What has custom fields, as addresses name it: ``leads``, ``customers/segments``, ``catalogs/5``."""

    regex = r"leads|contacts|companies|customers/segments|customers|catalogs/\d+"
    part_isolating = False


def entity_path(world: World, entity: str) -> str:
    """The same. Raises Refused for a list that the account doesn't have."""
    kind, _, number = entity.partition("/")
    if kind == "catalogs" and int(number) not in world.table("catalogs"):
        raise Refused(404, "Catalog not found")
    return entity


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    app.url_map.converters["fielded"] = FieldedConverter

    @app.get(FIELDS)
    def list_fields(entity: str) -> Response:
        entity_path(world, entity)
        types = strings(branch(query(), "filter", "type"))
        rows = [row for row in world.table(f"custom_fields/{entity}").values() if not types or row["type"] in types]
        by, way = next(iter(parts(query(), "order").items()), ("sort", "asc"))
        rows.sort(key=lambda row: row["id" if by == "id" else "sort"], reverse=way == "desc")
        return listing("custom_fields", rows, lambda row: _shown(entity, row), totals=True)

    @app.get(f"{FIELDS}/<int:field_id>")
    def get_field(entity: str, field_id: int) -> Response:
        return hal(_shown(entity, _found(world, entity, field_id)))

    @app.post(FIELDS)
    def add_fields(entity: str) -> Response:
        entity_path(world, entity)
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
        return _written([_shown(entity, record) for record in changed])

    @app.patch(f"{FIELDS}/<int:field_id>")
    def change_field(entity: str, field_id: int) -> Response:
        record = _found(world, entity, field_id)
        ((_, plain),) = checked([read_one(world)], lambda reader: _read(reader, record))
        return hal(_shown(entity, _change(world, entity, field_id, plain)))

    @app.delete(f"{FIELDS}/<int:field_id>")
    def delete_field(entity: str, field_id: int) -> Response:
        if not _found(world, entity, field_id)["is_deletable"]:
            raise Refused(400, "Custom field can not be deleted")
        _rewrite_values(world, entity, field_id, None)
        del world.table(f"custom_fields/{entity}")[field_id]
        return no_content()


def _found(world: World, entity: str, field_id: int) -> Record:
    record = world.table(f"custom_fields/{entity}").get(field_id)
    if record is None:
        raise Refused(404, "Custom field not found")
    return record


def _shown(entity: str, field: Record) -> dict[str, Any]:
    return {**field, "_links": link(f"{entity}/custom_fields/{field['id']}")}


def _written(items: list[dict[str, Any]]) -> Response:
    """Both adding and changing answer 201, as documented."""
    body = {"_total_items": len(items), "_links": self_link(), "_embedded": {"custom_fields": items}}
    return hal(body, 201)


# --- reading fields --------------------------------------------------------------------------------------------------


def _read(reader: Reader, known: Record | None) -> dict[str, Any]:
    if known is None:
        reader.require("name", "type")
    plain: dict[str, Any] = {
        "name": reader.text("name"),
        "sort": reader.integer("sort"),
        "code": reader.text("code"),
        "is_api_only": reader.flag("is_api_only"),
        "group_id": reader.text("group_id"),
        "settings": reader.mapping("settings") or None,
    }
    for name in ("required_statuses", "hidden_statuses"):
        if name in reader:
            plain[name] = reader.objects(name)
    field_type = known["type"] if known else reader.choice("type", get_args(FieldType))
    if known is None:
        plain["type"] = field_type
        if field_type == "multitext":
            reader.not_a_choice("type")  # phones and e-mails are the account's own, there are no others
    if field_type in OWN_SETTINGS:
        name, kind = OWN_SETTINGS[field_type]
        plain[name] = reader.objects(name) if kind is list else reader.text(name)
    plain |= _read_enums(reader, field_type, is_new=known is None)
    return {name: value for name, value in plain.items() if value not in (None, [])}


def _read_enums(reader: Reader, field_type: str | None, *, is_new: bool) -> dict[str, Any]:
    """``enums``, which a category calls ``nested``: an item of it may stand under another one."""
    name = "nested" if field_type == "category" and "nested" in reader else "enums"
    enums = reader.objects(name)
    for number, enum in enumerate(enums):
        if not isinstance(enum.get("value"), str) or not enum["value"]:
            reader.fail("NotBlank" if "value" in enum else "FieldMissing", f"{name}.{number}.value")
    if field_type == "smart_address":
        return {}  # its lines can't be changed; a model that is sent back has them
    if enums and field_type not in ENUM_TYPES:
        reader.not_a_choice(name)
    if is_new and field_type in ENUM_TYPES and not enums:
        reader.fail("FieldMissing", name)
    return {"enums": enums}


# --- writing fields --------------------------------------------------------------------------------------------------


def field_record(
    field_id: int,
    entity: str,
    account_id: int,
    *,
    name: str,
    type: str,
    sort: int,
    code: str | None = None,
    enums: list[dict[str, Any]] | None = None,
    is_predefined: bool = False,
    **own: Any,
) -> dict[str, Any]:
    """A field as the API shows it. ``own``: what only some fields have (``is_api_only``, ``group_id`` …)."""
    kind, _, catalog_id = entity.partition("/")
    if type == "smart_address":
        enums = [
            {"id": place, "value": line, "sort": place, "code": line} for place, line in enumerate(ADDRESS_LINES, 1)
        ]
    shown = {
        "id": field_id,
        "name": name,
        "type": type,
        "account_id": account_id,
        "code": code,
        "sort": sort,
        "is_api_only": False,
        "enums": enums,
        "group_id": "statistic" if type == "tracking_data" else None,
        "required_statuses": [],
        "hidden_statuses": [],
        "is_deletable": not is_predefined,
        "is_predefined": is_predefined,
        "is_computed": False,
        "entity_type": "segments" if catalog_id == "segments" else kind,
        "tracking_callback": "" if type == "tracking_data" else None,
        "remind": "never" if type == "birthday" else None,
        "currency": None,
        "chained_lists": None,
        "search_in": None,
        "settings": None,
        **own,
    }
    if kind == "catalogs":
        shown |= {"catalog_id": int(catalog_id), "is_visible": True, "is_required": False, "nested": _nested(shown)}
    return shown


def _nested(field: Record) -> list[dict[str, Any]] | None:
    if field["type"] != "category":
        return None
    return [
        {"id": enum["id"], "parent_id": enum.get("parent_id"), "value": enum["value"], "sort": enum["sort"]}
        for enum in field["enums"] or ()
    ]


def _add(world: World, entity: str, plain: dict[str, Any], reader: Reader) -> dict[str, Any]:
    field_id = world.next_id("custom_fields")
    last = max((row["sort"] for row in world.table(f"custom_fields/{entity}").values()), default=499)
    enums = _enums(world, plain.pop("enums")) if "enums" in plain else None
    given = {"sort": last + 1, **plain}
    record = field_record(field_id, entity, world.account["id"], enums=enums, **given)
    world.table(f"custom_fields/{entity}")[field_id] = record
    return {**_shown(entity, record), "request_id": reader.request_id}


def _change(world: World, entity: str, field_id: int, plain: dict[str, Any]) -> Record:
    before = world.table(f"custom_fields/{entity}")[field_id]
    after = {**before, **plain}
    if "enums" in plain:
        after["enums"] = _enums(world, plain["enums"])
        if "nested" in after:
            after["nested"] = _nested(after)
    world.table(f"custom_fields/{entity}")[field_id] = after
    _rewrite_values(world, entity, field_id, after)
    return after


def _enums(world: World, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The list sent replaces the old one; an item with a known id keeps it."""
    enums, ids = [], {}
    for place, item in enumerate(sent):
        enum_id = item["id"] if isinstance(item.get("id"), int) else world.next_id("enums")
        ids[item.get("request_id")] = enum_id
        enum = {"id": enum_id, "value": item["value"], "sort": item.get("sort", 10 * place), "code": item.get("code")}
        parent = item.get("parent_id") or ids.get(item.get("parent_request_id") or object())
        enums.append({**enum, "parent_id": parent} if parent else enum)
    return enums


def _rewrite_values(world: World, entity: str, field_id: int, field: Record | None) -> None:
    """A renamed field or enum is renamed in every entity, a deleted one is gone from them.

    Without a change.
    """
    for record in list(world.table(entity).values()):
        values_left = []
        for value in record["custom_fields_values"] or ():
            if value["field_id"] != field_id:
                values_left.append(value)
            elif field is not None and (values := _renamed(field, value["values"])):
                values_left.append(described(field, values))
        if values_left != (record["custom_fields_values"] or []):
            world.table(entity)[record["id"]] = {**record, "custom_fields_values": values_left or None}


def _renamed(field: Record, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if field["type"] not in ENUM_TYPES or field["type"] == "multitext":
        return values
    texts = {enum["id"]: enum["value"] for enum in field["enums"]}
    return [{**item, "value": texts[item["enum_id"]]} for item in values if item["enum_id"] in texts]
