"""Days as a calendar shows them: whole weeks, Monday first, and how much there is on each day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Cell:
    """One day. ``many``: how much there is; ``is_asked``: within the days that were asked for."""

    day: date
    many: int
    is_asked: bool


def weeks(counts: Mapping[date, int], first: date, last: date) -> list[list[Cell]]:
    """From the week of ``first`` to the week of ``last``; earlier or later days with something are shown as well."""
    begin, end = min([first, *counts]), max([last, *counts])
    day, grid = begin - timedelta(days=begin.weekday()), []
    while day <= end:
        week = [day + timedelta(days=n) for n in range(7)]
        grid.append([Cell(one, counts.get(one, 0), first <= one <= last) for one in week])
        day += timedelta(days=7)
    return grid
