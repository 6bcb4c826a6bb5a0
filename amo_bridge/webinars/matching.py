"""Who is this? A person's mail and phones against the contacts' index; in doubt nobody is taken for anybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from amo_bridge.webinars.attendees import Attendee

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


def match(one: Attendee, found: Found) -> Match:
    """The one contact that all signs agree on, or at least don't contradict."""
    mails, phones = _owners(one.mails, found.by_mail), _owners(one.phones, found.by_phone)
    if not mails and not phones:
        return Match(_one(one, found.earlier))
    agreed = [contact for contact in mails if contact in phones] if mails and phones else mails or phones
    if len(agreed) == 1:
        return Match(agreed[0], by_mail=agreed[0] in mails)
    candidates = tuple(dict.fromkeys((*mails, *phones)))
    if (named := _one(one, found.decided)) in candidates:
        return Match(named, by_mail=named in mails)
    return Match(candidates=candidates, doubt=_doubt(mails, phones, agreed))


def _one(one: Attendee, remembered: Mapping[str, int]) -> int | None:
    """The one contact that all his addresses speak of, as far as they speak of any."""
    contacts = {remembered[told] for told in (*one.mails, *one.phones) if told in remembered}
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
