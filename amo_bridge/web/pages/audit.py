"""Audit: who changed what on pages and by the API."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l

from amo_bridge.web import context
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts
from amo_bridge.web.pages import Menu

routes = Blueprint("audit", __name__)
MENU = Menu(_l("Кто что менял"), "audit.show", place=90, role=Role.ADMIN)
A_PAGE = 50


@routes.get("/audit")
@open_to(Role.ADMIN, is_common=True)
def show() -> str:
    before = context.number("before")
    deeds = accounts().audit.last(A_PAGE + 1, before=before)
    return render_template("audit/show.html", deeds=deeds[:A_PAGE], has_more=len(deeds) > A_PAGE)
