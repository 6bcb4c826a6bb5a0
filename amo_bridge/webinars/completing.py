"""What a known contact lacks of what a webinar's file says of him: an address that only the file has would be nobody's
in the next file, and the person would be there twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from amo_bridge.text.addresses import mails_in, numbers_in
from amo_bridge.webinars.attendees import Attendee
from amo_bridge.webinars.matching import Found

PHONE, MAIL = "PHONE", "EMAIL"
"""amoCRM's codes of the two fields."""


def lacking(person: Attendee, contact_id: int, found: Found, has: Mapping[int, Collection[str]]) -> tuple[str, ...]:
    """His mails and phones that the contact has not; nothing for a contact of which nobody knows what it ``has``, and
    nothing that is another contact's."""
    if contact_id not in has:
        return ()
    told = (*person.mails, *person.phones)
    taken = {*found.by_mail, *found.by_phone}
    return tuple(one for one in told if one not in has[contact_id] and one not in taken)


def in_words(addresses: Iterable[str]) -> str:
    """«добавить почту igor@example.ru, телефон +79031112233»."""
    told = (f"{'телефон' if code_of(one) == PHONE else 'почту'} {one}" for one in addresses)
    return f"добавить {', '.join(told)}"


def code_of(address: str) -> str:
    """Which field it belongs in."""
    return MAIL if "@" in address else PHONE


def addresses_in(code: str, typed: Iterable[str]) -> set[str]:
    """What a field's lines say, in the form in which addresses are compared."""
    read = mails_in if code == MAIL else numbers_in
    return {one for line in typed for one in read(line)}
