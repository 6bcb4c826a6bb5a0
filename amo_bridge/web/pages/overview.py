"""The overview: is everything well, what was done today, and how the last fourteen days went."""

from __future__ import annotations

import time
from datetime import timedelta

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.channels.vendors import unconnected
from amo_bridge.config.loader import secret
from amo_bridge.engine.effects import CHANNEL_KINDS
from amo_bridge.engine.history import Line
from amo_bridge.engine.metrics import HealthSnapshot
from amo_bridge.runtime.connection import TOKEN
from amo_bridge.web.accounts import AccountView, NotMet
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts, current_account, user
from amo_bridge.web.pages import Menu
from amo_bridge.web.services.deals import listed
from amo_bridge.web.services.overview import (
    PeopleToday,
    days_of,
    health_issues,
    imports_of_today,
    people_today,
    today_of,
)
from amo_bridge.web.services.webinars import STATES

KEPT_FOR_SECONDS = 5.0
# In the application: whose state (account, address, language, role) → until when, and its HTML.
KEPT = "amo_bridge.overview"

routes = Blueprint("overview", __name__)
MENU = Menu(_l("Обзор"), "overview.show", place=10)


@routes.get("/")
@open_to(Role.MANAGER)
def show() -> str | Response:
    here = current_account()
    if not user().may(Role.VIEWER):
        return redirect(url_for("mine.show"))
    return render_template("overview/show.html", broken=accounts().broken, known=here.crm_account, **_state(here))


@routes.get("/start")
@routes.get("/start/<path:step>")
@open_to(Role.MANAGER)
def started(step: str = "") -> Response:
    """Where the config was made (web/start.py): who goes back there finds the bridge at work."""
    return redirect(url_for("overview.show"))


@routes.get("/overview/state")
@open_to(Role.VIEWER)
def state() -> str:
    """The upper part alone; the page asks for it every few seconds, and all that are open share what is made."""
    here = current_account()
    here_as = user().at(here.name)
    key = (here.name, request.script_root, str(get_locale()), here_as and here_as.role)
    kept = current_app.extensions.setdefault(KEPT, {})
    made, now = kept.get(key), time.monotonic()
    if made is None or made[0] < now:
        for old in [one for one, (until, _) in list(kept.items()) if until < now]:
            kept.pop(old, None)
        text = render_template("overview/renewed.html", **_state(here))
        made = kept[key] = (time.monotonic() + KEPT_FOR_SECONDS, text)
    return str(made[1])


@routes.get("/overview/days")
@open_to(Role.VIEWER)
def days() -> str:
    """The chart and its table."""
    return render_template("overview/days.html", days=days_of(current_account()))


def _state(here: AccountView) -> dict[str, object]:
    health, today, people = _of_account(here)
    now = here.clock.now()
    wanted_in_vain = unconnected(here.config)
    return {
        "here": here,
        "health": health,
        "troubles": health_issues(here, health, now),
        "unconnected": [kind.label for name, kind in CHANNEL_KINDS.items() if name in wanted_in_vain],
        "today": today,
        "people": people,
        "yesterday": (now.astimezone(here.zone).date() - timedelta(days=1)).isoformat(),
        "deal_names": {one.deal_id: one.name for one in listed(here, {line.deal_id for line in today if line.deal_id})}
        if today
        else {},
        "imports": imports_of_today(here) if health else [],
        "import_states": STATES,
        "token_ends_at": here.bridge.token_ends_at,
        "is_long_lived": bool(secret(here.bridge.environment, TOKEN)),
        "rules": here.config.rules,
    }


def _of_account(here: AccountView) -> tuple[HealthSnapshot | None, list[Line], PeopleToday | None]:
    try:
        health = here.health_snapshot()
    except NotMet:
        return None, [], None
    return health, today_of(here), people_today(here)
