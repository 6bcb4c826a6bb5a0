"""Mail addresses: how people type them → one form that can be compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_BETWEEN_MAILS = re.compile(r"[,;<>]|\s+(?=\S+@)")


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
    found = (mail_key(part) for part in _BETWEEN_MAILS.split(cell))
    return tuple(dict.fromkeys(address for address in found if address))


def _ascii(domain: str) -> str:
    """The domain as mail servers know it; empty if it can be none."""
    try:
        name = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return name if "." in name else ""


# Telephone numbers: how people type them → one form that can be compared and dialled (E.164, «+79161234567»).
#
# The library is imported with the first number: most commands meet none.

HOME = "RU"
# «+7 916 …; 8 (495) …»: amoCRM's one cell often holds several numbers. A slash inside «доб. 12/13» ends the extension.
_BETWEEN_PHONES = re.compile(r"[,;/\n]|\s(?:или|and|or)\s", re.IGNORECASE)
# A number without its plus, as exports and 1C write it: 79161234567, 380501234567.
_BARE = re.compile(r"\d{11,15}")
_KAZAKHSTAN = re.compile(r"\+7[67]")


@lru_cache(maxsize=65536)
def e164(typed: str, home: str = HOME) -> str | None:
    """One number in E.164, without its extension; None for what is no number. ``home``: the country of numbers typed
    without one («8916…», «916…»). A number of a neighbour's that is typed as at home there (a Ukrainian «050…») is
    not guessed at."""
    text = typed.strip()
    digits = re.sub(r"\D", "", text)
    with_plus = f"+{digits}" if _BARE.fullmatch(text) and not text.startswith("8") else text
    return _valid(with_plus, home) or _valid(text, home)


def numbers_in(cell: str, home: str = HOME) -> tuple[str, ...]:
    """All numbers of a cell in E.164, in their order, each once."""
    found = (e164(part, home) for part in (cell, *_BETWEEN_PHONES.split(cell)))
    return tuple(dict.fromkeys(number for number in found if number))


def country_of(number: str) -> str | None:
    """The country (ISO code) of a number in E.164; None if it has none (satellites, services) or is no number."""
    if _KAZAKHSTAN.match(number):
        # Kazakhstan has +76 and +77; the library does not know +760….
        return "KZ"
    from phonenumbers import NumberParseException, parse, region_code_for_number

    try:
        return region_code_for_number(parse(number))
    except NumberParseException:
        return None


def all_abroad(numbers: Iterable[str], home: str = HOME) -> bool:
    """Are there numbers (E.164), and is none of them of this country? Kazakhstan's +77 is not Russia's."""
    countries = [country_of(number) for number in numbers]
    return bool(countries) and home not in countries


def is_landline(number: str) -> bool:
    """Is it (E.164) a fixed telephone, which takes no SMS?"""
    from phonenumbers import NumberParseException, PhoneNumberType, number_type, parse

    try:
        return number_type(parse(number)) in (PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE)
    except NumberParseException:
        return False


def _valid(text: str, home: str) -> str | None:
    import phonenumbers as library

    try:
        number = library.parse(text, home)
    except library.NumberParseException:
        return None
    told = str(library.format_number(number, library.PhoneNumberFormat.E164))
    is_known = library.is_valid_number(number) or (_KAZAKHSTAN.match(told) and library.is_possible_number(number))
    return told if is_known else None
