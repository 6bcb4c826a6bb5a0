"""Sections of advertising: ``[audiences]``, ``[yandex_direct]``, ``[vkads]``, ``[roistat]`` …

No secret stands in the file; the variables below, or those with ``_FILE`` behind them, hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from amo_bridge.config.diagnostics import Problems
from amo_bridge.dates.duration import Duration
from amo_bridge.rules.option_types import BaseUrl, ContactFieldName, CustomFieldName, Strict, TagName
from amo_bridge.text.names import same_name

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
