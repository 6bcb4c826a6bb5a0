"""The overview: is everything well, what was done today, and how the last fourteen days went."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.registry import NAMES, unconnected
from amo_bridge.config.loader import secret
from amo_bridge.engine.history import Line
from amo_bridge.engine.metrics import Vitals
from amo_bridge.runtime.connection import TOKEN
from amo_bridge.web.accounts import NotMet, PageAccount
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import account, office
from amo_bridge.web.pages import Menu
from amo_bridge.web.services.overview import days_of, imports_of_today, today_of, troubles
from amo_bridge.web.services.webinars import STATES

routes = Blueprint("overview", __name__)
MENU = Menu(_l("Обзор"), "overview.show", place=10)


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
    return render_template("overview/days.html", days=days_of(account()))


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
        "imports": imports_of_today(here) if vitals else [],
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
    return vitals, today_of(here)
