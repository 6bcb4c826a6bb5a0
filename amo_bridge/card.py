"""What lies on a deal's card beside its fields: tasks, calls, files, people, touches — as rules see them.

A rule asks for it by ``needs={"open_tasks"}`` and finds it as the deal's attribute of that name. What it did not ask
for is ``Unread``: looking at it is a mistake that shows itself, instead of an empty list that lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NoReturn, Self

from amo_bridge.fields import Value, WithFields
from amo_bridge.text.names import normalise

Need = Literal[
    "own_tasks",
    "own_deals",
    "own_steps",
    "contact_steps",
    "open_tasks",
    "finished_tasks",
    "calls",
    "files",
    "contacts",
    "bloggers",
    "touches",
    "notes",
]
Direction = Literal["in", "out", ""]


class NotRead(Exception):
    """A rule looked at what has not been read. The engine reads it and asks again, if the rule's ``needs`` name it."""

    def __init__(self, need: str) -> None:
        self.need = need
        super().__init__(f"«{need}» не прочитано: обработчик должен попросить об этом — needs={{{need!r}}}")


class Unread(tuple[Any, ...]):
    """Stands where something has not been read: it has no length and no elements, only ``NotRead``."""

    need: str

    def __new__(cls, need: Need) -> Self:
        self = super().__new__(cls)
        self.need = need
        return self

    def _refuse(self, *_: object) -> NoReturn:
        raise NotRead(self.need)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotRead(self.need)

    __iter__ = __len__ = __bool__ = __contains__ = __getitem__ = __add__ = _refuse

    def __repr__(self) -> str:
        return f"Unread({self.need!r})"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task. ``slot`` is the mark its rule gave it and ``made_by`` that rule's name (both empty for people's tasks);
    ``is_own``: the rule that asks has set it itself.

    ``responsible_user_id`` and ``created_by`` are users' ids, 0 a robot's. ``changed_at``: when it was changed last;
    of a finished task mostly when it was finished. ``task_type``: its name, known of tasks on the card; None for
    «Связаться», which is nobody's choice.
    """

    id: int
    text: str
    is_completed: bool
    due: datetime
    responsible_user_id: int
    slot: str = ""
    result: str | None = None
    task_type_id: int = 1
    task_type: str | None = None
    created_by: int = 0
    created_at: datetime | None = None
    changed_at: datetime | None = None
    made_by: str = ""
    is_own: bool = False


@dataclass(frozen=True)
class DoneStep:
    """A step of a schedule that has fallen due, whatever was decided then. ``anchor``: what it was counted from.
    ``deal_id``: on which deal; 0 where that is plain."""

    name: str
    anchor: str
    deal_id: int = 0


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call on the deal's card, or on the card of one of its contacts or its company (``on``: deal, contact, company).

    ``direction``: in or out. ``seconds``: its length. ``link``: the recording, None when there is none (yet).
    ``user_id``: who talked, 0 or None when amoCRM does not know. ``status`` is amoCRM's call_status (4 talked, 6 not
    reached …). ``phone`` as the telephone exchange wrote it, ``uniq`` its own name for the call.
    """

    id: int
    direction: Literal["in", "out"]
    at: datetime
    seconds: int = 0
    link: str | None = None
    phone: str | None = None
    user_id: int | None = None
    status: int | None = None
    result: str | None = None
    uniq: str | None = None
    on: str = "deal"

    def is_talk(self, at_least: int = 30) -> bool:
        """Did they talk: was the call at least so many seconds long?"""
        return self.seconds >= at_least


@dataclass(frozen=True, kw_only=True)
class NamedBlogger:
    """A blogger of the deal's service lines, and the contacts who may be meant: exactly one if it is clear who."""

    name: str
    contact_ids: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Note:
    """A text note («примечание») on the deal's card. ``user_id``: who wrote it, 0 for a robot or an integration."""

    id: int
    text: str
    at: datetime
    user_id: int = 0


@dataclass(frozen=True, kw_only=True)
class AttachedFile:
    """A file on the deal's card. ``name`` is the original one where amoCRM tells it (it also keeps transliterated
    ones: ``other_name``). ``at`` and ``user_id``: when and by whom, None when amoCRM does not tell. ``uuid``: the
    file's name in amoCRM's storage."""

    name: str
    uuid: str | None = None
    other_name: str = ""
    at: datetime | None = None
    user_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Contact(WithFields):
    """A contact of the deal. ``phones`` in E.164 («+79161234567») and ``mails`` in lower case: what is neither is among
    the ``fields`` only, as people typed it. Built in: «Имя»."""

    id: int
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    is_main: bool = False
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    responsible_user_id: int = 0
    company_id: int | None = None
    deal_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    def _built_in(self) -> dict[str, Value]:
        return {normalise("Имя"): self.name} if self.name else {}


@dataclass(frozen=True, kw_only=True)
class Touch:
    """One contact with the client, or one piece of work by a person on the deal.

    ``kind``: call, mail, chat, sms, task (finished) or move (of the stage). ``direction``: in is the client's, out is
    ours, empty for tasks and moves. ``user_id``: who it was of ours, None if amoCRM does not tell. ``seconds``: of a
    call, its length.
    """

    kind: str
    direction: Direction
    at: datetime
    user_id: int | None = None
    seconds: int = 0

    @property
    def is_clients(self) -> bool:
        return self.direction == "in"


class Touches(tuple[Touch, ...]):
    """A deal's touches, oldest first."""

    def since(self, moment: datetime, until: datetime | None = None) -> Touches:
        """Those from this moment on, and before ``until`` if that is given."""
        return Touches(one for one in self if one.at >= moment and (until is None or one.at < until))

    def of(self, *kinds: str) -> Touches:
        """Those of these kinds."""
        return Touches(one for one in self if one.kind in kinds)

    def by_client(self) -> Touches:
        """What the client did: called, wrote."""
        return Touches(one for one in self if one.is_clients)

    @property
    def last(self) -> Touch | None:
        """The newest; None if there is none."""
        return self[-1] if self else None
