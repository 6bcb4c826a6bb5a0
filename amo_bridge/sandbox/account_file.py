"""Account file: strict JSON that describes an account at its start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from amo_bridge.errors import BridgeError, why_not

AGENCY = Path(__file__).with_name("agency.json")
"""The marketing agency with blogger projects that the shipped configuration is written for."""

SCHOOL = AGENCY.with_name("school.json")
"""A school that sells its course after webinars: examples/webinar.toml is written for it."""

CLIENTS = AGENCY.with_name("client_department.json")
"""A client department of an agency: examples/client_department.toml is written for it."""

SMM = AGENCY.with_name("smm.json")
"""An SMM agency: examples/smm.toml is written for it."""

REMOTE_SALES = AGENCY.with_name("remote_sales.json")
"""A remote sales team and its care department: examples/remote_sales.toml is written for it."""

SHIPPED: Mapping[str, Path] = MappingProxyType(
    {"agency": AGENCY, "school": SCHOOL, "clients": CLIENTS, "smm": SMM, "remote": REMOTE_SALES}
)
"""The accounts that come along, by the names that commands know them by."""

FieldType = Literal[
    "text", "numeric", "checkbox", "select", "multiselect", "date", "url", "textarea", "radiobutton",
    "streetaddress", "smart_address", "birthday", "legal_entity", "date_time", "price", "monetary",
    "category", "items", "tracking_data", "linked_entity", "chained_list", "file", "multitext", "payer", "supplier",
]  # fmt: skip
ENUM_TYPES = frozenset({"select", "multiselect", "radiobutton", "category", "multitext"})
TASK_TYPES: Mapping[int, str] = MappingProxyType({1: "FOLLOW_UP", 2: "MEETING"})
"""The task types of every account; their ids are the same everywhere."""


class AccountFileError(BridgeError):
    """The account file can't be used; the text names the file, the place in it and what is wrong there."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Account(Strict):
    id: int
    name: str
    subdomain: str
    timezone: str
    currency: str = "RUB"
    country: str = "RU"
    customers_mode: Literal["unavailable", "disabled", "segments", "periodicity"] = "disabled"
    is_api_filter_enabled: bool = True
    is_duplicate_control_enabled: bool = False


class Group(Strict):
    id: int | None = None
    name: str


class User(Strict):
    id: int | None = None
    name: str
    email: str
    group: str
    is_admin: bool = False
    is_active: bool = True
    position: str = ""


class TaskType(Strict):
    id: int | None = None
    name: str
    code: str | None = None


class LossReason(Strict):
    id: int | None = None
    name: str


class Stage(Strict):
    id: int | None = None
    name: str
    color: str | None = None


class Pipeline(Strict):
    """``stages`` without the three system ones: every pipeline has «Неразобранное», 142 and 143 of itself."""

    id: int | None = None
    name: str
    is_main: bool = False
    unsorted_id: int | None = None
    stages: list[Stage] = Field(min_length=1)


class Enum(Strict):
    id: int | None = None
    value: str
    code: str | None = None


class CustomField(Strict):
    id: int | None = None
    name: str
    type: FieldType
    code: str | None = None
    is_predefined: bool = False
    is_api_only: bool = False
    enums: list[Enum] = []

    @model_validator(mode="after")
    def _enums_where_they_belong(self) -> CustomField:
        if self.type == "smart_address" and not self.enums:
            return self  # its six lines are amoCRM's own
        if bool(self.enums) != (self.type in ENUM_TYPES):
            raise ValueError(f"type {self.type} {'has no' if self.enums else 'needs'} enums")
        return self


class Person(Strict):
    """A contact or a company; ``fields`` by field name, a list where a field holds several values."""

    name: str
    responsible: str
    company: str | None = None
    fields: dict[str, Any] = {}
    tags: list[str] = []


class Token(Strict):
    """A long-lived token: it doesn't end and is never refreshed."""

    token: str
    user: str


class OAuthClient(Strict):
    client_id: str
    client_secret: str
    redirect_uri: str
    name: str


class AccountFile(Strict):
    account: Account
    groups: list[Group] = Field(min_length=1)
    users: list[User] = Field(min_length=1)
    task_types: list[TaskType]
    loss_reasons: list[LossReason] = []
    pipelines: list[Pipeline] = Field(min_length=1, max_length=50)
    custom_fields: dict[Literal["leads", "contacts", "companies"], list[CustomField]]
    companies: list[Person] = []
    contacts: list[Person] = []
    tokens: list[Token] = Field(min_length=1)
    oauth_clients: list[OAuthClient] = []


def shipped(path: Path | None) -> Path | None:
    """The path; for a bare name («school») the shipped account, even where a folder is called so."""
    return SHIPPED.get(str(path), path) if path is None or not path.is_file() else path


def read(path: Path | None = None) -> AccountFile:
    """The account of ``path`` (None: the shipped agency). Raises AccountFileError."""
    path = path or AGENCY
    try:
        account = AccountFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise AccountFileError(f"файла {path} нет; готовые аккаунты: {', '.join(SHIPPED)}") from error
    except OSError as error:
        raise AccountFileError(f"файл {path} не читается: {why_not(error)}") from error
    except json.JSONDecodeError as error:
        raise AccountFileError(f"{path}:{error.lineno}: это не JSON ({error.msg})") from error
    except ValidationError as error:
        lines = [f"{_place(mistake['loc'])}: {mistake['msg']}" for mistake in error.errors()]
        raise AccountFileError(f"{path}: " + "; ".join(lines)) from error
    wrong = list(_broken_references(account))
    if wrong:
        raise AccountFileError(f"{path}: " + "; ".join(wrong))
    return account


def _place(location: Iterable[int | str]) -> str:
    return " → ".join(str(part) for part in location) or "the whole file"


def _broken_references(account: AccountFile) -> Iterable[str]:
    for type_id in TASK_TYPES.keys() - {kind.id for kind in account.task_types}:
        yield f"task_types: every account has the type {type_id} ({TASK_TYPES[type_id]})"
    users = {user.name for user in account.users}
    groups = {group.name for group in account.groups}
    companies = {company.name for company in account.companies}
    for number, user in enumerate(account.users):
        if user.group not in groups:
            yield f"users → {number} → group: no group «{user.group}»"
    for number, token in enumerate(account.tokens):
        if token.user not in users:
            yield f"tokens → {number} → user: no user «{token.user}»"
    by_kind = dict[str, list[CustomField]](account.custom_fields.items())
    for kind, people in (("companies", account.companies), ("contacts", account.contacts)):
        fields = {field.name for field in by_kind.get(kind, [])}
        for number, person in enumerate(people):
            if person.responsible not in users:
                yield f"{kind} → {number} → responsible: no user «{person.responsible}»"
            if person.company is not None and person.company not in companies:
                yield f"{kind} → {number} → company: no company «{person.company}»"
            for name in person.fields.keys() - fields:
                yield f"{kind} → {number} → fields: no field «{name}»"
    if sum(pipeline.is_main for pipeline in account.pipelines) != 1:
        yield "pipelines: exactly one has is_main"
