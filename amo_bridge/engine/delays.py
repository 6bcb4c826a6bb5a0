"""How long to wait before trying again."""

from __future__ import annotations

FIRST, MOST = 2.0, 3600.0


def delay(attempt: int) -> float:
    """Seconds before try number ``attempt`` + 1: 2, 4, 8 … an hour at most."""
    return float(min(FIRST * 2 ** (max(attempt, 1) - 1), MOST))
