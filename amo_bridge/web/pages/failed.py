"""Dead letters: a person repeats them or drops them."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.engine.dead_letters import NotFailed
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, user
from amo_bridge.web.pages import Menu
from amo_bridge.web.services.failures import grouped, names_in_group

routes = Blueprint("failed", __name__)
MENU = Menu(_l("Не выполнено"), "failed.show", place=30)


@routes.get("/failed")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    groups = grouped(here.failures.all()) if here.is_known else []
    clauses = {rule.name: rule.clause for rule in here.config.rules}
    return render_template("failed/show.html", groups=groups, clauses=clauses)


@routes.post("/failed/<decision>")
@open_to(Role.HEAD)
def decide(decision: str) -> Response:
    """Retry or drop those that were ticked, or all of one reason."""
    here, names = current_account(), request.form.getlist("name")
    if key := request.form.get("group"):
        names = names_in_group(here.failures.all(), key)
    act = {"retry": here.failures.retry, "drop": here.failures.drop}.get(decision)
    if act is None or not names:
        flash(_("Отметьте, что вернуть в работу или снять."))
        return redirect(url_for("failed.show"))
    try:
        chosen = act(names, user().login)
    except NotFailed:
        flash(_("Список уже изменился: кто-то решил это раньше."))
        return redirect(url_for("failed.show"))
    words = {"retry": "Возвращено в работу", "drop": "Снято"}[decision]
    audit(f"failed.{decision}", f"{words}: {', '.join(one.name for one in chosen)}")
    here.bridge.wake()
    flash(_("Возвращено в работу.") if decision == "retry" else _("Снято."))
    return redirect(url_for("failed.show"))
