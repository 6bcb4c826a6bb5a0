"""Lines of keys in a TOML file, which tomllib does not tell and messages need.

A small scanner of its own, for text that tomllib reads too: it only has to find where things stand, not what they are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_PART = re.compile(r"[^\s.=\[\]{}\"'#,]+")
_SCALAR = re.compile(r"[^,\]}\n#]+")


class _NotToml(Exception):
    """The text can't be followed any further; what was found so far counts."""


def places_of(text: str) -> list[tuple[KeyPath, int]]:
    """KeyPath of every table, key and element of a list → its line, from 1, in the order of the file."""
    scanner = _Scanner(text)
    try:
        scanner.scan()
    except _NotToml:
        return scanner.places
    return scanner.places


def lines_of(text: str) -> dict[KeyPath, int]:
    """The same as a mapping: the first line of each. A table that is only implied has the line of the one inside it."""
    found: dict[KeyPath, int] = {}
    for path, line in places_of(text):
        for length in range(1, len(path) + 1):
            found.setdefault(path[:length], line)
    return found


class StringAt(NamedTuple):
    """A string of the text: ``text[start:end]`` with its quotes. ``path``: the key whose value it is, or the key."""

    path: KeyPath
    start: int
    end: int


def strings_of(text: str) -> list[StringAt]:
    """Every string that is a value or (part of) a key, in the order of the file; a bare key is not among them."""
    scanner = _Scanner(text)
    try:
        scanner.scan()
    except _NotToml:
        return scanner.strings
    return scanner.strings


class PairAt(NamedTuple):
    """A key with its value, or an element of a list: ``text[start:end]``, from the first sign to the last."""

    path: KeyPath
    start: int
    end: int


class Scanned(NamedTuple):
    """``headers``: the line, from 1, of every table that has a header. ``pairs``: the keys that stand on lines of their
    own, with their values; what is within ``{ … }`` is of its value. ``elements``: of their lists, without the comma.
    All in the order of the file."""

    headers: list[tuple[KeyPath, int]]
    pairs: list[PairAt]
    elements: list[PairAt]


def scanned(text: str) -> Scanned:
    """Where everything stands."""
    scanner = _Scanner(text)
    with suppress(_NotToml):
        scanner.scan()
    return Scanned(scanner.headers, scanner.pairs, scanner.elements)


def line_of(lines: Mapping[KeyPath, int], path: tuple[Any, ...]) -> int | None:
    """The line of a key, or of the nearest thing around it that has one."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.places: list[tuple[KeyPath, int]] = []
        self.headers: list[tuple[KeyPath, int]] = []
        self.strings: list[StringAt] = []
        self.pairs: list[PairAt] = []
        self.elements: list[PairAt] = []
        self._text = text
        self._at = 0
        self._starts = [match.end() for match in re.finditer("\n", text)]
        self._elements: dict[KeyPath, int] = {}

    def scan(self) -> None:
        table: KeyPath = ()
        while self._skip_blank():
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                start = self._at
                path = self._pair(table)
                self.pairs.append(PairAt(path, start, self._end()))

    def _header(self) -> KeyPath:
        line, brackets = self._line(), 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        path: KeyPath = ()
        for part in self._key(path):
            # A list of tables: what follows is about its newest element.
            path = (*path, part)
            path = (*path, self._elements[path]) if path in self._elements else path
        if brackets == 2:
            number = self._elements.get(path[:-1], -1) + 1 if isinstance(path[-1], int) else 0
            path = path[:-1] if isinstance(path[-1], int) else path
            self._elements[path] = number
            path = (*path, number)
        self._take("]" * brackets)
        self.places.append((path, line))
        self.headers.append((path, line))
        return path

    def _pair(self, table: KeyPath) -> KeyPath:
        line, path = self._line(), (*table, *self._key(table))
        self.places.append((path, line))
        self._take("=")
        self._value(path)
        return path

    def _value(self, path: KeyPath) -> None:
        self._skip_blank()
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            self._inside("]", path, self._element)
        elif opening == "{":
            self._inside("}", path, lambda number, table: self._pair(table))
        elif opening and opening in "\"'":
            self._match(_STRING, path)
        else:
            self._match(_SCALAR)

    def _element(self, number: int, path: KeyPath) -> None:
        self.places.append(((*path, number), self._line()))
        start = self._at
        self._value((*path, number))
        self.elements.append(PairAt((*path, number), start, self._end()))

    def _inside(self, closing: str, path: KeyPath, read: Any) -> None:
        self._at += 1
        number = 0
        while self._skip_blank() and self._text[self._at] != closing:
            read(number, path)
            number += 1
            if self._skip_blank() and self._text[self._at] == ",":
                self._at += 1
        self._take(closing)

    def _key(self, table: KeyPath) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._skip_blank()
            quoted = self._text[self._at : self._at + 1] in ('"', "'")
            start = self._at
            part = self._match(_STRING if quoted else _PART)
            parts.append(part[1:-1] if quoted else part)
            if quoted:
                self.strings.append(StringAt((*table, *parts), start, self._at))
            self._skip_blank()
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _skip_blank(self) -> bool:
        """Over blanks and comments. Is there anything left?"""
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at
        return self._at < len(self._text)

    def _take(self, sign: str) -> None:
        self._skip_blank()
        if not self._text.startswith(sign, self._at):
            raise _NotToml(sign)
        self._at += len(sign)

    def _match(self, pattern: re.Pattern[str], path: KeyPath | None = None) -> str:
        """``path``: of a string's value, to be noted."""
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _NotToml(pattern.pattern)
        if path is not None:
            self.strings.append(StringAt(path, self._at, found.end()))
        self._at = found.end()
        return found[0]

    def _end(self) -> int:
        """Behind the last sign: a number's pattern takes the blanks along."""
        end = self._at
        while self._text[end - 1] in " \t\r\n":
            end -= 1
        return end

    def _line(self) -> int:
        return bisect_right(self._starts, self._at) + 1
