"""Map: pipelines and stages, the rules on them, where rules lead deals, which are in conflict."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l

from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu
from amo_bridge.web.services.stage_map import drawn

routes = Blueprint("stage_map", __name__)
MENU = Menu(_l("Карта"), "stage_map.show", place=22)


@routes.get("/map")
@open_to(Role.VIEWER)
def show() -> str:
    return render_template("rules/map.html", map=drawn(current_account()))
