"""Custom fields as webhooks show them, which is not how the API does (amoCRM docs, webhooks-format; captured hooks)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.sandbox.hook_form import escaped, scalar

Values = Sequence[Mapping[str, Any]]

NESTED_TYPES = frozenset({"legal_entity", "file", "linked_entity", "payer", "supplier", "items"})
BARE_TYPES = frozenset({"date", "date_time"})


def hook_fields(fields: Sequence[Mapping[str, Any]] | None, zone: ZoneInfo) -> list[dict[str, Any]]:
    """``custom_fields_values`` of a record → the hook's ``custom_fields``: filled ones, ``code`` after ``values``."""
    return [_field(one, zone) for one in fields or () if one.get("values")]


def _field(one: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    return {
        "id": one["field_id"],
        "name": escaped(one.get("field_name") or ""),
        "values": _values(str(one.get("field_type") or "text"), one["values"], zone),
        "code": one.get("field_code") or None,
    }


def _values(field_type: str, values: Values, zone: ZoneInfo) -> Any:
    if field_type == "radiobutton":
        return _with_enum(values[0])
    if field_type in BARE_TYPES:
        return [scalar(item.get("value")) for item in values]
    if field_type == "birthday":
        return [{"value": datetime.fromtimestamp(int(item["value"]), zone).strftime("%d.%m.%Y")} for item in values]
    shape = SHAPES.get(field_type, _plain)
    return [shape(item) for item in values]


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": escaped(item.get("value", ""))}


def _with_enum(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": escaped(item.get("value", "")), "enum": item.get("enum_id")}


def _address_line(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": escaped(item.get("value", "")), "subtype": item.get("enum_code") or item.get("enum_id")}


def _nested(item: Mapping[str, Any]) -> dict[str, Any]:
    value = item.get("value")
    if not isinstance(value, Mapping):
        return _plain(item)
    return {"value": {name: escaped(part) for name, part in value.items() if part is not None}}


SHAPES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    **dict.fromkeys(("select", "multiselect", "multitext", "category"), _with_enum),
    **dict.fromkeys(NESTED_TYPES, _nested),
    "smart_address": _address_line,
}
