"""Rule blocks in the config's text: read, written in the examples' manner, taken out; the examples.

What a person wrote stays: comments, the other rules, the order of keys, and every key whose meaning is the same.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import tomlkit

from amo_bridge.config.diagnostics import toml_problem
from amo_bridge.config.loader import RULES, RuleSwitches
from amo_bridge.config.toml_lines import KeyPath, PairAt, Scanned, scanned
from amo_bridge.errors import ConfigError

RulePath = tuple[str, str, str]
"""handlers, the handler, the rule."""
SWITCHES = tuple(RuleSwitches.model_fields)
FIRST = ("enabled", "dry_run", "clause", "says", "off_reason", "max_lateness", "most_per_hour")
WIDTH = 120
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONG_KEY = re.compile(
    r"""(?:(?<![\w-])[\w-]++|"[^"\n]*+"|'[^'\n]*+')(?:[ \t]*+\.[ \t]*+(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')){40}"""
)
TOO_DEEP = "вложено слишком глубоко: таких настроек нет"
DEEPEST = 30
_DIVIDER = re.compile(r"#\s*[-=─]{3}")


def values_of(text: str, path: Sequence[str]) -> dict[str, Any] | None:
    """The keys of a block; None if it is not there. Raises ConfigError for what is not TOML."""
    table: Any = tree_of(text)
    for name in path:
        table = table.get(name) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None


def lines_of_block(text: str, path: RulePath) -> str:
    """The block as it stands in the text, comments within included. Raises ConfigError if it has no header."""
    begin, end = _lines_of(text, path)
    return "\n".join(text.split("\n")[begin:end])


def block_of(path: RulePath, values: Mapping[str, Any], order: Sequence[str] = (), comment: str = "") -> str:
    """The block as a person would write it: the switches first, then the options in ``order``."""
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [f"[{'.'.join(_key(name) for name in path)}]"]
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


def with_rule(
    text: str,
    path: RulePath,
    values: Mapping[str, Any],
    *,
    order: Sequence[str] = (),
    comment: str = "",
    means: Callable[[str, Any], Any] = lambda key, value: value,
) -> str:
    """The text with the rule's block saying these keys and no others. A new block stands at the end, under ``comment``.
    ``means``: what a key's value comes to; where that is the same the text is left as it is. Raises ConfigError."""
    before = values_of(text, path)
    if before is None:
        return text.rstrip("\n") + "\n\n" + block_of(path, values, order, comment)
    wanted = {
        key: _as_written(before[key], value, key, means) if key in before else value for key, value in values.items()
    }
    changed = _rewritten(text, path, before, wanted, order)
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


def without_rule(text: str, path: RulePath) -> str:
    """The text without the rule's block and the comment right above its header. Raises ConfigError."""
    if values_of(text, path) is None:
        return text
    lines = text.split("\n")
    begin, end = _lines_of(text, path)
    # A comment that stands right above the header is the rule's own; the divider of a chapter is not.
    own = begin
    while own > 0 and lines[own - 1].startswith("#") and not _DIVIDER.match(lines[own - 1]):
        own -= 1
    if own > 0 and lines[own - 1].strip():
        own = begin
    while end < len(lines) and not lines[end].strip():
        end += 1
    left = "\n".join(lines[:own] + lines[end:])
    left = left if left.endswith("\n") else left + "\n"
    _is_only_change(text, left, path, None)
    return left


def _rewritten(
    text: str, path: RulePath, before: Mapping[str, Any], wanted: Mapping[str, Any], order: Sequence[str]
) -> str:
    pairs = {str(pair.path[3]): pair for pair in _scan(text).pairs if pair.path[:3] == path and len(pair.path) == 4}
    begin, _ = _lines_of(text, path)
    edits: list[tuple[int, int, str]] = []
    for key in before:
        if key in wanted and wanted[key] == before[key]:
            continue
        pair = pairs.get(key)
        if pair is None:
            raise ConfigError(
                [f"«{key}» в блоке [{'.'.join(path)}] записан отдельным заголовком: измените его в файле"]
            )
        if key in wanted and isinstance(wanted[key], list) and "\n" in text[pair.start : pair.end]:
            edits += _list_edits(text, pair, before[key], wanted[key])
        elif key in wanted:
            edits.append((pair.start, pair.end, _line(key, wanted[key])))
        else:
            edits.append((*_whole_line(text, pair), ""))
    if not text.endswith("\n"):
        # The last line may get another one below it.
        text += "\n"
    header_end = _offset(text, begin + 1)
    placed = dict(pairs)
    new: dict[int, list[str]] = {}
    for key in sorted(wanted.keys() - before.keys(), key=lambda key: _rank(key, order)):
        near = [one for one in placed if one in wanted and _rank(one, order) < _rank(key, order)]
        behind = max((_line_end(text, placed[one].end) for one in near if one in pairs), default=header_end)
        new.setdefault(behind, []).append(_line(key, wanted[key]))
    edits += [(at, at, "".join(f"{line}\n" for line in lines)) for at, lines in new.items()]
    for start, end, words in sorted(edits, reverse=True):
        text = text[:start] + words + text[end:]
    return text


def _list_edits(text: str, pair: PairAt, before: Any, wanted: list[Any]) -> list[tuple[int, int, str]]:
    """Of a list that stands on several lines, only the elements that differ: comments between them stay."""
    spans = [one for one in _scan(text).elements if one.path[:-1] == pair.path]
    if not isinstance(before, list) or len(spans) != len(before) or not spans or not wanted:
        return [(pair.start, pair.end, _line(str(pair.path[3]), wanted))]
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


def _lines_of(text: str, path: RulePath) -> tuple[int, int]:
    """The lines of the block, from its header on; without blank lines and comments that belong to what follows."""
    begin = _headers(text).get(path)
    if begin is None:
        raise ConfigError([f"блок [{'.'.join(path)}] записан не отдельным заголовком: измените его в файле"])
    end = _ends(text).get(path)
    return begin - 1, begin if end is None else text.count("\n", 0, end) + 1


@lru_cache(maxsize=8)
def _headers(text: str) -> dict[KeyPath, int]:
    return dict(reversed(_scan(text).headers))


@lru_cache(maxsize=8)
def _ends(text: str) -> dict[KeyPath, int]:
    return {pair.path[:3]: pair.end for pair in _scan(text).pairs}


def _is_only_change(before: str, after: str, path: RulePath, wanted: Mapping[str, Any] | None) -> None:
    """Raises ConfigError unless the new text says the same of everything else, and this of the rule."""
    tree, changed = tree_of(before), tree_of(after)
    section, handler, block = path
    rules = tree.get(section, {}).get(handler, {})
    if wanted is None:
        rules.pop(block, None)
    else:
        rules[block] = dict(wanted)
    if _without_empty(changed, path) != _without_empty(tree, path):
        raise ConfigError([f"блок [{'.'.join(path)}] в файле записан необычно: измените его там"])


def _without_empty(tree: dict[str, Any], path: RulePath) -> dict[str, Any]:
    section, handler, _ = path
    handlers = {name: blocks for name, blocks in tree.get(section, {}).items() if name != handler or blocks}
    return {
        **{name: value for name, value in tree.items() if name != section},
        **({section: handlers} if handlers else {}),
    }


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


def typed_toml(text: str) -> dict[str, Any]:
    """What somebody has typed into a form. Raises ConfigError; TOMLDecodeError for what is not TOML."""
    # tomllib takes minutes for a key of many parts.
    if _LONG_KEY.search(text):
        raise ConfigError([TOO_DEEP])
    try:
        tree = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError([TOO_DEEP]) from error
    if _is_deeper(tree, DEEPEST):
        raise ConfigError([TOO_DEEP])
    return tree


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(one, levels - 1) for one in inner)


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


# --- the shipped examples ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """A rule of a shipped config. ``source``: the file's name; ``text``: its lines, the comments within included."""

    source: str
    path: RulePath
    values: Mapping[str, Any]
    text: str

    @property
    def name(self) -> str:
        return ".".join(self.path[1:])

    @property
    def says(self) -> str:
        return str(self.values.get("says", ""))

    @property
    def clause(self) -> str:
        return str(self.values.get("clause", ""))


@dataclass(frozen=True)
class Examples:
    """``rules``: by handler. ``hints``: (handler, option) → the comment above it, the options that all rules have under
    an empty handler. ``order``: of a handler's options, as its examples mostly have them; ``inner``: (option, key
    within its ``{ … }``) → how far from the beginning it mostly stands; under an empty option: anywhere."""

    rules: Mapping[str, tuple[Example, ...]]
    hints: Mapping[tuple[str, str], str]
    order: Mapping[str, tuple[str, ...]]
    inner: Mapping[tuple[str, str], float]

    def in_order(self, value: Any, option: str) -> Any:
        """An option's value with the keys of its tables as people order them; data that are keys stay as they are."""
        if isinstance(value, Mapping):
            is_known = all(("", key) in self.inner for key in value)
            keys = sorted(value, key=lambda key: self.place(option, key)) if is_known else list(value)
            return {key: self.in_order(value[key], key) for key in keys}
        return [self.in_order(one, option) for one in value] if isinstance(value, list) else value

    def place(self, option: str, key: str) -> float:
        """How far from the beginning the key stands in the table of an option; 1 of one that no example has."""
        return self.inner.get((option, key), self.inner.get(("", key), 1.0))

    def hint(self, handler: str, option: str) -> str:
        return self.hints.get((handler, option)) or (self.hints.get(("", option), "") if option in SWITCHES else "")


def shipped_file(name: str) -> Path:
    """In a checkout the examples stand beside the package; where the bridge is installed, inside it."""
    inside = Path(__file__).parents[1]
    return (inside if (inside / "config.example.toml").is_file() else inside.parent) / name


def example_files() -> list[Path]:
    """The shipped configs."""
    return [shipped_file("config.example.toml"), *sorted(shipped_file("examples").glob("*.toml"))]


@cache
def examples() -> Examples:
    """Of all shipped configs, read once."""
    rules: dict[str, list[Example]] = {}
    hints: dict[tuple[str, str], str] = {}
    order: dict[str, dict[str, None]] = {}
    places: dict[tuple[str, str], list[float]] = {}
    for file in example_files():
        text = file.read_text("utf-8")
        for example in _rules_of(file.name, text):
            rules.setdefault(example.path[1], []).append(example)
            for option, table in _tables_in(example.values, example.path[1]):
                for place, key in enumerate(table):
                    for around in {option, "" if table is not example.values else option}:
                        places.setdefault((around, key), []).append(place / len(table))
        for handler, key, words in _explained(text):
            hints.setdefault(("" if key in SWITCHES else handler, key), words)
            order.setdefault(handler, {})[key] = None
    inner = {key: sum(found) / len(found) for key, found in places.items()}
    return Examples(
        {name: tuple(found) for name, found in rules.items()},
        hints,
        # What is only shown in a comment comes last, in its own order.
        {name: tuple(sorted(found, key=lambda key: inner.get((name, key), 1.0))) for name, found in order.items()},
        inner,
    )


def _tables_in(value: Any, option: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every table within a value, itself included, with the option whose value it is or stands in."""
    if isinstance(value, Mapping):
        yield option, value
        for key, item in value.items():
            yield from _tables_in(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _tables_in(item, option)


def _rules_of(source: str, text: str) -> Iterator[Example]:
    tree = tomllib.loads(text)
    for section in RULES:
        for handler, blocks in tree.get(section, {}).items():
            for block, values in blocks.items():
                path = (section, handler, block)
                yield Example(source, path, values, lines_of_block(text, path))


_HEADER = re.compile(r"(?:# )?\[(?:handlers|schedules)\.(\w+)\..+\]")
_SHOWN = re.compile(r"(?:# )?([a-z_]+) = \S")


def _explained(text: str) -> Iterator[tuple[str, str, str]]:
    """(handler, option, the words above it; empty if there are none), of what is shown in a comment too."""
    handler = ""
    words: list[str] = []
    for line in text.split("\n"):
        if found := _HEADER.fullmatch(line):
            handler, words = found[1], []
        elif line.startswith("["):
            handler, words = "", []
        elif (shown := _SHOWN.match(line)) and handler:
            yield handler, shown[1], " ".join(words)
            words = []
        elif line.startswith("# "):
            words.append(line[2:].strip())
        else:
            words = []
