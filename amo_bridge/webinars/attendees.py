"""Attendees: visits of one person gathered, the time of overlapping intervals counted once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import platforms
from amo_bridge.webinars.formats.model import Export, ExportError, Interval, Visit
from amo_bridge.webinars.formats.tables import WORDS


def covered(intervals: Iterable[Interval]) -> float:
    """Minutes covered by at least one interval: two tabs of one browser don't make an hour of half an hour."""
    total = timedelta()
    reached: datetime | None = None
    for start, end in sorted(intervals):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total.total_seconds() / 60


# Visits → people: whoever has several rows, tabs or files is one person with his minutes counted once.
#
# Two rows are one person if they share a mail address; or a phone, unless their mail addresses say that they are two (a
# family has one phone). Whoever left neither can't be told from anybody: he is told apart by name and IP only within
# his file (or by name and minutes, where each of several files has just one such), and never becomes a deal.

Figure = Literal["minutes", "buttons"]


@dataclass(frozen=True, kw_only=True)
class Attendee:
    """A person at one webinar. ``key`` is the same in every file that tells of him by the same address or number.

    ``buttons`` as the platform calls them. ``odd``: what stood in cells and can't be read, in words. ``guest_word``: as
    in Visit. ``places``: the rows he is told of in. ``same_phone``: names of others in these files who left the same
    number. ``minutes_by`` and ``buttons_by``: the kinds of files that speak of these; ``unknown``: of what none of them
    does. ``left_out``: why he is no client (Russian); empty for everybody else.
    """

    key: str
    name: str
    held_on: date
    minutes: float
    mails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    guest_word: str = ""
    buttons: tuple[str, ...] = ()
    is_banned: bool = False
    places: tuple[str, ...] = ()
    same_phone: tuple[str, ...] = ()
    minutes_by: tuple[str, ...] = ()
    buttons_by: tuple[str, ...] = ()
    unknown: tuple[Figure, ...] = ()
    city: str = ""
    left_out: str = ""


@dataclass(frozen=True)
class _DatedVisit:
    """A visit, and which file and day it is of. ``number``: its place among all rows."""

    number: int
    file: int
    export: Export
    day: date
    visit: Visit


def gather(
    exports: Sequence[Export], held_on: date | None = None, staff: Iterable[str] = ()
) -> dict[date, list[Attendee]]:
    """People by the day of the webinar, in the files' order. ``held_on``: the day as a person told it, which beats what
    the files tell. ``staff``: mail domains and addresses of the agency's own people.

    Raises ExportError when nobody tells the day.
    """
    days: dict[date, list[_DatedVisit]] = defaultdict(list)
    for file, export in enumerate(exports):
        is_beaten = held_on is not None and not has_several_days(export, held_on)
        told = days_of(export)
        # Whoever came and never left has no day of his own; the others of his file have.
        usual = export.held_on or (told[0] if len(told) == 1 else held_on)
        for visit in export.visits:
            day = held_on if is_beaten else visit.came_on or usual
            if day is None:
                raise NoDay(_no_day(visit))
            days[day].append(_DatedVisit(len(days[day]), file, export, day, visit))
    own = [domain.casefold().lstrip("@") for domain in staff]
    return {day: [_without_staff(person, own) for person in _people(days[day])] for day in sorted(days)}


def days_of(export: Export) -> list[date]:
    """The days of the webinars that a file tells, of those who were there."""
    return sorted({day for visit in export.visits if not visit.left_out and (day := visit.came_on or export.held_on)})


def has_several_days(export: Export, held_on: date) -> bool:
    """Whether a file is about several webinars, one of them on the day that a person named."""
    days = days_of(export)
    return len(days) > 1 and held_on in days


def _without_staff(person: Attendee, own: Sequence[str]) -> Attendee:
    for mail in person.mails:
        domain = mail.rpartition("@")[2]
        if any(mail == one or domain == one or domain.endswith(f".{one}") for one in own):
            return replace(person, left_out=person.left_out or platforms.STAFF.format(mail=mail))
    return person


class NoDay(ExportError):
    """Nobody tells the day of the webinar (Russian)."""


def _no_day(visit: Visit) -> str:
    if written := visit.odd.get("date"):
        return f"{visit.place}: дата «{written}» не читается; исправьте её в файле или назовите день сами"
    return f"{visit.place}: в файле нет даты вебинара, назовите её сами"


def _people(told: Sequence[_DatedVisit]) -> list[Attendee]:
    groups = sorted(_same_guests(_by_phone(_by_mail(told))), key=lambda group: min(one.number for one in group))
    people = [_person(group) for group in groups]
    owners: dict[str, list[Attendee]] = defaultdict(list)
    for person in people:
        for phone in person.phones:
            owners[phone].append(person)
    return [replace(person, same_phone=_others(person, owners)) for person in people]


def _others(person: Attendee, owners: Mapping[str, Sequence[Attendee]]) -> tuple[str, ...]:
    others = [other for phone in person.phones for other in owners[phone] if other is not person]
    return tuple(dict.fromkeys(other.name or ", ".join(other.mails) for other in others))


def _by_mail(told: Sequence[_DatedVisit]) -> list[list[_DatedVisit]]:
    """Rows that share an address, together; a row with two addresses joins what either of them names."""
    groups: list[list[_DatedVisit]] = []
    of_mail: dict[str, int] = {}
    for one in told:
        known = sorted({of_mail[mail] for mail in one.visit.mails if mail in of_mail})
        home = known[0] if known else len(groups)
        if not known:
            groups.append([])
        groups[home].append(one)
        for other in known[1:]:
            groups[home] += groups[other]
            groups[other] = []
        for mail in (mail for member in groups[home] for mail in member.visit.mails):
            of_mail[mail] = home
    return [group for group in groups if group]


def _by_phone(groups: list[list[_DatedVisit]]) -> list[list[_DatedVisit]]:
    """Groups without an address join the first that has their number, or their name and IP if they left no number."""
    people: list[list[_DatedVisit]] = []
    owner: dict[object, list[_DatedVisit]] = {}
    for group in sorted(groups, key=lambda group: not _mails(group)):
        marks: list[object] = [*_phones(group)]
        if not marks and not _mails(group):
            marks = [(group[0].file, normalise(group[0].visit.name), group[0].visit.ip)]
        home = None if _mails(group) else next((owner[mark] for mark in marks if mark in owner), None)
        if home is None:
            people.append(group)
        else:
            home += group
        for mark in marks:
            owner.setdefault(mark, home or group)
    return people


def _same_guests(groups: list[list[_DatedVisit]]) -> list[list[_DatedVisit]]:
    """Several files about one webinar, and in each of them just one «Гость» without an address who was there for so
    many minutes: he is one."""
    alike: dict[tuple[str, float], list[list[_DatedVisit]]] = defaultdict(list)
    for group in groups:
        if not _mails(group) and not _phones(group) and (mark := _mark(group)):
            alike[mark].append(group)
    for some in alike.values():
        files = [{one.file for one in group} for group in some]
        if len(set().union(*files)) == sum(map(len, files)):
            for other in some[1:]:
                some[0].extend(other)
                other.clear()
    return [group for group in groups if group]


def _mark(group: Sequence[_DatedVisit]) -> tuple[str, float] | None:
    name, minutes = normalise(group[0].visit.name), round(_minutes(group), 1)
    return (name, minutes) if name and minutes else None


def _mails(group: Iterable[_DatedVisit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(mail for one in group for mail in one.visit.mails))


def _phones(group: Iterable[_DatedVisit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(phone for one in group for phone in one.visit.phones))


def _person(group: Sequence[_DatedVisit]) -> Attendee:
    everything = [one.visit for one in group]
    mails, phones = _mails(group), _phones(group)
    name = next((visit.name for visit in everything if visit.name), "")
    left_out = _left_out(everything, name, mails)
    if not left_out:
        # Rows that tell of an absence, or of the waiting room, are no presence.
        group = [one for one in group if not one.visit.left_out]
    visits = [one.visit for one in group]
    by: dict[Figure, tuple[str, ...]] = {
        "minutes": _sources(one for one in group if one.visit.intervals or one.visit.minutes is not None),
        "buttons": _sources(one for one in group if one.export.knows_buttons or one.visit.buttons),
    }
    return Attendee(
        key=_key(mails, phones, everything[0]),
        name=name,
        held_on=group[0].day,
        minutes=_minutes(group),
        mails=mails,
        phones=phones,
        unreadable=tuple(dict.fromkeys(number for visit in everything for number in visit.unreadable)),
        odd=tuple(dict.fromkeys(f"{WORDS[name]} «{told}»" for visit in everything for name, told in visit.odd.items())),
        guest_word=next((visit.guest_word for visit in everything if visit.guest_word), ""),
        buttons=tuple(dict.fromkeys(button for visit in visits for button in visit.buttons)),
        is_banned=any(visit.is_banned for visit in visits),
        places=tuple(visit.place for visit in everything),
        minutes_by=by["minutes"],
        buttons_by=by["buttons"],
        unknown=tuple(figure for figure, sources in by.items() if not sources),
        city=next((visit.city for visit in visits if visit.city), ""),
        left_out=left_out,
    )


def _left_out(visits: Sequence[Visit], name: str, mails: Sequence[str]) -> str:
    """A host is one in every row; whoever was absent in one row may have come in another."""
    if hosting := next((visit.left_out for visit in visits if visit.is_host), ""):
        return hosting
    reasons = [visit.left_out for visit in visits]
    if all(reasons):
        return reasons[0]
    return platforms.TEST if platforms.is_test(name, mails) else ""


def _sources(group: Iterable[_DatedVisit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.export.source for one in group))


def _key(mails: Sequence[str], phones: Sequence[str], visit: Visit) -> str:
    return key_of(mails[0] if mails else phones[0] if phones else f"{visit.place}\0{visit.name}")


def key_of(address: str) -> str:
    """The key of whoever is told of by this mail, or by this phone and no mail."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]


def _minutes(group: Sequence[_DatedVisit]) -> float:
    """Files about one webinar may overlap: what intervals cover, or the most that one file alone tells."""
    by_file: dict[int, list[Visit]] = defaultdict(list)
    for one in group:
        by_file[one.file].append(one.visit)
    told = [
        _stayed([visit for visit in visits if visit.intervals])
        + sum(visit.minutes or 0 for visit in visits if not visit.intervals)
        for visits in by_file.values()
    ]
    return max(_stayed([one.visit for one in group if one.visit.intervals]), *told)


def _stayed(visits: Sequence[Visit]) -> float:
    """What the intervals cover, less the time that the file says somebody was away in between."""
    whole = covered(interval for visit in visits for interval in visit.intervals)
    counted = [visit.minutes for visit in visits]
    if not counted or any(minutes is None for minutes in counted):
        return whole
    told = sum(minutes for minutes in counted if minutes is not None)
    # Platforms round minutes row by row.
    return told if told < whole - len(visits) else whole
