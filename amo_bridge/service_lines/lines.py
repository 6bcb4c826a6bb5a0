"""What service lines are, and the text that they are kept as."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from amo_bridge.text.names import normalise

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
