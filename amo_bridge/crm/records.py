"""Records of amoCRM's entities: API v4 JSON → frozen dataclasses.

Tolerant of what amoCRM really sends (amoCRM docs, leads-api, tasks-api, contacts-api, and seen in answers): null for no
custom fields, ``result`` as a list when empty, ``loss_reason`` as a list of one, ``is_main`` or ``main_contact``. A
deleted entity comes with its id and little more; the rest is then 0, empty or EPOCH. Times are aware UTC. User id 0 is
a robot or nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Self

from amo_bridge.crm.values import (
    api_text,
    embedded,
    field_values,
    flag,
    identifier,
    ids_of,
    integer,
    main_first,
    moment,
    money,
    names_of,
    row_list,
)
from amo_bridge.crm.values import from_plain as _from_plain
from amo_bridge.crm.values import to_plain as _to_plain
from amo_bridge.lazy.dataclasses import dataclass

EPOCH = datetime.fromtimestamp(0, UTC)
NO_FIELDS: Mapping[int, tuple[Any, ...]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Record:
    """What all entities have in common. ``from_api`` raises ValueError when there is not even an id."""

    id: int
    responsible_user_id: int = 0
    group_id: int = 0
    created_by: int = 0
    updated_by: int = 0
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH

    @classmethod
    def from_api(cls, row: Mapping[str, Any]) -> Self:
        """The record of one row of amoCRM's answer."""
        return cls(**_common(row), **cls._own(row))

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The record that ``to_json`` of this version of the bridge, or of an older one, gave."""
        return cls(**_from_plain(cls, plain))

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON; times as Unix seconds."""
        return _to_plain(self)

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class DealRecord(Record):
    """A deal (amoCRM's lead). A stage is the pair (pipeline_id, status_id): 142 and 143 are in every pipeline.

    ``contact_ids`` has the main contact first. ``fields``: custom field id → its values as amoCRM gives them (texts,
    also for numbers; bool; Unix seconds for dates; the option's text for choices; mappings for files and the like).
    """

    name: str = ""
    price: int = 0
    pipeline_id: int = 0
    status_id: int = 0
    loss_reason_id: int | None = None
    loss_reason: str | None = None
    closed_at: datetime | None = None
    tags: tuple[str, ...] = ()
    contact_ids: tuple[int, ...] = ()
    main_contact_id: int | None = None
    company_id: int | None = None
    fields: Mapping[int, tuple[Any, ...]] = field(default_factory=lambda: NO_FIELDS, hash=False)
    is_deleted: bool = False

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        contacts, main = main_first(embedded(row, "contacts"))
        reasons = embedded(row, "loss_reason")
        return {
            "name": api_text(row.get("name")),
            "price": money(row.get("price")) or 0,
            "pipeline_id": identifier(row.get("pipeline_id")) or 0,
            "status_id": identifier(row.get("status_id")) or 0,
            "loss_reason_id": identifier(row.get("loss_reason_id")),
            "loss_reason": api_text(reasons[0].get("name")) or None if reasons else None,
            "closed_at": moment(row.get("closed_at")),
            "tags": names_of(embedded(row, "tags")),
            "contact_ids": contacts,
            "main_contact_id": main,
            "company_id": next(iter(ids_of(embedded(row, "companies"))), None),
            "fields": field_values(row),
            "is_deleted": flag(row.get("is_deleted")) or False,
        }


@dataclass(frozen=True, kw_only=True)
class ContactRecord(Record):
    """A contact. ``phones`` and ``emails`` are as people typed them; ``deal_ids`` only if they were asked for."""

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    company_id: int | None = None
    deal_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    fields: Mapping[int, tuple[Any, ...]] = field(default_factory=lambda: NO_FIELDS, hash=False)
    is_deleted: bool = False

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": api_text(row.get("name")),
            "first_name": api_text(row.get("first_name")),
            "last_name": api_text(row.get("last_name")),
            "phones": _coded(row, "PHONE"),
            "emails": _coded(row, "EMAIL"),
            "company_id": next(iter(ids_of(embedded(row, "companies"))), None),
            "deal_ids": ids_of(embedded(row, "leads")),
            "tags": names_of(embedded(row, "tags")),
            "fields": field_values(row),
            "is_deleted": flag(row.get("is_deleted")) or False,
        }


@dataclass(frozen=True, kw_only=True)
class TaskRecord(Record):
    """A task. ``entity_type`` is amoCRM's plural word (leads, contacts …), None for a task on no card.

    ``duration`` in seconds. ``result`` is what was written at completion, None when nothing was.
    """

    text: str = ""
    task_type_id: int = 1
    complete_till: datetime = EPOCH
    duration: int = 0
    is_completed: bool = False
    result: str | None = None
    entity_id: int | None = None
    entity_type: str | None = None

    @property
    def deal_id(self) -> int | None:
        """The deal on whose card the task is."""
        return self.entity_id if self.entity_type == "leads" else None

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        result = row.get("result")
        return {
            "text": api_text(row.get("text")),
            "task_type_id": identifier(row.get("task_type_id")) or 1,
            "complete_till": moment(row.get("complete_till")) or EPOCH,
            "duration": integer(row.get("duration")) or 0,
            "is_completed": flag(row.get("is_completed")) or False,
            "result": api_text(result.get("text")) or None if isinstance(result, Mapping) else None,
            "entity_id": identifier(row.get("entity_id")),
            "entity_type": api_text(row.get("entity_type")) or None,
        }


@dataclass(frozen=True, kw_only=True)
class NoteRecord(Record):
    """A note. ``params`` depend on ``note_type`` (amoCRM docs, events-and-notes)."""

    entity_id: int | None = None
    note_type: str = ""
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def text(self) -> str:
        """The text of a note; empty for kinds that have none."""
        return api_text(self.params.get("text"))

    @classmethod
    def _own(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        params = row.get("params")
        return {
            "entity_id": identifier(row.get("entity_id")),
            "note_type": api_text(row.get("note_type")),
            "params": params if isinstance(params, Mapping) else {},
        }


def _common(row: Mapping[str, Any]) -> dict[str, Any]:
    number = identifier(row.get("id"))
    if number is None:
        raise ValueError("an entity without an id")
    return {
        "id": number,
        "responsible_user_id": integer(row.get("responsible_user_id")) or 0,
        "group_id": integer(row.get("group_id")) or 0,
        "created_by": integer(row.get("created_by")) or 0,
        "updated_by": integer(row.get("updated_by")) or 0,
        "created_at": moment(row.get("created_at")) or EPOCH,
        "updated_at": moment(row.get("updated_at")) or EPOCH,
    }


def _coded(row: Mapping[str, Any], code: str) -> tuple[str, ...]:
    fields = (item for item in row_list(row.get("custom_fields_values")) if item.get("field_code") == code)
    return tuple(api_text(value.get("value")) for item in fields for value in row_list(item.get("values")))
