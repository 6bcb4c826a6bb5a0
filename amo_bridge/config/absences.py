"""``[absences]``: who is away, when, and who stands in for him."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from amo_bridge.config.names import UserName
from amo_bridge.config.strict import Strict
from amo_bridge.dates.calendar import Day
from amo_bridge.text.names import same_name


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


def stand_in(absences: Absences, name: str, day: date) -> str:
    """Who works on that day in the place of ``name``: he himself, or the last of a chain of deputies who is there.

    If they all are away it is he himself again: a task must not go round for ever, nor to somebody named by nobody.
    """
    asked = [name]
    while deputy := _deputy(absences, asked[-1], day):
        if any(same_name(deputy, one) for one in asked):
            return name
        asked.append(deputy)
    return asked[-1]


def overlaps(times: Iterable[Absence]) -> list[tuple[Absence, Absence]]:
    """Neighbouring times away that share a day: nobody could tell which deputy is meant."""
    in_order = sorted(times, key=lambda one: one.first)
    return [(a, b) for a, b in pairwise(in_order) if b.first <= a.last]


def _deputy(absences: Absences, name: str, day: date) -> str | None:
    for person, times in absences.items():
        if same_name(person, name):
            return next((one.deputy for one in times if one.first <= day <= one.last), None)
    return None
