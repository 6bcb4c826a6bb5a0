"""What an account is made of: pipelines, stages, fields, users and the like, each read from its API v4 JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from amo_bridge.crm.records import embedded, row_list, told_text
from amo_bridge.crm.values import flag, identifier, integer

Row = Mapping[str, Any]
StageKind = Literal["open", "won", "lost", "unsorted"]
WON, LOST = 142, 143
UNSORTED_TYPE = 1


@dataclass(frozen=True)
class Pipeline:
    """A pipeline (воронка)."""

    id: int
    name: str
    sort: int = 0
    is_main: bool = False
    is_archived: bool = False

    @classmethod
    def from_api(cls, row: Row) -> Self:
        """A row of leads/pipelines."""
        return cls(
            id=identifier(row.get("id")) or 0,
            name=told_text(row.get("name")),
            sort=integer(row.get("sort")) or 0,
            is_main=flag(row.get("is_main")) or False,
            is_archived=flag(row.get("is_archive")) or False,
        )


@dataclass(frozen=True)
class Stage:
    """A status of a pipeline. Won (142) and lost (143) have the same status id everywhere, so the pair counts."""

    pipeline_id: int
    status_id: int
    pipeline: str
    name: str
    sort: int = 0
    kind: StageKind = "open"

    @property
    def key(self) -> tuple[int, int]:
        """(pipeline_id, status_id)."""
        return (self.pipeline_id, self.status_id)

    @property
    def title(self) -> str:
        """«Воронка / Этап»."""
        return f"{self.pipeline} / {self.name}"

    @property
    def is_won(self) -> bool:
        """Успешно реализовано."""
        return self.kind == "won"

    @property
    def is_lost(self) -> bool:
        """Закрыто и не реализовано."""
        return self.kind == "lost"

    @classmethod
    def from_api(cls, row: Row, pipeline: Pipeline) -> Self:
        """A status embedded in a row of leads/pipelines."""
        status_id = identifier(row.get("id")) or 0
        kind: StageKind = "unsorted" if integer(row.get("type")) == UNSORTED_TYPE else "open"
        if status_id in (WON, LOST):
            kind = "won" if status_id == WON else "lost"
        name, sort = told_text(row.get("name")), integer(row.get("sort")) or 0
        return cls(pipeline.id, status_id, pipeline.name, name, sort, kind)


@dataclass(frozen=True)
class Option:
    """One choice of a field (amoCRM's enum)."""

    id: int
    value: str
    code: str | None = None


@dataclass(frozen=True)
class Field:
    """A custom field. ``entity`` is amoCRM's word: leads, contacts, companies. ``enums``: its choices, if any."""

    id: int
    name: str
    code: str | None
    type: str
    enums: tuple[Option, ...]
    entity: str

    @classmethod
    def from_api(cls, row: Row, entity: str) -> Self:
        """A row of {entity}/custom_fields."""
        options = (
            Option(identifier(one.get("id")) or 0, told_text(one.get("value")), told_text(one.get("code")) or None)
            for one in sorted(row_list(row.get("enums")), key=lambda one: integer(one.get("sort")) or 0)
        )
        return cls(
            id=identifier(row.get("id")) or 0,
            name=told_text(row.get("name")),
            code=told_text(row.get("code")) or None,
            type=told_text(row.get("type")),
            enums=tuple(options),
            entity=entity,
        )


@dataclass(frozen=True)
class User:
    """A person of the account. One who was switched off stays known, but can't be given anything."""

    id: int
    name: str
    email: str = ""
    is_active: bool = True
    is_admin: bool = False

    @classmethod
    def from_api(cls, row: Row) -> Self:
        """A row of users."""
        told = row.get("rights")
        rights = told if isinstance(told, Mapping) else {}
        active = flag(rights.get("is_active"))
        return cls(
            id=identifier(row.get("id")) or 0,
            name=told_text(row.get("name")),
            email=told_text(row.get("email")),
            is_active=True if active is None else active,
            is_admin=flag(rights.get("is_admin")) or False,
        )


@dataclass(frozen=True)
class LossReason:
    """A reason (причина отказа) for which deals are lost."""

    id: int
    name: str

    @classmethod
    def from_api(cls, row: Row) -> Self:
        """A row of leads/loss_reasons."""
        return cls(identifier(row.get("id")) or 0, told_text(row.get("name")))


@dataclass(frozen=True)
class TaskType:
    """A type of tasks. ``code`` is there for the two built-in ones: FOLLOW_UP and MEETING."""

    id: int
    name: str
    code: str | None = None

    @classmethod
    def from_api(cls, row: Row) -> Self:
        """A row of the account's task types."""
        return cls(identifier(row.get("id")) or 0, told_text(row.get("name")), told_text(row.get("code")) or None)


def pipelines_and_stages(rows: list[Row]) -> tuple[tuple[Pipeline, ...], tuple[Stage, ...]]:
    """All pipelines, and all their stages in the order of the board."""
    pipelines = sorted((Pipeline.from_api(row) for row in rows), key=lambda one: one.sort)
    by_id = {one.id: one for one in pipelines}
    stages = (
        Stage.from_api(status, by_id[identifier(row.get("id")) or 0])
        for row in rows
        for status in embedded(row, "statuses")
    )
    places = {one.id: place for place, one in enumerate(pipelines)}
    return tuple(pipelines), tuple(sorted(stages, key=lambda stage: (places[stage.pipeline_id], stage.sort)))
