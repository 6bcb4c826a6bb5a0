"""Which line of a TOML file a key stands on: tomllib doesn't say, and an error message without a line is half a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HEADER = re.compile(r"^\s*\[{1,2}\s*(.+?)\s*\]{1,2}\s*(?:#.*)?$")
KEY = re.compile(r"^\s*((?:[\w\-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w\-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([\w\-]+)")


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    """Dotted path of every table and key → its line, from 1. Keys inside inline tables count as their table's line."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            table = _parts(header[1])
            found.setdefault(table, number)
        elif key := KEY.match(line):
            found.setdefault((*table, *_parts(key[1])), number)
    return found


def line_of(lines: Mapping[tuple[str, ...], int], path: tuple[Any, ...]) -> int | None:
    """The line of a key, or of the nearest thing around it that has one."""
    keys = tuple(str(step) for step in path if not isinstance(step, int))
    while keys:
        if keys in lines:
            return lines[keys]
        keys = keys[:-1]
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(double or single or bare for double, single, bare in PART.findall(dotted))
