"""``/api/v1/upcoming``: what the clock will do, for programs."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, request
from flask_babel import lazy_gettext as _l

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api import shapes
from amo_bridge.web.api.described import Door, Doors
from amo_bridge.web.here import account
from amo_bridge.web.pages import api_v1

MOST_DAYS = 366
routes = Blueprint("api_upcoming", __name__, url_prefix=api_v1.ROOT)
doors = Doors(routes, api_v1.doors)


@doors.open(
    Door(
        "/upcoming",
        "GET",
        Role.VIEWER,
        _l("Что подойдёт по часам"),
        shapes.Steps,
        query={"days": _l("на сколько дней вперёд, до 366; 7"), "rule": _l("имя правила")},
    )
)
def upcoming() -> shapes.Steps:
    ahead = account().upcoming
    days = min(max(request.args.get("days", 7, type=int), 1), MOST_DAYS)
    found = ahead.within(timedelta(days=days), rule=request.args.get("rule") or None)
    return shapes.Steps(now=ahead.now(), steps=[shapes.Step.model_validate(one.to_json()) for one in found])
