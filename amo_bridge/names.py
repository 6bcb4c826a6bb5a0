"""How people's names for things are compared: stages, fields, users, templates.

A config is typed by hand, so letter case, ё for е, the kind of quotes and dashes, and spaces never decide.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

_QUOTES = str.maketrans("", "", "«»„“”‟\"'’‘`")
_DASHES = re.compile(r"[‐‑‒–—−]")
_SLASH = re.compile(r"\s*/\s*")
_SPACES = re.compile(r"\s+")
CLOSE_ENOUGH = 0.6


@lru_cache(maxsize=4096)
def normalise(name: str) -> str:
    """The form in which two spellings of one name are equal; spaces around a slash become exactly one."""
    text = unicodedata.normalize("NFKC", name).casefold().replace("ё", "е").translate(_QUOTES)
    text = _DASHES.sub("-", text)
    return _SPACES.sub(" ", _SLASH.sub(" / ", text)).strip()


def same_name(a: str, b: str) -> bool:
    """Whether two spellings mean one name."""
    return normalise(a) == normalise(b)


def begins_with(text: str, beginning: str) -> bool:
    """Whether a text begins with these words, in any spelling of them; whole words only."""
    told, sought = normalise(text), normalise(beginning)
    return told.startswith(sought) and not told[len(sought) :][:1].isalnum()


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like ``name``, in its own spelling; None when nothing is close."""
    spelled = {normalise(candidate): candidate for candidate in candidates}
    found = get_close_matches(normalise(name), list(spelled), n=1, cutoff=CLOSE_ENOUGH)
    return spelled[found[0]] if found else None
