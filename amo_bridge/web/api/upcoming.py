"""``/upcoming``: what the clock will do."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import request
from flask_babel import lazy_gettext as _l

from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, whole
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account


class Step(Shape):
    """A step that the clock will take. ``due`` may have passed, if the worker has not looked since."""

    due: datetime
    rule: str
    clause: str
    step: str
    deal_id: int
    deal_name: str
    says: str


class Steps(Shape):
    """The earliest first. ``now``: by amoCRM's clock."""

    now: datetime
    steps: list[Step]


MOST_DAYS = 366


@api.endpoint(
    Endpoint(
        "upcoming_upcoming",
        "/upcoming",
        "GET",
        Role.VIEWER,
        _l("Что подойдёт по часам"),
        Steps,
        query={"days": _l("на сколько дней вперёд, до 366; 7"), "rule": _l("имя правила")},
        checks={"days": whole(1, MOST_DAYS)},
    )
)
def upcoming() -> Steps:
    ahead = current_account().upcoming
    days = request.args.get("days", 7, type=int)
    found = ahead.within(timedelta(days=days), rule=request.args.get("rule") or None)
    return Steps(now=ahead.now(), steps=[Step.model_validate(one.to_json()) for one in found])
