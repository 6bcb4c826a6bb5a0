"""English of sentences stored in Russian: reasons, events and actions of the journal and the outbox.

A stored sentence is known by its form: ``translations/stored/en.po`` has every one that the code makes, with {1} and
{2} where names stand. What fits no form, or fits one in two ways, stays as it is: a person's own words are not
translated, and nothing is guessed. So nothing is stored twice, and old lines are English as well as new ones.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from flask import Flask
from markupsafe import Markup

from amo_bridge.engine.journal import BY_API
from amo_bridge.web.middleware import RUSSIAN, page_language

CATALOGUE = Path(__file__).parent / "translations" / "stored" / "en.po"
PLACE = re.compile(r"\{(\d)(?:!([tls]))?\}")
"""Where something stands in a form. In English ``!t``: it is a stored sentence itself; ``!l``: some of them, with
commas between; ``!s``: a span of time."""
RUSSIAN_LETTERS = re.compile("[А-Яа-яЁё]")
SPAN = re.compile(r"(\d+) (рабоч\w+ )?(минут|час|дн|ден|недел)\w*")
UNITS = {"минут": "minute", "час": "hour", "дн": "day", "ден": "day", "недел": "week"}
BEGINNING = 4
"""Letters by which the forms that may fit are found at once."""
LONGEST = 2000
"""Signs of a sentence that is read: trying forms costs the square of them, and clients write of what stands in some."""
DEEPEST = 6
"""Sentences within sentences that are read: people's words may look like one within one, hundreds of times."""


class Form:
    """One kind of sentence. ``weight``: how many signs of it are its own."""

    def __init__(self, russian: str, english: str) -> None:
        parts = PLACE.split(russian)
        own, self._places = parts[::3], parts[1::3]
        self.weight = sum(map(len, own))
        self.beginning = own[0][:BEGINNING] if len(own[0]) >= BEGINNING or not self._places else ""
        self._english = english
        self._shortest, self._longest = (re.compile(_pattern(own, more), re.DOTALL) for more in ("+?", "+"))

    def values(self, sentence: str) -> Mapping[str, str] | None:
        """What stands in its places; None if the sentence has another form. Raises AmbiguousSentence."""
        found = self._shortest.fullmatch(sentence)
        if found is None:
            return None
        other = self._longest.fullmatch(sentence)
        if other is None or other.groups() != found.groups():
            raise AmbiguousSentence(sentence)
        if any(value.count("«") != value.count("»") for value in found.groups()):
            return None
        return dict(zip(self._places, found.groups(), strict=True))

    def in_english(self, values: Mapping[str, str], depth: int) -> str:
        return PLACE.sub(lambda place: _value(values[place[1]], place[2], depth), self._english)


def _pattern(own: Sequence[str], more: str) -> str:
    """What stands between «» has none of these: quotes within are „“ (text/typography.py)."""
    found = re.escape(own[0])
    for before, after in pairwise(own):
        sign = "[^«»]" if before.endswith("«") and after.startswith("»") else "."
        found += f"({sign}{more}){re.escape(after)}"
    return found


class AmbiguousSentence(Exception):
    """It may be read in two ways."""


def in_english(sentence: str, depth: int = 0) -> str | None:
    """The same in English; None if it is no sentence of the bridge. ``depth``: in how many others it stands."""
    if len(sentence) > LONGEST or depth > DEEPEST:
        return None
    known = _known(sentence, depth)
    if known is not None:
        return known
    parts = sentence.split("; ")
    told = [_known(part, depth) for part in parts] if len(parts) > 1 else [None]
    return "; ".join(filter(None, told)) if all(told) else None


@lru_cache(maxsize=4096)
def _known(sentence: str, depth: int) -> str | None:
    by_beginning = _forms()
    fitting = (*by_beginning.get(sentence[:BEGINNING], ()), *by_beginning.get("", ()))
    for form in sorted(fitting, key=lambda one: -one.weight):
        try:
            values = form.values(sentence)
        except AmbiguousSentence:
            return None
        if values is not None:
            return form.in_english(values, depth)
    return None


@cache
def _forms() -> Mapping[str, Sequence[Form]]:
    """How they begin → forms; those that begin with a name under nothing."""
    found: dict[str, list[Form]] = defaultdict(list)
    for russian, english in catalogue().items():
        form = Form(russian, english)
        found[form.beginning].append(form)
    return found


def catalogue() -> dict[str, str]:
    """Russian form → English."""
    with CATALOGUE.open("rb") as source:
        return {str(one.id): str(one.string) for one in read_po(source, locale="en", abort_invalid=True) if one.id}


def _value(value: str, kind: str | None, depth: int) -> str:
    if kind == "s":
        return SPAN.sub(_span, value)
    if kind == "l":
        told = [in_english(part, depth + 1) for part in value.split(", ")]
        return ", ".join(filter(None, told)) if all(told) else value
    return (in_english(value, depth + 1) or value) if kind == "t" else value


def _span(found: re.Match[str]) -> str:
    unit = UNITS[found[3]] + ("" if found[1] == "1" else "s")
    return f"{found[1]} {'working ' if found[2] else ''}{unit}"


# On pages and in answers of the API.


def stored(sentence: str) -> str:
    """In the reader's language, where it is known."""
    if page_language() == RUSSIAN or not sentence:
        return sentence
    return in_english(sentence) or sentence


def stored_by_whom(sentence: str) -> str:
    """The same of what begins with a colon after a person's login, or a program's name."""
    kind = BY_API if sentence.startswith(BY_API) else ""
    who, colon, told = sentence.removeprefix(kind).partition(": ")
    return f"{kind}{who}: {stored(told)}" if colon else stored(sentence)


def all_stored(told: Any) -> Any:
    """The same of every text in an answer; of «rule: why» of its parts."""
    if isinstance(told, Mapping):
        return {name: all_stored(value) for name, value in told.items()}
    if isinstance(told, list):
        return [all_stored(value) for value in told]
    if not isinstance(told, str):
        return told
    subject, _, why = told.partition(": ")
    return f"{stored(subject)}: {stored(why)}" if stored(why) != why else stored(told)


def stored_on_page(sentence: str) -> str | Markup:
    """As ``stored``; Russian words on an English page say that they are Russian, for whoever has them read aloud."""
    told = stored(sentence)
    if page_language() == RUSSIAN or told != sentence or not RUSSIAN_LETTERS.search(told):
        return told
    return Markup('<span lang="ru">{}</span>').format(told)


def install_stored_sentences(app: Flask) -> None:
    app.jinja_env.filters.update(stored=stored_on_page, stored_by_whom=stored_by_whom)
