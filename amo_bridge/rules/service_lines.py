"""Service lines: bloggers, platforms and services of a deal, the text they are kept as, their tasks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from amo_bridge.dates.due import Due
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.actions import Action, ChangeTask, CreateTask, FinishTask
from amo_bridge.rules.deal import Deal, Task
from amo_bridge.rules.option_types import ContactFieldName, CustomFieldName, PersonName, Strict, TaskTypeName, Text
from amo_bridge.rules.options import Until, task_ends
from amo_bridge.text.names import normalise, same_name

MOST_SERVICES = 6
"""Of one blogger in one deal (regulation A70)."""
LEFTOVER = "Не разобрано"
"""The heading of what could not be read; it is kept below it word for word."""
BULLET = re.compile(r"^(?:[\s\-–—−•●▪*·>]|\d{1,2}[.)](?!\d))+")
CONTACT = re.compile(r"\s*\((?:контакт|№)\s*№?\s*(\d+)\)\s*$", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class ServiceLine:
    """One service of one blogger on one platform: what tasks are set for."""

    blogger: str
    platform: str
    service: str

    @property
    def place(self) -> str:
        """The same for all of a blogger's services on one platform, however they are spelled: 16 hex digits."""
        return _digest(self.blogger, self.platform)

    def __str__(self) -> str:
        return f"{self.blogger}, {self.platform}, {self.service}"


@dataclass(frozen=True)
class Service:
    """What is done where. Raises ValueError (Russian) for what the text could not give back."""

    platform: str
    service: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "platform", _one_line(self.platform))
        object.__setattr__(self, "service", _one_line(self.service))
        if not self.platform or not self.service:
            raise ValueError("нужны и площадка, и услуга")
        if ":" in self.platform or BULLET.match(self.platform):
            raise ValueError(f"площадка «{self.platform}»: без двоеточия, тире и номера в начале")


@dataclass(frozen=True)
class Blogger:
    """A blogger and his services. ``contact_id``: his contact in amoCRM, where it is known.

    Raises ValueError (Russian) for a name of which nothing is left without bullets and colons.
    """

    name: str
    services: tuple[Service, ...] = ()
    contact_id: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _name(self.name))
        if not self.name or normalise(self.name) == normalise(LEFTOVER):
            raise ValueError("нужно имя блогера")

    @property
    def mark(self) -> str:
        """The same however the name is spelled: 16 hex digits."""
        return _digest(self.name)


@dataclass(frozen=True)
class Unread:
    """A piece of the text that could not be read, and why (Russian)."""

    text: str
    why: str

    def __str__(self) -> str:
        return f"«{self.text}» — {self.why}"


@dataclass(frozen=True)
class ServiceLines:
    """All that a deal's field says. No two bloggers have the same name."""

    bloggers: tuple[Blogger, ...] = ()
    unread: tuple[Unread, ...] = ()

    @property
    def lines(self) -> tuple[ServiceLine, ...]:
        return tuple(
            ServiceLine(blogger.name, one.platform, one.service)
            for blogger in self.bloggers
            for one in blogger.services
        )

    def as_text(self) -> str:
        """The text for the field: ``read`` gives the same lines back."""
        groups = ["\n".join(_group(blogger)) for blogger in self.bloggers]
        if self.unread:
            groups.append("\n".join([f"{LEFTOVER}:", *(piece.text for piece in self.unread)]))
        return "\n\n".join(groups)


def _group(blogger: Blogger) -> list[str]:
    contact = f" (контакт {blogger.contact_id})" if blogger.contact_id else ""
    return [f"{blogger.name}{contact}:", *(f"— {one.platform}: {one.service}" for one in blogger.services)]


def _one_line(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _name(text: str) -> str:
    """The name without what means something to the text: bullets before it, colons and a contact's number after it."""
    before = None
    while text != before:
        before, text = text, CONTACT.sub("", BULLET.sub("", _one_line(text)).rstrip(": "))
    return text


def _digest(*names: str) -> str:
    return sha256("\0".join(map(normalise, names)).encode()).hexdigest()[:16]


# What the config says about service lines: the section ``[services]``, and tasks whose texts name a line.

SomeText = Annotated[str, Field(min_length=1)]


class Platform(Strict):
    """A platform: who is responsible for it (None: the deal's manager), and the services that the page offers."""

    responsible: PersonName | None = None
    services: tuple[SomeText, ...] = ()


class ServicesSection(Strict):
    """``[services]``: which field holds the lines, how a blogger's contact is known, and the platforms."""

    field: CustomFieldName
    classification: ContactFieldName | None = None
    blogger: SomeText = "блогер"
    platforms: Annotated[dict[str, Platform], Field(min_length=1)]

    @field_validator("platforms")
    @classmethod
    def platforms_can_be_read_back(cls, platforms: dict[str, Platform]) -> dict[str, Platform]:
        for name, platform in platforms.items():
            for service in platform.services or ("услуга",):
                Service(name, service)
        return platforms

    def responsible_for(self, platform: str) -> PersonName:
        """Who is responsible for a platform; for one that the config does not know, the deal's manager."""
        known = (one.responsible for name, one in self.platforms.items() if same_name(name, platform))
        return next(known, None) or PersonName("manager")


class BloggerText(Text):
    """A text with «{ФИО}», the blogger's name."""

    LATER_PLACES: ClassVar[frozenset[str]] = frozenset({"ФИО"})


class LineText(Text):
    """A text with «{ФИО}», «{Площадка}», «{Услуга}»: the parts of a service line."""

    LATER_PLACES: ClassVar[frozenset[str]] = frozenset({"ФИО", "Площадка", "Услуга"})


class LineTask(Strict):
    """A task for every line. ``to``: None is the platform's responsible person."""

    text: LineText
    to: PersonName | None = None
    due: Due
    type: TaskTypeName | None = None
    until: Until | None = None

    def for_line(self, deal: Deal, line: ServiceLine, services: ServicesSection, *, slot: str) -> CreateTask:
        text = self.text.for_deal(deal)
        for place, value in (("ФИО", line.blogger), ("Площадка", line.platform), ("Услуга", line.service)):
            text = text.replace(f"{{{place}}}", value)
        to = self.to or services.responsible_for(line.platform)
        until = task_ends(self.until)
        return CreateTask(deal_id=deal.id, text=text, to=to, due=self.due, task_type=self.type, slot=slot, until=until)


class BloggerTask(Strict):
    """A task for every blogger."""

    text: BloggerText
    to: PersonName
    due: Due
    type: TaskTypeName | None = None
    until: Until | None = None

    def for_blogger(self, deal: Deal, name: str, *, slot: str) -> CreateTask:
        text = self.text.for_deal(deal).replace("{ФИО}", name)
        due, until = self.due, task_ends(self.until)
        return CreateTask(deal_id=deal.id, text=text, to=self.to, due=due, task_type=self.type, slot=slot, until=until)


# Text → service lines, forgiving: the field is edited by hand in amoCRM, by people who never saw this file.

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


# A rule's own tasks and the tasks that should be: what is to be done so that they agree.


def steered(deal: Deal, wanted: Sequence[CreateTask], before: Sequence[CreateTask] | None, gone: str) -> list[Action]:
    """Set, change and close the rule's own tasks so that what is ``wanted`` is there once.

    ``before``: what was wanted until now; None: nobody knows, the deal has only just come. Tasks are told apart by
    their slots, and within a slot by their texts. What was wanted before is not set again: somebody has finished it.
    A task that is not wanted any more takes the text of a new one of its slot, or is closed with the result ``gone``.
    A task whose text a person has changed is left alone as long as anything of its slot is wanted.
    """
    mine: dict[str, list[Task]] = defaultdict(list)
    for task in deal.own_open_tasks():
        mine[task.slot].append(task)
    there = {_slot_and_text(task.slot, task.text) for tasks in mine.values() for task in tasks}
    known = {_slot_and_text(one.slot, one.text) for one in wanted}
    old = None if before is None else {_slot_and_text(one.slot, one.text) for one in before}
    slots = {one.slot for one in wanted}

    def is_spare(task: Task) -> bool:
        said = _slot_and_text(task.slot, task.text)
        return said not in known and (old is None or said in old or task.slot not in slots)

    spare = {slot: [task for task in tasks if is_spare(task)] for slot, tasks in mine.items()}
    actions: list[Action] = []
    for one in _each_once(wanted):
        said = _slot_and_text(one.slot, one.text)
        if said in there or (old is not None and said in old):
            continue
        free = spare.get(one.slot)
        actions.append(ChangeTask(deal_id=deal.id, task_id=free.pop(0).id, text=one.text) if free else one)
    closed = (task for tasks in spare.values() for task in tasks)
    return actions + [FinishTask(deal_id=deal.id, task_id=task.id, result=gone) for task in closed]


def _slot_and_text(slot: str, text: str) -> tuple[str, str]:
    return slot, normalise(text)


def _each_once(wanted: Iterable[CreateTask]) -> Iterable[CreateTask]:
    """Two lines of the same words are one piece of work."""
    return {_slot_and_text(one.slot, one.text): one for one in wanted}.values()
