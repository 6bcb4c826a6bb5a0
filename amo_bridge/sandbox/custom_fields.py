"""Custom fields and their values on entities (amoCRM docs, custom-fields).

``/api/v4/{entity}/custom_fields`` lists 50 a page, so a client must turn pages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

from flask import Flask, Response

from amo_bridge.sandbox.account_file import ENUM_TYPES, FieldType
from amo_bridge.sandbox.http import Refused, branch, hal, link, listing, no_content, query, self_link, strings
from amo_bridge.sandbox.validation import Reader, checked, read_batch, read_one, too_long
from amo_bridge.sandbox.world import Record, World

Item = dict[str, Any]
Values = list[Item]
Changes = dict[int, Values | None]
"""Field id → its new values in the form of an answer; None: the field is cleared."""

MAX_TEXT = {"textarea": 65_535, "url": 2_000}
SEVERAL = frozenset({"multiselect", "multitext", "smart_address", "items", "chained_list"})
FIELDS = "/api/v4/<any(leads, contacts, companies, customers):entity>/custom_fields"


# --- routes ----------------------------------------------------------------------------------------------------------


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


# --- reading fields --------------------------------------------------------------------------------------------------


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
    is_api_only: bool = False,
    required_statuses: list[dict[str, int]] | None = None,
) -> dict[str, Any]:
    return {
        "id": field_id,
        "name": name,
        "type": type,
        "account_id": account_id,
        "code": code,
        "sort": sort,
        "is_api_only": is_api_only,
        "enums": enums,
        "group_id": "statistic" if type == "tracking_data" else None,
        "required_statuses": required_statuses or [],
        "hidden_statuses": [],
        "is_deletable": not is_predefined,
        "is_predefined": is_predefined,
        "is_computed": False,
        "entity_type": entity,
        "tracking_callback": "" if type == "tracking_data" else None,
        "remind": "never" if type == "birthday" else None,
        "currency": None,
        "chained_lists": None,
        "search_in": None,
        "settings": None,
    }


def _add(world: World, entity: str, plain: dict[str, Any], reader: Reader) -> dict[str, Any]:
    field_id = world.next_id("custom_fields")
    last = max((row["sort"] for row in world.table(f"custom_fields/{entity}").values()), default=499)
    enums = _enums(world, plain.pop("enums")) if "enums" in plain else None
    given = {"sort": last + 1, **plain}
    record = field_record(field_id, entity, world.account["id"], enums=enums, **given)
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
    """A renamed field or enum is renamed in every entity, a deleted one is gone from them.

    Without a change.
    """
    for record in list(world.table(entity).values()):
        values_left = []
        for value in record["custom_fields_values"] or ():
            if value["field_id"] != field_id:
                values_left.append(value)
            elif field is not None:
                values_left.append(described(field, _renamed(field, value["values"])))
        if values_left != (record["custom_fields_values"] or []):
            world.table(entity)[record["id"]] = {**record, "custom_fields_values": values_left or None}


def _renamed(field: Record, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if field["type"] not in ENUM_TYPES or field["type"] in ("multitext", "smart_address"):
        return values
    texts = {enum["id"]: enum["value"] for enum in field["enums"]}
    return [{**item, "value": texts.get(item["enum_id"], item["value"])} for item in values]


# --- reading values --------------------------------------------------------------------------------------------------


def read(reader: Reader, entity: str) -> Changes:
    """``custom_fields_values`` of the object being read; what is wrong with it is noted in the reader."""
    changes: Changes = {}
    for number, item in enumerate(reader.objects("custom_fields_values")):
        path = f"custom_fields_values.{number}"
        field = _field(reader, entity, item, path)
        if field is None:
            continue
        values = item.get("values")
        if values is None:
            if "values" not in item:
                reader.fail("FieldMissing", f"{path}.values")
            changes[field["id"]] = None
        elif not isinstance(values, list):
            reader.wrong_type(f"{path}.values", "array")
        elif not values:
            reader.fail("NotBlank", f"{path}.values")
        else:
            changes[field["id"]] = _values(reader, field, values, f"{path}.values")
    return changes


def _field(reader: Reader, entity: str, item: Mapping[str, Any], path: str) -> Record | None:
    fields = reader.world.table(f"custom_fields/{entity}")
    field_id, code = item.get("field_id"), item.get("field_code")
    if field_id is None and code is None:
        reader.fail("FieldMissing", f"{path}.field_id")
        return None
    if field_id is None:
        found = next((field for field in fields.values() if field["code"] == code), None)
    elif isinstance(field_id, int) and not isinstance(field_id, bool):
        found = fields.get(field_id)
    else:
        reader.wrong_type(f"{path}.field_id", "int")
        return None
    if found is None:
        reader.not_a_choice(f"{path}.field_id" if field_id is not None else f"{path}.field_code")
    return found


def _values(reader: Reader, field: Record, values: list[Any], path: str) -> Values:
    if len(values) > 1 and field["type"] not in SEVERAL:
        reader.fail("TooMany", path, "This collection should contain 1 element or less.")
        return []
    read_value = TYPES.get(field["type"], _object)
    items: Values = []
    for number, item in enumerate(values):
        if isinstance(item, dict):
            items.append(read_value(reader, field, item, f"{path}.{number}"))
        else:
            reader.wrong_type(f"{path}.{number}", "array")
    # An empty text is how people clear a field; amoCRM stores no empty values.
    return [item for item in items if item.get("value") not in ("", None) or field["type"] == "chained_list"]


def _text(reader: Reader, field: Record, item: Item, path: str) -> Item:
    value = item.get("value")
    longest = MAX_TEXT.get(field["type"], 256)
    if value is not None and not isinstance(value, str):
        reader.wrong_type(f"{path}.value", "string")
        return {}
    if value is not None and len(value) > longest:
        reader.fail("TooLong", f"{path}.value", too_long(longest))
    return {"value": value}


def _number(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """Sent as a number or as a text, always answered as a text."""
    value = item.get("value")
    if value in ("", None):
        return {"value": ""}
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        reader.wrong_type(f"{path}.value", "numeric")
        return {}
    if isinstance(value, str):
        return {"value": value.strip()}
    return {"value": str(int(number)) if number == int(number) else str(value)}


def _checkbox(reader: Reader, field: Record, item: Item, path: str) -> Item:
    value = item.get("value")
    if not isinstance(value, bool):
        reader.wrong_type(f"{path}.value", "bool")
        return {}
    return {"value": value}


def _moment(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """Unix seconds or RFC 3339, answered as Unix seconds."""
    value = item.get("value")
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            reader.fail("InvalidFormat", f"{path}.value")
            return {}
        if moment.tzinfo is None:
            reader.fail("InvalidFormat", f"{path}.value")
            return {}
        return {"value": int(moment.timestamp())}
    if not isinstance(value, int) or isinstance(value, bool):
        reader.wrong_type(f"{path}.value", "int")
        return {}
    return {"value": value}


def _day(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """A date comes back as midnight of the account's zone, whatever hour was sent."""
    moment = _moment(reader, field, item, path)
    if "value" not in moment:
        return {}
    zone = ZoneInfo(reader.world.account["timezone"])
    try:
        day = datetime.fromtimestamp(moment["value"], zone)
    except (OverflowError, ValueError, OSError):
        reader.fail("InvalidFormat", f"{path}.value")
        return {}
    return {"value": int(day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())}


def _choice(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """One of the field's enums, named by id, code or text; an unknown text makes no new enum."""
    for name, key in (("enum_id", "id"), ("enum_code", "code"), ("value", "value")):
        wanted = item.get(name)
        if wanted is None:
            continue
        found = next((enum for enum in field["enums"] if enum[key] == wanted), None)
        if found is None:
            reader.not_a_choice(f"{path}.{name}")
            return {}
        return {"value": found["value"], "enum_id": found["id"], "enum_code": found["code"]}
    reader.fail("FieldMissing", f"{path}.value")
    return {}


def _multitext(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """A phone or an e-mail as typed, with its kind; without one it is the first kind, WORK."""
    text = _text(reader, field, item, path)
    named = {name: item[name] for name in ("enum_id", "enum_code") if item.get(name) is not None}
    enum = _choice(reader, field, named, path) if named else _first_enum(field)
    return {**enum, **text}


def _first_enum(field: Record) -> Item:
    enum = field["enums"][0]
    return {"value": enum["value"], "enum_id": enum["id"], "enum_code": enum["code"]}


def _object(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """The types whose value is an object of its own: stored as sent."""
    if not isinstance(item.get("value"), dict):
        reader.wrong_type(f"{path}.value", "array")
        return {}
    return {"value": item["value"]}


def _chained(reader: Reader, field: Record, item: Item, path: str) -> Item:
    return {name: item.get(name) for name in ("catalog_id", "catalog_element_id")}


TYPES: Mapping[str, Callable[[Reader, Record, Item, str], Item]] = {
    **dict.fromkeys(("text", "textarea", "url", "streetaddress", "tracking_data"), _text),
    **dict.fromkeys(("numeric", "price", "monetary"), _number),
    **dict.fromkeys(("select", "multiselect", "radiobutton", "category"), _choice),
    **dict.fromkeys(("date", "birthday"), _day),
    "date_time": _moment,
    "checkbox": _checkbox,
    "multitext": _multitext,
    "smart_address": _multitext,
    "chained_list": _chained,
}


# --- writing values --------------------------------------------------------------------------------------------------


def merged(world: World, entity: str, current: Values | None, changes: Changes) -> Values | None:
    """``custom_fields_values`` after the changes.

    Named fields are replaced whole, others untouched; None if empty.
    """
    by_field = {value["field_id"]: value for value in current or []}
    fields = world.table(f"custom_fields/{entity}")
    for field_id, values in changes.items():
        if values:
            by_field[field_id] = described(fields[field_id], values)
        else:
            by_field.pop(field_id, None)
    ordered = sorted(by_field.values(), key=lambda value: fields[value["field_id"]]["sort"])
    return ordered or None


def described(field: Record, values: Values) -> Item:
    return {
        "field_id": field["id"],
        "field_name": field["name"],
        "field_code": field["code"],
        "field_type": field["type"],
        "values": values,
    }
