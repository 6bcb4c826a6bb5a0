"""Call scripts: texts in a folder with the deal's data in them, read by a manager during a call.

A script is a file «first-call.txt», written with the words of letters (``channels/mail.py``): its first line is
the title, «Тема: …»; below it «# …» is a heading, «- …» an item of a list, an empty line ends a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from amo_bridge.text.templates import BadTemplate, Templates

Kind = Literal["heading", "list", "text"]
SUFFIX = ".txt"
_HEADING = re.compile(r"#{1,6} ")


@dataclass(frozen=True)
class Block:
    """A piece of a script: a heading and a text are one line, a list is several, each an item."""

    kind: Kind
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Script:
    title: str
    blocks: tuple[Block, ...]


class Scripts:
    """The scripts of a folder; None: there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._templates = Templates(folder or Path())

    @property
    def names(self) -> list[str]:
        """As they stand in addresses."""
        return sorted(path.stem for path in self._folder.glob(f"*{SUFFIX}")) if self._folder else []

    def filled(self, name: str, facts: Mapping[str, Any]) -> Script:
        """The script with the deal's data. Raises KeyError for a name that is not among ``names``, BadTemplate."""
        if name not in self.names:
            raise KeyError(name)
        rendered = self._templates.render(name, facts)
        return Script(rendered.subject, tuple(blocks_of(rendered.text)))

    def problems(self) -> Iterator[str]:
        """What is wrong with the scripts (Russian), apart from names of fields."""
        for name in self.names:
            for words in self._templates.problems_of(name):
                yield f"скрипт «{name}»: {words}"

    def field_names(self) -> Iterator[tuple[str, str]]:
        """(script, field) of every field that a script asks for; those of a script that can't be read are left out."""
        for name in self.names:
            try:
                yield from ((name, field) for field in self._templates.field_names_of(name))
            except BadTemplate:
                continue


def blocks_of(text: str) -> Iterator[Block]:
    """The pieces of a text; «## …» is a heading too."""
    for piece in text.split("\n\n"):
        lines = [line.strip() for line in piece.splitlines() if line.strip()]
        if lines and _HEADING.match(lines[0]):
            yield Block("heading", (_HEADING.sub("", lines.pop(0)).strip(),))
        if not lines:
            continue
        if lines[0].startswith("- "):
            yield Block("list", tuple(_items(lines)))
        else:
            yield Block("text", tuple(lines))


def _items(lines: Iterable[str]) -> Iterator[str]:
    """The items of a list; one may go on over several lines."""
    item = ""
    for line in lines:
        if line.startswith("- ") and item:
            yield item
            item = ""
        item = f"{item} {line.removeprefix('- ')}".strip()
    yield item
