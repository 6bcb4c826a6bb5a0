"""The overview: is everything well?"""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account
from amo_bridge.web.menu import Menu

routes = Blueprint("overview", __name__)
MENU = Menu(_l("Обзор"), "overview.show", place=10)


@routes.get("/")
@open_to(Role.VIEWER)
def show() -> str:
    here = account()
    return render_template("overview/show.html", health=here.bridge.health())
