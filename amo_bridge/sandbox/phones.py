"""Phone numbers as amoCRM compares them: by their last ten digits (amoCRM docs, calls-api)."""

from __future__ import annotations

import re

COMPARED = 10


def tail(number: str) -> str:
    """The last ten digits; empty when there are fewer than ten, as short numbers are inner extensions."""
    digits = re.sub(r"\D", "", number)
    return digits[-COMPARED:] if len(digits) >= COMPARED else ""


def same_number(one: str, other: str) -> bool:
    return tail(one) != "" and tail(one) == tail(other)
