"""Sections of advertising: ``[audiences]``, ``[yandex_direct]``, ``[vkads]``, ``[roistat]`` …

No secret stands in the file; the variables below, or those with ``_FILE`` behind them, hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from amo_bridge.config.diagnostics import Problems
from amo_bridge.dates.duration import Duration
from amo_bridge.rules.option_types import (
    BaseUrl,
    ContactFieldName,
    CustomFieldName,
    DateFieldName,
    NumberFieldName,
    PipelineName,
    StageName,
    Strict,
    TagName,
)
from amo_bridge.text.names import normalise, same_name

YANDEX_AUDIENCE_TOKEN = "AMO_BRIDGE_YANDEX_AUDIENCE_TOKEN"
YANDEX_DIRECT_TOKEN = "AMO_BRIDGE_YANDEX_DIRECT_TOKEN"
VKADS_SECRET = "AMO_BRIDGE_VKADS_SECRET"
ROISTAT_KEY = "AMO_BRIDGE_ROISTAT_KEY"
ROISTAT_PASSWORD = "AMO_BRIDGE_ROISTAT_PASSWORD"

# Advertising audiences: ``[audiences]`` says whom and how, ``[yandex_audience]`` and ``[vkads]`` which services.

AudienceService = Literal["file", "yandex", "vk"]
FileFormat = Literal["yandex", "vk"]
SERVICE_SECTIONS: Mapping[AudienceService, str] = {"yandex": "yandex_audience", "vk": "vkads"}
"""Service → the section of the config that connects it."""
STATISTICS_SECTIONS: Mapping[str, str] = {"yandex": "yandex_direct", "vk": "vkads"}
"""The same of ``[ads] ask``."""


class AudienceList(Strict):
    """One audience. ``service``: where it is kept; "file": a person uploads it, in this ``format``. ``base_list``: of
    VK, a list that is there already."""

    service: AudienceService = "file"
    format: FileFormat = "yandex"
    base_list: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def keys_of_its_service(self) -> Self:
        if self.base_list is not None and self.service != "vk":
            raise ValueError('base_list бывает только у аудитории VK: service = "vk"')
        if "format" in self.model_fields_set and self.service != "file":
            raise ValueError('format бывает только у файла: service = "file"')
        return self


class AudiencesSection(Strict):
    """``[audiences]``: whose phones and mails may go to advertising services.

    ``consent``: the contact's field without which nobody's do. ``opt_out_tag``: of a deal or contact that wants none.
    ``opt_out_field``: the contact's field that says so. ``note``: the card says when its client is in, and when no
    more. ``lists``: the audiences by name; one that is not there is a file.
    """

    consent: ContactFieldName
    opt_out_tag: TagName | None = TagName("Отписан")
    opt_out_field: ContactFieldName | None = None
    note: bool = True
    lists: Mapping[str, AudienceList] = Field(default_factory=dict)


class YandexAudienceSection(Strict):
    """``[yandex_audience]``. ``pace``: changes are gathered for so long; whoever opts out does not wait."""

    api: BaseUrl = "https://api-audience.yandex.ru"
    pace: Duration = timedelta(hours=1)


class YandexDirectSection(Strict):
    """``[yandex_direct]``: statistics of campaigns for ``[ads]``. ``client_login``: the client's, where the token is an
    agency's."""

    api: BaseUrl = "https://api.direct.yandex.com"
    client_login: Annotated[str, Field(pattern=r"^[\w.@-]*$")] = ""


class VkAdsSection(Strict):
    """``[vkads]``: for audiences, lead forms (``[intake.vkads]``) and statistics (``[ads]``). ``client_id``: of the
    access to the API, not secret."""

    api: BaseUrl = "https://ads.vk.com"
    client_id: Annotated[str, Field(min_length=1)]


def check_ads(vendors: Mapping[str, Any], asked: Iterable[str], problems: Problems, *, is_on: bool) -> None:
    """Every service that is asked for statistics needs its section, and Yandex Direct the section ``[ads]``."""
    for service in asked:
        if (section := STATISTICS_SECTIONS[service]) not in vendors:
            problems.add(("ads", "ask"), f"нужен раздел [{section}]: он подключает этот сервис")
    if "yandex_direct" in vendors and not is_on:
        problems.add(("yandex_direct",), 'нужен ещё раздел [ads] с ask = ["yandex"]: статистика читается для него')


def check_audiences(vendors: Mapping[str, Any], problems: Problems, *, takes_leads: bool) -> None:
    """Every audience needs the section of its service, and the services the section of the audiences; VK Ads may be
    there for its lead forms or statistics alone, if the bridge ``takes_leads``."""
    section = vendors.get("audiences")
    for name in SERVICE_SECTIONS.values():
        if name in vendors and "audiences" not in vendors and not (name == "vkads" and takes_leads):
            leads = ", или [intake.vkads]: заявки лид-форм" if name == "vkads" else ""
            problems.add((name,), f"нужен ещё раздел [audiences]: поле согласия и список аудиторий{leads}")
    if not isinstance(section, AudiencesSection):
        return
    for name, audience in section.lists.items():
        wanted = SERVICE_SECTIONS.get(audience.service)
        if wanted and wanted not in vendors:
            problems.add(("audiences", "lists", name, "service"), f"нужен раздел [{wanted}]: он подключает этот сервис")


class RoistatSection(Strict):
    """``[roistat]``: end-to-end analytics. ``project``: its number. ``visit_field``: the deal's field with the number
    of the visit; a deal without one goes nowhere. ``cost_field``: the deal's field with what it cost the agency.
    ``attraction_field``: the deal's field that gets what its client cost; ``attraction_days``: how many days back are
    read each morning; ``cost_metric``, ``lead_metric``: Roistat's names of expenses and leads.
    ``login``: of the address that Roistat asks itself; without it nobody is answered there."""

    api: BaseUrl = "https://cloud.roistat.com/api/v1"
    project: Annotated[int, Field(ge=1)]
    visit_field: CustomFieldName = CustomFieldName("roistat")
    cost_field: CustomFieldName | None = None
    attraction_field: CustomFieldName | None = None
    attraction_days: Annotated[int, Field(ge=1, le=30)] = 3
    cost_metric: Annotated[str, Field(min_length=1)] = "marketing_cost"
    lead_metric: Annotated[str, Field(min_length=1)] = "leadCount"
    login: str = ""

    @model_validator(mode="after")
    def two_fields(self) -> Self:
        both = (self.attraction_field, self.cost_field)
        if None not in both and same_name(str(both[0]), str(both[1])):
            raise ValueError("attraction_field и cost_field — одно поле: записанное из Roistat ушло бы обратно")
        return self


SHEET_SECTIONS: Mapping[str, str] = {"google": "google_sheets", "yandex": "yandex_table"}
"""Service of ``[spend_sheet]`` → the section that connects it."""
ColumnTitle = Annotated[str, Field(min_length=1, max_length=100)]


class SpendSheetSection(Strict):
    """``[spend_sheet]``: the table in which people follow clients' spending, read on working days from ``at`` on.

    ``client``, ``left``, ``per_day``, ``on``: titles of its columns; a client is a deal's number, link or name.
    Without ``on`` a sum is of the day on which it was first read. ``left_field``, ``per_day_field``, ``on_field``: the
    deal's fields that get the figures. ``pipelines``, ``stages``: where deals are looked for by name; without both
    among all that are open.
    """

    enabled: bool = True
    service: Literal["google", "yandex"]
    sheet: Annotated[str, Field(min_length=1, max_length=100)]
    client: ColumnTitle = "Клиент"
    left: ColumnTitle = "Остаток"
    per_day: ColumnTitle | None = None
    on: ColumnTitle | None = None
    left_field: NumberFieldName
    per_day_field: NumberFieldName | None = None
    on_field: DateFieldName
    pipelines: tuple[PipelineName, ...] = ()
    stages: tuple[StageName, ...] = ()
    at: time = time(9, 30)

    @property
    def vendor(self) -> str:
        """The section that connects its service."""
        return SHEET_SECTIONS[self.service]

    @property
    def titles(self) -> Mapping[str, str]:
        """Key → the column's title, of those that the table has."""
        told = {"client": self.client, "left": self.left, "per_day": self.per_day, "on": self.on}
        return {key: title for key, title in told.items() if title is not None}

    @model_validator(mode="after")
    def columns_fit_fields(self) -> Self:
        if (self.per_day is None) != (self.per_day_field is None):
            raise ValueError("per_day (столбец) и per_day_field (поле сделки) бывают только вместе")
        if len({normalise(title) for title in self.titles.values()}) < len(self.titles):
            raise ValueError("у столбцов client, left, per_day и on должны быть разные заголовки")
        if self.per_day_field is not None and same_name(self.left_field, self.per_day_field):
            raise ValueError("left_field и per_day_field — одно поле: остаток и расход затёрли бы друг друга")
        return self


def check_spend_sheet(vendors: Mapping[str, Any], section: SpendSheetSection | None, problems: Problems) -> None:
    """The service of the table needs its section, and the sheet is not one that the bridge writes itself."""
    if section is None:
        return
    name = section.vendor
    if name not in vendors:
        problems.add(("spend_sheet", "service"), f"нужен раздел [{name}]: он подключает этот сервис")
    elif (own := vendors[name]) is not None:
        written = (own.daily_reports, *own.sheets)
        if any(section.sheet.casefold() == sheet.casefold() for sheet in written):
            problems.add(("spend_sheet", "sheet"), f"лист «{section.sheet}» мост ведёт сам ([{name}]): нужен другой")
