"""The documents of the bridge, served by itself: whoever only has its pages can read them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, abort, render_template, request, send_from_directory
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.pages import Menu
from amo_bridge.web.services.help import PICTURES, folder, help_of, linked, pages, rendered

routes = Blueprint("help", __name__)
MENU = Menu(_l("Справка"), "help.show", place=99, role=Role.MANAGER)


@routes.get("/help")
@open_to(Role.MANAGER)
def show() -> str:
    return render_template("help/list.html", pages=pages())


@routes.get("/help/<name>")
@open_to(Role.MANAGER)
def page(name: str) -> str:
    try:
        text = rendered(name)
    except KeyError:
        abort(404)
    title = next(one.title for one in pages() if one.name == name)
    return render_template("help/page.html", text=text, title=title)


@routes.get("/help/<any(img, bench):kind>/<file>")
@open_to(Role.MANAGER)
def picture(kind: str, file: str) -> Response:
    if kind not in PICTURES or not file.endswith((".png", ".svg")):
        abort(404)
    return send_from_directory(folder() / kind, file, max_age=3600)


@routes.record_once
def _install(state: Any) -> None:
    app: Flask = state.app
    app.jinja_env.filters.update(help_links=linked)
    app.jinja_env.globals["help_address"] = lambda: help_of(request.blueprint or "", request.view_args or {})
