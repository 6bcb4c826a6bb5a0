"""A deal as handlers see it: read-only, in the account's own words, without ids to look up.

``deal`` is amoCRM's *lead* (сделка).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

from amo_bridge.crm.account import Stage, User
from amo_bridge.names import normalise, same_name

Value = str | bool | date | datetime | tuple[str, ...]
"""A field's value: text (numbers too, as amoCRM gives them), bool (checkbox), date, datetime, or several texts."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task on the deal's card. ``slot`` is the mark its rule gave it (empty for people's tasks)."""

    id: int
    text: str
    is_completed: bool
    due: datetime
    responsible_user_id: int
    slot: str = ""
    result: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deal:
    """What is known of a deal at the moment a rule judges it: a fresh read, not the hook's words.

    ``own_tasks`` are the tasks that the judging rule itself set on this deal, filled when the handler asks for it by
    ``needs={"own_tasks"}``.
    """

    id: int
    name: str
    url: str
    stage: Stage
    price: int = 0
    responsible: User | None = None
    loss_reason: str | None = None
    tags: tuple[str, ...] = ()
    main_contact_id: int | None = None
    contact_ids: tuple[int, ...] = ()
    company_id: int | None = None
    fields: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    own_tasks: tuple[Task, ...] = ()

    def value(self, name: str) -> Value | None:
        """The value of a field by its name, case and «ё» forgiven; None when empty.

        amoCRM's built-in fields answer to their Russian names: «Название», «Бюджет», «Причина отказа»,
        «Ответственный», «Контакт», «Компания», unless the account has a custom field of that name.
        """
        wanted = normalise(name)
        for field_name, value in self.fields.items():
            if normalise(field_name) == wanted:
                return value
        return self._built_in().get(wanted)

    def text(self, name: str) -> str:
        """The value as a person would write it; empty when there is none."""
        value = self.value(name)
        return "" if value is None else as_text(value)

    def has(self, name: str) -> bool:
        """Is the field filled? A checkbox counts only when it is ticked, a budget only above 0."""
        return self.value(name) not in (None, "", (), False)

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
            "Компания": str(self.company_id) if self.company_id else None,
        }
        return {normalise(name): value for name, value in known.items() if value is not None}


def stage_is_one_of(title: str, names: Iterable[str]) -> bool:
    """Is the stage «Воронка / Этап» among these names? A bare «Этап» fits any pipeline's stage of that name."""
    status = title.partition("/")[2]
    return any(same_name(name, title if "/" in name else status) for name in names)


BUILT_IN_FIELDS = ("Название", "Бюджет", "Причина отказа", "Ответственный", "Контакт", "Компания")


def as_text(value: Value) -> str:
    """A value in the words people use: 31.12.2026, да/нет, a list with commas."""
    if isinstance(value, bool):
        return "да" if value else "нет"
    if isinstance(value, datetime):
        return value.strftime("%d.%m.%Y %H:%M")
    if isinstance(value, date):
        return value.strftime("%d.%m.%Y")
    if isinstance(value, tuple):
        return ", ".join(value)
    return value
