"""Reading of wire values: of webhooks, of API answers, of stored records.

In a webhook every value comes as a text; any may be missing, empty or of a wrong shape. Nothing here raises, unless it
says so: what can't be understood is None ("not given").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INTEGER = re.compile(r"([+-]?\d{1,19})(?:\.0*)?", re.ASCII)
_MONEY = re.compile(r"([+-]?\d{1,19})(?:[.,]\d*)?", re.ASCII)
_ENTITY = re.compile(r"&(?:amp|quot|lt|gt|#0?39);")
_CHARACTERS = {"&amp;": "&", "&quot;": '"', "&lt;": "<", "&gt;": ">", "&#039;": "'", "&#39;": "'"}
_LARGEST = 2**63 - 1
_YEAR_9999 = 253_370_764_800

ENTITY_TYPES: Mapping[str, str] = {
    **{"1": "contact", "2": "deal", "3": "company", "4": "task", "12": "customer"},
    **{"contact": "contact", "lead": "deal", "company": "company", "customer": "customer"},
    **{"contacts": "contact", "leads": "deal", "companies": "company", "customers": "customer"},
}
"""amoCRM's element_type and entity_type → our word."""


def clean(text: str) -> str:
    """The text without what no database stores: NUL and lone surrogates become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def unescape(text: str) -> str:
    """Undo PHP's htmlspecialchars once: names and note texts arrive escaped (captured webhooks).

    Not ``html.unescape``: that would also rewrite texts nobody escaped, such as ``…?x=1&copy=2`` in a link.
    """
    return _ENTITY.sub(lambda found: _CHARACTERS[found.group()], text)


def unescape_tree(value: Any) -> Any:
    """The same for every text in a tree of ``form.parse`` or ``read_json`` (both bound its depth)."""
    if isinstance(value, str):
        return unescape(value)
    if isinstance(value, Mapping):
        return {key: unescape_tree(child) for key, child in value.items()}
    return [unescape_tree(child) for child in value] if isinstance(value, list) else value


def scalar(value: object) -> str | None:
    """The value as it was sent. Of a scalar/tree collision (see webhooks/form.py) the scalar."""
    if isinstance(value, Mapping):
        value = value.get("")
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int) else None


def text(value: object) -> str | None:
    """A text for people, HTML entities undone. Empty is "", missing is None."""
    sent = scalar(value)
    return None if sent is None else unescape(sent)


def word(value: object) -> str | None:
    """A code, uuid or link: without blanks around; None when empty or the literal ``null``."""
    sent = (text(value) or "").strip()
    return sent if sent and sent.lower() != "null" else None


def integer(value: object) -> int | None:
    """A whole number of at most 64 bits, ``5.0`` included; anything else ('', 'null', 5.5) is None."""
    return _number(_INTEGER, value)


def money(value: object) -> int | None:
    """A budget in whole units of the account's currency; a fraction is cut off (amoCRM keeps none)."""
    return _number(_MONEY, value)


def _number(pattern: re.Pattern[str], value: object) -> int | None:
    if type(value) is int:
        # As most come from the API.
        return value if abs(value) <= _LARGEST else None
    found = pattern.fullmatch((scalar(value) or "").strip())
    number = int(found.group(1)) if found else None
    return number if number is not None and abs(number) <= _LARGEST else None


def identifier(value: object) -> int | None:
    """An id: a positive number. 0 is amoCRM's "none"."""
    number = integer(value)
    return number if number is not None and number > 0 else None


def user(value: object) -> int | None:
    """A user's id; 0 is a robot, or nobody was named."""
    number = integer(value)
    return number if number is not None and number >= 0 else None


def flag(value: object) -> bool | None:
    """``1`` or ``0``."""
    return {"1": True, "0": False, "true": True, "false": False}.get((scalar(value) or "").strip().lower())


def moment(value: object) -> datetime | None:
    """Unix seconds → aware UTC. Time *strings* are None: task hooks write them in UTC, note hooks in UTC+3."""
    seconds = integer(value)
    if seconds is None or not 0 < seconds < _YEAR_9999:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def items(value: object) -> Iterator[Any]:
    """The elements of a list, its indexes complete or not; a thing sent without an index is one element."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value, Mapping):
        unnumbered = {key: child for key, child in value.items() if not (key.isascii() and key.isdigit())}
        yield from (child for key, child in value.items() if key not in unnumbered)
        if unnumbered:
            yield unnumbered
    elif value is not None:
        yield value


def identifiers(value: object) -> tuple[int, ...]:
    """The ids of a list: of ids, or of objects with ``id`` or ``ID``. What has none is left out."""
    found = (
        identifier(child.get("id", child.get("ID")) if isinstance(child, Mapping) else child) for child in items(value)
    )
    return tuple(number for number in found if number is not None)


def branch(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The subtree under the key; empty if there is none."""
    child = tree.get(key)
    return child if isinstance(child, Mapping) else {}


def read_json(source: str) -> Any:
    """JSON whose texts can be stored, fractions kept as texts. Raises ValueError, also for too deep a nesting."""
    try:
        return _storable(json.loads(source, parse_float=str, parse_constant=str), depth=32)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _storable(value: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _storable(child, depth - 1) for key, child in value.items()}
    return [_storable(child, depth - 1) for child in value] if isinstance(value, list) else value


def json_object(value: object) -> Mapping[str, Any] | None:
    """The JSON object that amoCRM put into a text (metadata, call notes), or None if the value is no such thing.

    HTML entities are undone: of the whole text if it was escaped as a whole, else of the texts inside.
    """
    if isinstance(value, Mapping) and "" not in value:
        return {str(key): unescape_tree(child) for key, child in value.items()}
    sent = scalar(value) or ""
    found = _read_json_or_none(sent)
    found = _read_json_or_none(unescape(sent)) if found is None else unescape_tree(found)
    return found if isinstance(found, dict) else None


def _read_json_or_none(source: str) -> Any:
    try:
        return read_json(source)
    except ValueError:
        return None


# --- API answers ------------------------------------------------------------------------------------------------------

Row = Mapping[str, Any]


def api_text(value: object) -> str:
    """A text of an answer as it is (answers, unlike webhooks, are not HTML-escaped); missing is empty."""
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
    return tuple(name for row in rows if (name := api_text(row.get("name"))))


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
            # Of an address in parts each value says which part it is.
            is_whole = item.get("field_type") == "smart_address"
            values = row_list(item.get("values"))
            found[number] = tuple(dict(value) if is_whole else value.get("value", value) for value in values)
    return found


def is_written(wanted: Sequence[Any] | None, current: Sequence[Any]) -> bool:
    """Are a field's values what was written? amoCRM gives numbers as texts, and of files and the like more than it
    takes."""
    values = wanted or ()
    return len(values) == len(current) and all(map(_is_same_value, values, current))


def _is_same_value(wanted: Any, current: Any) -> bool:
    wanted, current = _unwrapped(wanted), _unwrapped(current)
    if isinstance(wanted, Mapping) and isinstance(current, Mapping):
        return all(str(current.get(key)) == str(value) for key, value in wanted.items())
    return str(wanted) == str(current)


def _unwrapped(value: Any) -> Any:
    return value.get("value", value) if isinstance(value, Mapping) else value


# --- stored records ---------------------------------------------------------------------------------------------------


def to_plain(record: Any) -> dict[str, Any]:
    """A record's attributes as JSON: times as Unix seconds."""
    return {attribute.name: _plain(getattr(record, attribute.name)) for attribute in fields(record)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def from_plain(kind: type[Any], plain: Row) -> dict[str, Any]:
    """The attributes that ``to_plain`` gave; what this version does not know is left out."""
    known = {attribute.name: str(attribute.type) for attribute in fields(kind)}
    return {name: _typed(known[name], value) for name, value in plain.items() if name in known}


def _typed(annotation: str, value: Any) -> Any:
    if value is None:
        return None
    if annotation.startswith("datetime"):
        return datetime.fromtimestamp(value, UTC)
    if annotation.startswith("Mapping[int"):
        return {int(key): tuple(inner) for key, inner in value.items()}
    return tuple(value) if annotation.startswith("tuple") else value
