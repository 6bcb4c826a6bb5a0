"""Mail addresses: which of those that people typed can be used, and how one is known again without being kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Strict enough that nothing gets into a header, loose enough for what people have.
USABLE = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?=.{4,253}$)([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]+")


def usable(typed: str) -> str | None:
    """The address in the form in which it is compared and written to; None if no mail can go there.

    A Russian domain becomes its ASCII form; Russian letters before the «@» few servers take, so they count as a slip.
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", typed)).lower().removeprefix("mailto:")
    local, at, domain = text.rpartition("@")
    if not at:
        return None
    try:
        address = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return None
    is_well_formed = USABLE.fullmatch(address) and ".." not in address and not local.startswith(".")
    return address if is_well_formed else None


def address_key(account: int, address: str) -> str:
    """A digest under which a usable address is kept: enough to know it again, not to write to it."""
    return hashlib.sha256(f"{account}\0{address}".encode()).hexdigest()
