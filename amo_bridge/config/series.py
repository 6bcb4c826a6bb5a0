"""``[series."прогрев"]``: a series of letters, one after the other until the client answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, field_validator

from amo_bridge.config.names import TemplateName
from amo_bridge.config.problems import Problems
from amo_bridge.config.strict import Strict
from amo_bridge.dates.due import Due
from amo_bridge.text.names import normalise


class SeriesLetter(Strict):
    """One letter: ``{ after = "3 d 11:00", template = "прогрев/2" }``; ``after`` counts from the series' start."""

    after: Due
    template: TemplateName

    @field_validator("after")
    @classmethod
    def counts_from_the_start(cls, after: Due) -> Due:
        if after.fields:
            raise ValueError("срок письма считается от начала серии, а не от поля сделки")
        return after


class SeriesSpec(Strict):
    """The letters in their order."""

    letters: Annotated[tuple[SeriesLetter, ...], Field(min_length=1)]


class AllSeries(BaseModel):
    """Every series of the config, by name."""

    named: Mapping[str, SeriesSpec] = Field(default_factory=dict)

    def of(self, name: str) -> SeriesSpec | None:
        """The series of this name, case, «ё» and quotes forgiven."""
        return next((spec for known, spec in self.named.items() if normalise(known) == normalise(name)), None)


def series_in(table: Mapping[str, Any], problems: Problems) -> AllSeries:
    """The series of ``[series]``; what is wrong goes to ``problems``."""
    named: dict[str, SeriesSpec] = {}
    for name, told in table.items():
        if not isinstance(told, dict):
            problems.add(("series", name), 'нужен раздел: [series."прогрев"] со списком letters', block=2)
            continue
        try:
            named[name.strip()] = SeriesSpec.model_validate(told)
        except ValidationError as errors:
            problems.invalid(errors, ("series", name), SeriesSpec, block=2)
    return AllSeries(named=named)
