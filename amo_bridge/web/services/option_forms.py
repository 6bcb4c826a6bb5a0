"""Forms of rules: TOML values ↔ tree of field texts ↔ nodes that a page draws.

A field's name is the path of its option: ``o.tasks.0.text``. What a browser sends is a tree of texts, so a half-filled
form comes back as it was; values are made of it only to be written or checked.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from amo_bridge.config.blocks import typed_toml, written
from amo_bridge.errors import ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.option_controls import NO_DEFAULT, Control, variant_of

ROOT = "o"
HERE = ""
"""The key of a tree under which its own text stands; of a group or a list «+», if it is there."""
THERE = "+"
INNER = "v"
"""Of a variant: its own field."""
MOST_FIELDS, DEEPEST, LONGEST_NUMBER = 4000, 40, 6
_SHAPES = {"day": ("date", re.compile(r"\d{4}-\d\d-\d\d")), "time": ("time", re.compile(r"\d\d:\d\d"))}
Tree = dict[str, Any]
Path = tuple[str | int, ...]
MISSING: Any = object()


class BadForm(ValueError):
    """The request is no form of ours."""


def tree_of_fields(fields: Mapping[str, str]) -> Tree:
    """What a browser sent. Raises BadForm."""
    tree: Tree = {}
    if len(fields) > MOST_FIELDS:
        raise BadForm("fields")
    for name, text in fields.items():
        steps = name.split(".")
        if steps[0] != ROOT or len(steps) > DEEPEST or HERE in steps:
            continue
        inner = tree
        for step in steps[1:]:
            inner = inner.setdefault(step, {})
        inner[HERE] = text.replace("\r\n", "\n")
    return tree


def fields_of_tree(tree: Tree, name: str = ROOT) -> Iterator[tuple[str, str]]:
    """A tree → its fields, for a page that carries a form along."""
    for step, inner in tree.items():
        if step == HERE:
            yield name, inner
        else:
            yield from fields_of_tree(inner, f"{name}.{step}")


# --- values → tree ----------------------------------------------------------------------------------------------------


def tree_of_values(controls: Sequence[Control], values: Mapping[str, Any]) -> Tree:
    """The form of a block. A value that does not fit its control stands there as it is, to be told of."""
    return {control.key: _tree_of(control, values[control.key]) for control in controls if control.key in values}


def _tree_of(control: Control, value: Any) -> Tree:
    value = control.whole(value)
    match control.kind:
        case "group" if isinstance(value, dict) and value.keys() <= {part.key for part in control.parts}:
            return {HERE: THERE, **tree_of_values(control.parts, value)}
        case "rows":
            items = value if isinstance(value, list | tuple) else [value]
            return {HERE: THERE, **{str(n): _tree_of(control.parts[0], item) for n, item in enumerate(items)}}
        case "pairs" if isinstance(value, dict):
            key, item = control.parts
            rows = {
                str(n): {"key": _tree_of(key, one), "value": _tree_of(item, inner)}
                for n, (one, inner) in enumerate(value.items())
            }
            return {HERE: THERE, **rows}
        case "either" if (variant := variant_of(control, value)) is not None:
            if variant.kind == "choice":
                return {HERE: f"={value}"}
            return {HERE: str(control.parts.index(variant)), INNER: _tree_of(variant, value)}
        case "group" | "pairs" | "either":
            return {HERE: f"{RAW}{written(value)}"}
    if control.kind == "toml":
        return {HERE: written(value)}
    if isinstance(value, str):
        return {HERE: value}
    return {HERE: written(value)}


RAW = "toml:"
"""A value that no field can show: it is kept as it was written, and whatever is wrong with it is told."""


# --- tree → values ----------------------------------------------------------------------------------------------------


@dataclass
class Values:
    """``mistakes``: what is not TOML, by the path of its option."""

    values: dict[str, Any]
    mistakes: list[tuple[Path, str]] = field(default_factory=list)


def values_of_tree(controls: Sequence[Control], tree: Tree) -> Values:
    """What the form says, in TOML's values: without what says no more than the defaults."""
    made = Values({})
    made.values = _group(controls, tree, (), made.mistakes)
    return made


def _group(controls: Sequence[Control], tree: Tree, path: Path, mistakes: list[tuple[Path, str]]) -> dict[str, Any]:
    values = {}
    for control in controls:
        value = value_of(control, tree.get(control.key), (*path, control.key), mistakes)
        if value is MISSING and control.is_required and control.kind == "group":
            value = {}
        if value is not MISSING and not control.is_default(value):
            values[control.key] = control.short(value)
    return values


def value_of(control: Control, tree: Tree | None, path: Path, mistakes: list[tuple[Path, str]]) -> Any:
    """MISSING for what is left empty."""
    if tree is None:
        return MISSING
    text = tree.get(HERE, "")
    if text.startswith(RAW) and control.is_composite:
        return _toml(text.removeprefix(RAW), path, mistakes)
    match control.kind:
        case "group":
            return _group(control.parts, tree, path, mistakes) if text or control.is_required else MISSING
        case "rows":
            return _rows(control, tree, path, mistakes)
        case "pairs":
            return _pairs(control, tree, path, mistakes)
        case "either":
            if text.startswith("="):
                return text[1:]
            variant = _numbered(control, text)
            return MISSING if variant is None else value_of(variant, tree.get(INNER, {HERE: ""}), path, mistakes)
    return _scalar(control, text, path, mistakes)


def _rows(control: Control, tree: Tree, path: Path, mistakes: list[tuple[Path, str]]) -> Any:
    found: list[Any] = []
    for number in _numbers(tree):
        value = value_of(control.parts[0], tree[number], (*path, len(found)), mistakes)
        if value is not MISSING:
            found.append(control.parts[0].short(value))
    if found:
        return found
    return [] if tree.get(HERE) and control.default not in (NO_DEFAULT, []) else MISSING


def _pairs(control: Control, tree: Tree, path: Path, mistakes: list[tuple[Path, str]]) -> Any:
    found: dict[str, Any] = {}
    key, item = control.parts
    for number in _numbers(tree):
        name = value_of(key, tree[number].get("key"), path, mistakes)
        if name is MISSING:
            continue
        value = value_of(item, tree[number].get("value"), (*path, str(name)), mistakes)
        found[str(name)] = "" if value is MISSING else item.short(value)
    if found:
        return found
    return {} if tree.get(HERE) and control.default not in (NO_DEFAULT, {}) else MISSING


def _scalar(control: Control, text: str, path: Path, mistakes: list[tuple[Path, str]]) -> Any:
    if control.kind not in ("text", "long text"):
        text = text.strip()
    if not text.strip():
        return "" if control.may_be_blank else MISSING
    match control.kind:
        case "switch":
            return {"true": True, "false": False}.get(text, text)
        case "whole":
            return int(text) if text.removeprefix("-").isdecimal() and len(text) < 19 else text
        case "number":
            return _number(text)
        case "toml":
            return _toml(text, path, mistakes)
    return text


def _number(text: str) -> Any:
    plain = text.replace(",", ".").replace(" ", "")
    if plain.removeprefix("-").isdecimal() and len(plain) < 19:
        return int(plain)
    try:
        return float(plain)
    except ValueError:
        return text


def _toml(text: str, path: Path, mistakes: list[tuple[Path, str]]) -> Any:
    try:
        found = typed_toml(f"x = {text}")
    except ConfigError as error:
        mistakes += [(path, words) for words in error.problems]
        return MISSING
    except tomllib.TOMLDecodeError:
        found = {}
    if found.keys() != {"x"}:
        mistakes.append((path, 'не читается как TOML: текст — в кавычках, список — ["…"], таблица — { ключ = "…" }'))
        return MISSING
    return found["x"]


def _numbers(tree: Tree) -> list[str]:
    return sorted((step for step in tree if step.isdecimal() and len(step) <= LONGEST_NUMBER), key=int)


def _numbered(control: Control, text: str) -> Control | None:
    is_number = text.isdecimal() and len(text) <= LONGEST_NUMBER
    return control.parts[int(text)] if is_number and int(text) < len(control.parts) else None


# --- buttons ----------------------------------------------------------------------------------------------------------


def pressed(controls: Sequence[Control], tree: Tree, button: str) -> str:
    """Add, take away or move up what the button names («add:o.tasks»); returns the field to go on with. Raises
    BadForm."""
    what, _, name = button.partition(":")
    steps = name.split(".")
    if steps[0] != ROOT or not 2 <= len(steps) <= DEEPEST or HERE in steps:
        raise BadForm(button)
    *outer, last = steps[1:]
    around = tree
    for step in outer:
        around = around.setdefault(step, {})
    if what == "add":
        found = around.setdefault(last, {})
        found[HERE] = THERE
        control = _at(controls, steps[1:])
        if control is not None and control.kind in ("rows", "pairs"):
            number = str(max((int(one) for one in _numbers(found)), default=-1) + 1)
            found[number] = _fresh(control.parts[0]) if control.kind == "rows" else {"value": _fresh(control.parts[1])}
            return f"{name}.{number}"
        return name
    if what == "remove":
        around.pop(last, None)
        return ".".join(steps[:-1])
    if what == "up" and last.isdecimal():
        before = [one for one in _numbers(around) if int(one) < int(last)]
        if before:
            around[before[-1]], around[last] = around.get(last, {}), around[before[-1]]
            return f"{'.'.join(steps[:-1])}.{before[-1]}"
        return name
    raise BadForm(button)


def _fresh(control: Control) -> Tree:
    """A row that is added: its fields are there at once."""
    if control.kind == "group":
        return {HERE: THERE}
    if control.kind == "rows" and control.parts[0].kind == "group":
        return {HERE: THERE, "0": {HERE: THERE}}
    return {}


def _at(controls: Sequence[Control], steps: Sequence[str]) -> Control | None:
    found = next((one for one in controls if one.key == steps[0]), None)
    for step in steps[1:]:
        if found is None:
            return None
        match found.kind:
            case "group":
                found = next((one for one in found.parts if one.key == step), None)
            case "rows":
                found = found.parts[0]
            case "pairs":
                found = found.parts[0 if step == "key" else 1] if step in ("key", "value") else found
    return found


# --- tree → nodes -----------------------------------------------------------------------------------------------------


@dataclass
class Node:
    """A control as the page draws it. ``name``: of its field; ``text``: what stands in it; ``is_there``: of a group or
    a list. ``parts``: the options of a group, the rows of a list, a pair's key and value, the chosen variant's own.
    ``path``: as the loader names it. ``of_field``: the field whose choices it offers. ``is_common``: to be shown, not
    folded away."""

    control: Control
    name: str
    path: Path
    text: str = ""
    is_there: bool = False
    parts: list[Node] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    of_field: str = ""
    is_common: bool = True
    is_spare: bool = False

    @property
    def id(self) -> str:
        return self.name.replace(".", "-")

    @property
    def kind(self) -> str:
        return "toml" if self.is_raw else self.control.kind

    @property
    def input_type(self) -> str:
        """The browser's own field for a day or an hour, where it can show what stands there."""
        shape = _SHAPES.get(self.kind)
        return shape[0] if shape and (not self.text or shape[1].fullmatch(self.text)) else "text"

    @property
    def is_raw(self) -> bool:
        return self.control.is_composite and self.text.startswith(RAW)

    @property
    def has_mistakes(self) -> bool:
        return bool(self.mistakes) or any(part.has_mistakes for part in self.parts)

    def walk(self) -> Iterator[Node]:
        """Itself and all within."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def shown(self) -> list[Node]:
        """Of a group: what is not folded away."""
        return [one for one in self.parts if one.is_common]

    @property
    def folded(self) -> list[Node]:
        return [one for one in self.parts if not one.is_common]


@dataclass(frozen=True)
class Habits:
    """How people mostly set a kind's options, by their paths (keys alone). ``is_common``: is it one that is mostly set?
    ``place``: how far from the beginning it stands."""

    is_common: Callable[[tuple[str, ...]], bool]
    place: Callable[[tuple[str, ...]], float]


def nodes_of(controls: Sequence[Control], tree: Tree, habits: Habits) -> list[Node]:
    """What the page draws, in the order: what is a must, what is set or mostly set, the rest."""
    nodes = (_node(one, tree.get(one.key), f"{ROOT}.{one.key}", (one.key,), tree, habits) for one in controls)
    return _in_order(nodes, habits)


def _in_order(nodes: Iterator[Node], habits: Habits) -> list[Node]:
    return sorted(
        nodes, key=lambda one: (not one.control.is_required, not one.is_common, habits.place(_keys(one.path)))
    )


def _keys(path: Path) -> tuple[str, ...]:
    return tuple(step for step in path if isinstance(step, str))


def _node(control: Control, tree: Tree | None, name: str, path: Path, siblings: Tree, habits: Habits) -> Node:
    is_set = tree is not None
    if tree is None:
        tree = _tree_of(control, control.default) if control.default is not NO_DEFAULT else {}
    node = Node(
        control,
        name,
        path,
        text=tree.get(HERE, ""),
        is_there=bool(tree.get(HERE)) or (control.kind == "group" and control.is_required),
        of_field=_text(siblings.get("field", {})) if control.is_of_field else "",
        is_common=control.is_required or habits.is_common(_keys(path)) or (is_set and _says_something(control, tree)),
    )
    node.parts = list(_parts(control, tree, node, habits))
    return node


def _says_something(control: Control, tree: Tree) -> bool:
    value = value_of(control, tree, (), [])
    return value is not MISSING and not control.is_default(value)


def _parts(control: Control, tree: Tree, node: Node, habits: Habits) -> Iterator[Node]:
    name, path = node.name, node.path
    if node.is_raw:
        return
    if control.kind == "group" and node.is_there:
        inner = (
            _node(one, tree.get(one.key), f"{name}.{one.key}", (*path, one.key), tree, habits) for one in control.parts
        )
        yield from _in_order(inner, habits)
    elif control.kind == "rows":
        count = 0
        for number in _with_spare(control, tree):
            row = _node(control.parts[0], tree.get(number, {}), f"{name}.{number}", (*path, count), {}, habits)
            row.is_spare = number not in tree
            row.of_field = node.of_field
            count += value_of(control.parts[0], tree.get(number), (), []) is not MISSING
            yield row
    elif control.kind == "pairs":
        yield from _pair_nodes(control, tree, node, habits)
    elif control.kind == "either" and (variant := _numbered(control, node.text)) is not None:
        yield _node(variant, tree.get(INNER, {HERE: THERE}), f"{name}.{INNER}", path, {}, habits)


def _pair_nodes(control: Control, tree: Tree, node: Node, habits: Habits) -> Iterator[Node]:
    key, item = control.parts
    for number in _with_spare(control, tree):
        row = tree.get(number, {})
        text = _text(row.get("key", {}))
        place, name = (*node.path, text), f"{node.name}.{number}"
        pair = Node(control, name, place, is_there=True, is_spare=number not in tree)
        pair.parts = [
            _node(key, row.get("key", {}), f"{name}.key", place, {}, habits),
            _node(item, row.get("value", {}), f"{name}.value", place, {}, habits),
        ]
        pair.parts[1].of_field = text if _innermost(item).is_of_field else ""
        for inner in pair.parts[1].parts:
            inner.of_field = pair.parts[1].of_field
        yield pair


def _innermost(control: Control) -> Control:
    return _innermost(control.parts[0]) if control.kind == "rows" else control


def _with_spare(control: Control, tree: Tree) -> list[str]:
    """The rows, and of a list of plain fields one more that is empty: to write into."""
    numbers = _numbers(tree)
    is_plain = control.kind == "rows" and not control.parts[0].is_composite
    has_spare = any(not _text(tree[number]) for number in numbers) if is_plain else True
    return numbers if has_spare else [*numbers, str(max((int(one) for one in numbers), default=-1) + 1)]


def _text(tree: Tree) -> str:
    return str(tree.get(HERE, ""))


def place_mistakes(nodes: Sequence[Node], mistakes: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Put each mistake beside its control, or the nearest around it; returns those that belong to none."""
    by_path: dict[Path, Node] = {}
    for node in nodes:
        for inner in node.walk():
            by_path.setdefault(inner.path, inner)
    left: list[tuple[Path, str]] = []
    for path, words in mistakes:
        plain = tuple(step.rstrip("_") if isinstance(step, str) else step for step in path)
        near = next((by_path[plain[:n]] for n in range(len(plain), 0, -1) if plain[:n] in by_path), None)
        if near is None:
            left.append((path, words))
        elif words not in near.mistakes:
            near.mistakes.append(words)
    return left
