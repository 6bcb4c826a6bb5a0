"""Values of custom fields: what each type takes, refuses and answers (amoCRM docs, custom-fields)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.sandbox.validation import Reader, too_long
from amo_bridge.sandbox.world import Record, World

Item = dict[str, Any]
Values = list[Item]
Changes = dict[int, Values | None]
"""Field id → its new values in the form of an answer; None: the field is cleared."""

MAX_TEXT = {"textarea": 65_535, "url": 2_000}
SEVERAL = frozenset({"multiselect", "multitext", "smart_address", "items", "chained_list"})
MAX_VALUES = {"smart_address": 6, "chained_list": 5}
TEXTS: Mapping[str, tuple[str, ...]] = {
    "legal_entity": ("name",),
    "payer": ("name",),
    "linked_entity": ("name", "entity_id"),
    "supplier": ("name", "entity_id"),
    "file": ("file_name", "file_uuid"),
    "items": ("description", "sku"),
}
"""Which parts of an object stand for it where a text is wanted; the first that is filled."""


def text_of(field_type: object, item: Mapping[str, Any]) -> str:
    """One value as a text: for the search, the filters and the events."""
    value = item.get("value")
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Mapping):
        parts = (value.get(name) for name in TEXTS.get(str(field_type), ("name",)))
        return str(next((part for part in parts if part not in (None, "")), ""))
    if value is None:
        value = item.get("catalog_element_id")
    return "" if value is None else str(value)


# --- reading ---------------------------------------------------------------------------------------------------------


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
    most = MAX_VALUES.get(field["type"]) if field["type"] in SEVERAL else 1
    if most is not None and len(values) > most:
        reader.fail("TooMany", path, f"This collection should contain {most} element{'s'[: most != 1]} or less.")
        return []
    read_value = TYPES[field["type"]]
    items: Values = []
    for number, item in enumerate(values):
        if isinstance(item, dict):
            items.append(read_value(reader, field, item, f"{path}.{number}"))
        else:
            reader.wrong_type(f"{path}.{number}", "array")
    # An empty text is how people clear a field; amoCRM stores no empty values.
    return [item for item in items if item.get("value") not in ("", None) or field["type"] == "chained_list"]


# --- plain values ----------------------------------------------------------------------------------------------------


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


# --- values out of a list --------------------------------------------------------------------------------------------


def _choice(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """One of the field's enums, named by id, code or text; an unknown text makes no new enum."""
    for name, key in (("enum_id", "id"), ("enum_code", "code"), ("value", "value")):
        wanted = item.get(name)
        if wanted is None:
            continue
        found = next((enum for enum in field["enums"] or () if enum[key] == wanted), None)
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


def _address(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """One line of an address; which one, the request must say."""
    if item.get("enum_id") is None and item.get("enum_code") is None:
        reader.fail("FieldMissing", f"{path}.enum_id")
        return {}
    return _multitext(reader, field, item, path)


# --- objects ---------------------------------------------------------------------------------------------------------

Kinds = Mapping[str, type | tuple[type, ...]]
PARTS = (
    "address", "real_address", "bank_account_number", "director", "vat_id", "tax_registration_reason_code", "kpp",
    "bank_code", "unp", "bin", "egrpou", "mfo", "oked",
)  # fmt: skip
# The documentation calls all of these texts and sends one of them as a number in its own example.
COMPANY: Kinds = {"name": str, "entity_type": int, **dict.fromkeys(PARTS, (str, int)), "external_uid": str}
KINDS: Mapping[str, Kinds] = {
    "legal_entity": COMPANY,
    "payer": {**COMPANY, "entity_type": str, "entity_id": int, "type": str},
    "supplier": {"entity_id": int, "entity_type": str, "name": str},
    "linked_entity": {"name": str, "entity_id": int, "entity_type": str, "catalog_id": int},
    "file": {"file_uuid": str, "version_uuid": str, "file_name": str, "file_size": int},
    "items": {
        "sku": str,
        "description": str,
        "unit_price": (int, float),
        "quantity": (int, float),
        "unit_type": str,
        "discount": dict,
        "vat_rate_id": int,
        "external_uid": str,
    },
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "legal_entity": ("name",),
    "supplier": ("entity_id",),
    "linked_entity": ("entity_id", "entity_type"),
    "file": ("file_uuid",),
}
CHOICES: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("legal_entity", "entity_type"): (1, 2),
    ("payer", "entity_type"): ("contacts", "companies"),
    ("payer", "type"): ("legal", "individual"),
    ("linked_entity", "entity_type"): ("catalog_elements", "contacts", "companies"),
}
NAMES: Mapping[type | tuple[type, ...], str] = {int: "int", dict: "array", (int, float): "numeric"}


def _object(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """An object with parts of its own; a part that the type doesn't have is ignored."""
    value, field_type = item.get("value"), str(field["type"])
    if value is None:
        return {"value": None}
    if not isinstance(value, dict):
        reader.wrong_type(f"{path}.value", "array")
        return {}
    before = len(reader.errors)
    for name in REQUIRED.get(field_type, ()):
        if value.get(name) in (None, ""):
            reader.fail("NotBlank" if name in value else "FieldMissing", f"{path}.value.{name}")
    parts = {name: value[name] for name in KINDS[field_type] if name in value}
    for name, part in parts.items():
        _check_part(reader, field_type, name, part, f"{path}.value.{name}")
    if len(reader.errors) > before:
        return {}
    return {"value": FINISHED.get(field_type, _as_sent)(reader, parts, path)}


def _check_part(reader: Reader, field_type: str, name: str, part: Any, path: str) -> None:
    kind = KINDS[field_type][name]
    if part is None:
        return
    if not isinstance(part, kind) or isinstance(part, bool):
        reader.wrong_type(path, NAMES.get(kind, "string"))
    elif part not in CHOICES.get((field_type, name), (part,)):
        reader.not_a_choice(path)


def _as_sent(reader: Reader, parts: dict[str, Any], path: str) -> dict[str, Any]:
    return parts


def _file(reader: Reader, parts: dict[str, Any], path: str) -> dict[str, Any]:
    """A file of the account, or any that is named: as in notes, the sandbox needs no upload to play the second."""
    known = reader.world.table("files").get(parts["file_uuid"])
    if known is None and not parts.get("file_name"):
        reader.not_a_choice(f"{path}.value.file_uuid")
        return {}
    known = known or {"version_uuid": None, "name": None, "size": None}
    return {
        "file_uuid": parts["file_uuid"],
        "version_uuid": parts.get("version_uuid") or known["version_uuid"],
        "file_name": parts.get("file_name") or known["name"],
        "file_size": parts.get("file_size") or known["size"],
        "is_deleted": False,
    }


def _linked(reader: Reader, parts: dict[str, Any], path: str) -> dict[str, Any]:
    catalog_id = parts.get("catalog_id")
    if parts["entity_type"] == "catalog_elements" and catalog_id is None:
        reader.fail("FieldMissing", f"{path}.value.catalog_id")
    table = f"catalogs/{catalog_id}" if parts["entity_type"] == "catalog_elements" else parts["entity_type"]
    entity = reader.world.table(table).get(parts["entity_id"])
    name = parts.get("name") or (entity["name"] if entity else None)
    return {
        "name": name,
        "entity_id": parts["entity_id"],
        "entity_type": parts["entity_type"],
        "catalog_id": catalog_id,
    }


def _invoice_line(reader: Reader, parts: dict[str, Any], path: str) -> dict[str, Any]:
    discount = parts.get("discount") or {}
    if discount.get("type") not in (None, "percentage", "amount"):
        reader.not_a_choice(f"{path}.value.discount.type")
    amount = discount.get("value") or 0
    if not isinstance(amount, int | float) or isinstance(amount, bool):
        reader.wrong_type(f"{path}.value.discount.value", "numeric")
        return {}
    total = (parts.get("unit_price") or 0) * (parts.get("quantity") or 0)
    total -= total * amount / 100 if discount.get("type") == "percentage" else amount
    recalculated = {"is_discount_recalculated": False, "is_total_sum_recalculated": False}
    return {**parts, **recalculated, "total_sum": round(max(total, 0), 2)}


FINISHED: Mapping[str, Callable[[Reader, dict[str, Any], str], dict[str, Any]]] = {
    "file": _file,
    "linked_entity": _linked,
    "items": _invoice_line,
}


def _chained(reader: Reader, field: Record, item: Item, path: str) -> Item:
    """An element of a list; the one type whose parts stand beside ``value`` and not in it."""
    before = len(reader.errors)
    parts = {name: item.get(name) for name in ("catalog_id", "catalog_element_id")}
    for name, part in parts.items():
        if part is None:
            reader.fail("FieldMissing", f"{path}.{name}")
        elif not isinstance(part, int) or isinstance(part, bool):
            reader.wrong_type(f"{path}.{name}", "int")
    if len(reader.errors) > before:
        return {}
    world, catalog_id = reader.world, parts["catalog_id"]
    if catalog_id in world.table("catalogs") and parts["catalog_element_id"] not in world.table(
        f"catalogs/{catalog_id}"
    ):
        reader.not_a_choice(f"{path}.catalog_element_id")
    return parts


TYPES: Mapping[str, Callable[[Reader, Record, Item, str], Item]] = {
    **dict.fromkeys(("text", "textarea", "url", "streetaddress", "tracking_data"), _text),
    **dict.fromkeys(("numeric", "price", "monetary"), _number),
    **dict.fromkeys(("select", "multiselect", "radiobutton", "category"), _choice),
    **dict.fromkeys(("date", "birthday"), _day),
    **dict.fromkeys(KINDS, _object),
    "date_time": _moment,
    "checkbox": _checkbox,
    "multitext": _multitext,
    "smart_address": _address,
    "chained_list": _chained,
}


# --- writing ---------------------------------------------------------------------------------------------------------


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
