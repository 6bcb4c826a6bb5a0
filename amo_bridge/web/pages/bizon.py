"""Bizon365 on the page of webinars: the token, and a report fetched again."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as Answer

from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.services import webinars as webinars_service

routes = Blueprint("bizon", __name__)


@routes.post("/webinars/bizon/token")
@open_to(Role.ADMIN)
def keep_token() -> Answer:
    """What is kept is never shown again. An empty field changes nothing: it is what the page shows."""
    told = request.form.get("token", "").strip()
    if len(told) > webinars_service.LONGEST_TOKEN or not told.isprintable():
        abort(400)
    if told:
        webinars_service.keep_token(_bizon_or_404(), told)
        flash(_("Токен сохранён."))
    else:
        flash(_("Впишите токен."))
    return redirect(url_for("webinars.show"))


@routes.post("/webinars/bizon/token/forget")
@open_to(Role.ADMIN)
def forget_token() -> Answer:
    webinars_service.keep_token(_bizon_or_404(), "")
    flash(_("Токен удалён."))
    return redirect(url_for("webinars.show"))


@routes.post("/webinars/bizon/again")
@open_to(Role.WEBINAR)
def again() -> Answer:
    webinars_service.fetch_again(_bizon_or_404(), request.form.get("webinar", ""))
    return redirect(url_for("webinars.show"))


def _bizon_or_404() -> webinars_service.BizonService:
    bizon = webinars_service.bizon_service()
    if bizon is None:
        abort(404)
    return bizon
