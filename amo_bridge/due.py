"""When a task falls due, in words: «1 working hour», «2 рабочих дня», «field: Дата дедлайна - 5 d».

The phrases are English with Russian equivalents; docs/due-dates.md lists them with what they come to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from amo_bridge.due_grammar import QUOTES, WORDS, BadPhrase, parse_phrase
from amo_bridge.due_plan import FieldNotADate, FieldNotFilled, Fields, Moment, Plan
from amo_bridge.worktime import WorkCalendar

__all__ = ["EXAMPLES", "Due", "FieldNotADate", "FieldNotFilled", "Fields"]

EXAMPLES = (
    *("1 working hour", "30 minutes", "2 hours", "3 days", "2 weeks", "2 working days", "today", "tomorrow"),
    *("end of day", "next working day", "next working day 11:00", "2 d 12:00", "tomorrow 12:00"),
    *("field: Дата дедлайна", "field: Дедлайн проекта - 5 d", "field: Дата оплаты 1 + 2 working days"),
    *("until 11:00 next working day if after 20:00", "1 working hour, until 11:00 next working day if after 20:00"),
    *("1 рабочий час", "30 минут", "2 часа", "3 дня", "2 недели", "2 рабочих дня", "5 рабочих дней", "сегодня"),
    *("завтра", "завтра 12:00", "конец дня", "следующий рабочий день", "следующий рабочий день 11:00", "2 дня 12:00"),
    *("поле: Дата дедлайна", "поле: Дедлайн проекта - 5 дней", "поле: Дата оплаты 1 + 2 рабочих дня"),
    "до 11:00 следующего рабочего дня, если после 20:00",
    "1 рабочий час, до 11:00 следующего рабочего дня, если после 20:00",
)
"""Phrases of every kind. An error offers the one nearest to what was written."""

_SHOWN = "«1 working hour», «2 рабочих дня», «field: Дата дедлайна - 5 d»"
_NUMBER = re.compile(r"\d+(?::\d+)?")


@dataclass(frozen=True)
class Due:
    """A due phrase. Phrases of the same meaning are equal («2 days», «2 дня»); ``str()`` is the phrase as written.

    In a pydantic model it is a field's type: a string in TOML.
    """

    phrase: str = field(compare=False)
    plan: Plan = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Due:
        """Understand a phrase. ValueError, in Russian: the bad part, the nearest valid phrase, three examples."""
        phrase = " ".join(text.split())
        try:
            return cls(phrase, parse_phrase(phrase))
        except BadPhrase as bad:
            told = f"срок «{phrase}» непонятен: «{bad.part}» — {bad.why}"
            nearest = _nearest(phrase, bad.part)
        raise ValueError(f"{told}. Ближайшая верная запись: «{nearest}». Примеры: {_SHOWN}")

    @classmethod
    def of_field(cls, name: str, shift: str = "") -> Due:
        """The date in a field, by its literal name, whatever signs it has; ``shift``: «+ 2 working days», «12:00» …

        A bad shift is a ValueError as in ``parse``.
        """
        opening, closing = next((pair for pair in QUOTES if pair[1] not in name), QUOTES[0])
        return cls.parse(f"field: {opening}{name}{closing} {shift}")

    @classmethod
    def exactly(cls, moment: datetime) -> Due:
        """This very moment (aware), such as the one a task had before."""
        return cls(f"{moment:%d.%m.%Y %H:%M %Z}", Moment(moment))

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the deal's fields whose values ``resolve`` may need."""
        return self.plan.fields

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields = MappingProxyType({})) -> datetime:
        """The due moment (UTC), just as the phrase says: it may lie in the past, and what then is the caller's matter.

        ``fields``: a deal's values by name (case and «ё» forgiven), ``date`` or aware ``datetime`` where the phrase
        counts from one; empty there is FieldNotFilled, another type FieldNotADate, and a naive moment a ValueError.
        """
        return self.plan.resolve(now, calendar, fields)

    def __str__(self) -> str:
        return self.phrase

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._from_config,
            json_schema_input_schema=core_schema.str_schema(),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def _from_config(cls, value: object) -> Due:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"срок пишется словами в кавычках, а не «{value}». Примеры: {_SHOWN}")
        return cls.parse(value)


def _nearest(phrase: str, bad: str) -> str:
    """The phrase with its bad word put right, or else the example most like it with the phrase's own numbers."""
    words = get_close_matches(bad.lower(), sorted(WORDS), n=3)
    for repaired in [*(phrase.replace(bad, word, 1) for word in words), _like_an_example(phrase)]:
        if _is_valid(repaired):
            return repaired
    return _most_alike(phrase)


def _most_alike(phrase: str) -> str:
    shapes = {_shape(example): example for example in EXAMPLES}
    return shapes[get_close_matches(_shape(phrase), shapes, n=1, cutoff=0)[0]]


def _like_an_example(phrase: str) -> str:
    example, numbers = _most_alike(phrase), _NUMBER.findall(phrase)
    if _NUMBER.sub("", example).startswith(("field:", "поле:")) or len(_NUMBER.findall(example)) != len(numbers):
        return example
    return _NUMBER.sub(lambda _: str(numbers.pop(0)), example)


def _shape(phrase: str) -> str:
    return _NUMBER.sub(lambda number: "@" if ":" in number[0] else "#", phrase.lower())


def _is_valid(phrase: str) -> bool:
    try:
        parse_phrase(phrase)
    except BadPhrase:
        return False
    return True
