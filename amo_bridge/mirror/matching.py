"""Matching of people by mails and phones against the contacts' index; in doubt nobody is matched.

Shared by the webinars' imports and by enquiries: the same person is one contact, whichever way he came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Protocol

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.addresses import mails_in, numbers_in

if TYPE_CHECKING:
    from amo_bridge.mirror.contacts import MirroredContact


class Reachable(Protocol):
    """Somebody who left mails (lower case) and phones (E.164)."""

    @property
    def mails(self) -> Sequence[str]: ...

    @property
    def phones(self) -> Sequence[str]: ...


Owners = Mapping[str, Sequence[int]]
"""A mail or a phone → the contacts that have it."""


@dataclass(frozen=True)
class Found:
    """What the index says of all the mails and phones of an export. ``earlier``: mail or phone → the contact that an
    earlier import took its owner for, though the contact has it not; ``decided``: the contact that a person named."""

    by_mail: Owners = field(default_factory=dict)
    by_phone: Owners = field(default_factory=dict)
    earlier: Mapping[str, int] = field(default_factory=dict)
    decided: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """``contact_id``: who it is; None: nobody known. ``doubt``: why a person must choose among ``candidates``."""

    contact_id: int | None = None
    by_mail: bool = False
    candidates: tuple[int, ...] = ()
    doubt: str = ""


def ids_of(owners: Mapping[str, Sequence[MirroredContact]], but: Collection[int] = ()) -> dict[str, list[int]]:
    """Mail or phone → the ids of the contacts that have it, without those of ``but``."""
    left = {address: [one.id for one in some if one.id not in but] for address, some in owners.items()}
    return {address: ids for address, ids in left.items() if ids}


def match(person: Reachable, found: Found) -> Match:
    """The one contact that all signs agree on, or at least don't contradict."""
    mails, phones = _owners(person.mails, found.by_mail), _owners(person.phones, found.by_phone)
    if not mails and not phones:
        return Match(_one(person, found.earlier))
    agreed = [contact for contact in mails if contact in phones] if mails and phones else mails or phones
    if len(agreed) == 1:
        return Match(agreed[0], by_mail=agreed[0] in mails)
    candidates = tuple(dict.fromkeys((*mails, *phones)))
    if (named := _one(person, found.decided)) in candidates:
        return Match(named, by_mail=named in mails)
    return Match(candidates=candidates, doubt=_doubt(mails, phones, agreed))


def _one(person: Reachable, remembered: Mapping[str, int]) -> int | None:
    """The one contact that all his addresses speak of, as far as they speak of any."""
    contacts = {remembered[told] for told in (*person.mails, *person.phones) if told in remembered}
    return contacts.pop() if len(contacts) == 1 else None


def _doubt(mails: Sequence[int], phones: Sequence[int], agreed: Sequence[int]) -> str:
    if not agreed:
        return f"почта у контакта {_listed(mails)}, телефон у контакта {_listed(phones)}"
    what = "телефон" if not mails else "почта" if not phones else "почта и телефон"
    return f"{what} у нескольких контактов: {_listed(agreed)}"


def _owners(told: Iterable[str], owners: Owners) -> list[int]:
    return list(dict.fromkeys(contact for one in told for contact in owners.get(one, ())))


def _listed(contacts: Sequence[int]) -> str:
    return ", ".join(map(str, contacts))


# What a known contact lacks of what a webinar's file says of him: an address that only the file has would be nobody's
# in the next file, and the person would be there twice.

PHONE, MAIL = "PHONE", "EMAIL"
"""amoCRM's codes of the two fields."""


def lacking(person: Reachable, contact_id: int, found: Found, has: Mapping[int, Collection[str]]) -> tuple[str, ...]:
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
