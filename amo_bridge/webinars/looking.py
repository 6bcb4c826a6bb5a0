"""Looking for a person of a webinar by what somebody remembers of him: a name, a mail, a part of a phone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from amo_bridge.text.names import normalise

# Fewer digits than these are in every number.
FEWEST_DIGITS = 3
_LIKE_A_NUMBER = re.compile(r"\+?[\d\s().-]+")
_NO_DIGIT = re.compile(r"\D")


def is_meant(sought: str, told: Iterable[str], phones: Iterable[str]) -> bool:
    """Case, «ё» and the way in which a number is typed are forgiven. ``told``: all that is said of the person;
    ``phones`` in E.164: «8 (916) 765» finds «+79167654321»."""
    return normalise(sought) in normalise(" ".join(told)) or _is_in_number(sought.strip(), phones)


def _is_in_number(sought: str, phones: Iterable[str]) -> bool:
    digits = _NO_DIGIT.sub("", sought)
    if len(digits) < FEWEST_DIGITS or not _LIKE_A_NUMBER.fullmatch(sought):
        return False
    # At home a number begins with 8, written in full with +7.
    in_full = f"7{digits[1:]}" if digits.startswith("8") else digits
    numbers = [_NO_DIGIT.sub("", phone) for phone in phones]
    return any(digits in number or number.startswith(in_full) for number in numbers)
