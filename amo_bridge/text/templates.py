"""Templates of letters: Jinja files of a folder; «ждём бриф» is «ждём бриф.txt» and its ``.html``.

The text's first line is the subject: «Тема: …». Templates see data, not code (Jinja's sandbox); a word that stands for
nothing is an error, never an empty place. In the HTML part everything that comes from the deal is escaped.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    DictLoader,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import nearest

SUBJECT = re.compile(r"^\s*Тема\s*:[ \t]*(?P<subject>.*)$", re.IGNORECASE)

# What a template may speak of (see ``facts`` of the letters).
FIELD = "поле"
WORDS = frozenset({"клиент", "сделка", "менеджер", FIELD, "отписка"})

_BLANKS = "текст|реквизит|ссылк|адрес|номер|телефон|сумм|сч[её]т|логотип|подпис|им[яе]|дат|цен|контакт|описани"
PLACEHOLDERS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # «Впишите сюда реквизиты», «сюда вставить ссылку»; a client may be asked to fill in a page.
        r"\b(?:впи[шс]|встав|подстав)\w*\W+(?:\w+\W+){0,3}?(?:сюда|здесь|тут)\b(?!.*://)[^\n.!?]*",
        r"\b(?:сюда|здесь|тут)\W+(?:\w+\W+){0,3}?(?:впи[шс]|встав|подстав)\w*(?!.*://)[^\n.!?]*",
        rf"\b(?:здесь|тут)\s+(?:будет|будут|должн\w+\s+быть)\s+(?:\w+\s+)?(?:{_BLANKS})\w*",
        rf"\b(?:вставьте|подставьте)\s+(?:свои|свой|свою|сво[её]|ваши\s+реальные)\s+(?:{_BLANKS})\w*",
        r"\bзамените\s+(?:это|этот|эту|эти)\b[^\n.!?]*",
        # «[реквизиты]», «<ссылка>», «{сумма}»; «[1]» is a footnote.
        r"\[[^\[\]\n]*[а-яё][^\[\]\n]*\](?!\()",
        r"<\s*[а-яё][^<>@\n]*>",
        r"\{+\s*[а-яё][^{}\n]*\}+",
        r"(?<=[^\s_])[ \t]?_{3,}|_{3,}(?=[ \t]*[^\s_])",
        r"\b[xх]{3,}\b",
        r"\b(?:TODO|FIXME|TBD|lorem ipsum|placeholder)\b|\bзаглушк\w*",
    )
)
"""What is left for a person to fill in, in a template that has not been finished."""
_NOT_SHOWN = re.compile(r"<!--.*?-->|<(style|script)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)


class BadTemplate(ValueError):
    """A template that can't be used, and why (Russian)."""


@dataclass(frozen=True)
class Rendered:
    subject: str
    text: str
    html: str | None = None


@dataclass(frozen=True)
class Finding:
    """What is wrong with a template (Russian), in which of its files, on which line; None: on none of them."""

    file: str
    line: int | None
    words: str


def enclosed(folder: Path, name: str) -> Path:
    """A file beside the templates. Raises ValueError for a name that leads out of the folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError("имя ведёт из папки шаблонов наружу")
    return path


class _Nothing(StrictUndefined):
    """A word in a template that stands for nothing."""

    @property
    def _undefined_message(self) -> str:
        known = self._undefined_obj if isinstance(self._undefined_obj, Mapping) else {}
        return _means_nothing(str(self._undefined_name), known)


def _as_it_is(source: str) -> str:
    return source


class Templates:
    """``edited``: files that are to be, in place of those in the folder. ``adapt``: what is made of a file's source
    before it is a template; it keeps the lines."""

    def __init__(
        self,
        folder: Path,
        edited: Mapping[str, str] | None = None,
        adapt: Callable[[str], str] = _as_it_is,
    ) -> None:
        self.folder = folder
        self._adapt = adapt
        self._environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([DictLoader(edited or {}), FileSystemLoader(folder, encoding="utf-8")]),
            undefined=_Nothing,
            autoescape=lambda name: bool(name and name.endswith(".html")),
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, name: str, facts: Mapping[str, Any]) -> Rendered:
        """The letter for these facts. Raises BadTemplate, also for what still holds a placeholder."""
        if left := self.placeholders_of(name):
            raise BadTemplate(f"шаблон письма «{name}» не дописан: {'; '.join(left)}. Впишите в него настоящие слова")
        try:
            return self._filled(name, facts)
        except BadTemplate:
            raise
        except _FAILURES as error:
            raise BadTemplate(f"шаблон письма «{name}»: {_words(error)}") from error

    def _filled(self, name: str, facts: Mapping[str, Any]) -> Rendered:
        """Raises BadTemplate, and whatever a template's own code may fail with."""
        subject, body = self._parts(name)
        told = self._environment.from_string(subject).render(facts)
        text = self._environment.from_string(body).render(facts).strip() + "\n"
        return Rendered(" ".join(told.split()), text, self._html(name, facts))

    def try_out(self, name: str, facts: Mapping[str, Any]) -> None:
        """Fill a letter in with made-up facts: only what it costs counts, that it fails by them means nothing."""
        with suppress(BadTemplate, *_FAILURES):
            self._filled(name, facts)

    def problems_of(self, name: str) -> list[str]:
        """What can be told to be wrong with a template before there is anything to fill in (Russian)."""
        try:
            sources = [*self._parts(name), *filter(None, [self._source(f"{name}.html")])]
            return [words for source in sources for words in self._unknown_words(source)]
        except (BadTemplate, TemplateError) as error:
            return [_words(error) if isinstance(error, TemplateError) else str(error)]

    def placeholders_of(self, name: str) -> list[str]:
        """What is still to be filled in by the agency, with file and line (Russian); raises BadTemplate.

        Only the template's own words are looked at: what comes from a deal may hold brackets.
        """
        self._parts(name)
        found = [
            f"{file}, строка {line}: «{words}»" for file in self._files_of(name) for line, words in self._blanks(file)
        ]
        return list(dict.fromkeys(found))

    def _blanks(self, file: str) -> Iterator[tuple[int, str]]:
        """The placeholders of one file, with their lines."""
        try:
            literals = list(self._environment.parse(self._source(file) or "").find_all(nodes.TemplateData))
        except TemplateError:
            # Told by ``render`` and ``problems_of``.
            return
        for literal in literals:
            shown = _NOT_SHOWN.sub(lambda match: "\n" * match[0].count("\n"), literal.data)
            for start, words in sorted(_placeholders_in(shown)):
                yield literal.lineno + shown.count("\n", 0, start), words

    def findings(self, name: str, facts: Mapping[str, Any] | None = None) -> list[Finding]:
        """Everything that is wrong with a letter's files, each with its line; with ``facts`` also what is wrong when
        they are filled in."""
        try:
            self._parts(name)
        except BadTemplate as error:
            return [Finding(f"{name}.txt", 1, str(error))]
        found: list[Finding] = []
        for file in self._files_of(name):
            found += [Finding(file, line, words) for line, words in self._mistakes(file)]
            found += [Finding(file, line, f"не дописано: «{words}»") for line, words in self._blanks(file)]
        if facts is not None and not found:
            try:
                self._filled(name, facts)
            except _FAILURES as error:
                found.append(Finding(f"{name}.txt", _line_of(error), _words(error)))
        return found

    def fields_asked(self, name: str) -> list[tuple[str, int, str]]:
        """(file, line, name) of the deal's fields that a letter asks for; of files that can be read."""
        found = []
        for file in self._files_of(name):
            try:
                tree = self._environment.parse(self._source(file) or "")
            except TemplateError:
                continue
            found += [(file, line, field) for line, field in _fields_in(tree)]
        return found

    def _mistakes(self, file: str) -> Iterator[tuple[int | None, str]]:
        source = self._source(file) or ""
        try:
            tree = self._environment.parse(source)
        except TemplateSyntaxError as error:
            yield error.lineno, f"Jinja не понимает: {error.message}"
            return
        at = next((node.lineno for node in tree.find_all(_INCLUDES)), None)
        for included in find_referenced_templates(tree):
            if included is None:
                yield at, "имя включаемого файла должно стоять прямо в кавычках"
            elif not included.endswith((".txt", ".html")):
                # The folder may hold more than templates.
                yield at, f"включить можно только файл .txt или .html, а не {included}"
            elif self._source(included) is None:
                yield at, f"нет файла {included}, который шаблон включает"
        for word in sorted(find_undeclared_variables(tree) - WORDS):
            places = (node.lineno for node in tree.find_all(nodes.Name) if node.name == word)
            yield next(places, None), _means_nothing(word, WORDS)

    def _files_of(self, name: str) -> list[str]:
        """The letter's files that are there, with those that they include."""
        files, ahead = [], [f"{name}.txt", f"{name}.html"]
        while ahead:
            file = ahead.pop(0)
            source = self._source(file)
            if source is None or file in files:
                continue
            files.append(file)
            try:
                ahead += filter(None, find_referenced_templates(self._environment.parse(source)))
            except TemplateError:
                continue
        return files

    def field_names_of(self, name: str) -> list[str]:
        """The deal's fields that a template asks for by name."""
        found = []
        for source in [*self._parts(name), *filter(None, [self._source(f"{name}.html")])]:
            found += [field for _, field in _fields_in(self._environment.parse(source))]
        return found

    def _parts(self, name: str) -> tuple[str, str]:
        """The sources of subject and text; the text keeps its line numbers."""
        source = self._source(f"{name}.txt")
        if source is None:
            known = sorted(str(path.relative_to(self.folder).with_suffix("")) for path in self.folder.rglob("*.txt"))
            advice = f"; есть: {', '.join(known)}" if known else ""
            raise BadTemplate(f"шаблона письма «{name}» нет: нужен файл {self.folder / name}.txt{advice}")
        first, _, rest = source.partition("\n")
        found = SUBJECT.match(first)
        if found is None or not found["subject"].strip():
            raise BadTemplate(f"шаблон письма «{name}»: первая строка должна быть «Тема: …»")
        return found["subject"], "\n" + rest

    def _source(self, file: str) -> str | None:
        assert self._environment.loader is not None
        try:
            return self._adapt(self._environment.loader.get_source(self._environment, file)[0].lstrip("\ufeff"))
        except TemplateNotFound:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise BadTemplate(f"шаблон письма {self.folder / file} не читается: {error}") from error

    def _html(self, name: str, facts: Mapping[str, Any]) -> str | None:
        if self._source(f"{name}.html") is None:
            return None
        return self._environment.get_template(f"{name}.html").render(facts)

    def _unknown_words(self, source: str) -> list[str]:
        unknown = sorted(find_undeclared_variables(self._environment.parse(source)) - WORDS)
        return [f"в шаблоне {_means_nothing(word, WORDS)}" for word in unknown]


_INCLUDES = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)
_FAILURES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
"""What rendering may end in."""


def _means_nothing(word: str, known: Iterable[str]) -> str:
    close = nearest(word, known)
    return f"«{word}» ничего не значит" + (f"; может быть, «{close}»?" if close else "")


def _fields_in(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """(line, name) of each ``поле["…"]``."""
    for asked in tree.find_all(nodes.Getitem):
        is_field = isinstance(asked.node, nodes.Name) and asked.node.name == FIELD
        if is_field and isinstance(asked.arg, nodes.Const):
            yield asked.lineno, str(asked.arg.value)


def _line_of(error: BaseException) -> int | None:
    """The template's line at which its code failed."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == "<template>"), None)


def _placeholders_in(text: str) -> Iterator[tuple[int, str]]:
    """(where it begins, the words); of what several patterns find the longest."""
    spans = {match.span() for pattern in PLACEHOLDERS for match in pattern.finditer(text)}
    for begin, end in spans:
        if not any(other != (begin, end) and other[0] <= begin and end <= other[1] for other in spans):
            yield begin, " ".join(text[begin:end].split())


def _words(error: Exception) -> str:
    if isinstance(error, TemplateSyntaxError):
        return f"строка {error.lineno}: Jinja не понимает: {error.message}"
    if isinstance(error, TemplateNotFound):
        return f"нет файла {error.name}, который шаблон включает"
    return str(error)
