"""``/webinars``: the uploads, what is to become of everybody, and what became of them."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_babel import lazy_gettext as _l

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api.described import Door
from amo_bridge.web.api.query import one_of, whole
from amo_bridge.web.api.version import doors
from amo_bridge.web.api.webinar_shapes import Attendee, Webinar, WebinarPeople, WebinarReport, Webinars, WebinarSum
from amo_bridge.web.api.webinars_at_hand import attendee, facts, found, refusing, webinar_desk
from amo_bridge.web.webinar_desk import FILTERS, ON_A_PAGE, Desk, filtered
from amo_bridge.webinars.imports.model import Import, Kept
from amo_bridge.webinars.imports.report import carried_out, results, sums
from amo_bridge.webinars.sorting import rule_in_words

SOUGHT: dict[str, Any] = {
    "words": _l("имя, почта, телефон или что сказано о человеке"),
    "interest": "active, long, short",
    "standing": "new, known, owned, loaded, doubtful, unmatched, banned, skipped",
    "state": "planned, ready, sending, doubt, done, skipped, failed, undone, kept, intact",
    "page": _l("страница, по %(n)s человек", n=ON_A_PAGE),
}
# What is chosen from a list, and the page.
CHECKS = {name: one_of(SOUGHT[name].split(", ")) for name in ("interest", "standing", "state")} | {"page": whole(1)}


@doors.open(Door("webinars_webinars", "/webinars", "GET", Role.WEBINAR, _l("Загрузки участников вебинаров"), Webinars))
def webinars() -> Webinars:
    book = webinar_desk().book
    return Webinars(webinars=[Webinar(**facts(one, book)) for one in book.all()])


@doors.open(
    Door(
        "webinars_webinar",
        "/webinars/<int:number>",
        "GET",
        Role.WEBINAR,
        _l("Одна загрузка: план или отчёт, каждый участник"),
        WebinarReport,
    )
)
def webinar(number: int) -> WebinarReport:
    at_hand, job = _asked(number)
    rows = at_hand.book.rows(number)
    beside = at_hand.drafting.drafts_beside(job)
    by_stage, left_out = sums((kept.row for kept in rows), carried_out(rows))
    return WebinarReport(
        **facts(job, at_hand.book),
        files=[{**file, "in_draft": beside.get(file["digest"])} for file in job.files],
        rule=rule_in_words(at_hand.drafting.options),
        sums=[
            WebinarSum(
                interest=one,
                stage=at_hand.stage(one),
                standings=dict(told.standings),
                planned=told.planned,
                done=told.done,
            )
            for one, told in by_stage.items()
        ],
        left_out=dict(left_out),
        results=results(rows).in_words(),
        attendees=_attendees(rows, at_hand),
    )


@doors.open(
    Door(
        "webinars_people",
        "/webinars/<int:number>/people",
        "GET",
        Role.WEBINAR,
        _l("Участники загрузки: отбор"),
        WebinarPeople,
        query=SOUGHT,
        checks=CHECKS,
    )
)
def people(number: int) -> WebinarPeople:
    at_hand, _job = _asked(number)
    rows = filtered(at_hand.book.rows(number), {name: request.args.get(name, "") for name in FILTERS})
    page = request.args.get("page", 1, type=int)
    shown = rows[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
    return WebinarPeople(
        found=len(rows), page=page, pages=-(-len(rows) // ON_A_PAGE), attendees=_attendees(shown, at_hand)
    )  # fmt: skip


def _asked(number: int) -> tuple[Desk, Import]:
    at_hand = webinar_desk()
    with refusing():
        return at_hand, found(at_hand, number)


def _attendees(rows: list[Kept], at_hand: Desk) -> list[Attendee]:
    return [attendee(kept, at_hand) for kept in rows]
