"""``/api/v1/webinars``: what became of the attendees, for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, abort
from flask_babel import lazy_gettext as _l

from amo_bridge.engine.imports.book import ImportBook, NoSuchImport
from amo_bridge.engine.imports.records import Import, Kept
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api import shapes
from amo_bridge.web.api.described import Door, Doors, refusal
from amo_bridge.web.pages import api_v1
from amo_bridge.web.webinar_desk import Desk, desk
from amo_bridge.webinars.exports import ExportError

routes = Blueprint("api_webinars", __name__, url_prefix=api_v1.ROOT)
doors = Doors(routes, api_v1.doors)


@doors.open(Door("/webinars", "GET", Role.WEBINAR, _l("Загрузки участников вебинаров"), shapes.Webinars))
def webinars() -> shapes.Webinars:
    book = _webinar_desk().book
    return shapes.Webinars(webinars=[shapes.Webinar(**_webinar(one, book)) for one in book.all()])


@doors.open(
    Door("/webinars/<int:number>", "GET", Role.WEBINAR, _l("Одна загрузка: каждый участник"), shapes.WebinarReport)
)
def webinar(number: int) -> shapes.WebinarReport:
    book = _webinar_desk().book
    try:
        asked = book.get(number)
    except NoSuchImport as error:
        abort(refusal(404, str(error)))
    return shapes.WebinarReport(**_webinar(asked, book), attendees=[_attendee(kept) for kept in book.rows(number)])


def _webinar_desk() -> Desk:
    try:
        return desk()
    except ExportError as error:
        abort(refusal(404, str(error)))


def _webinar(one: Import, book: ImportBook) -> dict[str, Any]:
    counts = book.counts(one.id)
    return {
        "number": one.id,
        "state": one.state,
        "held_on": one.held_on,
        "title": one.title,
        "made_at": datetime.fromtimestamp(one.made_at, UTC),
        "made_by": one.made_by,
        "waiting": counts.waiting,
        "counts": dict(counts.state),
        "trouble": one.trouble,
    }


def _attendee(kept: Kept) -> shapes.Attendee:
    person = kept.row.person
    return shapes.Attendee(
        name=person.name,
        mails=list(person.mails),
        phones=list(person.phones),
        interest=kept.row.sorted.interest,
        became=kept.became,
        why=kept.row.why,
        note=kept.note,
        contact_id=kept.contact_id,
        deal_id=kept.deal_id,
    )
