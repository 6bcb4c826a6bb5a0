"""Mail addresses: how people type them → one form that can be compared."""

from __future__ import annotations

import re
import unicodedata

_BETWEEN = re.compile(r"[,;<>]|\s+(?=\S+@)")


def mail_key(typed: str) -> str | None:
    """The address in lower case, without blanks and invisible characters, its domain in ASCII («почта.рф» becomes
    «xn--…»); None for what is no address.

    Letter case of the name's part is forgiven as all large mail services do, though the standard would keep it.
    """
    text = "".join(char for char in typed if not char.isspace() and unicodedata.category(char) != "Cf").casefold()
    name, at, domain = text.rpartition("@")
    ascii_domain = _ascii(domain.rstrip("."))
    return f"{name}@{ascii_domain}" if at and name and "@" not in name and ascii_domain else None


def mails_in(cell: str) -> tuple[str, ...]:
    """All addresses of a cell, in their order, each once."""
    found = (mail_key(part) for part in _BETWEEN.split(cell))
    return tuple(dict.fromkeys(address for address in found if address))


def _ascii(domain: str) -> str:
    """The domain as mail servers know it; empty if it can be none."""
    try:
        name = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return name if "." in name else ""
