"""A deal as handlers see it: read-only, in the account's own words, without ids to look up.

``deal`` is amoCRM's *lead* (сделка).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from amo_bridge.card import AttachedFile, Call, Contact, DoneStep, NamedBlogger, Need, Note, Task, Touches, Unread
from amo_bridge.crm.account import Stage, User
from amo_bridge.fields import Value, WithFields, as_text
from amo_bridge.text.names import normalise, same_name

__all__ = ["BUILT_IN_FIELDS", "Deal", "Stay", "Task", "Value", "as_text", "stage_is_one_of"]


def _unread(need: Need) -> Any:
    return Unread(need)


@dataclass(frozen=True)
class Stay:
    """The deal was on a stage from then on (account's clock)."""

    stage: Stage
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Deal(WithFields):
    """What is known of a deal at the moment a rule judges it: a fresh read, not the hook's words.

    amoCRM's built-in fields answer to their Russian names: «Название», «Бюджет», «Причина отказа», «Ответственный»,
    «Контакт» (or «Контактное лицо»), «Компания»; a custom field of that name, if it is filled, goes before.

    ``url`` is its card in amoCRM, ``page`` its page of the bridge.

    What a handler asks for by ``needs={…}`` is read when it looks there, so it should look at cheaper things first.
    All is read afresh but the touches, which amoCRM has no list of:

    - ``own_tasks``: the tasks that the judging rule itself set on this deal, finished ones too;
    - ``own_deals``: the addresses of the deals that it made of this one, oldest first;
    - ``own_steps``: its steps that have fallen due on this deal, oldest first;
    - ``contact_steps``: the same on other deals of the main contact;
    - ``open_tasks``, ``finished_tasks``: all tasks on the deal's card, people's too, the most urgent first;
    - ``calls``: on the cards of the deal, its contacts and its company, oldest first;
    - ``files``: attached to the deal's card or kept in its fields, oldest first;
    - ``contacts``: the deal's people with their fields, the main one first;
    - ``bloggers``: those named in the deal's service lines, each with the contacts who may be meant;
    - ``touches``: calls, letters, messages, finished tasks and moves by people, on the deal and on its contacts.

    ``stays`` needs no asking: the deal's way over the stages, the present one first, as far as it is known; empty when
    nobody knows since when the deal is where it is.
    """

    id: int
    name: str
    url: str
    stage: Stage
    page: str = ""
    price: int = 0
    responsible: User | None = None
    loss_reason: str | None = None
    tags: tuple[str, ...] = ()
    main_contact_id: int | None = None
    contact_ids: tuple[int, ...] = ()
    company_id: int | None = None
    fields: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    stays: tuple[Stay, ...] = ()
    own_tasks: tuple[Task, ...] = ()
    own_deals: tuple[str, ...] = ()
    own_steps: tuple[DoneStep, ...] = ()
    contact_steps: tuple[DoneStep, ...] = ()
    open_tasks: tuple[Task, ...] = field(default=_unread("open_tasks"), repr=False)
    finished_tasks: tuple[Task, ...] = field(default=_unread("finished_tasks"), repr=False)
    calls: tuple[Call, ...] = field(default=_unread("calls"), repr=False)
    files: tuple[AttachedFile, ...] = field(default=_unread("files"), repr=False)
    contacts: tuple[Contact, ...] = field(default=_unread("contacts"), repr=False)
    bloggers: tuple[NamedBlogger, ...] = field(default=_unread("bloggers"), repr=False)
    notes: tuple[Note, ...] = field(default=_unread("notes"), repr=False)
    touches: Touches = field(default=_unread("touches"), repr=False)

    @property
    def stage_since(self) -> datetime | None:
        """When the deal came onto its stage, if that is known."""
        return self.stays[0].since if self.stays else None

    def is_on(self, stages: Iterable[str]) -> bool:
        """Is the deal on one of these stages («Продажи / Бриф получен»)?"""
        return stage_is_one_of(self.stage.title, stages)

    def has_tag(self, tag: str) -> bool:
        return normalise(tag) in {normalise(own) for own in self.tags}

    def _built_in(self) -> dict[str, Value]:
        known: dict[str, Value | None] = {
            "Название": self.name or None,
            "Бюджет": str(self.price) if self.price else None,
            "Причина отказа": self.loss_reason,
            "Ответственный": self.responsible.name if self.responsible else None,
            "Контакт": str(self.main_contact_id) if self.main_contact_id else None,
            "Контактное лицо": str(self.main_contact_id) if self.main_contact_id else None,
            "Компания": str(self.company_id) if self.company_id else None,
        }
        return {normalise(name): value for name, value in known.items() if value is not None}


def stage_is_one_of(title: str, names: Iterable[str]) -> bool:
    """Is the stage «Воронка / Этап» among these names? A bare «Этап» fits any pipeline's stage of that name."""
    status = title.partition("/")[2]
    return any(same_name(name, title if "/" in name else status) for name in names)


BUILT_IN_FIELDS = ("Название", "Бюджет", "Причина отказа", "Ответственный", "Контакт", "Контактное лицо", "Компания")
