"""One item of a webhook (``leads[add][0]``), with its fields and tags.

(amoCRM docs, webhooks-format; captured webhooks of 2014, 2016 and 2024.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from amo_bridge.crm.values import identifier, items, moment, text, unescape_tree, word
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
    plain = text(value)
    return json.dumps(unescape_tree(value), ensure_ascii=False) if plain is None else plain


def decode_tags(value: object) -> tuple[str, ...]:
    """The tags' names."""
    names = (text(tag.get("name") if isinstance(tag, Mapping) else tag) for tag in items(value))
    return tuple(name for name in names if name)


# --- the item ---------------------------------------------------------------------------------------------------------


class Unreadable(Exception):
    """The item can't become a typed event; the message says why, in Russian, for the journal."""


@dataclass(frozen=True)
class Item:
    """What was said about one entity. ``account_id`` and ``has_links`` (the account's address) are the envelope's."""

    root: str
    action: str
    tree: Mapping[str, Any]
    account_id: int | None = None
    has_links: bool = False

    @property
    def is_from_pipeline(self) -> bool:
        """Is it a webhook of the Digital Pipeline? Those have neither a name nor the account's address (captured)."""
        return "name" not in self.tree and not self.has_links

    def envelope(self, at: datetime | None, named_in: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What every event has. Webhooks of 2016 name the account in the item only, or in the part ``named_in``."""
        account_id = self.account_id or identifier((named_in or self.tree).get("account_id"))
        return {"at": at, "account_id": account_id, "raw": self.tree}

    def changed_at(self) -> datetime | None:
        """When it happened; for a new entity its creation will do."""
        names = ["updated_at", "last_modified", "date_modify"]
        if self.action == "add":
            names += ["created_at", "date_create"]
        return self.first_moment(*names)

    def first_moment(self, *names: str) -> datetime | None:
        found = (moment(self.tree.get(name)) for name in names)
        return next((at for at in found if at is not None), None)

    def required_id(self, name: str = "id") -> int:
        number = identifier(self.tree.get(name))
        if number is None:
            raise Unreadable(f"нет пригодного {name}")
        return number

    def unknown_action(self) -> Unreadable:
        return Unreadable("неизвестное действие")
