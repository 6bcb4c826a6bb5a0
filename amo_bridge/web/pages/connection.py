"""The connection with amoCRM: how it stands, what the account's plan allows, and connecting anew."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l

from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu
from amo_bridge.web.services import connection as connection_service
from amo_bridge.web.services.connection import ConnectionView

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
        page = connection_service.begin(current_account())
    except (BridgeError, ConfigError) as error:
        return _page(why_not=str(error)), 409
    return _page(page=page)


def _page(**more: str) -> str:
    return render_template("connect/show.html", connection=ConnectionView.of(current_account()), **more)
