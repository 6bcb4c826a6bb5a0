"""The connection with amoCRM: how it stands, what the account's plan allows, and connecting anew."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l

from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.web import connection_desk
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.connection_desk import ConnectionDesk
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account
from amo_bridge.web.menu import Menu

routes = Blueprint("connect_page", __name__)
MENU = Menu(_l("Подключение"), "connect_page.show", place=60)


@routes.get("/connection")
@open_to(Role.VIEWER)
def show() -> str:
    return _page()


@routes.post("/connection/begin")
@open_to(Role.ADMIN)
def begin() -> str | tuple[str, int]:
    """The way to amoCRM's own page, where an administrator of the account lets us in. A link, not a redirect: a form
    may only be sent to ourselves."""
    try:
        page = connection_desk.begin(account())
    except (BridgeError, ConfigError) as error:
        return _page(why_not=str(error)), 409
    return _page(page=page)


def _page(**more: str) -> str:
    return render_template("connect/show.html", desk=ConnectionDesk.of(account()), **more)
