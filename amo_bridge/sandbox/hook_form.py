"""Form bodies in PHP's manner, byte for byte as amoCRM's webhooks have them.

Seen in captured hooks: brackets percent-encoded, a blank as ``+``, every value a string, an empty container not sent.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus


def encode(tree: Mapping[str, Any]) -> bytes:
    """A tree of mappings, lists and scalars → the body. ``None`` is left out, ``""`` is sent as an empty value."""
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
    """A person's text as hooks carry it: HTML-escaped once (seen in captured hooks), quotes in PHP's spelling."""
    return html.escape(scalar(text), quote=True).replace("&#x27;", "&#039;")


def _quote(text: str) -> str:
    # PHP's urlencode escapes the tilde, Python's does not.
    return quote_plus(text).replace("~", "%7E")
