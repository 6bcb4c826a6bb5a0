"""Text → service lines, forgiving: the field is edited by hand in amoCRM, by people who never saw this file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from amo_bridge.service_lines.lines import (
    BULLET,
    CONTACT,
    LEFTOVER,
    MOST_SERVICES,
    Blogger,
    Service,
    ServiceLines,
    Unread,
)
from amo_bridge.text.names import normalise, same_name

_ONE_BY_ONE = [re.compile(one) for one in (r"\t+", r";\s*", r"\s*\|\s*", r"\s*×\s*", r"\s+[—–−-]\s+", r"\s+/\s+")]
_COMMA, _COLON = re.compile(r",\s+"), re.compile(r"\s*:\s*")
_SEPARATORS = (*_ONE_BY_ONE, _COMMA, _COLON)
_ANY = re.compile("|".join(f"(?:{one.pattern})" for one in (*_ONE_BY_ONE, _COMMA, re.compile(r"\s*:\s+"))))
_LABELLED = re.compile(r"(ФИО блогера|ФИО|блогер|площадка|услуга)\s*(?:№\s*)?(\d*)\s*:\s*(.+)", re.IGNORECASE)
WHOLE_LINE = 3
"""A line that says all: blogger, platform, service."""


def read(text: str, platforms: Collection[str] = ()) -> ServiceLines:
    """The lines of a field's text. ``platforms``: the known ones, which tell apart what could be read two ways.

    Never raises: what can't be read is in ``unread``, and is written back by ``as_text``.
    """
    reading = _Reading(platforms)
    rows = iter(text.splitlines())
    for row in rows:
        if same_name(row.rstrip().rstrip(":"), LEFTOVER):
            break
        reading.take(row)
    leftover = [row.strip() for row in rows if row.strip()]
    return reading.result([Unread(row, "не разобрано раньше") for row in leftover])


class _Reading:
    """The text read so far."""

    def __init__(self, platforms: Collection[str]) -> None:
        self._platforms = {normalise(one) for one in platforms}
        self._bloggers: dict[str, Blogger] = {}
        self._now: str | None = None
        self._unread: list[Unread] = []
        self._labelled: dict[str, str] = {}

    def result(self, leftover: list[Unread]) -> ServiceLines:
        self._end_of_labelled()
        return ServiceLines(tuple(self._bloggers.values()), (*self._unread, *leftover))

    def take(self, row: str) -> None:
        row = row.strip()
        if not row:
            return
        try:
            if not self._take_labelled(row):
                self._take_plain(row)
        except ValueError as error:
            self._unread.append(Unread(row, str(error)))

    def _take_plain(self, row: str) -> None:
        self._end_of_labelled()
        bare = BULLET.sub("", row)
        if not bare:
            return
        is_item = bare != row and not row[0].isdigit() and self._now is not None
        if is_item and not CONTACT.fullmatch(_two(bare)[-1]):
            self._service(_two(bare))
        elif bare.endswith(":") or CONTACT.search(bare):
            self._heading(bare)
        elif parts := self._whole_line(bare):
            self._heading(parts[0])
            self._service(parts[1:])
        elif self._now is not None:
            self._service(_two(bare))
        else:
            raise ValueError("не видно, чья это услуга: нужна строка «Имя блогера:» выше")

    def _whole_line(self, row: str) -> Sequence[str]:
        """Blogger, platform, service, if the line says all three; empty if it does not."""
        if self._now is not None and self._is_platform(_two(row)[0]):
            return ()
        for separator in _SEPARATORS:
            parts = separator.split(row, WHOLE_LINE - 1)
            if len(parts) == WHOLE_LINE:
                return parts
        parts = _ANY.split(row, WHOLE_LINE - 1)
        knows_more = self._now is None or (len(parts) == WHOLE_LINE and self._is_platform(parts[1]))
        return parts if len(parts) == WHOLE_LINE and knows_more else ()

    def _heading(self, text: str) -> None:
        contact = CONTACT.search(text.rstrip(": "))
        named = Blogger(text, contact_id=int(contact[1]) if contact else None)
        key = named.mark
        known = self._bloggers.get(key)
        if known is None:
            self._bloggers[key] = named
        elif named.contact_id and not known.contact_id:
            self._bloggers[key] = Blogger(known.name, known.services, named.contact_id)
        self._now = key

    def _service(self, parts: Sequence[str]) -> None:
        if len(parts) == 1 or not parts[1]:
            raise ValueError("нет услуги: нужно «— Площадка: услуга»")
        platform, service = parts
        if self._is_platform(service) and not self._is_platform(platform):
            platform, service = service, platform
        assert self._now is not None
        known = self._bloggers[self._now]
        if len(known.services) == MOST_SERVICES:
            raise ValueError(f"у блогера {known.name} больше {MOST_SERVICES} услуг")
        self._bloggers[self._now] = Blogger(known.name, (*known.services, Service(platform, service)), known.contact_id)

    def _is_platform(self, text: str) -> bool:
        return normalise(text) in self._platforms

    def _take_labelled(self, row: str) -> bool:
        """«ФИО блогера: …», «Услуга 1: …», «Площадка 1: …»: the form of a card with a field for each."""
        found = _LABELLED.fullmatch(row)
        if not found or row.endswith(":"):
            return False
        label, number, value = found[1].casefold(), found[2], found[3]
        if label not in ("площадка", "услуга"):
            self._end_of_labelled()
            self._heading(value)
            return True
        other = "услуга" if label == "площадка" else "площадка"
        if f"{label} {number}" in self._labelled:
            self._end_of_labelled()
        self._labelled[f"{label} {number}"] = value
        if self._now is not None and f"{other} {number}" in self._labelled:
            pair = {key: self._labelled.pop(f"{key} {number}") for key in ("площадка", "услуга")}
            self._service([pair["площадка"], pair["услуга"]])
        return True

    def _end_of_labelled(self) -> None:
        """A platform whose service never came, or the other way round."""
        self._unread += list(_lonely(self._labelled))
        self._labelled = {}


def _lonely(labelled: dict[str, str]) -> Iterator[Unread]:
    for label, value in labelled.items():
        yield Unread(f"{label.strip().capitalize()}: {value}", "нет пары: нужны и площадка, и услуга, и блогер выше")


def _two(row: str) -> Sequence[str]:
    """Platform and service: a colon parts them, or else the first separator of any kind."""
    parts = _COLON.split(row, 1)
    return parts if len(parts) > 1 else _ANY.split(row, 1)
