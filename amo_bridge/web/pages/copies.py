"""Copies of the bridge's data: made now, listed, downloaded by an admin who says his password again."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, send_file, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from amo_bridge.errors import BridgeError, why_not
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.rate_limit import begin_log_in
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts, audit, current_account, user
from amo_bridge.web.services import copies as service

routes = Blueprint("copies", __name__)


@routes.get("/settings/copies")
@open_to(Role.ADMIN, is_common=True)
def show() -> str:
    return _page()


@routes.post("/settings/copies")
@open_to(Role.ADMIN, is_common=True)
def make() -> Response:
    try:
        copy = service.make(current_account(), request.form.get("note", ""))
    except (BridgeError, OSError) as error:
        flash(_("Копия не сделана: %(why)s", why=why_not(error) if isinstance(error, OSError) else str(error)))
    else:
        flash(_("Копия сделана: %(name)s", name=copy.name))
    return redirect(url_for("copies.show"))


@routes.post("/settings/copies/<name>/download")
@open_to(Role.ADMIN, is_common=True)
def download(name: str) -> Response | tuple[str, int]:
    """The file has the account's tokens: a sitting that somebody else has got hold of does not give it away."""
    try:
        copy = service.copy_of(current_account(), name)
    except LookupError:
        abort(404)
    attempt = begin_log_in(user().login)
    if not accounts().users.knows(user().id, request.form.get("password", "")):
        attempt.failed()
        return _page(wrong=name), 403
    attempt.succeeded()
    audit("copy.downloaded", f"Скачана копия данных {name}")
    sent = send_file(copy.path, mimetype="application/x-tar", as_attachment=True, download_name=name)
    sent.headers["Cache-Control"] = "no-store"
    return sent


@routes.post("/settings/copies/<name>/delete")
@open_to(Role.ADMIN, is_common=True)
def delete(name: str) -> Response:
    try:
        service.delete(current_account(), name)
    except LookupError:
        abort(404)
    except OSError as error:
        flash(_("Копия не удалена: %(why)s", why=why_not(error)))
    else:
        flash(_("Копия удалена: %(name)s", name=name))
    return redirect(url_for("copies.show"))


def _page(wrong: str = "") -> str:
    here = current_account()
    found = service.copies_of(here)
    return render_template(
        "settings/copies.html",
        copies=found,
        commands={one.name: service.restore_command(here, one) for one in found},
        is_possible=service.is_possible(here),
        most=service.MOST_COPIES,
        wrong=wrong,
    )
