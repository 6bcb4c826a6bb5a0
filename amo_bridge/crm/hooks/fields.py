"""``custom_fields`` and ``tags`` of a hook (amoCRM docs, webhooks-format; captured hooks of 2014, 2016 and 2024)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from amo_bridge.crm.values import identifier, items, text, unescape_tree, word
from amo_bridge.events import FieldValue


def decode_fields(value: object) -> tuple[FieldValue, ...]:
    """The filled fields. One without a usable id is left out."""
    return tuple(_fields(value))


def _fields(value: object) -> Iterator[FieldValue]:
    for field in items(value):
        field_id = identifier(field.get("id")) if isinstance(field, Mapping) else None
        if field_id is not None:
            name = text(field.get("name")) or ""
            values = tuple(_values(field.get("values")))
            yield FieldValue(field_id=field_id, name=name, code=word(field.get("code")), values=values)


def _values(value: object) -> Iterator[tuple[str, int | None]]:
    """Usually ``values[n][value]`` and ``[enum]``; a radio button comes without n, a date and all of 2014 bare."""
    for element in items(value):
        if not isinstance(element, Mapping):
            yield text(element) or "", None
        elif "value" in element:
            yield _text_of(element["value"]), identifier(element.get("enum"))
        else:
            yield _text_of(element), None


def _text_of(value: object) -> str:
    """A compound value (legal entity, file, linked entity) as JSON."""
    told = text(value)
    return json.dumps(unescape_tree(value), ensure_ascii=False) if told is None else told


def decode_tags(value: object) -> tuple[str, ...]:
    """The tags' names."""
    names = (text(tag.get("name") if isinstance(tag, Mapping) else tag) for tag in items(value))
    return tuple(name for name in names if name)
