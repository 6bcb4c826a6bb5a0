"""What may stand in an address behind the question mark: what does not fit is refused, and in words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from typing import Any

from flask_babel import gettext as _

from amo_bridge.web.asked import MOST

Check = Callable[[str], str]
"""A value as it stands there → what would fit, in words; empty if this one does."""


def whole(least: int, most: int = MOST) -> Check:
    """A number of this range."""

    def check(told: str) -> str:
        digits = told.removeprefix("-")
        fits = digits.isascii() and digits.isdecimal() and len(digits) < 20 and least <= int(told) <= most
        return "" if fits else _("целое число от %(least)s до %(most)s", least=least, most=most)

    return check


def one_of(values: Iterable[object]) -> Check:
    """One of these."""
    known = [str(value) for value in values]
    return lambda told: "" if told in known else ", ".join(known)


def day(told: str) -> str:
    """A date."""
    try:
        fits = date.fromisoformat(told).isoformat() == told
    except ValueError:
        fits = False
    return "" if fits else _("день, например 2026-11-25")


def wrong_in(query: Mapping[str, str], known: Collection[str], checks: Mapping[str, Check]) -> str:
    """What is wrong with the parameters; empty if nothing is. ``known``: the names there are; what is left empty was
    not asked for."""
    told: list[Any] = [
        _("%(name)s: такого параметра нет; есть %(known)s", name=name, known=", ".join(known))
        for name in query
        if name not in known
    ]
    for name, check in checks.items():
        value = query.get(name, "").strip()
        if value and (fits := check(value)):
            told.append(_("%(name)s=%(value)s: годится %(fits)s", name=name, value=value[:80], fits=fits))
    return "; ".join(told)
