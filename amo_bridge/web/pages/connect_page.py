"""The connection with amoCRM: how it stands, what the account's plan allows, and connecting anew."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l

from amo_bridge.config.environment import secret
from amo_bridge.engine import token_watch
from amo_bridge.engine.connection import CLIENT_ID, TOKEN, redirect_uri
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account, write_down
from amo_bridge.web.menu import Menu
from amo_bridge.web.office import NotMet, PageAccount

routes = Blueprint("connect_page", __name__)
MENU = Menu(_l("Подключение"), "connect_page.show", place=60)


@routes.get("/connection")
@open_to(Role.VIEWER)
def show() -> str:
    return render_template("connect/show.html", **_state(account()))


@routes.post("/connection/begin")
@open_to(Role.ADMIN)
def begin() -> str | tuple[str, int]:
    """The way to amoCRM's own page, where an administrator of the account lets us in. A link, not a redirect: a form
    may only be sent to ourselves."""
    here = account()
    try:
        page = here.bridge.ways()[0].new_page()
    except (BridgeError, ConfigError) as error:
        return render_template("connect/show.html", why_not=str(error), **_state(here)), 409
    write_down("connect.begin", "Начато подключение аккаунта")
    return render_template("connect/show.html", page=page, **_state(here))


def _state(here: PageAccount) -> dict[str, object]:
    environment = here.bridge.environment
    ends_at = here.bridge.token_ends_at
    try:
        vitals = here.vitals()
    except NotMet:
        vitals = None
    return {
        "here": here,
        "known": here.crm_account,
        "vitals": vitals,
        "is_long_lived": bool(secret(environment, TOKEN)),
        "has_keys": bool(secret(environment, CLIENT_ID)),
        "redirect_uri": redirect_uri(here.config, environment),
        "ends_at": ends_at,
        "warning": token_watch.warning(ends_at, here.clock.now()),
    }
