"""Rehearsals: asked for, watched, and what the rules would do in the coming days."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as Answer

from amo_bridge.rehearsal.results import sheet
from amo_bridge.runtime.rehearsal_jobs import LONGEST, NotRehearsed, Rehearsal
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import download
from amo_bridge.web.services import rules as rules_service
from amo_bridge.web.services.deals import NUMBER
from amo_bridge.web.template_filters import weeks

routes = Blueprint("rehearsals", __name__)
USUAL = 14
# A page of more is read by nobody; the file has them all.
MOST = 500
STATES = {
    "asked": ("warning", _l("в очереди")), "running": ("warning", _l("идёт")), "done": ("good", _l("готово")),
    "failed": ("bad", _l("не вышло")), "stopped": ("quiet", _l("остановлено")),
}  # fmt: skip


@routes.get("/rehearsals")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    known = here.rehearsals.all() if here.is_known else []
    return render_template(
        "rehearsals/all.html", rehearsals=known, here=here, states=STATES, usual=USUAL, longest=LONGEST
    )


@routes.post("/rehearsals")
@open_to(Role.ADMIN)
def ask() -> Answer:
    """The leader's process plays it; the page only waits."""
    days, deal = request.form.get("days", type=int), request.form.get("deal", "").strip()
    read = NUMBER.fullmatch(deal)
    if days is None or not 1 <= days <= LONGEST:
        flash(_("Дней — от 1 до %(n)s; на больше есть команда amo-bridge rehearse.", n=LONGEST))
        return redirect(url_for("rehearsals.show"))
    if deal and read is None:
        flash(_("Это не номер сделки и не её адрес в amoCRM."))
        return redirect(url_for("rehearsals.show"))
    try:
        number = rules_service.ask(days, int(read[1]) if read else None)
    except NotRehearsed as error:
        flash(str(error))
        return redirect(url_for("rehearsals.show"))
    return redirect(url_for("rehearsals.one", number=number))


@routes.get("/rehearsals/<int:number>")
@open_to(Role.VIEWER)
def one(number: int) -> str:
    return render_template("rehearsals/one.html", **_page_values(_known(number)))


@routes.get("/rehearsals/<int:number>/progress")
@open_to(Role.VIEWER)
def progress(number: int) -> str | Response:
    """Asked for again and again; the page is shown anew when the rehearsal is over."""
    rehearsal = _known(number)
    if not rehearsal.is_active:
        return Response(status=204, headers={"HX-Refresh": "true"})
    return render_template("rehearsals/progress.html", rehearsal=rehearsal, states=STATES)


@routes.post("/rehearsals/<int:number>/stop")
@open_to(Role.ADMIN)
def stop(number: int) -> Answer:
    _known(number)
    try:
        rules_service.stop(number)
    except NotRehearsed as error:
        flash(str(error))
    return redirect(url_for("rehearsals.one", number=number))


@routes.get("/rehearsals/<int:number>.csv")
@open_to(Role.VIEWER)
def as_text(number: int) -> Response:
    _known(number)
    body = sheet(current_account().rehearsals.actions(number))
    return download(body, f"rehearsal-{number}.csv")


def _known(number: int) -> Rehearsal:
    try:
        return current_account().rehearsals.get(number)
    except NotRehearsed:
        abort(404)


def _page_values(rehearsal: Rehearsal) -> dict[str, Any]:
    deeds = current_account().rehearsals.actions(rehearsal.number) if rehearsal.state == "done" else []
    days = [(datetime.fromisoformat(deed["at"]), deed) for deed in deeds]
    first = rehearsal.asked_at.astimezone(current_account().zone).date()
    return {
        "rehearsal": rehearsal,
        "states": STATES,
        "many": len(deeds),
        "most": MOST,
        "by_day": _by_day(days[:MOST]),
        "weeks": weeks(Counter(at.date() for at, _ in days), first, first + timedelta(days=rehearsal.days)),
    }


def _by_day(deeds: list[tuple[datetime, dict[str, Any]]]) -> list[tuple[date, list[tuple[datetime, dict[str, Any]]]]]:
    return [(day, list(some)) for day, some in groupby(deeds, key=lambda one: one[0].date())]
