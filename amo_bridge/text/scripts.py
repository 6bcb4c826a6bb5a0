"""Call scripts: texts in a folder with the deal's data in them, read by a manager during a call.

A script is a file «first-call.txt», written with the words of letters (``channels/mail.py``): its first line is
the title, «Тема: …»; below it «# …» begins a step, «- …» an item of a list, an empty line ends a paragraph. A line in
square brackets is filled in while talking: «[ответ: Да → Договориться]» is what the client may say and the step that
follows, «[поле: Бюджет]» is saved into the deal's field, «[заметка: Что сказал]» into a note.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, cast

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import normalise
from amo_bridge.text.templates import SUBJECT, BadTemplate, Templates

Ask = Literal["answer", "field", "note"]
Kind = Literal["heading", "list", "text", "answer", "field", "note"]
SUFFIX = ".txt"
ASKS: Mapping[str, Ask] = {"ответ": "answer", "поле": "field", "заметка": "note"}
WORDS: Mapping[Ask, str] = {kind: word for word, kind in ASKS.items()}
_HEADING = re.compile(r"#{1,6} ")
# Before there were steps such a line was a placeholder, and the script an error: no script means anything else by it.
_ASK = re.compile(r"^ {0,8}\[ ?(ответ|поле|заметка) ?:([^\[\]{}\n]{0,300})\] {0,8}$", re.M | re.I)
_ONLY_TAGS = re.compile(r"\s*(?:\{%[^%]*%\}\s*)+")
_ARROW = re.compile(r"\s*(?:→|->)\s*")


@dataclass(frozen=True)
class Block:
    """A piece of a script: a heading and a text are one line, a list is several, each an item. An answer has its words
    and perhaps the step that follows."""

    kind: Kind
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A heading with what belongs to it, as it is gone through. ``number``: from 1; ``title``: empty for what stands
    above the first heading. ``next_of``: of each answer the number of the step that follows, None for the next one."""

    number: int
    title: str
    blocks: tuple[Block, ...]
    next_of: tuple[int | None, ...] = ()

    @property
    def answers(self) -> list[Block]:
        return [block for block in self.blocks if block.kind == "answer"]

    @property
    def text(self) -> list[Block]:
        """What is to be read out."""
        return [block for block in self.blocks if block.kind in ("list", "text")]

    def asked(self, kind: Ask) -> list[str]:
        return [block.lines[0] for block in self.blocks if block.kind == kind]


@dataclass(frozen=True)
class Script:
    title: str
    blocks: tuple[Block, ...]

    @property
    def steps(self) -> list[Step]:
        titles: list[str] = []
        parts: list[list[Block]] = []
        for block in self.blocks:
            if block.kind == "heading" or not parts:
                titles.append(block.lines[0] if block.kind == "heading" else "")
                parts.append([])
            if block.kind != "heading":
                parts[-1].append(block)
        places = {normalise(title): number for number, title in reversed(list(enumerate(titles, 1))) if title}
        return [
            Step(number, title, tuple(blocks), tuple(_next(one, places) for one in blocks if one.kind == "answer"))
            for number, (title, blocks) in enumerate(zip(titles, parts, strict=True), 1)
        ]

    @property
    def is_filled_in(self) -> bool:
        """Is there anything to answer?"""
        return any(block.kind in WORDS for block in self.blocks)


def _next(answer: Block, places: Mapping[str, int]) -> int | None:
    return places.get(normalise(answer.lines[1])) if len(answer.lines) > 1 else None


class Scripts:
    """The scripts of a folder; None: there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._mark = new_mark()
        self._templates = Templates(folder or Path(), adapt=marking(self._mark))

    @property
    def names(self) -> list[str]:
        """As they stand in addresses."""
        return sorted(path.stem for path in self._folder.glob(f"*{SUFFIX}")) if self._folder else []

    def filled(self, name: str, facts: Mapping[str, Any]) -> Script:
        """The script with the deal's data. Raises KeyError for a name that is not among ``names``, BadTemplate."""
        if name not in self.names:
            raise KeyError(name)
        rendered = self._templates.render(name, facts)
        return Script(rendered.subject, tuple(blocks_of(rendered.text, self._mark)))

    def problems(self) -> Iterator[str]:
        """What is wrong with the scripts (Russian), apart from names of fields."""
        for name in self.names:
            for words in self._templates.problems_of(name):
                yield f"скрипт «{name}»: {words}"
            for line, words in lost_answers(self._source(name)):
                yield f"скрипт «{name}»: строка {line}: {words}"

    def field_names(self) -> Iterator[tuple[str, str]]:
        """(script, field) of every field that a script asks for or fills; those of a script that can't be read are
        left out."""
        for name in self.names:
            try:
                yield from ((name, field) for field in self._templates.field_names_of(name))
            except BadTemplate:
                continue
            yield from ((name, words) for _, kind, words in asks_of(self._source(name)) if kind == "field")

    def _source(self, name: str) -> str:
        assert self._folder is not None
        try:
            return (self._folder / f"{name}{SUFFIX}").read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            return ""


# --- what is asked while talking --------------------------------------------------------------------------------------


def new_mark() -> str:
    """What stands before a line that asks, once it is filled in: no deal's data can look so."""
    return f"\x02{secrets.token_hex(12)} "


class marking:
    """Makes of a script's source a template in which its asking lines can be told from what a client has typed."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def __call__(self, source: str) -> str:
        return _ASK.sub(lambda found: f"{self._mark}{ASKS[found[1].lower()]} {found[2].strip()}", source)


def asks_of(source: str) -> Iterator[tuple[int, Ask, str]]:
    """(line, kind, words) of every line that asks."""
    for found in _ASK.finditer(source):
        yield source.count("\n", 0, found.start()) + 1, ASKS[found[1].lower()], found[2].strip()


def lost_answers(source: str) -> Iterator[tuple[int, str]]:
    """(line, words) of answers that lead to a step that is not there, and of asking lines that ask for nothing."""
    titles = {normalise(step.title) for step in source_of(source).steps}
    for line, kind, words in asks_of(source):
        said, *step = _ARROW.split(words, maxsplit=1)
        if not said.strip():
            yield line, f"после «{WORDS[kind]}:» ничего не написано"
        elif kind == "answer" and step and normalise(step[0]) not in titles:
            yield line, f"ответ «{said}» ведёт на шаг «{step[0]}», а его нет"


def blocks_of(text: str, mark: str = "") -> Iterator[Block]:
    """The pieces of a text; «## …» is a heading too. ``mark``: what the lines that ask begin with."""
    for piece in text.split("\n\n"):
        lines = [line.strip(" \t\r") for line in piece.splitlines() if line.strip()]
        if lines and _HEADING.match(lines[0]):
            yield Block("heading", (_HEADING.sub("", lines.pop(0)).strip(),))
        run: list[str] = []
        for line in lines:
            if mark and line.startswith(mark):
                yield from _plain(run)
                run = []
                kind, _, words = line.removeprefix(mark).partition(" ")
                parts = _ARROW.split(words, maxsplit=1) if kind == "answer" else [words]
                yield Block(cast(Kind, kind), tuple(parts))
            else:
                run.append(line.strip())
        yield from _plain(run)


def _plain(lines: list[str]) -> Iterator[Block]:
    if not lines:
        return
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


# --- the source, step by step -----------------------------------------------------------------------------------------


@dataclass
class SourceStep:
    """``body``: what stands below the heading, without the lines that ask. ``answers``: the words, and the step that
    follows."""

    title: str = ""
    body: str = ""
    answers: list[tuple[str, str]] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    level: int = 1

    def as_text(self) -> str:
        asked = [
            *(f"[поле: {name}]" for name in self.fields),
            *(f"[заметка: {words}]" for words in self.notes),
            *(f"[ответ: {words} → {step}]" if step else f"[ответ: {words}]" for words, step in self.answers),
        ]
        heading = f"{'#' * self.level} {self.title}" if self.title else ""
        return _joined([heading, self.body.strip("\n"), "\n".join(asked)])


@dataclass
class ScriptSource:
    """A script's file as its constructor shows it; the first step has no title if a text stands above the headings."""

    title: str
    steps: list[SourceStep] = field(default_factory=list)

    def as_text(self) -> str:
        return _joined([f"Тема: {self.title}", *(step.as_text() for step in self.steps)]) + "\n"


def _joined(parts: Iterable[str]) -> str:
    """The parts with an empty line between them, also where Jinja takes a line's end away."""
    text = ""
    for part in filter(None, parts):
        text += ("\n" if _loses_its_end(text) else "") + ("\n\n" if text else "") + part
    return text


def _loses_its_end(text: str) -> bool:
    """Ends it in a line with a tag at its end? A line of tags alone goes as a whole."""
    line = text.rpartition("\n")[2].rstrip()
    return line.endswith("%}") and not _ONLY_TAGS.fullmatch(line)


def source_of(text: str) -> ScriptSource:
    """The steps of a script's file, whatever Jinja stands in them."""
    first, _, rest = text.partition("\n")
    subject = SUBJECT.match(first)
    found = ScriptSource(subject["subject"].strip() if subject else "")
    steps, bodies = [SourceStep()], [[""]]
    last, blanks = "", 1
    for line in (rest if subject else text).split("\n"):
        heading = _HEADING.match(line)
        if heading and blanks > _loses_its_end(last):
            steps.append(SourceStep(title=line[heading.end() :].strip(), level=heading.end() - 1))
            bodies.append([])
        elif asked := _ASK.match(line):
            said, *then = _ARROW.split(asked[2].strip(), maxsplit=1)
            match ASKS[asked[1].lower()]:
                case "answer":
                    steps[-1].answers.append((said, then[0] if then else ""))
                case "field":
                    steps[-1].fields.append(asked[2].strip())
                case "note":
                    steps[-1].notes.append(asked[2].strip())
        else:
            bodies[-1].append(line)
        last, blanks = (line, 0) if line.strip() else (last, blanks + 1)
    for step, lines in zip(steps, bodies, strict=True):
        step.body = "\n".join(lines)
    found.steps = [step for step in steps if step.title or step.as_text()]
    return found
