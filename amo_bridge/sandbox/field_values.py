"""Values of custom fields: what may be sent for each type, and what is answered (amoCRM docs, custom-fields)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from amo_bridge.sandbox.validation import Reader, too_long

if TYPE_CHECKING:
    from amo_bridge.sandbox.world import Record, World


Item = dict[str, Any]
Values = list[Item]
Changes = dict[int, Values | None]
"""Field id → its new values in the form of an answer; None: the field is cleared."""

MAX_TEXT = {"textarea": 65_535, "url": 2_000}
SEVERAL = frozenset({"multiselect", "multitext", "smart_address", "items", "chained_list"})


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


def merged(world: World, entity: str, current: Values | None, changes: Changes) -> Values | None:
    """``custom_fields_values`` after the changes: named fields replaced whole, others untouched, None if empty."""
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
    take = TYPES.get(field["type"], _object)
    taken: Values = []
    for number, item in enumerate(values):
        if isinstance(item, dict):
            taken.append(take(reader, field, item, f"{path}.{number}"))
        else:
            reader.wrong_type(f"{path}.{number}", "array")
    # An empty text is how people clear a field; amoCRM keeps no empty values.
    return [item for item in taken if item.get("value") not in ("", None) or field["type"] == "chained_list"]


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
    """The types whose value is an object of its own: kept as sent."""
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
