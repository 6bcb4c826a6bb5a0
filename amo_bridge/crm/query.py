"""Query strings as PHP writes and reads them: ``filter[id][]=1&filter[id][]=2``.

amoCRM's own library builds them with ``http_build_query`` (amoCRM docs, filters-api), hence percent-encoded brackets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

Params = Mapping[str, Any]


def php_query(params: Params) -> str:
    """Nested mappings and lists as one query string.

    A list of plain values gets empty brackets, a list of mappings gets indexes (its parts belong together), a bool is
    1 or 0, and what is None is left out.
    """
    pairs = (pair for name, value in params.items() for pair in _pairs(name, value))
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _pairs(f"{name}[{key}]", inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, inner in enumerate(value):
            nested = isinstance(inner, (Mapping, list, tuple))
            yield from _pairs(f"{name}[{index if nested else ''}]", inner)
    elif isinstance(value, bool):
        yield name, str(int(value))
    elif value is not None:
        yield name, str(value)
