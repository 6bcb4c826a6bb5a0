"""A length of time in the config's words: «24 h», «3 d», «90 min», «24 часа», «3 дня»."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

PHRASE = re.compile(r"^\s*(\d+)\s*([a-zа-яё]+)\.?\s*$", re.IGNORECASE)
UNITS = (
    (re.compile(r"^(s|sec\w*|с|сек\w*)$", re.IGNORECASE), timedelta(seconds=1)),
    (re.compile(r"^(m|min\w*|мин\w*)$", re.IGNORECASE), timedelta(minutes=1)),
    (re.compile(r"^(h|hour\w*|ч|час\w*)$", re.IGNORECASE), timedelta(hours=1)),
    (re.compile(r"^(d|day\w*|д|день|дня|дней|сут\w*)$", re.IGNORECASE), timedelta(days=1)),
    (re.compile(r"^(w|week\w*|нед\w*)$", re.IGNORECASE), timedelta(weeks=1)),
)
LONGEST = timedelta(days=3650)


def parse(text: str) -> timedelta:
    """Raises ValueError, in Russian, for anything else."""
    if found := PHRASE.match(text):
        for unit, length in UNITS:
            if unit.match(found[2]) and int(found[1]) * length <= LONGEST:
                return int(found[1]) * length
    raise ValueError(f"промежуток «{text}» непонятен; примеры: «24 h», «3 d», «90 min», «24 часа», «3 дня»")


def _parsed(value: Any) -> Any:
    return parse(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_parsed)]
"""As an option's type: a text in TOML, a timedelta in code."""


def in_words(length: timedelta) -> str:
    """«24 ч», «3 д», «90 мин»: the largest unit that says it exactly."""
    seconds = int(length.total_seconds())
    for size, word in ((86400, "д"), (3600, "ч"), (60, "мин")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {word}"
    return f"{seconds} с"
