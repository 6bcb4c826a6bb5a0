"""Every key of a TOML file is found on its line, whatever stands around it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.config_text import GOOD

from amo_bridge.config.toml_lines import line_of, lines_of, places_of

TRICKY = '''\
# [not a section]
a = "[neither]" # = 5
"b c".d = 1
[x.'y z'] # comment with ] and "
text = """
[still.text]
key = 'no key'
"""
raw = \'\'\'
list = [\'\'\'
list = [ # [
  1, "two ]",
  { deep = [ "]", { deeper = 1 } ] },

  2026-01-01 10:00:00,
]
[[rows]]
name = "one"
[[rows]]
name = "two"
[rows.sub]
key = "\\"]"
inline = { one = 1, two.three = "}" }
'''
EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 2),
        (("b c", "d"), 3),
        (("x", "y z"), 4),
        (("x", "y z", "text"), 5),
        (("x", "y z", "raw"), 9),
        (("x", "y z", "list"), 11),
        (("x", "y z", "list", 1), 12),
        (("x", "y z", "list", 2, "deep", 1, "deeper"), 13),
        (("x", "y z", "list", 3), 15),
        (("rows", 0, "name"), 18),
        (("rows", 1), 19),
        (("rows", 1, "name"), 20),
        (("rows", 1, "sub", "key"), 22),
        (("rows", 1, "sub", "inline", "two", "three"), 23),
    ],
)
def test_line(path: tuple[str | int, ...], line: int) -> None:
    assert lines_of(TRICKY)[path] == line


@pytest.mark.parametrize("text", [TRICKY, GOOD, EXAMPLE.read_text("utf-8")], ids=["tricky", "good", "example"])
def test_exactly_the_keys_of_the_file_are_found(text: str) -> None:
    assert set(lines_of(text)) == set(_paths(tomllib.loads(text)))


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = lines_of("[a.b]\nc = [\n1,\n2]\n")
    assert line_of(lines, ("a", "b", "c", 1, "missing")) == 4
    assert line_of(lines, ("a", "b", "missing")) == 1
    assert line_of(lines, ("a",)) == 1
    assert line_of(lines, ("z",)) is None


@given(st.text(alphabet="ab1.=[]{}\"'#,\n \\", max_size=60))
def test_what_is_not_toml_is_followed_as_far_as_it_goes(text: str) -> None:
    last = text.count("\n") + 1
    assert all(1 <= line <= last for _, line in places_of(text))


def _paths(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _paths(value, (*path, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _paths(value, (*path, number))
