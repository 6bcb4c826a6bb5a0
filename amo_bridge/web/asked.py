"""What stands in an address behind the question mark."""

from __future__ import annotations

from flask import request

MOST = 2**63 - 1


def number(name: str) -> int | None:
    """None if it is not there, is no number, or one that no database has room for."""
    told = request.args.get(name, type=int)
    return told if told is None or abs(told) <= MOST else None
