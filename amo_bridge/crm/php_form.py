"""PHP forms: the bytes of a webhook's body → a tree, by PHP's rules for ``a[b][0]=c``.

amoCRM posts forms with PHP-style keys. The standard library reads such a form as a flat list, and PHP itself loses
what does not fit; a webhook must not be lost, so here everything that was sent can be found in the tree:

* numeric keys become a list only if they are exactly 0 … n, in whatever order they came; ``linked_leads_id[35144366]``
  stays a map;
* ``a=1&a[b]=2`` (chat notes do this with ``note[type]``) keeps both: ``{"a": {"": "1", "b": "2"}}``;
* a key with unpaired brackets, or nested deeper than MAX_DEPTH, stays one flat key as it was written;
* parts beyond MAX_PARTS are not split: they are kept as one text under the key "&";
* bad percent escapes stay as they are; bytes that are not UTF-8, and NUL, which no database takes, become U+FFFD.

As in PHP, the last of two equal keys wins, and ``a[]`` takes the next free index.

``Item`` is one item of such a tree (``leads[add][0]``), with its fields and tags (amoCRM docs, webhooks-format;
captured webhooks of 2014, 2016 and 2024).
"""

from __future__ import annotations

import json
import re
from binascii import unhexlify
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from amo_bridge.crm.records import clean, identifier, items, moment, text, unescape_tree, word
from amo_bridge.events import FieldValue
from amo_bridge.lazy.dataclasses import dataclass

MAX_DEPTH = 32
"""Three times what amoCRM sends (``unsorted[add][0][data][leads][0][custom_fields][0][values][0][value]``)."""

MAX_PARTS = 200_000
"""Some thousand deals with all their fields; a body of that size is already several MB."""

MAX_CACHED_KEY_LENGTH = 200
"""Longer keys are not cached: amoCRM sends none, and a stranger's would fill the memory."""

REST = "&"
"""The key of the unsplit rest of a body with more than MAX_PARTS parts. No key of amoCRM's can be an ampersand."""

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def parse(body: bytes) -> Mapping[str, Any]:
    """The body as a tree of dicts, lists and texts. Never raises; costs time linear in the body's length."""
    parts = body.split(b"&", MAX_PARTS)
    rest = parts.pop().strip(b"&") if len(parts) > MAX_PARTS else b""
    tree = _Node()
    for part in parts:
        if part:
            key, _, value = part.partition(b"=")
            tree.put(_steps(key) if len(key) <= MAX_CACHED_KEY_LENGTH else _path(_decode(key)), _decode(value))
    if rest:
        tree[REST] = clean(rest.decode("utf-8", "replace"))
    return {key: _settle(child) for key, child in tree.items()}


class _Node(dict[str, Any]):
    """A map under construction. ``next_index`` is where ``[]`` goes."""

    next_index = 0

    def put(self, path: Sequence[str | None], text: str) -> None:
        node = self
        for step in path[:-1]:
            node = node._branch(node._key(step))
        node._leaf(node._key(path[-1]), text)

    def _key(self, step: str | None) -> str:
        key = str(self.next_index) if step is None else step
        if _is_index(key):
            self.next_index = max(self.next_index, int(key) + 1)
        return key

    def _branch(self, key: str) -> _Node:
        child = self.get(key)
        if isinstance(child, _Node):
            return child
        branch = _Node()
        if child is not None:
            branch[""] = child
        self[key] = branch
        return branch

    def _leaf(self, key: str, text: str) -> None:
        child = self.get(key)
        if isinstance(child, _Node):
            child[""] = text
        else:
            self[key] = text


def _decode(part: bytes) -> str:
    """Not ``urllib.parse.unquote_to_bytes``: 5 MB of percent signs cost that one a gigabyte."""
    plain = part.replace(b"+", b" ")
    if b"%" in plain:
        plain = _ESCAPE.sub(lambda found: unhexlify(found[1]), plain)
    return clean(plain.decode("utf-8", "replace"))


@lru_cache(maxsize=4096)
def _steps(key: bytes) -> tuple[str | None, ...]:
    """``_path`` of a key as it came: one hook has the same keys as the next."""
    return tuple(_path(_decode(key)))


def _path(key: str) -> list[str | None]:
    """``a[b][]`` → ["a", "b", None]; None asks for the next index. A malformed key is a path of one step."""
    head, bracket, tail = key.partition("[")
    if not bracket or not head or "]" in head or not tail.endswith("]"):
        return [key]
    steps = tail[:-1].split("][")
    if len(steps) >= MAX_DEPTH or any("[" in step or "]" in step for step in steps):
        return [key]
    return [head, *(step or None for step in steps)]


def _is_index(key: str) -> bool:
    """Is it written as PHP writes an array's index? (Nine digits: longer ones are ids, never positions.)"""
    return key.isascii() and key.isdigit() and len(key) <= 9 and (key == "0" or key[0] != "0")


def _settle(node: Any) -> Any:
    """Nodes → plain dicts and lists. The depth is bounded by MAX_DEPTH, so recursion is safe."""
    if not isinstance(node, _Node):
        return node
    settled = {key: _settle(child) for key, child in node.items()}
    indexes = [str(index) for index in range(len(settled))]
    if all(index in settled for index in indexes):
        return [settled[index] for index in indexes]
    return settled


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
