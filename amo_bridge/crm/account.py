"""An account's names: pipelines, stages, fields, users, loss reasons, task types.

What a config calls «Продажи / Бриф получен» is a pair of ids to amoCRM; ``Account`` says which. Look-ups forgive case,
ё, quotes and spaces, and raise UnknownName with the nearest right name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast

from amo_bridge.crm.records import api_text, embedded, flag, identifier, integer, row_list
from amo_bridge.errors import AmbiguousName, CrmRefused, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import nearest, normalise, same_name

if TYPE_CHECKING:
    # A command that asks amoCRM nothing starts without the libraries of the client.
    from amo_bridge.crm.client import CrmClient

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
            name=api_text(row.get("name")),
            sort=integer(row.get("sort")) or 0,
            is_main=flag(row.get("is_main")) or False,
            is_archived=flag(row.get("is_archive")) or False,
        )


@dataclass(frozen=True)
class Stage:
    """A status of a pipeline. Won (142) and lost (143) have the same id in every pipeline: only the pair is unique."""

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
        name, sort = api_text(row.get("name")), integer(row.get("sort")) or 0
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
            Option(identifier(enum.get("id")) or 0, api_text(enum.get("value")), api_text(enum.get("code")) or None)
            for enum in sorted(row_list(row.get("enums")), key=lambda enum: integer(enum.get("sort")) or 0)
        )
        return cls(
            id=identifier(row.get("id")) or 0,
            name=api_text(row.get("name")),
            code=api_text(row.get("code")) or None,
            type=api_text(row.get("type")),
            enums=tuple(options),
            entity=entity,
        )


@dataclass(frozen=True)
class User:
    """A user of the account. An inactive one stays known, but can't be given anything."""

    id: int
    name: str
    email: str = ""
    is_active: bool = True
    is_admin: bool = False

    @classmethod
    def from_api(cls, row: Row) -> Self:
        """A row of users."""
        wire_rights = row.get("rights")
        rights = wire_rights if isinstance(wire_rights, Mapping) else {}
        active = flag(rights.get("is_active"))
        return cls(
            id=identifier(row.get("id")) or 0,
            name=api_text(row.get("name")),
            email=api_text(row.get("email")),
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
        return cls(identifier(row.get("id")) or 0, api_text(row.get("name")))


@dataclass(frozen=True)
class TaskType:
    """A type of tasks. ``code`` is there for the two built-in ones: FOLLOW_UP and MEETING."""

    id: int
    name: str
    code: str | None = None

    @classmethod
    def from_api(cls, row: Row) -> Self:
        """A row of the account's task types."""
        return cls(identifier(row.get("id")) or 0, api_text(row.get("name")), api_text(row.get("code")) or None)


def pipelines_and_stages(rows: list[Row]) -> tuple[tuple[Pipeline, ...], tuple[Stage, ...]]:
    """All pipelines, and all their stages in the order of the board."""
    pipelines = sorted((Pipeline.from_api(row) for row in rows), key=lambda pipeline: pipeline.sort)
    by_id = {pipeline.id: pipeline for pipeline in pipelines}
    stages = (
        Stage.from_api(status, by_id[identifier(row.get("id")) or 0])
        for row in rows
        for status in embedded(row, "statuses")
    )
    places = {pipeline.id: place for place, pipeline in enumerate(pipelines)}
    return tuple(pipelines), tuple(sorted(stages, key=lambda stage: (places[stage.pipeline_id], stage.sort)))


# --- reading ----------------------------------------------------------------------------------------------------------

ENTITIES = ("leads", "contacts", "companies")
WITH = "amojo_id,task_types,datetime_settings,drive_url,is_api_filter_enabled"


def gather(client: CrmClient) -> dict[str, Any]:
    """Read everything an Account is made of, as the JSON that amoCRM gave: some eight requests.

    Needs an administrator's token: users are closed to others (CrmForbidden)."""
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
    """A user without the long tables of rights, which are not used."""
    rights = row.get("rights") or {}
    user = {key: row.get(key) for key in ("id", "name", "email")}
    return {**user, "rights": {key: rights.get(key) for key in ("is_active", "is_admin")}}


# --- looking up -------------------------------------------------------------------------------------------------------

__all__ = ["Account", "Field", "LossReason", "Option", "Pipeline", "Stage", "TaskType", "User"]

Named = TypeVar("Named")
DEFAULT_TIMEZONE = "Europe/Moscow"
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
        """Read the account from amoCRM. Raises CrmError."""
        return cls.from_json(gather(client))

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> Self:
        """The account of what ``to_json`` or ``gather`` gave."""
        account: Row = source["account"]
        pipelines, stages = pipelines_and_stages(source["pipelines"])
        return cls(
            id=integer(account.get("id")) or 0,
            name=api_text(account.get("name")),
            subdomain=api_text(account.get("subdomain")),
            amojo_id=api_text(account.get("amojo_id")),
            current_user_id=integer(account.get("current_user_id")) or 0,
            timezone=_timezone(account),
            currency=api_text(account.get("currency")),
            drive_url=api_text(account.get("drive_url")),
            is_api_filter_enabled=flag(account.get("is_api_filter_enabled")) or False,
            pipelines=pipelines,
            stages=stages,
            all_fields=tuple(Field.from_api(row, entity) for entity, rows in source["fields"].items() for row in rows),
            users=tuple(User.from_api(row) for row in source["users"]),
            loss_reasons=tuple(LossReason.from_api(row) for row in source["loss_reasons"]),
            task_types=tuple(TaskType.from_api(row) for row in embedded(account, "task_types")),
            source=source,
        )

    def to_json(self) -> Mapping[str, Any]:
        """Everything as JSON, to be stored."""
        return self.source

    def pipeline(self, name: str) -> Pipeline:
        """A pipeline by name."""
        matches = [pipeline for pipeline in self.pipelines if same_name(pipeline.name, name)]
        names = [pipeline.name for pipeline in self.pipelines]
        return _single("воронки", name, _not_archived(matches), names, lambda pipeline: str(pipeline.id))

    def stage(self, name: str) -> Stage:
        """A stage by «Воронка / Этап», or by «Этап» alone if only one pipeline has it."""
        archived = {pipeline.id for pipeline in self.pipelines if pipeline.is_archived}
        by_title = [stage for stage in self.stages if same_name(stage.title, name)]
        matches = by_title or [stage for stage in self.stages if same_name(stage.name, name)]
        matches = [stage for stage in matches if stage.pipeline_id not in archived] or matches
        return _single("этапа", name, matches, self._spellings(name), lambda stage: stage.title)

    @property
    def stage_titles(self) -> dict[str, list[str]]:
        """Normalised name of a stage, with its pipeline or alone → all that it may mean, as «Воронка / Этап»."""
        found: dict[str, list[str]] = {}
        for stage in self.stages:
            found.setdefault(normalise(stage.name), []).append(stage.title)
        return found | {normalise(stage.title): [stage.title] for stage in self.stages}

    def stage_of(self, pipeline_id: int, status_id: int) -> Stage:
        """A stage by its ids. Raises UnknownName: it may be newer than this copy of the account."""
        if stage := self._stages.get((pipeline_id, status_id)):
            return stage
        raise UnknownName("этапа", f"{pipeline_id} / {status_id}")

    def past_stage(self, pipeline_id: int, status_id: int) -> Stage:
        """A stage on which a deal was once: one that was deleted since then has a name of ours."""
        if self.has_stage(pipeline_id, status_id):
            return self.stage_of(pipeline_id, status_id)
        pipeline = next((one.name for one in self.pipelines if one.id == pipeline_id), f"воронка {pipeline_id}")
        return Stage(pipeline_id, status_id, pipeline, f"удалённый этап {status_id}")

    def has_stage(self, pipeline_id: int, status_id: int) -> bool:
        """Whether the pipeline has such a status."""
        return (pipeline_id, status_id) in self._stages

    @cached_property
    def _stages(self) -> Mapping[tuple[int, int], Stage]:
        return {stage.key: stage for stage in reversed(self.stages)}

    @cached_property
    def _found(self) -> dict[tuple[str, str], Any]:
        """(entity or «user», name as it was asked for) → what it means. Rules ask for the same names at each event."""
        return {}

    def fields(self, entity: str = "leads") -> tuple[Field, ...]:
        """The custom fields of an entity type (leads, contacts, companies)."""
        return tuple(field for field in self.all_fields if field.entity == entity)

    def field(self, name: str, entity: str = "leads") -> Field:
        """A custom field by name, by code (PHONE) or, when names repeat, by id."""
        if (known := self._found.get((entity, name))) is None:
            known = self._found[entity, name] = self._field(name, entity)
        return cast(Field, known)

    def _field(self, name: str, entity: str) -> Field:
        fields = self.fields(entity)
        matches = [field for field in fields if same_name(field.name, name)]
        matches = matches or [field for field in fields if name in (field.code, str(field.id))]
        kind = _ENTITY_WORDS.get(entity, "поля")
        names = [field.name for field in fields]
        return _single(kind, name, matches, names, lambda field: f"{field.id} ({field.type})")

    def option(self, field: Field, value: str) -> Option:
        """A choice of a field by its text."""
        matches = [option for option in field.enums if same_name(option.value, value)]
        values = [option.value for option in field.enums]
        return _single(f"варианта поля «{field.name}»", value, matches[:1], values, lambda option: option.value)

    def user(self, name_or_email: str) -> User:
        """A user by name or e-mail. An inactive one is only found when no other fits."""
        if (known := self._found.get(("user", name_or_email))) is None:
            known = self._found["user", name_or_email] = self._user(name_or_email)
        return cast(User, known)

    def _user(self, name_or_email: str) -> User:
        email = name_or_email.strip().casefold()
        matches = [user for user in self.users if same_name(user.name, name_or_email)]
        matches = matches or [user for user in self.users if user.email.casefold() == email]
        matches = [user for user in matches if user.is_active] or matches
        names = [text for user in self.users for text in (user.name, user.email) if text]
        return _single("пользователя", name_or_email, matches, names, lambda user: user.email or str(user.id))

    def loss_reason(self, name: str) -> LossReason:
        """A loss reason by name."""
        matches = [reason for reason in self.loss_reasons if same_name(reason.name, name)]
        names = [reason.name for reason in self.loss_reasons]
        return _single("причины отказа", name, matches[:1], names, lambda reason: reason.name)

    def task_type(self, name: str) -> TaskType:
        """A task type by name or code."""
        matches = [kind for kind in self.task_types if same_name(kind.name, name) or kind.code == name]
        names = [kind.name for kind in self.task_types]
        return _single("типа задачи", name, matches[:1], names, lambda kind: kind.name)

    def _spellings(self, name: str) -> list[str]:
        return [stage.title if "/" in name else stage.name for stage in self.stages]


def _single(
    kind: str, name: str, matches: Sequence[Named], names: Iterable[str], full_name: Callable[[Named], str]
) -> Named:
    if not matches:
        raise UnknownName(kind, name, nearest=nearest(name, names))
    if len(matches) > 1:
        raise AmbiguousName(kind, name, [full_name(match) for match in matches])
    return matches[0]


def _not_archived(pipelines: list[Pipeline]) -> list[Pipeline]:
    return [pipeline for pipeline in pipelines if not pipeline.is_archived] or pipelines


def _timezone(account: Row) -> str:
    settings = (*embedded(account, "datetime_settings"), *row_list(account.get("datetime_settings")))
    return next((api_text(row["timezone"]) for row in settings if row.get("timezone")), DEFAULT_TIMEZONE)
