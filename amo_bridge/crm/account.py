"""What an account is made of: pipelines, stages, fields, users and the like, each read from its API v4 JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.values import embedded, flag, identifier, integer, row_list, told_text
from amo_bridge.errors import AmbiguousName, CrmRefused, UnknownName
from amo_bridge.text.names import nearest, same_name

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


# Reading all names of an account: some eight requests, gathered as the JSON that amoCRM gave.

ENTITIES = ("leads", "contacts", "companies")
WITH = "amojo_id,task_types,datetime_settings,drive_url,is_api_filter_enabled"


def gather(client: CrmClient) -> dict[str, Any]:
    """Everything an Account is made of. Needs an administrator's token: users are closed to others (CrmForbidden)."""
    return {
        "account": client.get("/api/v4/account", {"with": WITH}) or {},
        "pipelines": list(client.pages("/api/v4/leads/pipelines", None, "pipelines")),
        "fields": {
            entity: list(client.pages(f"/api/v4/{entity}/custom_fields", None, "custom_fields")) for entity in ENTITIES
        },
        "users": [_without_rights(row) for row in client.pages("/api/v4/users", None, "users")],
        "loss_reasons": _loss_reasons(client),
    }


def _loss_reasons(client: CrmClient) -> list[dict[str, Any]]:
    try:
        return list(client.pages("/api/v4/leads/loss_reasons", None, "loss_reasons"))
    except CrmRefused:
        # An account may have them switched off; then there are none to name.
        return []


def _without_rights(row: dict[str, Any]) -> dict[str, Any]:
    """A user without the long tables of rights that nobody here reads."""
    rights = row.get("rights") or {}
    kept = {key: row.get(key) for key in ("id", "name", "email")}
    return {**kept, "rights": {key: rights.get(key) for key in ("is_active", "is_admin")}}


# The account's names: what a config calls «Продажи / Бриф получен» is a pair of ids to amoCRM, and here is which.
#
# Look-ups forgive case, ё, quotes and spaces, and raise UnknownName with the nearest right name.

__all__ = ["Account", "Field", "LossReason", "Option", "Pipeline", "Stage", "TaskType", "User"]

Named = TypeVar("Named")
USUAL_ZONE = "Europe/Moscow"
_ENTITY_WORDS = {"leads": "поля сделки", "contacts": "поля контакта", "companies": "поля компании"}


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account and everything in it that has a name. ``timezone`` is a zone's name, ``currency`` a code
    («RUB»), ``drive_url`` the files' host."""

    id: int
    name: str
    subdomain: str
    amojo_id: str
    current_user_id: int
    timezone: str
    currency: str
    drive_url: str
    is_api_filter_enabled: bool
    pipelines: tuple[Pipeline, ...]
    stages: tuple[Stage, ...]
    all_fields: tuple[Field, ...]
    users: tuple[User, ...]
    loss_reasons: tuple[LossReason, ...]
    task_types: tuple[TaskType, ...]
    source: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, client: CrmClient) -> Self:
        """Ask amoCRM for everything. Raises CrmError."""
        return cls.from_json(gather(client))

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """The account that ``to_json`` told of."""
        account: Row = told["account"]
        pipelines, stages = pipelines_and_stages(told["pipelines"])
        return cls(
            id=integer(account.get("id")) or 0,
            name=told_text(account.get("name")),
            subdomain=told_text(account.get("subdomain")),
            amojo_id=told_text(account.get("amojo_id")),
            current_user_id=integer(account.get("current_user_id")) or 0,
            timezone=_timezone(account),
            currency=told_text(account.get("currency")),
            drive_url=told_text(account.get("drive_url")),
            is_api_filter_enabled=flag(account.get("is_api_filter_enabled")) or False,
            pipelines=pipelines,
            stages=stages,
            all_fields=tuple(Field.from_api(row, entity) for entity, rows in told["fields"].items() for row in rows),
            users=tuple(User.from_api(row) for row in told["users"]),
            loss_reasons=tuple(LossReason.from_api(row) for row in told["loss_reasons"]),
            task_types=tuple(TaskType.from_api(row) for row in embedded(account, "task_types")),
            source=told,
        )

    def to_json(self) -> Mapping[str, Any]:
        """Everything as JSON, for keeping."""
        return self.source

    def pipeline(self, name: str) -> Pipeline:
        """A pipeline by name."""
        fitting = [one for one in self.pipelines if same_name(one.name, name)]
        return _one("воронки", name, _living(fitting), [one.name for one in self.pipelines], lambda one: str(one.id))

    def stage(self, name: str) -> Stage:
        """A stage by «Воронка / Этап», or by «Этап» alone if only one pipeline has it."""
        archived = {one.id for one in self.pipelines if one.is_archived}
        full = [stage for stage in self.stages if same_name(stage.title, name)]
        fitting = full or [stage for stage in self.stages if same_name(stage.name, name)]
        living = [stage for stage in fitting if stage.pipeline_id not in archived] or fitting
        return _one("этапа", name, living, self._spellings(name), lambda stage: stage.title)

    def stage_of(self, pipeline_id: int, status_id: int) -> Stage:
        """A stage by its ids. Raises UnknownName: it may be newer than this copy of the account."""
        for stage in self.stages:
            if stage.key == (pipeline_id, status_id):
                return stage
        raise UnknownName("этапа", f"{pipeline_id} / {status_id}")

    def has_stage(self, pipeline_id: int, status_id: int) -> bool:
        """Whether the pipeline has such a status."""
        return any(stage.key == (pipeline_id, status_id) for stage in self.stages)

    def fields(self, entity: str = "leads") -> tuple[Field, ...]:
        """The custom fields of an entity type (leads, contacts, companies)."""
        return tuple(one for one in self.all_fields if one.entity == entity)

    def field(self, name: str, entity: str = "leads") -> Field:
        """A custom field by name, by code (PHONE) or, when names repeat, by id."""
        fields = self.fields(entity)
        fitting = [one for one in fields if same_name(one.name, name)]
        fitting = fitting or [one for one in fields if name in (one.code, str(one.id))]
        kind = _ENTITY_WORDS.get(entity, "поля")
        return _one(kind, name, fitting, [one.name for one in fields], lambda one: f"{one.id} ({one.type})")

    def option(self, field: Field, value: str) -> Option:
        """A choice of a field by its text."""
        fitting = [one for one in field.enums if same_name(one.value, value)]
        values = [one.value for one in field.enums]
        return _one(f"варианта поля «{field.name}»", value, fitting[:1], values, lambda one: one.value)

    def user(self, name_or_email: str) -> User:
        """A user by name or e-mail. One who was switched off is only found when nobody else fits."""
        fitting = [one for one in self.users if same_name(one.name, name_or_email)]
        fitting = fitting or [one for one in self.users if one.email.casefold() == name_or_email.strip().casefold()]
        active = [one for one in fitting if one.is_active] or fitting
        names = [told for one in self.users for told in (one.name, one.email) if told]
        return _one("пользователя", name_or_email, active, names, lambda one: one.email or str(one.id))

    def loss_reason(self, name: str) -> LossReason:
        """A loss reason by name."""
        fitting = [one for one in self.loss_reasons if same_name(one.name, name)]
        return _one("причины отказа", name, fitting[:1], [one.name for one in self.loss_reasons], lambda one: one.name)

    def task_type(self, name: str) -> TaskType:
        """A task type by name or code."""
        fitting = [one for one in self.task_types if same_name(one.name, name) or one.code == name]
        return _one("типа задачи", name, fitting[:1], [one.name for one in self.task_types], lambda one: one.name)

    def _spellings(self, name: str) -> list[str]:
        return [stage.title if "/" in name else stage.name for stage in self.stages]


def _one(
    kind: str, name: str, fitting: Sequence[Named], names: Iterable[str], full_name: Callable[[Named], str]
) -> Named:
    if not fitting:
        raise UnknownName(kind, name, nearest=nearest(name, names))
    if len(fitting) > 1:
        raise AmbiguousName(kind, name, [full_name(one) for one in fitting])
    return fitting[0]


def _living(pipelines: list[Pipeline]) -> list[Pipeline]:
    return [one for one in pipelines if not one.is_archived] or pipelines


def _timezone(account: Row) -> str:
    settings = (*embedded(account, "datetime_settings"), *row_list(account.get("datetime_settings")))
    return next((told_text(one["timezone"]) for one in settings if one.get("timezone")), USUAL_ZONE)
