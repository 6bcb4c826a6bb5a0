"""``/webinars``: what became of the attendees."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from flask import abort
from flask_babel import lazy_gettext as _l

from amo_bridge.engine.imports.book import ImportBook, NoSuchImport
from amo_bridge.engine.imports.records import Import, Kept
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api.described import Door, refusal
from amo_bridge.web.api.shape import Shape
from amo_bridge.web.api.version import doors
from amo_bridge.web.webinar_desk import Desk, desk
from amo_bridge.webinars.exports import ExportError


class Webinar(Shape):
    """One upload of a webinar's attendees. ``counts``: state of a row → how many; ``waiting``: people about whom
    somebody must decide."""

    number: int
    state: str
    held_on: date
    title: str
    made_at: datetime
    made_by: str
    waiting: int
    counts: dict[str, int]
    trouble: str


class Webinars(Shape):
    """The newest first."""

    webinars: list[Webinar]


class Attendee(Shape):
    """``became``: what came of the person, in Russian; ``deal_id`` and ``contact_id``: null while there is none."""

    name: str
    mails: list[str]
    phones: list[str]
    interest: str
    became: str
    why: str
    note: str
    contact_id: int | None
    deal_id: int | None


class WebinarReport(Webinar):
    """A webinar with everybody in it."""

    attendees: list[Attendee]


@doors.open(Door("/webinars", "GET", Role.WEBINAR, _l("Загрузки участников вебинаров"), Webinars))
def webinars() -> Webinars:
    book = _webinar_desk().book
    return Webinars(webinars=[Webinar(**_webinar(one, book)) for one in book.all()])


@doors.open(Door("/webinars/<int:number>", "GET", Role.WEBINAR, _l("Одна загрузка: каждый участник"), WebinarReport))
def webinar(number: int) -> WebinarReport:
    book = _webinar_desk().book
    try:
        asked = book.get(number)
    except NoSuchImport as error:
        abort(refusal(404, str(error)))
    return WebinarReport(**_webinar(asked, book), attendees=[_attendee(kept) for kept in book.rows(number)])


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


def _attendee(kept: Kept) -> Attendee:
    person = kept.row.person
    return Attendee(
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
