"""Names and typed answers compared: case, «ё», quotes, spaces, extension, transliteration forgiven.

amoCRM gives some names transliterated, and so do people's own scanners and mailers, each by a scheme of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache

LATIN = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i", "й": "y",
    "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u",
    "ф": "f", "х": "h", "ц": "c", "ч": "ch", "ш": "sh", "щ": "sch", "ъ": "", "ы": "y", "ь": "", "э": "e",
    "ю": "yu", "я": "ya",
}  # fmt: skip
# Schemes (GOST 7.79, ISO 9 in ASCII, BGN, the passport's, the web's own) differ in a few letters: both sides are
# brought to one spelling of each, the roughest one (ж, й, ы are all i). The order matters.
SAME_SOUND = (
    ("shch", "sch"), ("shh", "sch"), ("kh", "h"), ("x", "h"), ("tc", "c"), ("ts", "c"), ("tz", "c"), ("cz", "c"),
    ("zh", "i"), ("j", "i"), ("y", "i"),
)  # fmt: skip
# «е» and «ё» after a vowel or a soft sign are ye, je, yo, jo or plain e.
SAME_VOWEL = (("ie", "e"), ("io", "e"))
PICTURES = (".png", ".jpg", ".jpeg", ".heic", ".webp", ".gif", ".bmp")
EXTENSION = re.compile(r"\.(?=[a-z0-9]*[a-z])[a-z0-9]{1,5}$", re.IGNORECASE)
GAP = re.compile(r"…|\.\.\.")
COPY = re.compile(r"\s*\(\d+\)$")


def starts_with(file_name: str, wanted: str) -> bool:
    """Does the file's name begin with these words? «…» between them is whatever stands there: «Договор … подписан»."""
    name, words = plain(file_name), [word for part in GAP.split(wanted) if (word := plain(part))]
    return bool(words) and (_follow(name, words) or _follow(in_latin(name), [in_latin(word) for word in words]))


def _follow(name: str, words: list[str]) -> bool:
    """Do they stand there one after the other? «Не подписан» is not «подписан»."""
    beginning, *others = words
    if not others:
        return name.startswith(beginning)
    later = "".join(rf".*?(?<!\bне )(?<!\bne )\b{re.escape(word)}" for word in others)
    return re.match(re.escape(beginning) + later, name) is not None


def is_named(file_name: str, wanted: str) -> bool:
    """Is this the file's whole name, but for the extension and the «(1)» that a browser puts on a second copy?"""
    sought = plain(wanted)
    names = {plain(file_name), plain(without_extension(file_name))} if sought else set()
    return sought in names or in_latin(sought) in {in_latin(name) for name in names}


def is_picture(file_name: str) -> bool:
    """Is it a picture by its extension, such as a screenshot?"""
    return file_name.strip().casefold().endswith(PICTURES)


def without_extension(file_name: str) -> str:
    return COPY.sub("", EXTENSION.sub("", file_name.strip()).strip())


def plain(text: str) -> str:
    """Lower case, «е» for «ё», no quotes; every run of blanks, dashes and other signs (which file systems replace or
    drop) is one space."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    text = re.sub("[«»\"'“”„‟‘’‚`´ʹʺ]", "", text)
    return re.sub(r"[\W_]+", " ", text).strip()


def in_latin(text: str) -> str:
    """The text transliterated, in one spelling whatever scheme it came in: for comparing only, not for reading."""
    latin = "".join(LATIN.get(letter, letter) for letter in text)
    for spelling, ours in SAME_SOUND:
        latin = latin.replace(spelling, ours)
    latin = re.sub(r"i+", "i", latin)
    for spelling, ours in SAME_VOWEL:
        latin = latin.replace(spelling, ours)
    return latin


# How people's names for things are compared: stages, fields, users, templates.
#
# A config is typed by hand, so letter case, ё for е, the kind of quotes and dashes, and spaces never decide.

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


def any_begins_with(texts: Iterable[str], beginnings: Iterable[str]) -> bool:
    """Whether one of the texts begins with some of these words (see ``begins_with``)."""
    beginnings = tuple(beginnings)
    return any(begins_with(text, beginning) for text in texts for beginning in beginnings)


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like ``name``, in its own spelling; None when nothing is close."""
    spelled = {normalise(candidate): candidate for candidate in candidates}
    found = get_close_matches(normalise(name), list(spelled), n=1, cutoff=CLOSE_ENOUGH)
    return spelled[found[0]] if found else None


# Reading an answer out of a task's result: «Согласовано», «не согласованно: слишком дорого», «2) Не согласовано».
#
# People type results by hand, so case, «ё», spaces, punctuation, doubled letters and a number in front never decide.
# What stands behind the answer is the comment.

_NUMBER = re.compile(r"^\W*\d{1,2}\s*[).:]\s*")
_LEADING_SIGNS = re.compile(r"^[^\w«(\"]+")
_WORD = re.compile(r"\w+")
_FIGURE = re.compile(r"\d+(?:[.,]\d+)?")
_DOUBLED = re.compile(r"(.)\1+")


def comment_after(result: str, answers: Iterable[str]) -> str | None:
    """The comment («» if there is none) when the result begins with one of these answers; None when it does not."""
    told = _NUMBER.sub("", result)
    wanted = {_letters(answer) for answer in answers} - {""}
    said = ""
    for word in _WORD.finditer(told):
        said += word.group()
        if _letters(said) in wanted:
            return _LEADING_SIGNS.sub("", told[word.end() :]).rstrip(" \t\r\n.,;")
    return None


def only_number(result: str) -> float | None:
    """The number in a result, if exactly one stands there: «12 в день», «около 1,5»; of «5–7» nobody knows which."""
    found = _FIGURE.findall(result)
    return float(found[0].replace(",", ".")) if len(found) == 1 else None


def _letters(text: str) -> str:
    letters = "".join(_WORD.findall(text.casefold().replace("ё", "е")))
    return _DOUBLED.sub(r"\1", letters)


def filled_list(text: str, values: Mapping[str, str]) -> str:
    """«{почта}, {имя}» with the values in their places; a part that comes out empty falls out with its comma.

    A value is nobody's template: braces in it stay as they are.
    """
    places = re.compile("|".join(re.escape("{" + place + "}") for place in values))
    parts = (places.sub(lambda found: values[found[0][1:-1]], part).strip() for part in text.split(","))
    return ", ".join(filter(None, parts))
