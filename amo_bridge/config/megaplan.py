"""``[megaplan]``: tasks of amoCRM that are made in Megaplan under the client's project.

The password stands in AMO_BRIDGE_MEGAPLAN_PASSWORD, or in the file that the variable with ``_FILE`` behind it names.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.rules.option_types import BaseUrl, CustomFieldName, Strict

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
