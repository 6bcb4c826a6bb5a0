"""Event ↔ JSON, for the store, the API and people.

``{"type": "DealMoved", "at": "2024-09-17T11:32:38+00:00", "deal_id": 15318175, …}``: the class's name, the fields
under their own names, empty ones left out, times ISO-8601 in UTC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from amo_bridge.events import Event


def to_json(event: Event, *, with_raw: bool = False) -> dict[str, Any]:
    """The event, ready for ``json.dumps``. ``with_raw`` adds the part of the webhook that it was made of."""
    data: dict[str, Any] = {"type": type(event).__name__, **dict(_fields_to_json(event))}
    if with_raw and event.raw:
        data["raw"] = dict(event.raw)
    return data


def from_json(data: Mapping[str, Any]) -> Event:
    """The event of which ``to_json`` made this, equal to it in every field.

    Unknown keys are ignored, so that a stored event outlives a field. Raises ValueError if there is no event of that
    type, or a field that it must have is missing.
    """
    kind = _event_type(str(data.get("type")))
    try:
        return kind(**_restored_fields(kind, data))
    except TypeError as error:
        raise ValueError(f"{kind.__name__} can't be restored: {error}") from error


def fingerprint(event: Event) -> str:
    """A key of 32 characters, equal for a repeated webhook and different for a later change.

    It covers the type and all fields; ``raw`` only where the event has no time of its own (deletions, Digital
    Pipeline hooks, calls without an id, the unrecognised), so take it before ``raw`` is dropped. Of such an event
    amoCRM says nothing that distinguishes a repetition from the same thing happening once more (a second letter on the
    same deal has the very same bytes): there, compare keys only within the hours in which amoCRM repeats a webhook.
    """
    data = to_json(event, with_raw=event.at is None)
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def _fields_to_json(instance: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(instance):
        value = getattr(instance, field.name)
        if field.name != "raw" and not (_is_empty(value) and value == _default(field)):
            yield field.name, _value_to_json(value)


def _is_empty(value: Any) -> bool:
    # 0 equals False but is a value: a price, a robot's id.
    return value is False or value in (None, "", ())


def _default(field: Field[Any]) -> Any:
    """The field's default; of a field without one, something that equals nothing."""
    return field.default if field.default is not MISSING else object()


def _value_to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, tuple):
        return [_value_to_json(element) for element in value]
    return dict(_fields_to_json(value)) if is_dataclass(value) else value


def _event_type(name: str) -> type[Event]:
    kind = next((kind for kind in with_subclasses(Event) if kind.__name__ == name), None)
    if kind is None:
        raise ValueError(f"there is no event {name!r}")
    return kind


def with_subclasses(kind: type[Event]) -> Iterator[type[Event]]:
    """A type of events and all that are made of it."""
    yield kind
    for subclass in kind.__subclasses__():
        yield from with_subclasses(subclass)


def _restored_fields(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: restore(data[name]) for name, restore in _restorers(kind).items() if name in data}


@cache
def _restorers(kind: type) -> dict[str, Callable[[Any], Any]]:
    hints = get_type_hints(kind)
    return {field.name: _restorer(hints[field.name]) for field in fields(kind)}


def _restorer(hint: Any) -> Callable[[Any], Any]:
    """A function that makes a value of that type from JSON."""
    if get_origin(hint) in (Union, UnionType):
        inner = _restorer(next(option for option in get_args(hint) if option is not type(None)))
        return lambda value: None if value is None else inner(value)
    if hint is datetime:
        return datetime.fromisoformat
    if get_origin(hint) is tuple:
        return _tuple_restorer(get_args(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        nested: type = hint
        return lambda value: nested(**_restored_fields(nested, value))
    return lambda value: value


def _tuple_restorer(hints: tuple[Any, ...]) -> Callable[[Any], Any]:
    restorers = [_restorer(hint) for hint in hints if hint is not Ellipsis]
    if Ellipsis in hints:
        return lambda values: tuple(restorers[0](value) for value in values)
    return lambda values: tuple(restore(value) for restore, value in zip(restorers, values, strict=True))
