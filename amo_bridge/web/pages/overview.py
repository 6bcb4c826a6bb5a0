"""The overview: is everything well, what was done today, and how the last fourteen days went."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.not_connected import NAMES
from amo_bridge.channels.unconnected import unconnected
from amo_bridge.config.environment import secret
from amo_bridge.engine.connection import TOKEN
from amo_bridge.engine.gauges import Vitals
from amo_bridge.engine.history import Count, Line
from amo_bridge.engine.imports.book import ImportBook
from amo_bridge.engine.imports.records import Import
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account, office
from amo_bridge.web.menu import Menu
from amo_bridge.web.office import NotMet, PageAccount
from amo_bridge.web.webinar_desk import STATES
from amo_bridge.web.wellness import troubles

routes = Blueprint("overview", __name__)
MENU = Menu(_l("Обзор"), "overview.show", place=10)
DAYS = 14
MOST_LINES = 30
# Counting fourteen days of a busy account takes a second or so; it needn't be done for everybody who looks. What took
# so long is kept so many times longer.
KEPT_FOR = 30.0


@dataclass(frozen=True)
class Day:
    date: date
    count: Count


@routes.get("/")
@open_to(Role.VIEWER)
def show() -> str:
    here = account()
    return render_template("overview/show.html", broken=office().broken, known=here.crm_account, **_state(here))


@routes.get("/overview/state")
@open_to(Role.VIEWER)
def state() -> str:
    """The upper part alone; the page asks for it every few seconds."""
    return render_template("overview/state.html", **_state(account()))


@routes.get("/overview/days")
@open_to(Role.VIEWER)
def days() -> str:
    """The chart and its table."""
    return render_template("overview/days.html", days=_days(account()))


def _state(here: PageAccount) -> dict[str, object]:
    vitals, today = _vitals_and_today(here)
    now = here.clock.now()
    wanted_in_vain = unconnected(here.config)
    return {
        "here": here,
        "vitals": vitals,
        "troubles": troubles(here, vitals, now),
        "unconnected": [name for lane, name in NAMES.items() if lane in wanted_in_vain],
        "today": today,
        "imports": _imports_of_today(here) if vitals else [],
        "import_states": STATES,
        "token_ends_at": here.bridge.token_ends_at,
        "is_long_lived": bool(secret(here.bridge.environment, TOKEN)),
        "rules": here.config.rules,
    }


def _vitals_and_today(here: PageAccount) -> tuple[Vitals | None, list[Line]]:
    try:
        vitals = here.vitals()
    except NotMet:
        return None, []
    midnight = midnights(here.clock.now(), here.zone, 1)[0]
    return vitals, here.history.done_since(midnight, MOST_LINES)


def _imports_of_today(here: PageAccount) -> list[Import]:
    """Uploads of webinars that were begun or ended today: no rule makes their deals."""
    if here.config.webinar is None:
        return []
    midnight = midnights(here.clock.now(), here.zone, 1)[0]
    known = ImportBook(here.store, here.key, here.clock).all()
    return [one for one in known if max(one.started_at or 0, one.finished_at or 0) >= midnight]


_kept: dict[tuple[str, int], tuple[float, list[Day]]] = {}


def _days(here: PageAccount) -> list[Day]:
    """Oldest first; nothing for an account that was never met."""
    try:
        at = (here.store.url, here.key)
    except NotMet:
        return []
    kept = _kept.get(at)
    if kept is None or kept[0] < time.monotonic():
        began = time.monotonic()
        bounds = midnights(here.clock.now(), here.zone, DAYS)
        counts = here.history.by_stretch(bounds)
        dates = [datetime.fromtimestamp(begin, here.zone).date() for begin in bounds[:-1]]
        ended = time.monotonic()
        kept = _kept[at] = (ended + KEPT_FOR * (ended - began), [Day(*one) for one in zip(dates, counts, strict=True)])
    return kept[1]


def midnights(now: datetime, zone: ZoneInfo, days: int) -> list[float]:
    """When each of the last ``days`` days began in the zone, today's included, and when today ends."""
    today = now.astimezone(zone).date()
    dates = [today - timedelta(days=back) for back in range(days - 1, -2, -1)]
    return [datetime(one.year, one.month, one.day, tzinfo=zone).timestamp() for one in dates]
