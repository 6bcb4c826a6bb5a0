"""Records of amoCRM's entities: API v4 JSON → frozen dataclasses; reading of single wire values.

A value of a webhook always comes as a text; any value may be missing, empty or of a wrong shape. No reader raises,
unless it says so: what can't be understood is None ("not given").

Records are tolerant of what amoCRM really sends (amoCRM docs, leads-api, tasks-api, contacts-api, and seen in
answers): null for no custom fields, ``result`` as a list when empty, ``loss_reason`` as a list of one, ``is_main`` or
``main_contact``. A deleted entity comes with its id and little more; the rest is then 0, empty or EPOCH. Times are
aware UTC. User id 0 is a robot or nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, fields
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Any, Self

from amo_bridge.lazy.dataclasses import dataclass

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
    """The value as it was sent. Of a scalar/tree collision (see php_form.py) the scalar."""
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
    readers = _readers(kind)  # type: ignore[arg-type]
    told = {}
    for name, value in plain.items():
        if name in readers:
            read = readers[name]
            told[name] = value if read is None or value is None else read(value)
    return told


@cache
def _readers(kind: type[Any]) -> Mapping[str, Callable[[Any], Any] | None]:
    """Attribute → what makes it of its JSON; None: it is as it stands. Every deal read passes it."""
    return {attribute.name: _reader(str(attribute.type)) for attribute in fields(kind)}


def _reader(annotation: str) -> Callable[[Any], Any] | None:
    if annotation.startswith("datetime"):
        return lambda seconds: datetime.fromtimestamp(seconds, UTC)
    if annotation.startswith("Mapping[int"):
        return lambda told: {int(key): tuple(inner) for key, inner in told.items()}
    return tuple if annotation.startswith("tuple") else None


# --- records ----------------------------------------------------------------------------------------------------------

EPOCH = datetime.fromtimestamp(0, UTC)
NO_FIELDS: Mapping[int, tuple[Any, ...]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Record:
    """What all entities have in common. ``from_api`` raises ValueError when there is not even an id."""

    id: int
    responsible_user_id: int = 0
    group_id: int = 0
    created_by: int = 0
    updated_by: int = 0
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH

    @classmethod
    def from_api(cls, row: Mapping[str, Any]) -> Self:
        """The record of one row of amoCRM's answer."""
        return cls(**_common(row), **cls._own(row))

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The record that ``to_json`` of this version of the bridge, or of an older one, gave."""
        return cls(**from_plain(cls, plain))

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON; times as Unix seconds."""
        return to_plain(self)

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class DealRecord(Record):
    """A deal (amoCRM's lead). A stage is the pair (pipeline_id, status_id): 142 and 143 are in every pipeline.

    ``contact_ids`` has the main contact first. ``fields``: custom field id → its values as amoCRM gives them (texts,
    also for numbers; bool; Unix seconds for dates; the option's text for choices; mappings for files and the like).
    """

    name: str = ""
    price: int = 0
    pipeline_id: int = 0
    status_id: int = 0
    loss_reason_id: int | None = None
    loss_reason: str | None = None
    closed_at: datetime | None = None
    tags: tuple[str, ...] = ()
    contact_ids: tuple[int, ...] = ()
    main_contact_id: int | None = None
    company_id: int | None = None
    fields: Mapping[int, tuple[Any, ...]] = field(default_factory=lambda: NO_FIELDS, hash=False)
    is_deleted: bool = False

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        contacts, main = main_first(embedded(row, "contacts"))
        reasons = embedded(row, "loss_reason")
        return {
            "name": api_text(row.get("name")),
            "price": money(row.get("price")) or 0,
            "pipeline_id": identifier(row.get("pipeline_id")) or 0,
            "status_id": identifier(row.get("status_id")) or 0,
            "loss_reason_id": identifier(row.get("loss_reason_id")),
            "loss_reason": api_text(reasons[0].get("name")) or None if reasons else None,
            "closed_at": moment(row.get("closed_at")),
            "tags": names_of(embedded(row, "tags")),
            "contact_ids": contacts,
            "main_contact_id": main,
            "company_id": next(iter(ids_of(embedded(row, "companies"))), None),
            "fields": field_values(row),
            "is_deleted": flag(row.get("is_deleted")) or False,
        }


@dataclass(frozen=True, kw_only=True)
class ContactRecord(Record):
    """A contact. ``phones`` and ``emails`` are as people typed them; ``deal_ids`` only if they were asked for."""

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    company_id: int | None = None
    deal_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    fields: Mapping[int, tuple[Any, ...]] = field(default_factory=lambda: NO_FIELDS, hash=False)
    is_deleted: bool = False

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": api_text(row.get("name")),
            "first_name": api_text(row.get("first_name")),
            "last_name": api_text(row.get("last_name")),
            "phones": _coded(row, "PHONE"),
            "emails": _coded(row, "EMAIL"),
            "company_id": next(iter(ids_of(embedded(row, "companies"))), None),
            "deal_ids": ids_of(embedded(row, "leads")),
            "tags": names_of(embedded(row, "tags")),
            "fields": field_values(row),
            "is_deleted": flag(row.get("is_deleted")) or False,
        }


@dataclass(frozen=True, kw_only=True)
class TaskRecord(Record):
    """A task. ``entity_type`` is amoCRM's plural word (leads, contacts …), None for a task on no card.

    ``duration`` in seconds. ``result`` is what was written at completion, None when nothing was.
    """

    text: str = ""
    task_type_id: int = 1
    complete_till: datetime = EPOCH
    duration: int = 0
    is_completed: bool = False
    result: str | None = None
    entity_id: int | None = None
    entity_type: str | None = None

    @property
    def deal_id(self) -> int | None:
        """The deal on whose card the task is."""
        return self.entity_id if self.entity_type == "leads" else None

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        result = row.get("result")
        return {
            "text": api_text(row.get("text")),
            "task_type_id": identifier(row.get("task_type_id")) or 1,
            "complete_till": moment(row.get("complete_till")) or EPOCH,
            "duration": integer(row.get("duration")) or 0,
            "is_completed": flag(row.get("is_completed")) or False,
            "result": api_text(result.get("text")) or None if isinstance(result, Mapping) else None,
            "entity_id": identifier(row.get("entity_id")),
            "entity_type": api_text(row.get("entity_type")) or None,
        }


@dataclass(frozen=True, kw_only=True)
class NoteRecord(Record):
    """A note. ``params`` depend on ``note_type`` (amoCRM docs, events-and-notes)."""

    entity_id: int | None = None
    note_type: str = ""
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def text(self) -> str:
        """The text of a note; empty for kinds that have none."""
        return api_text(self.params.get("text"))

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        params = row.get("params")
        return {
            "entity_id": identifier(row.get("entity_id")),
            "note_type": api_text(row.get("note_type")),
            "params": params if isinstance(params, Mapping) else {},
        }


def _common(row: Mapping[str, Any]) -> dict[str, Any]:
    number = identifier(row.get("id"))
    if number is None:
        raise ValueError("an entity without an id")
    return {
        "id": number,
        "responsible_user_id": integer(row.get("responsible_user_id")) or 0,
        "group_id": integer(row.get("group_id")) or 0,
        "created_by": integer(row.get("created_by")) or 0,
        "updated_by": integer(row.get("updated_by")) or 0,
        "created_at": moment(row.get("created_at")) or EPOCH,
        "updated_at": moment(row.get("updated_at")) or EPOCH,
    }


def _coded(row: Mapping[str, Any], code: str) -> tuple[str, ...]:
    fields = (item for item in row_list(row.get("custom_fields_values")) if item.get("field_code") == code)
    return tuple(api_text(value.get("value")) for item in fields for value in row_list(item.get("values")))
