"""``/overview``: what the rules did, line by line and in figures."""

from __future__ import annotations

import datetime

from flask_babel import lazy_gettext as _l

from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape
from amo_bridge.web.api.rules import RuleDecision, decision_of
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services.overview import days_of, imports_of_today, today_of

# A program reads more than a page shows.
MOST_LINES = 500


class WebinarToday(Shape):
    """An upload of a webinar's attendees that was begun or ended today."""

    number: int
    state: str
    held_on: datetime.date


class Today(Shape):
    """What rules did today, or failed to do, newest first; at most 500. ``date``: in the account's time zone.
    ``webinars``: no rule makes their deals."""

    date: datetime.date
    actions: list[RuleDecision]
    webinars: list[WebinarToday]


class Day(Shape):
    """Decisions of rules. ``unsent``: nothing went out, as by channels that nobody has connected. ``would_act``: in
    dry run, nothing was done."""

    date: datetime.date
    acted: int
    would_act: int
    skipped: int
    failed: int
    unsent: int


class Days(Shape):
    """Oldest first, today the last; none before the bridge has met its account."""

    days: list[Day]


@api.endpoint(
    Endpoint("overview_today", "/overview/today", "GET", Role.VIEWER, _l("Что правила сделали сегодня"), Today)
)
def today() -> Today:
    here = current_account()
    return Today(
        date=here.clock.now().astimezone(here.zone).date(),
        actions=[decision_of(line) for line in today_of(here, MOST_LINES)],
        webinars=[WebinarToday(number=one.id, state=one.state, held_on=one.held_on) for one in imports_of_today(here)],
    )


@api.endpoint(Endpoint("overview_days", "/overview/days", "GET", Role.VIEWER, _l("Последние 14 дней в числах"), Days))
def days() -> Days:
    return Days(days=[Day(date=day.date, **vars(day.count)) for day in days_of(current_account())])
