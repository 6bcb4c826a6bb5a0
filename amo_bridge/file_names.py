"""Comparing file names as people write them: case, «ё», quotes, spaces, the extension and transliteration forgiven.

amoCRM gives some names transliterated, and so do people's own scanners and mailers, each by a scheme of its own.
"""

from __future__ import annotations

import re
import unicodedata

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
COPY = re.compile(r"\s*\(\d+\)$")


def starts_with(file_name: str, wanted: str) -> bool:
    """Does the file's name begin with these words?"""
    name, beginning = plain(file_name), plain(wanted)
    return bool(beginning) and (name.startswith(beginning) or in_latin(name).startswith(in_latin(beginning)))


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
