"""Events as JSON and back: how the inbox keeps them, and how a person or another program reads them.

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
    """The event, ready for ``json.dumps``. ``with_raw`` adds the part of the hook that it was made of."""
    told: dict[str, Any] = {"type": type(event).__name__, **dict(_told_fields(event))}
    if with_raw and event.raw:
        told["raw"] = dict(event.raw)
    return told


def from_json(told: Mapping[str, Any]) -> Event:
    """The event that ``to_json`` told of, equal to it in every field.

    Unknown keys are passed over, so that a stored event outlives a field. Raises ValueError if there is no event of
    that type, or a field that it must have is missing.
    """
    kind = _event_type(str(told.get("type")))
    try:
        return kind(**_restored_fields(kind, told))
    except TypeError as error:
        raise ValueError(f"{kind.__name__} can't be restored: {error}") from error


def fingerprint(event: Event) -> str:
    """A key of 32 characters for "the same thing told again": equal for a repeated hook, different for a later change.

    It covers the type and all fields; ``raw`` only where the event has no time of its own (deletions, Digital
    Pipeline hooks, calls without an id, the unrecognised), so take it before ``raw`` is dropped. Of such an event
    amoCRM says nothing that tells a repetition from the same thing happening once more (a second letter on the same
    deal has the very same bytes): there, compare keys only within the hours in which amoCRM repeats a hook.
    """
    told = to_json(event, with_raw=event.at is None)
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def _told_fields(thing: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(thing):
        value = getattr(thing, field.name)
        if field.name != "raw" and not (_says_nothing(value) and value == _default(field)):
            yield field.name, _told(value)


def _says_nothing(value: Any) -> bool:
    # 0 equals False and says something: a price, a robot's id.
    return value is False or value in (None, "", ())


def _default(field: Field[Any]) -> Any:
    """The field's default; of a field without one, something that equals nothing."""
    return field.default if field.default is not MISSING else object()


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, tuple):
        return [_told(element) for element in value]
    return dict(_told_fields(value)) if is_dataclass(value) else value


def _event_type(name: str) -> type[Event]:
    kind = next((kind for kind in _with_subclasses(Event) if kind.__name__ == name), None)
    if kind is None:
        raise ValueError(f"there is no event {name!r}")
    return kind


def _with_subclasses(kind: type[Event]) -> Iterator[type[Event]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _with_subclasses(narrower)


def _restored_fields(kind: type, told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: restore(told[name]) for name, restore in _restorers(kind).items() if name in told}


@cache
def _restorers(kind: type) -> dict[str, Callable[[Any], Any]]:
    hints = get_type_hints(kind)
    return {field.name: _restorer(hints[field.name]) for field in fields(kind)}


def _restorer(hint: Any) -> Callable[[Any], Any]:
    """How a value of that type comes back from JSON."""
    if get_origin(hint) in (Union, UnionType):
        inner = _restorer(next(option for option in get_args(hint) if option is not type(None)))
        return lambda value: None if value is None else inner(value)
    if hint is datetime:
        return datetime.fromisoformat
    if get_origin(hint) is tuple:
        return _tuple_restorer(get_args(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        part: type = hint
        return lambda value: part(**_restored_fields(part, value))
    return lambda value: value


def _tuple_restorer(hints: tuple[Any, ...]) -> Callable[[Any], Any]:
    restorers = [_restorer(hint) for hint in hints if hint is not Ellipsis]
    if Ellipsis in hints:
        return lambda values: tuple(restorers[0](value) for value in values)
    return lambda values: tuple(restore(value) for restore, value in zip(restorers, values, strict=True))
