"""Reading an answer out of a task's result: «Согласовано», «не согласованно: слишком дорого», «2) Не согласовано».

People type results by hand, so case, «ё», spaces, punctuation, doubled letters and a number in front never decide.
What stands behind the answer is the comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"^\W*\d{1,2}\s*[).:]\s*")
_LEADING_SIGNS = re.compile(r"^[^\w«(\"]+")
_WORD = re.compile(r"\w+")
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


def _letters(text: str) -> str:
    letters = "".join(_WORD.findall(text.casefold().replace("ё", "е")))
    return _DOUBLED.sub(r"\1", letters)
