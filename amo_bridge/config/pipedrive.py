"""``[pipedrive]``: people's work that stands in Pipedrive and counts for KPI.

The token stands in AMO_BRIDGE_PIPEDRIVE_TOKEN, or in the file that the variable with ``_FILE`` behind it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from amo_bridge.dates.calendar import Day
from amo_bridge.rules.option_types import BaseUrl, Strict, UserName

PIPEDRIVE_TOKEN = "AMO_BRIDGE_PIPEDRIVE_TOKEN"
Address = Annotated[str, Field(min_length=3, max_length=200)]


class PipedriveSection(Strict):
    """``api``: the company's address. ``since``: from which day on changes are read. ``people``: mail of a user there →
    the person here, where the mails differ."""

    api: BaseUrl
    since: Day | None = None
    people: Mapping[Address, UserName] = Field(default_factory=dict)
