"""Texts of the config itself: series of letters with their days, texts of rules."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

import tomlkit
from flask_babel import gettext as _

from amo_bridge.config.blocks import tree_of, values_of, with_block, without_block
from amo_bridge.config.diagnostics import dotted
from amo_bridge.config.model import Config
from amo_bridge.config.toml_lines import KeyPath, strings_of
from amo_bridge.dates.due import Due
from amo_bridge.errors import ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.option_types import Text, names_in
from amo_bridge.versioned_file import mark_of
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.services import rule_lists

# --- texts of rules ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RuleText:
    """A text with places that a rule writes. ``number``: which of the rule's; ``path``: of its option."""

    rule: Rule
    number: int
    path: KeyPath
    text: str
    kind: type[Text]

    @property
    def place(self) -> str:
        return dotted(self.path)


def rule_texts(config: Config) -> Iterator[RuleText]:
    for rule in config.rules:
        found = [(path, name) for path, name in names_in(rule.options) if isinstance(name, Text)]
        # «{Название}» alone is a value to be copied, and nothing to be written.
        written = [(path, name) for path, name in found if not name.PLACE.fullmatch(name)]
        for number, (path, name) in enumerate(written):
            yield RuleText(rule, number, path, str(name), type(name))


def filled(known: RuleText, text: str, deal: Deal | None) -> tuple[str | None, str]:
    """(the text with the deal's data, None without a deal; what is wrong with it)."""
    try:
        checked = known.kind.checked(text)
    except ValueError as error:
        return None, str(error)
    return (checked.for_deal(deal) if deal is not None else None), ""


def with_rule_text(source: str, known: RuleText, text: str) -> str:
    """The config with another text in its place, comments and everything else left as they are. Raises ConfigError."""
    if why := filled(known, text, None)[1]:
        raise ConfigError([why])
    if not text:
        raise ConfigError([_("Текст не может быть пустым")])
    path, strings = (*known.rule.path, *known.path), strings_of(source)
    places = [one for one in strings if _plain(one.path) == _plain(path)]
    if not places:
        # «sms = "…"» says «sms = { text = "…" }».
        path = path[:-1]
        places = [one for one in strings if _plain(one.path) == _plain(path)]
    exact = [one for one in places if one.path == path] or places
    spans = [one for one in exact if _value_of(source[one.start : one.end]) == known.text]
    if len(spans) != 1:
        told = _("Место этого текста в файле не найти: он записан необычно. Измените его в файле")
        raise ConfigError([told])
    new = tomlkit.string(text, multiline="\n" in text).as_string()
    changed = source[: spans[0].start] + new + source[spans[0].end :]
    tree_of(changed)
    return changed


def _plain(path: KeyPath) -> tuple[str, ...]:
    """Without numbers of elements: a lone one needs no list. Options spell ``is`` as ``is_``."""
    return tuple(step.rstrip("_") for step in path if isinstance(step, str))


def _value_of(raw: str) -> str | None:
    try:
        return str(tomllib.loads(f"x = {raw}")["x"])
    except tomllib.TOMLDecodeError:
        return None


# --- series of letters ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SeriesRow:
    """A letter of a series. ``was``: which it is in the file: what the form has no field for stays with it."""

    after: str = ""
    template: str = ""
    was: int | None = None


def series_rows(source: str, name: str) -> list[SeriesRow] | None:
    """The series as the file has it; None if it is not there. Raises ConfigError."""
    known = values_of(source, ("series", name))
    if known is None:
        return None
    return [SeriesRow(_text(one, "after"), _text(one, "template"), n) for n, one in enumerate(_letters(known))]


def series_mark(source: str, name: str) -> str:
    """Tells whether the series is still what a form was opened with. Raises ConfigError."""
    return mark_of(repr(values_of(source, ("series", name))).encode())[:16]


def with_series(source: str, name: str, rows: Sequence[SeriesRow], *, is_new: bool) -> str:
    """The config with the series as the rows say; a row that is left empty is left out, and a series without rows.
    Raises ConfigError."""
    known = values_of(source, ("series", name))
    if not name:
        raise ConfigError([_("Назовите серию")])
    if is_new == (known is not None):
        raise ConfigError([_("Серия с таким именем уже есть") if is_new else _("Этой серии в файле уже нет")])
    before = _letters(known or {})
    letters = []
    for number, row in enumerate(rows, 1):
        if not row.after and not row.template:
            continue
        if not row.after or not row.template:
            raise ConfigError([_("Письмо %(n)s: нужны и срок, и письмо", n=number)])
        kept = before[row.was] if row.was is not None and 0 <= row.was < len(before) else {}
        letters.append({**kept, "after": row.after, "template": row.template})
    if not letters:
        return without_block(source, ("series", name))
    return with_block(source, ("series", name), {**(known or {}), "letters": letters})


def comes_to(here: AccountView, phrase: str) -> str:
    """«сейчас это было бы …», or why the phrase is not understood."""
    told = rule_lists.comes_to(here, "due", phrase)
    if not told or not phrase:
        return told
    try:
        return str(_("Срок считается от начала серии, а не от поля сделки")) if Due.parse(phrase).fields else told
    except ValueError:
        return told


def _letters(known: dict[str, Any]) -> list[dict[str, Any]]:
    found = known.get("letters", [])
    listed = found if isinstance(found, list) else [found]
    return [one for one in listed if isinstance(one, dict)]


def _text(letter: dict[str, Any], key: str) -> str:
    return str(letter.get(key, ""))
