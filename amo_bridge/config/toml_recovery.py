"""TOML recovery: all syntax mistakes that one pass can find, and the tables that are free of them.

tomllib stops at the first mistake. Here the statement that it stands in is taken out, line numbers kept, and the rest
is read again. A table with a mistake is not judged by its other keys: what is missing may stand in the broken line.
"""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amo_bridge.config.diagnostics import problem, toml_problem
from amo_bridge.config.toml_lines import KeyPath, lines_of
from amo_bridge.lazy.dataclasses import dataclass

# Nobody mends more at a time, and each costs a reading of the whole text.
MAX_MISTAKES = 50
# A page may send any text; all of them are read by the process that also takes hooks in.
LARGEST_TEXT, MOST_LINES = 1_000_000, 20_000
RECOVERY_SECONDS = 3.0
DEEPEST = 30
TOO_DEEP = "вложено слишком глубоко: таких настроек нет"
# tomllib takes minutes for a key of many parts.
_LONG_KEY = re.compile(
    r"""(?:(?<![\w-])[\w-]++|"[^"\n]*+"|'[^'\n]*+')(?:[ \t]*+\.[ \t]*+(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')){40}"""
)
PLACEHOLDER = "broken-table-"
_KEY_PART = r"(?:[\w-]+|\"[^\"\n]*\"|'[^'\n]*')"
_KEY = re.compile(rf"\s*({_KEY_PART}(?:\s*\.\s*{_KEY_PART})*)\s*=")
_HEADER = re.compile(r"\s*\[\[?\s*[\w\"']")
# An element of a list of lists looks like a header, but for what follows it.
_ELEMENT = re.compile(r"\s*\[.*\],?\s*(?:#.*)?$")
ROLES = ("roles",)


@dataclass(frozen=True)
class Recovered:
    """``tree``, ``lines``: of what could be read. ``problems``: the mistakes, in the order of the lines. ``broken``:
    the tables with a mistake; ``lost``: names of keys that stood in a broken line. ``is_refused``: nothing was read at
    all."""

    tree: dict[str, Any]
    lines: dict[KeyPath, int]
    problems: tuple[str, ...] = ()
    broken: frozenset[KeyPath] = frozenset()
    lost: frozenset[str] = frozenset()
    is_refused: bool = False

    def is_broken(self, path: Sequence[str | int]) -> bool:
        """Does it stand in a table with a mistake?"""
        return any(tuple(path[: len(table)]) == table for table in self.broken)

    def has_broken(self, section: str) -> bool:
        """Is there a mistake in the section, or in a table inside it?"""
        return any(table[:1] == (section,) for table in self.broken)


def recover(path: Path, text: str) -> Recovered:
    """The text, which is ``path``'s or is to be, as far as it can be read; one that would take too long is told of."""
    if len(text) > LARGEST_TEXT or text.count("\n") > MOST_LINES:
        words = f"больше {LARGEST_TEXT} знаков или {MOST_LINES} строк: такую большую настройку мост не читает"
        return _unreadable(path, None, words)
    if long_key := has_long_key(text):
        return _unreadable(path, text.count("\n", 0, long_key.start()) + 1, TOO_DEEP)
    try:
        return _recovered(path, text)
    except RecursionError:
        return _unreadable(path, _deepest_line(text), TOO_DEEP)


def has_long_key(text: str) -> re.Match[str] | None:
    return _LONG_KEY.search(text)


def is_too_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Raises RecursionError for what is much too deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(is_too_deep(one, levels - 1) for one in inner)


def _unreadable(path: Path, line: int | None, words: str) -> Recovered:
    return Recovered({}, {}, (problem(path.name, line, "", words),), is_refused=True)


def _deepest_line(text: str) -> int | None:
    """The line with the most brackets."""
    lines = text.split("\n")
    counts = [line.count("[") + line.count("{") for line in lines]
    most = max(counts)
    return counts.index(most) + 1 if most > DEEPEST else None


def _recovered(path: Path, text: str) -> Recovered:
    lines = text.split("\n")
    until = time.monotonic() + RECOVERY_SECONDS
    problems: list[tuple[int, str]] = []
    broken: set[KeyPath] = set()
    lost: set[str] = set()
    read = _read(lines)
    while isinstance(read, tomllib.TOMLDecodeError) and len(problems) < MAX_MISTAKES:
        if problems and time.monotonic() > until:
            problems.append(
                (len(lines) + 1, problem(path.name, None, "", "дальше не проверено: сначала исправьте это"))
            )
            break
        told_line, words = toml_problem("\n".join(lines), str(read))
        culprit = _culprit(lines, told_line or len(lines))
        line = told_line if told_line and not _is_start(lines[told_line - 1]) else culprit
        if line != told_line:
            words = words.partition(" — ")[0] + (f" — {shown}" if (shown := lines[line - 1].strip()) else "")
        problems.append((line, problem(path.name, line, "", f"это не TOML: {words}")))
        if _is_header(lines[culprit - 1]):
            broken |= _named_in_header(lines[culprit - 1]) - lines_of("\n".join(lines[: culprit - 1])).keys()
            lines[culprit - 1] = f"[{PLACEHOLDER}{len(problems)}]"
        else:
            broken |= _table_of(lines, culprit)
            if key := _KEY.match(lines[culprit - 1]):
                lost.add(key[1].strip("\"'"))
            end = _end(lines, culprit)
            lines[culprit - 1 : end] = [""] * (end - culprit + 1)
        read = _read(lines)
    tree = {} if isinstance(read, tomllib.TOMLDecodeError) else read
    if is_too_deep(tree):
        raise RecursionError
    for name in [name for name in tree if name.startswith(PLACEHOLDER)]:
        del tree[name]
    for table in broken - {ROLES}:
        _remove(tree, table)
    told = tuple(words for _, words in sorted(problems))
    return Recovered(tree, lines_of("\n".join(lines)), told, frozenset(broken), frozenset(lost))


def _read(lines: Sequence[str]) -> dict[str, Any] | tomllib.TOMLDecodeError:
    """The text as a tree, or the first mistake in it."""
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        return error


def _can_be_read(lines: Sequence[str]) -> bool:
    return not isinstance(_read(lines), tomllib.TOMLDecodeError)


def _culprit(lines: Sequence[str], told_line: int) -> int:
    """The line at which the statement with the mistake begins: what stands before it can be read."""
    if _can_be_read(lines[: told_line - 1]):
        return told_line
    starts = [number for number in range(1, told_line + 1) if _is_start(lines[number - 1])]
    low, high = 0, len(starts)
    while high - low > 1:
        middle = (low + high) // 2
        if _can_be_read(lines[: starts[middle] - 1]):
            low = middle
        else:
            high = middle
    return starts[low] if starts else told_line


def _end(lines: Sequence[str], culprit: int) -> int:
    """The last line of a statement: that before the next one begins, or the end of a text of many lines."""
    first = lines[culprit - 1]
    for quotes in ('"""', "'''"):
        if first.count(quotes) == 1:
            closed = (number for number in range(culprit + 1, len(lines) + 1) if quotes in lines[number - 1])
            return next(closed, len(lines))
    following = (number for number in range(culprit + 1, len(lines) + 1) if _is_start(lines[number - 1]))
    return next(following, len(lines) + 1) - 1


def _is_start(line: str) -> bool:
    return bool(_KEY.match(line)) or _is_header(line)


def _is_header(line: str) -> bool:
    if not _HEADER.match(line):
        return False
    return not _ELEMENT.match(line) or _header_path(line) is not None


def _header_path(line: str) -> KeyPath | None:
    """handlers, x, y of «[handlers.x.y]»; None if that is no header."""
    if line.rstrip().endswith(","):
        return None
    try:
        tree: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    path: list[str] = []
    while isinstance(tree, dict) and len(tree) == 1:
        ((name, tree),) = tree.items()
        path.append(name)
    return tuple(path) or None


def _named_in_header(line: str) -> set[KeyPath]:
    """The table that a broken header was to begin, as far as its name can be made out."""
    named = re.match(rf"\s*\[\[?\s*({_KEY_PART}(?:\s*\.\s*{_KEY_PART})*)", line)
    return {tuple(part.strip(" \"'") for part in named[1].split("."))} if named else set()


def _table_of(lines: Sequence[str], number: int) -> set[KeyPath]:
    """The table that a line stands in; none before the first one, and none under a broken header."""
    for line in reversed(lines[: number - 1]):
        if _is_header(line):
            path = _header_path(line)
            return {path} if path and not str(path[0]).startswith(PLACEHOLDER) else set()
    return set()


def _remove(tree: dict[str, Any], path: KeyPath) -> None:
    *parents, last = path
    table: Any = tree
    for step in parents:
        table = table.get(step) if isinstance(table, dict) else None
    if isinstance(table, dict):
        table.pop(last, None)
