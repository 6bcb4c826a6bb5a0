"""Templates of letters: a folder of Jinja files. «ждём бриф» is «ждём бриф.txt», and «ждём бриф.html» if it is there.

The text's first line is the subject: «Тема: …». Templates see data, not code (Jinja's sandbox); a word that stands for
nothing is an error, never an empty place. In the HTML part everything that comes from the deal is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from amo_bridge.text.names import nearest

SUBJECT = re.compile(r"^\s*Тема\s*:[ \t]*(?P<subject>.*)$", re.IGNORECASE)

# What a template may speak of (see ``facts`` of the letters).
FIELD = "поле"
WORDS = frozenset({"клиент", "сделка", "менеджер", FIELD, "отписка"})


class BadTemplate(ValueError):
    """A template that can't be used, and why (Russian)."""


@dataclass(frozen=True)
class Rendered:
    subject: str
    text: str
    html: str | None = None


class _Nothing(StrictUndefined):
    """A word in a template that stands for nothing."""

    @property
    def _undefined_message(self) -> str:
        known = self._undefined_obj if isinstance(self._undefined_obj, Mapping) else {}
        close = nearest(str(self._undefined_name), known)
        return f"«{self._undefined_name}» ничего не значит" + (f"; может быть, «{close}»?" if close else "")


class Templates:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder, encoding="utf-8"),
            undefined=_Nothing,
            autoescape=lambda name: bool(name and name.endswith(".html")),
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, name: str, facts: Mapping[str, Any]) -> Rendered:
        """The letter for these facts. Raises BadTemplate."""
        subject, body = self._parts(name)
        try:
            told = self._environment.from_string(subject).render(facts)
            text = self._environment.from_string(body).render(facts).strip() + "\n"
            html = self._html(name, facts)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise BadTemplate(f"шаблон письма «{name}»: {_words(error)}") from error
        return Rendered(" ".join(told.split()), text, html)

    def problems_of(self, name: str) -> list[str]:
        """What can be told to be wrong with a template before there is anything to fill in (Russian)."""
        try:
            sources = [*self._parts(name), *filter(None, [self._source(f"{name}.html")])]
            return [words for source in sources for words in self._unknown_words(source)]
        except (BadTemplate, TemplateError) as error:
            return [_words(error) if isinstance(error, TemplateError) else str(error)]

    def field_names_of(self, name: str) -> list[str]:
        """The deal's fields that a template asks for by name."""
        found = []
        for source in [*self._parts(name), *filter(None, [self._source(f"{name}.html")])]:
            for asked in self._environment.parse(source).find_all(nodes.Getitem):
                is_field = isinstance(asked.node, nodes.Name) and asked.node.name == FIELD
                if is_field and isinstance(asked.arg, nodes.Const):
                    found.append(str(asked.arg.value))
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
            return self._environment.loader.get_source(self._environment, file)[0].lstrip("\ufeff")
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
        return [
            f"в шаблоне «{word}» ничего не значит" + (f"; может быть, «{close}»?" if close else "")
            for word in unknown
            for close in [nearest(word, WORDS)]
        ]


def _words(error: Exception) -> str:
    if isinstance(error, TemplateSyntaxError):
        return f"строка {error.lineno}: Jinja не понимает: {error.message}"
    if isinstance(error, TemplateNotFound):
        return f"нет файла {error.name}, который шаблон включает"
    return str(error)
