"""What a person does about Bizon365 on the page of webinars: the token, and a report that is to be tried again."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as Answer

from amo_bridge.engine.ticker import BIZON
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.bizon_desk import bizon_desk
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account, write_down

routes = Blueprint("bizon", __name__)
LONGEST_TOKEN = 500


@routes.post("/webinars/bizon/token")
@open_to(Role.ADMIN)
def keep_token() -> Answer:
    """An empty one is forgotten. What is kept is never shown again."""
    told = request.form.get("token", "").strip()
    if len(told) > LONGEST_TOKEN or not told.isprintable():
        abort(400)
    desk = _desk()
    desk.settings.keep_token(told)
    desk.reports.try_again()
    account().bridge.hurry(BIZON)
    write_down("bizon.token", "Токен Бизон365 задан" if told else "Токен Бизон365 удалён")
    flash(_("Токен сохранён.") if told else _("Токен удалён."))
    return redirect(url_for("webinars.show"))


@routes.post("/webinars/bizon/again")
@open_to(Role.WEBINAR)
def again() -> Answer:
    webinar_id = request.form.get("webinar", "")
    _desk().reports.try_again(webinar_id)
    account().bridge.hurry(BIZON)
    write_down("bizon.again", f"Отчёт Бизон365 {webinar_id[:200]}: попробовать ещё раз")
    return redirect(url_for("webinars.show"))


def _desk() -> Any:
    desk = bizon_desk()
    if desk is None:
        abort(404)
    return desk
