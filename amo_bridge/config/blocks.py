"""Blocks of the config's text, rules and sections: read, written in the examples' manner, taken out.

What a person wrote stays: comments, the other blocks, the order of keys, and every key whose meaning is the same.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

import tomlkit

from amo_bridge.config.diagnostics import toml_problem
from amo_bridge.config.loader import RuleSwitches
from amo_bridge.config.toml_lines import KeyPath, PairAt, Scanned, scanned
from amo_bridge.config.toml_recovery import TOO_DEEP, has_long_key, is_too_deep
from amo_bridge.errors import ConfigError

BlockPath = tuple[str, ...]
"""The names of its header: of a rule's block handlers, the handler, the rule; of a section its own."""
SWITCHES = tuple(RuleSwitches.model_fields)
FIRST = ("enabled", "dry_run", "clause", "says", "off_reason", "max_lateness", "most_per_hour")
WIDTH = 120
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DIVIDER = re.compile(r"#\s*[-=─]{3}")
_NO_HEADER = "блок [{}] записан не отдельным заголовком: измените его в файле"
_UNUSUAL = "блок [{}] в файле записан необычно: измените его там"


def values_of(text: str, path: Sequence[str]) -> dict[str, Any] | None:
    """The keys of a block; None if it is not there. Raises ConfigError for what is not TOML."""
    table: Any = _kept_tree_of(text)
    for name in path:
        table = table.get(name) if isinstance(table, dict) else None
    return deepcopy(table) if isinstance(table, dict) else None


def lines_of_block(text: str, path: BlockPath) -> str:
    """The block as it stands in the text, comments within included. Raises ConfigError if it has no header."""
    if path not in _headers(text):
        raise ConfigError([_NO_HEADER.format(_header(path))])
    spans = _tables(text, path)
    return text[spans[0][0] : spans[-1][1]].rstrip("\n")


def block_of(
    path: BlockPath, values: Mapping[str, Any], order: Sequence[str] = (), comment: str = "", *, is_nested: bool = False
) -> str:
    """The block as a person would write it: the switches first, then the options in ``order``. ``is_nested``: tables
    within get headers of their own."""
    if is_nested and all(isinstance(value, Mapping) for value in values.values()):
        return "\n".join(block_of((*path, key), inner, order) for key, inner in values.items())
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [f"[{_header(path)}]"]
    lines += [_line(key, values[key]) for key in sorted(values, key=lambda key: _rank(key, order))]
    return "\n".join(lines) + "\n"


def keys_of_block(text: str) -> dict[str, Any]:
    """The keys of one block that somebody has typed, with its header or without. Raises ConfigError."""
    try:
        table: Any = typed_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"блок не читается ({error})"]) from error
    for _ in range(3):
        inner = list(table.values()) if isinstance(table, dict) else []
        if len(inner) == 1 and isinstance(inner[0], dict) and not table.keys() & set(SWITCHES):
            table = inner[0]
    return dict(table)


def with_block(
    text: str,
    path: BlockPath,
    values: Mapping[str, Any],
    *,
    order: Sequence[str] = (),
    comment: str = "",
    means: Callable[[str, Any], Any] = lambda key, value: value,
    is_nested: bool = False,
) -> str:
    """The text with the block saying these keys and no others. A new block stands at the end, under ``comment``.
    ``means``: what a key's value comes to; where that is the same the text is left as it is. ``is_nested``: a new table
    within gets a header of its own. Raises ConfigError."""
    before = values_of(text, path)
    if before is None:
        if not values and is_nested:
            return text
        new = block_of(path, values, order, comment, is_nested=is_nested)
        return text.rstrip("\n") + "\n\n" + new if text.strip() else new
    wanted = {
        key: _as_written(before[key], value, key, means) if key in before else value for key, value in values.items()
    }
    changed = _rewritten(text, path, before, wanted, order, is_nested=is_nested)
    _is_only_change(text, changed, path, wanted)
    return changed


def _as_written(before: Any, value: Any, key: str, means: Callable[[str, Any], Any]) -> Any:
    """The value before, where the new one means the same; of a list its elements, of a table the order of its keys."""
    meaning = means(key, before)
    if meaning == means(key, value):
        return before
    if (
        isinstance(before, list)
        and isinstance(value, list)
        and isinstance(meaning, list)
        and len(meaning) == len(before)
    ):
        return [next((old for old, same in zip(before, meaning, strict=True) if same == one), one) for one in value]
    return _in_order_of(before, value)


def _in_order_of(before: Any, value: Any) -> Any:
    if isinstance(before, dict) and isinstance(value, dict):
        keys = [key for key in before if key in value] + [key for key in value if key not in before]
        return {key: _in_order_of(before.get(key), value[key]) for key in keys}
    return value


def without_block(text: str, path: BlockPath) -> str:
    """The text without the block and the comment right above its header. Raises ConfigError."""
    if values_of(text, path) is None:
        return text
    if path not in _headers(text) and not _tables(text, path):
        raise ConfigError([_NO_HEADER.format(_header(path))])
    left = _without_tables(text, path)
    left = left if left.endswith("\n") else left + "\n"
    _is_only_change(text, left, path, None)
    return left


def _rewritten(
    text: str,
    path: KeyPath,
    before: Mapping[str, Any],
    wanted: Mapping[str, Any],
    order: Sequence[str],
    *,
    is_nested: bool = False,
) -> str:
    apart: list[str] = []
    """Keys that stand under headers of their own."""
    for key in before:
        if (*path, key) in _pairs(text) or wanted.get(key) == before[key]:
            continue
        if not _tables(text, (*path, key)):
            words = f"«{key}» в блоке [{_header(path)}] записан по частям, через точку: измените его в файле"
            raise ConfigError([words])
        if _is_table(before[key], wanted.get(key)) or _are_tables(before[key], wanted.get(key)):
            apart.append(key)
        else:
            text = _without_tables(text, (*path, key))
            before = {one: value for one, value in before.items() if one != key}
    if not text.endswith("\n"):
        # The last line may get another one below it.
        text += "\n"
    text = _with_own_lines(text, path, before, wanted, order, is_nested=is_nested)
    for key in apart:
        text = _with_tables(text, (*path, key), before[key], wanted[key])
    return text


def _with_own_lines(
    text: str,
    path: KeyPath,
    before: Mapping[str, Any],
    wanted: Mapping[str, Any],
    order: Sequence[str],
    *,
    is_nested: bool,
) -> str:
    """The text with the keys changed, taken out and added that stand below the block's own header."""
    pairs = {str(pair.path[-1]): pair for pair in _pairs(text).values() if pair.path[:-1] == path}
    edits: list[tuple[int, int, str]] = []
    for key in before:
        pair = pairs.get(key)
        if pair is None or (key in wanted and wanted[key] == before[key]):
            continue
        if key in wanted and isinstance(wanted[key], list) and "\n" in text[pair.start : pair.end]:
            edits += _list_edits(text, pair, before[key], wanted[key])
        elif key in wanted:
            edits.append((pair.start, pair.end, _line(key, wanted[key])))
        else:
            edits.append((*_whole_line(text, pair), ""))
    new: dict[int, list[str]] = {}
    tables: list[str] = []
    for key in sorted(wanted.keys() - before.keys(), key=lambda key: _rank(key, order)):
        if is_nested and isinstance(wanted[key], Mapping):
            tables.append("\n" + block_of((*map(str, path), key), wanted[key]))
            continue
        near = [one for one in pairs if one in wanted and _rank(one, order) < _rank(key, order)]
        behind = max((_line_end(text, pairs[one].end) for one in near), default=None)
        new.setdefault(_header_end(text, path) if behind is None else behind, []).append(_line(key, wanted[key]))
    edits += [(at, at, "".join(f"{line}\n" for line in lines)) for at, lines in new.items()]
    if tables:
        end = max(end for _begin, end in _tables(text, path))
        edits.append((end, end, "".join(tables)))
    for start, end, words in sorted(edits, reverse=True):
        text = text[:start] + words + text[end:]
    return text


# --- keys under headers of their own ----------------------------------------------------------------------------------


def _is_table(before: Any, wanted: Any) -> bool:
    return isinstance(before, Mapping) and isinstance(wanted, Mapping)


def _are_tables(before: Any, wanted: Any) -> bool:
    return isinstance(before, list) and isinstance(wanted, list) and bool(wanted) and _is_of_tables(wanted)


def _is_of_tables(value: list[Any]) -> bool:
    return all(isinstance(one, Mapping) for one in value)


def _with_tables(text: str, path: KeyPath, before: Any, wanted: Any) -> str:
    """The text with ``[path]`` or each ``[[path]]`` changed where it differs."""
    if not isinstance(before, list):
        return _rewritten(text, path, before, wanted, ())
    old, new = [_inline(one) for one in before], [_inline(one) for one in wanted]
    for what, i1, i2, j1, j2 in reversed(SequenceMatcher(None, old, new, autojunk=False).get_opcodes()):
        if what == "equal":
            continue
        same = min(i2 - i1, j2 - j1)
        if more := wanted[j1 + same : j2]:
            words = [
                "".join(["[[", _header(path), "]]\n", *(f"{_line(*pair)}\n" for pair in one.items())]) for one in more
            ]
            if at := i1 + same:
                end = max(end for _begin, end in _tables(text, (*path, at - 1)))
                text = text[:end] + "".join(f"\n{one}" for one in words) + text[end:]
            else:
                begin = min(begin for begin, _end in _tables(text, (*path, 0)))
                text = text[:begin] + "".join(f"{one}\n" for one in words) + text[begin:]
        for number in reversed(range(i1 + same, i2)):
            text = _without_tables(text, (*path, number))
        for number in range(same):
            text = _rewritten(text, (*path, i1 + number), before[i1 + number], wanted[j1 + number], ())
    return text


def _tables(text: str, path: KeyPath) -> list[tuple[int, int]]:
    """Where the block's tables begin and end, its own and those within, each from its header to its last pair's
    line."""
    return [span for inner, *span in _spans(text) if inner[: len(path)] == path]  # type: ignore[misc]


@lru_cache(maxsize=8)
def _spans(text: str) -> list[tuple[KeyPath, int, int]]:
    starts = [(path, _offset(text, line - 1)) for path, line in _scan(text).headers]
    found = []
    for number, (path, begin) in enumerate(starts):
        limit = starts[number + 1][1] if number + 1 < len(starts) else len(text)
        end = max((pair.end for pair in _scan(text).pairs if begin <= pair.start < limit), default=begin)
        found.append((path, begin, _line_end(text, end)))
    return found


def _without_tables(text: str, path: KeyPath) -> str:
    """The text without the block's tables, the comment right above each header, and the blank lines behind."""
    for begin, end in reversed(_tables(text, path)):
        # A comment that stands right above the header is the block's own; the divider of a chapter is not.
        lines = text[:begin].split("\n")[:-1]
        own = len(lines)
        while own > 0 and lines[own - 1].startswith("#") and not _DIVIDER.match(lines[own - 1]):
            own -= 1
        if own > 0 and lines[own - 1].strip():
            own = len(lines)
        while end < len(text) and not text[end : _line_end(text, end)].strip():
            end = _line_end(text, end)
        text = "".join(f"{line}\n" for line in lines[:own]) + text[end:]
    return text


def _header_end(text: str, path: KeyPath) -> int:
    """Where the first line below the block's header begins. Raises ConfigError if it has none."""
    line = _headers(text).get(path)
    if line is None:
        raise ConfigError([_NO_HEADER.format(_header(path))])
    return _offset(text, line)


def _header(path: KeyPath) -> str:
    return ".".join(_key(name) for name in path if isinstance(name, str))


def _list_edits(text: str, pair: PairAt, before: Any, wanted: list[Any]) -> list[tuple[int, int, str]]:
    """Of a list that stands on several lines, only the elements that differ: comments between them stay."""
    spans = [one for one in _scan(text).elements if one.path[:-1] == pair.path]
    if not isinstance(before, list) or len(spans) != len(before) or not spans or not wanted:
        return [(pair.start, pair.end, _line(str(pair.path[-1]), wanted))]
    edits: list[tuple[int, int, str]] = []
    old, new = [_inline(one) for one in before], [_inline(one) for one in wanted]
    for what, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        same = min(i2 - i1, j2 - j1)
        edits += [(spans[i1 + n].start, spans[i1 + n].end, new[j1 + n]) for n in range(same)]
        edits += [(*_element_with_comma(text, one), "") for one in spans[i1 + same : i2]]
        if more := new[j1 + same : j2]:
            after = i1 + same - 1
            words = "".join(f"\n    {one}," for one in more)
            if after >= 0:
                at, has_comma = _behind_comma(text, spans[after].end)
                edits.append((at, at, words if has_comma else "," + words))
            else:
                at = text.index("[", text.index("=", pair.start)) + 1
                edits.append((at, at, words))
    return edits


def _behind_comma(text: str, at: int) -> tuple[int, bool]:
    found = re.compile(r"[ \t]*,").match(text, at)
    return (found.end(), True) if found else (at, False)


def _element_with_comma(text: str, element: PairAt) -> tuple[int, int]:
    """With its comma, and its line if nothing else stands there."""
    end, _ = _behind_comma(text, element.end)
    start = text.rfind("\n", 0, element.start) + 1
    line_end = _line_end(text, end)
    is_alone = not text[start : element.start].strip() and not text[end:line_end].strip()
    return (start, line_end) if is_alone else (element.start, end)


@lru_cache(maxsize=8)
def _scan(text: str) -> Scanned:
    return scanned(text)


def _whole_line(text: str, pair: PairAt) -> tuple[int, int]:
    return text.rfind("\n", 0, pair.start) + 1, _line_end(text, pair.end)


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _offset(text: str, line: int) -> int:
    """Where a line (from 0) begins; the text's end behind the last one."""
    at = 0
    for _ in range(line):
        at = _line_end(text, at)
    return at


@lru_cache(maxsize=8)
def _pairs(text: str) -> dict[KeyPath, PairAt]:
    return {pair.path: pair for pair in _scan(text).pairs}


@lru_cache(maxsize=8)
def _headers(text: str) -> dict[KeyPath, int]:
    return dict(reversed(_scan(text).headers))


def _is_only_change(before: str, after: str, path: BlockPath, wanted: Mapping[str, Any] | None) -> None:
    """Raises ConfigError unless the new text says the same of everything else, and this of the block."""
    tree = tree_of(before)
    *around, last = path
    inner = tree
    for name in around:
        inner = inner.setdefault(name, {})
    if wanted is None:
        inner.pop(last, None)
    else:
        inner[last] = dict(wanted)
    if _without_empty(_changed_tree(after), path) != _without_empty(tree, path):
        raise ConfigError([_UNUSUAL.format(_header(path))])


def _changed_tree(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _without_empty(tree: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Without tables along the path that have nothing in them."""
    if not path or not isinstance(tree.get(path[0]), dict):
        return tree
    inner = _without_empty(tree[path[0]], path[1:])
    return {name: value for name, value in {**tree, path[0]: inner}.items() if name != path[0] or inner}


def tree_of(text: str) -> dict[str, Any]:
    """The file's text. Raises ConfigError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, words = toml_problem(text, str(error))
        place = f"строка {line}: {words}" if line else words
        raise ConfigError([f"файл не читается ({place}): сначала исправьте его"]) from error
    except RecursionError as error:
        raise ConfigError([TOO_DEEP]) from error


@lru_cache(maxsize=4)
def _kept_tree_of(text: str) -> dict[str, Any]:
    """A page asks for each section of one text; to be copied by whoever hands a part of it on."""
    return tree_of(text)


def typed_toml(text: str) -> dict[str, Any]:
    """What somebody has typed into a form. Raises ConfigError; TOMLDecodeError for what is not TOML."""
    if has_long_key(text):
        raise ConfigError([TOO_DEEP])
    try:
        tree = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError([TOO_DEEP]) from error
    if is_too_deep(tree):
        raise ConfigError([TOO_DEEP])
    return tree


def _rank(key: str, order: Sequence[str]) -> tuple[int, int]:
    if key in FIRST:
        return (0, FIRST.index(key))
    return (1, order.index(key) if key in order else len(order))


# --- as people write it -----------------------------------------------------------------------------------------------


def _line(key: str, value: Any) -> str:
    return f"{_key(key)} = {written(value, len(key) + 3)}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _inline(name)


def _string(text: str) -> str:
    return tomlkit.string(text, multiline="\n" in text).as_string()


def written(value: Any, before: int = 0) -> str:
    """A value in TOML; a list that is too long for its line has a line for each element. ``before``: how much of the
    line is taken."""
    if isinstance(value, str):
        return _string(value)
    alone = _inline(value)
    if isinstance(value, list | tuple) and len(value) > 1:
        is_long = before + len(alone) > WIDTH or sum(isinstance(item, Mapping) for item in value) > 1
        if is_long:
            return "[\n" + "".join(f"    {_inline(item)},\n" for item in value) + "]"
    return alone


def _inline(value: Any) -> str:
    """All on one line, as within ``{ … }``."""
    if isinstance(value, str):
        return tomlkit.string(value).as_string()
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(key))} = {_inline(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return str(tomlkit.item(value).as_string())
