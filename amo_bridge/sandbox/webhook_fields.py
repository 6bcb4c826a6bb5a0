"""Form bodies in PHP's manner, byte for byte as amoCRM's webhooks have them.

Seen in captured hooks: brackets percent-encoded, a blank as ``+``, every value a string, an empty container not sent.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo


def encode(tree: Mapping[str, Any]) -> bytes:
    """A tree of mappings, lists and scalars → the body.

    ``None`` is left out, ``""`` is sent as an empty value.
    """
    pairs = (pair for key, value in tree.items() for pair in flatten(key, value))
    return "&".join(f"{_quote(key)}={_quote(value)}" for key, value in pairs).encode("ascii")


def flatten(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """One branch of the tree as (PHP key, text) pairs in sending order."""
    if value is None:
        return
    children: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        children = value.items()
    elif isinstance(value, list | tuple):
        children = enumerate(value)
    else:
        yield key, scalar(value)
        return
    for name, child in children:
        yield from flatten(f"{key}[{name}]", child)


def scalar(value: Any) -> str:
    """A value as PHP prints it: booleans are 1 and 0."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def escaped(text: Any) -> str:
    """A person's text as webhooks carry it: HTML-escaped once, quotes in PHP's spelling (captured hooks)."""
    return html.escape(scalar(text), quote=True).replace("&#x27;", "&#039;")


def _quote(text: str) -> str:
    # PHP's urlencode escapes the tilde, Python's does not.
    return quote_plus(text).replace("~", "%7E")


# --- custom fields, which webhooks show otherwise than the API (amoCRM docs, webhooks-format; captured hooks) ---------

Values = Sequence[Mapping[str, Any]]

NESTED_TYPES = frozenset({"legal_entity", "file", "linked_entity", "payer", "supplier", "items"})
BARE_TYPES = frozenset({"date", "date_time"})


def hook_fields(fields: Sequence[Mapping[str, Any]] | None, zone: ZoneInfo) -> list[dict[str, Any]]:
    """``custom_fields_values`` of a record → the webhook's ``custom_fields``, the filled ones."""
    return [_field(field, zone) for field in fields or () if field.get("values")]


def _field(field: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    return {
        "id": field["field_id"],
        "name": escaped(field.get("field_name") or ""),
        "values": _values(str(field.get("field_type") or "text"), field["values"], zone),
        "code": field.get("field_code") or None,
    }


def _values(field_type: str, values: Values, zone: ZoneInfo) -> Any:
    if field_type == "radiobutton":
        return _with_enum(values[0])
    if field_type in BARE_TYPES:
        return [scalar(item.get("value")) for item in values]
    if field_type == "birthday":
        return [{"value": datetime.fromtimestamp(int(item["value"]), zone).strftime("%d.%m.%Y")} for item in values]
    write = VALUE_WRITERS.get(field_type, _plain)
    return [write(item) for item in values]


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
    return {"value": _escaped_parts(value)}


def _escaped_parts(value: Mapping[str, Any]) -> dict[str, Any]:
    parts = {name: part for name, part in value.items() if part is not None}
    return {name: _escaped_parts(part) if isinstance(part, Mapping) else escaped(part) for name, part in parts.items()}


def _list_element(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item.get(name) for name in ("catalog_id", "catalog_element_id")}


VALUE_WRITERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    **dict.fromkeys(("select", "multiselect", "multitext", "category"), _with_enum),
    **dict.fromkeys(NESTED_TYPES, _nested),
    "smart_address": _address_line,
    "chained_list": _list_element,
}
