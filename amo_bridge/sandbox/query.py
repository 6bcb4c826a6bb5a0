"""Query strings as PHP reads them: ``filter[id][]=2&filter[price][from]=5`` is a tree, and comma lists are lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import request

Tree = dict[str, Any]
"""Keys are strings, also the numbers of a list; a leaf is a string."""

BRACKETS = re.compile(r"\[([^\]]*)\]")


def tree(pairs: Iterable[tuple[str, str]]) -> Tree:
    """The pairs of a query string as a tree. A later pair wins over an earlier one, as in PHP."""
    root: Tree = {}
    for key, value in pairs:
        head, bracket, rest = key.partition("[")
        path = [head, *BRACKETS.findall(bracket + rest)]
        node = root
        for part in path[:-1]:
            name = part or _next_number(node)
            child = node.get(name)
            if not isinstance(child, dict):
                child = node[name] = {}
            node = child
        node[path[-1] or _next_number(node)] = value
    return root


def query() -> Tree:
    """The query of the request being answered."""
    return tree(request.args.items(multi=True))


def branch(node: object, *names: str) -> Any:
    """``branch(query(), "filter", "id")``: what is there, or None."""
    for name in names:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def strings(node: object, *, commas: bool = True) -> list[str]:
    """A leaf or a list of leaves as a list; ``commas``: a leaf may be a comma list itself."""
    leaves = [leaf for leaf in (node.values() if isinstance(node, Mapping) else [node]) if isinstance(leaf, str)]
    if commas:
        leaves = [part.strip() for leaf in leaves for part in leaf.split(",")]
    return [leaf for leaf in leaves if leaf]


def integers(node: object) -> set[int]:
    return {int(leaf) for leaf in strings(node) if re.fullmatch(r"-?\d+", leaf)}


def integer(node: object) -> int | None:
    found = integers(node) if isinstance(node, str) else set()
    return min(found, default=None)


def words(name: str) -> set[str]:
    """The comma list ``with=contacts,loss_reason`` (a PHP array of them is taken too)."""
    return set(strings(branch(query(), name)))


@dataclass(frozen=True)
class Span:
    """``[from]``/``[to]``, both ends included; one bare number is both ends."""

    start: int | None
    end: int | None

    @classmethod
    def of(cls, node: object) -> Span | None:
        if isinstance(node, str):
            at = integer(node)
            return cls(at, at) if at is not None else None
        start, end = integer(branch(node, "from")), integer(branch(node, "to"))
        return None if start is None and end is None else cls(start, end)

    def holds(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return (self.start is None or value >= self.start) and (self.end is None or value <= self.end)


def _next_number(node: Tree) -> str:
    numbers = [int(key) for key in node if key.isdecimal()]
    return str(max(numbers, default=-1) + 1)
