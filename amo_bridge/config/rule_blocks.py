"""Shipped configs: rules as examples for forms, hints above options and keys, the usual order."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from amo_bridge.config.blocks import SWITCHES, BlockPath, lines_of_block
from amo_bridge.config.loader import RULES
from amo_bridge.lazy.dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A rule of a shipped config. ``source``: the file's name; ``text``: its lines, the comments within included."""

    source: str
    path: BlockPath
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


_SECTION = re.compile(r"(?:# )?\[([a-z_0-9]+)(?:\..+)?\]")


@cache
def section_hints() -> Mapping[tuple[str, str], str]:
    """(section, key) → the comment above it in the shipped example."""
    found: dict[tuple[str, str], str] = {}
    section, words = "", list[str]()
    for line in shipped_file("config.example.toml").read_text("utf-8").split("\n"):
        if header := _SECTION.fullmatch(line):
            section, words = header[1], []
        elif shown := _SHOWN.match(line):
            found.setdefault((section, shown[1]), " ".join(words))
            words = []
        elif line.startswith("# "):
            words.append(line[2:].strip())
        else:
            words = []
    return found
