"""The API described for people, and the tokens of programs."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.web.api import ROOT, SUBJECTS, api, by_subject
from amo_bridge.web.api import openapi as api_description
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import PROGRAM_ROLES, Role
from amo_bridge.web.context import accounts
from amo_bridge.web.forms import role_names, roles_by_account
from amo_bridge.web.pages import Menu
from amo_bridge.web.services import users as users_service

routes = Blueprint("api", __name__)
MENU = Menu(_l("API"), "api.show", place=95, role=Role.ADMIN)


@routes.get("/api")
@open_to(Role.ADMIN, is_common=True)
def show() -> str:
    return _page()


@routes.get("/api/openapi.json")
@open_to(Role.ADMIN, is_common=True)
def openapi() -> dict[str, object]:
    return api_description.describe(api, request.script_root + ROOT)


@routes.post("/api/tokens")
@open_to(Role.ADMIN, is_common=True)
def issue() -> str | tuple[str, int]:
    """The token is shown this once."""
    name, told = " ".join(request.form.get("name", "").split()), request.form.get("role", "")
    if not name or len(name) > users_service.LONGEST_NAME or told not in PROGRAM_ROLES:
        flash(_("Назовите программу, которой нужен токен (не длиннее 80 знаков), и выберите роль."))
        return _page(), 422
    try:
        by_account = roles_by_account(request.form, users_service.account_names())
    except ValueError:
        abort(400)
    if by_account and not set(by_account.values()) <= set(PROGRAM_ROLES):
        abort(400)
    return _page(secret=users_service.issue(name, Role(told), by_account), name=name)


@routes.post("/api/tokens/<int:token_id>/revoke")
@open_to(Role.ADMIN, is_common=True)
def revoke(token_id: int) -> Response:
    if not users_service.revoke(token_id):
        abort(404)
    flash(_("Токен отозван."))
    return redirect(url_for("api.show"))


def _page(**more: str) -> str:
    base = request.url_root.rstrip("/") + ROOT
    return render_template(
        "api/show.html",
        tokens=accounts().api_tokens.all(),
        endpoints=by_subject(api.all),
        titles=SUBJECTS,
        role_names=role_names(),
        program_roles={role: words for role, words in role_names().items() if role in PROGRAM_ROLES},
        account_names=users_service.account_names(),
        base=base,
        **more,
    )
