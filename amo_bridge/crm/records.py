"""How parts of an API v4 answer are read, and how a record is kept as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from amo_bridge.crm.values import flag, identifier, identifiers

Row = Mapping[str, Any]


def told_text(value: object) -> str:
    """A text of an answer as it is (answers, unlike hooks, are not HTML-escaped); missing is empty."""
    return "" if value is None else str(value)


def row_list(value: object) -> list[Row]:
    """The objects of a list; a single object counts as a list of one, anything else as none."""
    if isinstance(value, Mapping):
        return [value]
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def embedded(row: Row, key: str) -> list[Row]:
    """The objects under ``_embedded``."""
    inner = row.get("_embedded")
    return row_list(inner.get(key)) if isinstance(inner, Mapping) else []


def ids_of(rows: Iterable[Row]) -> tuple[int, ...]:
    """The ids of embedded objects."""
    return identifiers(list(rows))


def names_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """The names of embedded objects, tags for instance."""
    return tuple(name for row in rows if (name := told_text(row.get("name"))))


def main_first(contacts: list[Row]) -> tuple[tuple[int, ...], int | None]:
    """The contacts' ids with the main one first, and the main one's id (None if none is marked)."""
    main = next((identifier(row.get("id")) for row in contacts if _is_main(row)), None)
    others = tuple(number for number in ids_of(contacts) if number != main)
    return ((main, *others) if main else others), main


def _is_main(row: Row) -> bool:
    metadata = row.get("metadata")
    more = metadata if isinstance(metadata, Mapping) else {}
    marks = (row.get("is_main"), row.get("main_contact"), more.get("is_main"), more.get("main_contact"))
    return any(flag(mark) for mark in marks)


def field_values(row: Row) -> dict[int, tuple[Any, ...]]:
    """Custom field id → its values. An item that is not wrapped in ``value`` (a chained list) is its own value."""
    found = {}
    for item in row_list(row.get("custom_fields_values")):
        number = identifier(item.get("field_id"))
        if number is not None:
            found[number] = tuple(one.get("value", one) for one in row_list(item.get("values")))
    return found


def to_plain(record: Any) -> dict[str, Any]:
    """A record's attributes as JSON: times as Unix seconds."""
    return {attribute.name: _plain(getattr(record, attribute.name)) for attribute in fields(record)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def from_plain(kind: type[Any], told: Row) -> dict[str, Any]:
    """The attributes that ``to_plain`` told of; what this version does not know is left out."""
    known = {attribute.name: str(attribute.type) for attribute in fields(kind)}
    return {name: _typed(known[name], value) for name, value in told.items() if name in known}


def _typed(annotation: str, value: Any) -> Any:
    if value is None:
        return None
    if annotation.startswith("datetime"):
        return datetime.fromtimestamp(value, UTC)
    if annotation.startswith("Mapping[int"):
        return {int(key): tuple(inner) for key, inner in value.items()}
    return tuple(value) if annotation.startswith("tuple") else value
