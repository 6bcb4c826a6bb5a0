"""Comparing file names as people write them: case, «ё», quotes, spaces, the extension and transliteration forgiven."""

from __future__ import annotations

import re
import unicodedata

LATIN = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i", "й": "y",
    "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u",
    "ф": "f", "х": "h", "ц": "c", "ч": "ch", "ш": "sh", "щ": "sch", "ъ": "", "ы": "y", "ь": "", "э": "e",
    "ю": "yu", "я": "ya",
}  # fmt: skip
# Schemes differ in a few letters: both sides are brought to one spelling of each, the roughest one (ж, й, ы are all i).
SAME_SOUND = (("shch", "sch"), ("kh", "h"), ("ts", "c"), ("zh", "i"), ("j", "i"), ("y", "i"), ("'", ""))


def starts_with(file_name: str, wanted: str) -> bool:
    """Does the file's name begin with these words? amoCRM gives some names transliterated, so that counts too."""
    name, beginning = plain(file_name), plain(wanted)
    return bool(beginning) and (name.startswith(beginning) or in_latin(name).startswith(in_latin(beginning)))


def plain(text: str) -> str:
    """Lower case, «е» for «ё», no quotes, every run of blanks, «_» and dashes one space."""
    text = unicodedata.normalize("NFC", text).casefold().replace("ё", "е")
    text = re.sub("[«»\"'“”„‘’]", "", text)
    return re.sub(r"[\s_\-–—]+", " ", text).strip()


def in_latin(text: str) -> str:
    """The text transliterated, in one spelling whatever scheme it came in: for comparing only, not for reading."""
    latin = "".join(LATIN.get(letter, letter) for letter in text)
    for spelling, ours in SAME_SOUND:
        latin = latin.replace(spelling, ours)
    return re.sub(r"i+", "i", latin)
