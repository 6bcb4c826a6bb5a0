"""Upcoming: what the clock will do, as a calendar and day by day."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import groupby

from flask import Blueprint, render_template, request
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.vendors import unconnected_of
from amo_bridge.engine.forecast import Coming
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu
from amo_bridge.web.template_filters import weeks

routes = Blueprint("upcoming", __name__)
MENU = Menu(_l("Предстоящее"), "upcoming.show", place=40)
SPANS = (1, 7, 30)
# A page of more is read by nobody; the command prints them all.
MOST = 200


@routes.get("/upcoming")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    asked, rule = request.args.get("days", type=int), request.args.get("rule", "")
    days = asked if asked in SPANS else SPANS[1]
    found: list[Coming] = []
    counts: Counter[date] = Counter()
    nearest: Coming | None = None
    now = here.clock.now()
    if here.is_known:
        upcoming = here.upcoming
        span, now = timedelta(days=days), upcoming.now()
        found = upcoming.within(span, rule=rule or None, most=MOST)
        counts = upcoming.by_day(span, here.zone, rule=rule or None)
        nearest = None if found else upcoming.nearest(rule=rule or None)
    scheduled = sorted({one.name for one in here.config.rules if one.handler.section == "schedules"})
    local = [(one, one.due.astimezone(here.zone)) for one in found]
    today = now.astimezone(here.zone).date()
    return render_template(
        "upcoming/show.html",
        by_day=_by_day(local),
        weeks=weeks(counts, today, today + timedelta(days=days)),
        many=counts.total(),
        nearest=nearest,
        most=MOST,
        now=now,
        days=days,
        spans=SPANS,
        rule=rule,
        rules=scheduled,
        unconnected=unconnected_of(here.config),
    )


def _by_day(found: list[tuple[Coming, datetime]]) -> list[tuple[date, list[tuple[Coming, datetime]]]]:
    return [(day, list(some)) for day, some in groupby(found, key=lambda one: one[1].date())]
