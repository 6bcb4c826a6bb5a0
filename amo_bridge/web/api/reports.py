"""``/reports``: what the head of sales looks at."""

from __future__ import annotations

from datetime import date
from typing import Literal

from flask_babel import lazy_gettext as _l

from amo_bridge.reports.overdue import WAYS
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, day, one_of
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages.reports import SPANS, report_asked_for


class DeadlineMoves(Shape):
    """How often deadlines were moved, and by how many days in all, to a tenth; less than nothing: to earlier."""

    times: int
    days: float


class Overdue(Shape):
    """Overdue tasks: name → a figure for each of the days; ``tasks``: name → how many tasks these are, each counted
    once. ``moves``: name → how often deadlines of these tasks were moved in these days, and by how many days in all.
    ``known_from``: before this day some are counted by their last deadline. See docs/pages.md for the two ways."""

    count: Literal["standing", "missed"]
    days: list[date]
    people: dict[str, list[int]]
    tasks: dict[str, int]
    moves: dict[str, DeadlineMoves]
    known_from: date | None


@api.endpoint(
    Endpoint(
        "reports_overdue",
        "/reports/overdue",
        "GET",
        Role.VIEWER,
        _l("Просроченные задачи, каждый человек × каждый день"),
        Overdue,
        query={
            "days": _l("7, 14 или 31"),
            "until": _l("последний день, 2026-11-25"),
            "count": _l("standing или missed"),
        },
        checks={"days": one_of(SPANS), "until": day, "count": one_of(WAYS)},
    )
)
def overdue() -> Overdue:
    report, way = report_asked_for(current_account())
    people = {name: list(figures) for name, figures in report.rows.items()}
    return Overdue(
        count=way,
        days=list(report.days),
        people=people,
        tasks=dict(report.tasks),
        moves={name: DeadlineMoves(times=moves.times, days=moves.days) for name, moves in report.moves.items()},
        known_from=report.known_from,
    )
