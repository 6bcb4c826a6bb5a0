"""The shape of the config file, apart from the rules' own options (those stand in the handlers' files)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from amo_bridge.config.names import FieldName, UserName
from amo_bridge.rules import Rule
from amo_bridge.worktime import CalendarOptions


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _no_slash(url: str) -> str:
    return url.rstrip("/")


Url = Annotated[
    str,
    Field(pattern=r"^https?://[^\s/]+"),
    BeforeValidator(lambda url: _no_slash(url) if isinstance(url, str) else url),
]


class AccountSection(Section):
    """``[account]``: which amoCRM account. The token never stands in the file: AMO_BRIDGE_TOKEN or AMO_BRIDGE_TOKEN_FILE."""

    url: Url
    requests_per_second: Annotated[float, Field(gt=0, le=7)] = 7


class BridgeSection(Section):
    """``[bridge]``: the bridge's own matters."""

    public_url: Url | None = None
    data: str = "data"
    dry_run: bool = False
    opt_out_tag: str = "без робота"
    own_handlers: str | None = None

    @field_validator("opt_out_tag")
    @classmethod
    def some_tag(cls, tag: str) -> str:
        if not tag.strip():
            raise ValueError("тег, который выключает правила для сделки, не может быть пустым")
        return tag.strip()


class RoleByField(Section):
    """A role that a deal's field names: the field's text is a user's name. ``otherwise``: who, when it is empty."""

    field: FieldName
    otherwise: UserName | None = None


RoleSpec = UserName | RoleByField
MANAGER = "manager"
"""The one role that needs no line in ``[roles]``: the deal's responsible user."""


@dataclass(frozen=True)
class Config:
    """A config that has been read and found well-formed. Names of the account are not yet compared with the account."""

    path: Path
    account: AccountSection
    bridge: BridgeSection
    calendar: CalendarOptions
    roles: Mapping[str, RoleSpec]
    rules: tuple[Rule, ...]
    lines: Mapping[tuple[str, ...], int]

    @property
    def data_folder(self) -> Path:
        return (self.path.parent / self.bridge.data).resolve()
