"""Sections of other CRMs: ``[megaplan]``, where tasks are made, ``[pipedrive]``, counted for KPI.

Their secrets stand in AMO_BRIDGE_MEGAPLAN_PASSWORD and AMO_BRIDGE_PIPEDRIVE_TOKEN, or in the files that the variables
with ``_FILE`` behind them name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from amo_bridge.dates.calendar import Day
from amo_bridge.rules.option_types import BaseUrl, CustomFieldName, Strict, UserName

MEGAPLAN_PASSWORD = "AMO_BRIDGE_MEGAPLAN_PASSWORD"
Employee = Annotated[str, Field(pattern=r"^\d{1,18}$")]


class MegaplanTasks(Strict):
    """One kind of tasks. ``begins``: how their texts begin. ``responsible``: the employee's number in Megaplan.
    ``is_global``: the head is its auditor."""

    begins: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    responsible: Employee
    is_global: bool = False


class MegaplanSection(Strict):
    """``api``: the company's address. ``project_field``: the deal's field with the number of the client's project.
    ``head``: who is the auditor of global tasks, by number. ``tasks``: which go there; none without it."""

    api: BaseUrl
    login: Annotated[str, Field(min_length=1)]
    project_field: CustomFieldName = CustomFieldName("Проект в Мегаплане")
    head: Employee | None = None
    tasks: tuple[MegaplanTasks, ...] = ()


PIPEDRIVE_TOKEN = "AMO_BRIDGE_PIPEDRIVE_TOKEN"
Address = Annotated[str, Field(min_length=3, max_length=200)]


class PipedriveSection(Strict):
    """``api``: the company's address. ``since``: from which day on changes are read. ``people``: mail of a user there →
    the person here, where the mails differ."""

    api: BaseUrl
    since: Day | None = None
    people: Mapping[Address, UserName] = Field(default_factory=dict)
