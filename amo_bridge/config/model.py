"""The config read: one object of all its sections and rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import date, time, timedelta
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from amo_bridge.config.channels import Channels
from amo_bridge.config.intake import IntakeSection
from amo_bridge.config.pay import PaySection
from amo_bridge.config.toml_lines import KeyPath
from amo_bridge.config.webinar import WebinarSection
from amo_bridge.dates.calendar import CalendarOptions, Day
from amo_bridge.dates.duration import Duration, describe
from amo_bridge.events.calls import TALK_SECONDS
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.option_types import BaseUrl, CustomFieldName, PersonName, Strict, TagName, UserName
from amo_bridge.rules.service_lines import ServicesSection
from amo_bridge.text.names import normalise, same_name

SomeText = Annotated[str, Field(min_length=1)]
FieldType = Literal[
    "text", "textarea", "numeric", "checkbox", "select", "multiselect", "radiobutton",
    "date", "date_time", "birthday", "url", "streetaddress",
]  # fmt: skip
"""amoCRM's words (amoCRM docs, custom-fields); phones and mails are there in every account."""
CHOICES = frozenset({"select", "multiselect", "radiobutton"})


class FieldShape(Strict):
    """A field's type, and its choices where the type has any."""

    type: FieldType
    choices: tuple[SomeText, ...] = ()

    @model_validator(mode="after")
    def choices_where_they_belong(self) -> Self:
        if bool(self.choices) != (self.type in CHOICES):
            wanted = "нужны варианты (choices)" if self.type in CHOICES else "вариантов не бывает"
            raise ValueError(f"у поля типа {self.type} {wanted}")
        return self


def _expand_shorthand(told: Any) -> Any:
    """``"date"`` is a type, ``["Да", "Нет"]`` a choice of one."""
    if isinstance(told, str):
        return {"type": told}
    return {"type": "select", "choices": told} if isinstance(told, list) else told


Shape = Annotated[FieldShape, BeforeValidator(_expand_shorthand)]


class ProvisionSection(Strict):
    """``pipelines``: each pipeline's stages from left to right, without the two last ones that amoCRM makes itself.
    ``fields`` of deals and ``contact_fields``: a type, a list of choices, or both. ``tags``: those that people put on
    deals themselves; what rules put on is known from the rules."""

    pipelines: dict[SomeText, Annotated[tuple[SomeText, ...], Field(min_length=1)]] = Field(default_factory=dict)
    fields: dict[SomeText, Shape] = Field(default_factory=dict)
    contact_fields: dict[SomeText, Shape] = Field(default_factory=dict)
    tags: tuple[SomeText, ...] = ()

    @model_validator(mode="after")
    def each_stage_once(self) -> Self:
        for pipeline, stages in self.pipelines.items():
            if len({normalise(stage) for stage in stages}) < len(stages):
                raise ValueError(f"в воронке «{pipeline}» этап назван дважды")
        return self


class Absence(Strict):
    """One time away: ``from`` and ``to`` are the first and the last day of it, ``deputy`` the user who stands in."""

    first: Day = Field(alias="from")
    last: Day = Field(alias="to")
    deputy: UserName

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"to = «{self.last}» раньше, чем from = «{self.first}»")
        return self


Absences = Mapping[UserName, tuple[Absence, ...]]
"""A user's name → his times away."""


def stand_in_once(absences: Absences, name: str, day: date) -> str | None:
    """The deputy of somebody who is away on that day; None for one who is there."""
    for person, times in absences.items():
        if same_name(person, name):
            return next((one.deputy for one in times if one.first <= day <= one.last), None)
    return None


def overlaps(times: Iterable[Absence]) -> list[tuple[Absence, Absence]]:
    """Neighbouring times away that share a day: nobody could tell which deputy is meant."""
    in_order = sorted(times, key=lambda one: one.first)
    return [(a, b) for a, b in pairwise(in_order) if b.first <= a.last]


# ``[evening_list]``: at the end of a working day everybody is told which of his tasks are not done.


class EveningListSection(Strict):
    """``at``: o'clock, by the account's clocks. ``to``: whom; without it everybody whom the bridge can tell."""

    at: time = time(18, 30)
    to: tuple[UserName, ...] = ()


class WeeklyLetterSection(Strict):
    """``[weekly_letter]``: once a week its figures go to these people by their own channels. ``day``: of the week;
    ``at``: o'clock, by the account's clocks."""

    day: Literal["пн", "вт", "ср", "чт", "пт", "сб", "вс"] = "пн"
    at: time = time(9)
    people: Annotated[tuple[UserName, ...], Field(min_length=1)]

    @property
    def weekday(self) -> int:
        """0 is Monday."""
        return ("пн", "вт", "ср", "чт", "пт", "сб", "вс").index(self.day)


class KpiPlan(Strict):
    """What is expected of each person on a working day; None: nothing is."""

    contacts: Annotated[int, Field(ge=1)] | None = None
    worked: Annotated[int, Field(ge=1)] | None = None
    talks: Annotated[int, Field(ge=1)] | None = None
    letters: Annotated[int, Field(ge=1)] | None = None
    tasks: Annotated[int, Field(ge=1)] | None = None
    sales: Annotated[int, Field(ge=1)] | None = None
    amount: Annotated[int, Field(ge=1)] | None = None


class KpiSection(Strict):
    """``[kpi]``: what people are measured by. ``people``: whom; without it everybody who did something.

    ``talk_seconds``: from so many on a call was a talk. ``shift``: o'clock, by the account's clocks: when the first
    thing of a working day is to be done. ``event_days``: days whose shift begins otherwise.
    """

    people: tuple[UserName, ...] = ()
    plan: KpiPlan = KpiPlan()
    talk_seconds: Annotated[int, Field(ge=1, le=600)] = TALK_SECONDS
    shift: time | None = None
    event_days: Mapping[Day, time] = Field(default_factory=dict)


class PersonViolation(Strict):
    """What is entered in the ledger for a person, about no deal: ``"S2"``, or ``{ clause = "S2", penalty = 500 }``."""

    clause: SomeText
    penalty: Annotated[int, Field(ge=0)] | None = None


def _as_clause(told: Any) -> Any:
    return {"clause": told} if isinstance(told, str) else told


class DailyReportSection(Strict):
    """``[daily_report]``: at the end of a working day each person confirms a report of his own figures.

    ``at``: o'clock, by the account's clocks; ``event_at``: on the days of ``[kpi] event_days``. ``people``: who
    reports; without it those of ``[kpi] people``, else everybody who did something that day. ``plan``: what stands as
    the plan for tomorrow until the person has written his own. ``remind_after``, ``escalate_after``: counted from that
    hour. ``escalate_to``: who hears of a report that was not confirmed. ``tell``: who is shown the confirmed ones.
    """

    at: time = time(18)
    event_at: time | None = None
    people: tuple[UserName, ...] = ()
    plan: Annotated[str, Field(max_length=1000)] = ""
    remind_after: Duration = timedelta(hours=1)
    escalate_after: Duration = timedelta(hours=2)
    escalate_to: PersonName = PersonName("head")
    violation: Annotated[PersonViolation, BeforeValidator(_as_clause)] | None = None
    tell: tuple[PersonName, ...] = ()

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if not timedelta() < self.remind_after < self.escalate_after <= timedelta(hours=24):
            raise ValueError(
                "сначала напомнить, потом сказать руководителю: нужно remind_after < escalate_after ≤ 24 h"
            )
        return self


class ShiftStartSection(Strict):
    """``[shift_start]``: each person's beginning of the shift is looked at; its hour stands in ``[kpi]``.

    ``people``: whose; without it those of ``[kpi] people``. ``ask_before``: so long before the shift the person is
    asked to confirm. ``remind_after``, ``escalate_after``: counted from that hour; whoever does something in amoCRM or
    confirms before is left alone. ``escalate_to``: who hears of a shift that was not begun.
    """

    people: tuple[UserName, ...] = ()
    ask_before: Duration = timedelta(minutes=15)
    remind_after: Duration = timedelta(minutes=10)
    escalate_after: Duration = timedelta(minutes=30)
    escalate_to: PersonName = PersonName("head")
    violation: Annotated[PersonViolation, BeforeValidator(_as_clause)] | None = None

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if not timedelta() < self.remind_after < self.escalate_after <= timedelta(hours=12):
            raise ValueError(
                "сначала напомнить, потом сказать руководителю: нужно remind_after < escalate_after ≤ 12 h"
            )
        if self.ask_before > timedelta(hours=12):
            raise ValueError("спросить больше чем за 12 часов до смены нельзя: уменьшите ask_before")
        return self


class PoliciesSection(Strict):
    """``[policies]``: rules of working in the CRM, which these people acknowledge after every change.

    ``folder``: with texts in Markdown, a file each; beside it texts are typed on the page. ``days``: working days to
    acknowledge; ``remind_days``: on which of them the person is reminded; then ``escalate_to`` is told."""

    people: Annotated[tuple[UserName, ...], Field(min_length=1)]
    folder: Annotated[str, Field(min_length=1)] | None = None
    days: Annotated[int, Field(ge=1, le=60)] = 3
    remind_days: Annotated[int, Field(ge=1, le=60)] = 2
    escalate_to: PersonName = PersonName("head")
    violation: Annotated[PersonViolation, BeforeValidator(_as_clause)] | None = None

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.remind_days > self.days:
            raise ValueError("сначала напомнить, потом сказать руководителю: нужно remind_days ≤ days")
        return self


class UpdatesSection(Strict):
    """``[updates]``: once a day the package index is asked whether there is a newer version. ``check``: off until
    somebody wants it. ``index``: the index's address, for a mirror of one's own."""

    check: bool = False
    index: BaseUrl = "https://pypi.org"


# The shape of the config file, apart from the rules' own options (those stand in the handlers' files).

_ACCOUNT_URL = re.compile(r"https?://[^\s/?#@]+", re.IGNORECASE)
POSTGRES = re.compile(r"^postgres(?:ql)?://")
# amoCRM repeats a hook for an hour and a half; whoever forgets sooner what came may do a thing twice.
SHORTEST_MEMORY = timedelta(days=3)
_PUBLIC_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?", re.IGNORECASE)


def _account_url(url: str) -> str:
    url = url.strip().rstrip("/")
    if not _ACCOUNT_URL.fullmatch(url):
        raise ValueError(f"«{url}» — не адрес аккаунта: нужен https://имя.amocrm.ru, без пути после него")
    return url


LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_local(account_url: str) -> bool:
    """Is it an amoCRM on this machine, such as the sandbox?"""
    return urlsplit(account_url).hostname in LOOPBACK


def _public_url(url: str) -> str:
    url = url.strip().rstrip("/")
    if not _PUBLIC_URL.fullmatch(url):
        raise ValueError(f"«{url}» — не адрес: нужен полный, который начинается с https://")
    return url


class AccountSection(Strict):
    """``[account]``: which amoCRM account. The token never stands in the file: AMO_BRIDGE_TOKEN or
    AMO_BRIDGE_TOKEN_FILE."""

    url: Annotated[str, AfterValidator(_account_url)]
    requests_per_second: Annotated[float, Field(gt=0, le=7)] = 7


class BridgeSection(Strict):
    """``[bridge]``: the bridge's own matters."""

    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    data: str = "data"
    database: str = ""
    dry_run: bool = False
    opt_out_tag: TagName = TagName("без робота")
    secret_fields: tuple[CustomFieldName, ...] = ()
    own_handlers: str | None = None
    scripts: str = "scripts"
    own_schedules: str | None = None
    tell: PersonName | None = None
    most_put_backs: Annotated[int, Field(ge=1)] = 3
    keep_journal: Duration = timedelta(days=90)
    keep_hooks: Duration = timedelta(days=14)

    @field_validator("keep_journal", "keep_hooks")
    @classmethod
    def long_enough(cls, length: timedelta) -> timedelta:
        """What is deleted is forgotten: a repeat of it would be taken for news."""
        if length < SHORTEST_MEMORY:
            raise ValueError(f"не меньше {describe(SHORTEST_MEMORY)}: раньше мост забудет, что уже сделано")
        return length

    @field_validator("database")
    @classmethod
    def known_kind_of_database(cls, url: str) -> str:
        """PostgreSQL's own addresses are taken as people paste them; the driver is ours to name."""
        url = POSTGRES.sub("postgresql+psycopg://", url.strip())
        if url and not url.startswith(("postgresql+psycopg://", "sqlite:///")):
            raise ValueError("нужен адрес вида postgresql://пользователь@сервер/база; пусто — SQLite в папке data")
        if url.startswith("postgresql") and find_spec("psycopg") is None:
            raise ValueError("для PostgreSQL нужен ещё один пакет: pip install 'amo-bridge[postgres]'")
        return url


class RoleByField(Strict):
    """A role that depends on the deal: ``field`` holds a user's name; or it is the responsible user of the deal whose
    address stands in the field ``linked``. ``otherwise``: who, when neither says anything."""

    field: CustomFieldName | None = None
    linked: CustomFieldName | None = None
    otherwise: UserName | None = None

    @model_validator(mode="after")
    def some_field(self) -> Self:
        if self.field is None and self.linked is None:
            raise ValueError("нужно field (в поле — имя сотрудника) или linked (в поле — адрес другой сделки)")
        return self


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
    lines: Mapping[KeyPath, int]
    pay: PaySection | None = field(default=None, kw_only=True)
    shift_start: ShiftStartSection | None = field(default=None, kw_only=True)
    absences: Absences = field(default_factory=dict)
    services: ServicesSection | None = None
    provision: ProvisionSection | None = None
    webinar: WebinarSection | None = None
    channels: Channels = field(default_factory=Channels)
    evening_list: EveningListSection | None = None
    intake: IntakeSection | None = None
    kpi: KpiSection = field(default_factory=KpiSection)
    daily_report: DailyReportSection | None = None
    ads: AdsSection | None = None
    policies: PoliciesSection | None = None
    weekly_letter: WeeklyLetterSection | None = None
    updates: UpdatesSection = field(default_factory=UpdatesSection)

    @property
    def letters_folder(self) -> Path | None:
        """Where the letters' templates are; None when no letters are sent."""
        return (self.path.parent / self.channels.mail.templates).resolve() if self.channels.mail else None

    @property
    def scripts_folder(self) -> Path | None:
        """Where the call scripts stand; it needs not be there. None: the config says that there are none."""
        return (self.path.parent / self.bridge.scripts).resolve() if self.bridge.scripts else None

    @property
    def policies_folder(self) -> Path | None:
        """Where the texts that people acknowledge stand; None: they are typed on the page."""
        folder = self.policies.folder if self.policies else None
        return (self.path.parent / folder).resolve() if folder else None

    @property
    def documents_folder(self) -> Path:
        """Where copies of deals' files are kept while no service does."""
        told = self.channels.storage.folder
        return (self.path.parent / told).resolve() if told else self.data_folder / "documents"

    @property
    def data_folder(self) -> Path:
        return (self.path.parent / self.bridge.data).resolve()
