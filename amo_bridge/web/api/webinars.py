"""``/webinars``: uploads, drafts, attendees, decisions; imports carried out, held, undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.engine.deal_view import deal_url
from amo_bridge.errors import UnknownName
from amo_bridge.text.names import same_name
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, one_of, refusal, whole
from amo_bridge.web.api.webinar_schemas import (
    Attendee,
    AttendeeDecision,
    ColumnAnswer,
    ColumnAnswers,
    ColumnChange,
    Drafts,
    UnknownMinutes,
    UploadRefused,
    Webinar,
    WebinarPeople,
    WebinarReport,
    Webinars,
    WebinarSum,
    WebinarUpload,
)
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account, token
from amo_bridge.web.services import webinars as webinars_service
from amo_bridge.web.services.webinars import (
    FILTERS,
    FINDS_PEOPLE,
    ON_A_PAGE,
    WebinarServices,
    filtered,
    useless_answer,
    webinar_services,
)
from amo_bridge.webinars.formats.model import ColumnsUnknown, ExportError
from amo_bridge.webinars.formats.tables import NO_COLUMN, WORDS, Field
from amo_bridge.webinars.imports.drafts import NotFilled
from amo_bridge.webinars.imports.model import Counts, Import, ImportRow
from amo_bridge.webinars.imports.report import carried_out, contact_url, results, sums
from amo_bridge.webinars.imports.repository import ImportRepository, NoSuchImport, NotNow
from amo_bridge.webinars.imports.service import NoAddress, UnknownContact
from amo_bridge.webinars.plan import Override
from amo_bridge.webinars.sorting import rule_in_words


def webinar_services_or_404() -> WebinarServices:
    """404 where the config has no webinars."""
    try:
        return webinar_services()
    except ExportError as error:
        abort(refusal(404, str(error)))


@contextmanager
def refusing() -> Iterator[None]:
    """What can't be done is said in the page's words: 404 for what is not there, 409 for what is not so now."""
    try:
        yield
    except (NotNow, UnknownName) as error:
        abort(refusal(409, str(error)))
    except (UnknownContact, NoAddress) as error:
        abort(refusal(422, str(error)))
    except NoSuchImport as error:
        abort(refusal(404, str(error)))


def found(at_hand: WebinarServices, number: int) -> Import:
    """Raises NoSuchImport, also for one that was thrown away."""
    job = at_hand.book.get(number)
    if job.state == "dropped":
        raise NoSuchImport(f"загрузка № {number} удалена")
    return job


def facts(one: Import, book: ImportRepository) -> dict[str, Any]:
    """What ``Webinar`` has."""
    return _facts(one, book.counts(one.id))


def _facts(one: Import, counts: Counts) -> dict[str, Any]:
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


def attendee(kept: ImportRow, at_hand: WebinarServices) -> Attendee:
    """A row, as the table of the page shows it."""
    row, person, home = kept.row, kept.row.person, current_account().config.account.url
    return Attendee(
        place=kept.number,
        name=person.name,
        mails=list(person.mails),
        phones=list(person.phones),
        unreadable=list(person.unreadable),
        minutes=person.minutes,
        buttons=list(row.sorted.tags),
        interest=row.sorted.interest,
        stage=at_hand.stage(row.sorted.interest),
        sorted_by=row.sorted.why,
        standing=row.standing,
        plan=row.what,
        why=row.why,
        remarks=list(row.remarks),
        choices=list(row.candidates),
        decided=AttendeeDecision.of(kept.said),
        state=kept.state,
        became=kept.became,
        note=kept.note,
        contact_id=kept.contact_id,
        contact_url=contact_url(home, kept.contact_id) if kept.contact_id else None,
        deal_id=kept.deal_id,
        deal_url=deal_url(home, kept.deal_id) if kept.deal_id else None,
        places=list(person.places),
    )


# ``/webinars``: files come in, people are decided about, an upload is carried out, held, taken back.


@api.endpoint(
    Endpoint(
        "webinar_work_upload",
        "/webinars",
        "POST",
        Role.WEBINAR,
        _l("Файлы с участниками → черновики; в amoCRM ничего не пишется"),
        Drafts,
        takes=WebinarUpload,
        files=webinars_service.FILES,
        most_bytes=webinars_service.SEVERAL_FILES,
        says_no={"422": UploadRefused},
    )
)
def upload(told: WebinarUpload) -> Drafts:
    at_hand = webinar_services_or_404()
    try:
        return Drafts(numbers=_drafted(at_hand, told))
    except ColumnsUnknown as unknown:
        how = _('Назовите столбцы в поле columns: {"mail": "…", "minutes": "…"}.')
        seen = {"titles": unknown.headers, "samples": unknown.samples, "fields": dict(WORDS)}
        abort(refusal(422, f"{str(unknown).rstrip('.')}. {how}", **seen))
    except (NotFilled, UnknownName) as error:
        abort(refusal(409, str(error)))
    except ExportError as error:
        abort(refusal(422, str(error)))


@api.endpoint(
    Endpoint(
        "webinar_work_decide",
        "/webinars/<int:number>/people/<int:place>",
        "PUT",
        Role.WEBINAR,
        _l("Решить об одном участнике"),
        Attendee,
        takes=AttendeeDecision,
    )
)
def decide(number: int, place: int, told: AttendeeDecision) -> Attendee:
    at_hand = webinar_services_or_404()
    with refusing():
        webinars_service.decide(at_hand, number, place, told.override)
        return attendee(at_hand.book.row(number, place), at_hand)


@api.endpoint(
    Endpoint(
        "webinar_work_decide_unknown_minutes",
        "/webinars/<int:number>/unknown-minutes",
        "PUT",
        Role.WEBINAR,
        _l("Решить обо всех, о ком неизвестно, сколько они смотрели"),
        Webinar,
        takes=UnknownMinutes,
    )
)
def decide_unknown_minutes(number: int, told: UnknownMinutes) -> Webinar:
    at_hand = webinar_services_or_404()
    with refusing():
        webinars_service.decide_unknown_minutes(at_hand, number, Override(skip=told.skip, interest=told.interest))
        return Webinar(**facts(at_hand.book.get(number), at_hand.book))


@api.endpoint(
    Endpoint(
        "webinars_columns",
        "/webinars/columns",
        "GET",
        Role.WEBINAR,
        _l("Ответы людей о столбцах таблиц"),
        ColumnAnswers,
    )
)
def columns() -> ColumnAnswers:
    return _answers(webinar_services_or_404())


@api.endpoint(
    Endpoint(
        "webinar_work_change_columns",
        "/webinars/columns/<signature>",
        "PUT",
        Role.WEBINAR,
        _l("Изменить ответ о столбцах"),
        ColumnAnswers,
        takes=ColumnChange,
    )
)
def change_columns(signature: str, told: ColumnChange) -> ColumnAnswers:
    at_hand = webinar_services_or_404()
    with refusing():
        try:
            webinars_service.change_columns(at_hand, signature, told.columns)
        except webinars_service.WrongColumns as error:
            abort(refusal(422, str(error)))
    return _answers(at_hand)


@api.endpoint(
    Endpoint(
        "webinar_work_forget_columns",
        "/webinars/columns/<signature>",
        "DELETE",
        Role.WEBINAR,
        _l("Забыть ответ о столбцах; в ответе те, что остались"),
        ColumnAnswers,
    )
)
def forget_columns(signature: str) -> ColumnAnswers:
    at_hand = webinar_services_or_404()
    with refusing():
        webinars_service.forget_columns(at_hand, signature)
    return _answers(at_hand)


def _answers(at_hand: WebinarServices) -> ColumnAnswers:
    told = at_hand.drafting.memory.column_answers()
    return ColumnAnswers(
        answers=[
            ColumnAnswer(signature=one.signature, columns=dict(one.columns), titles=list(one.titles)) for one in told
        ]
    )


@api.endpoint(
    Endpoint(
        "webinar_work_start",
        "/webinars/<int:number>/start",
        "POST",
        Role.WEBINAR,
        _l("Загрузить черновик в amoCRM"),
        Webinar,
    )
)
def start(number: int) -> Webinar:
    return _after("start", number)


@api.endpoint(
    Endpoint(
        "webinar_work_pause", "/webinars/<int:number>/pause", "POST", Role.WEBINAR, _l("Остановить загрузку"), Webinar
    )
)
def pause(number: int) -> Webinar:
    return _after("pause", number)


@api.endpoint(
    Endpoint(
        "webinar_work_resume", "/webinars/<int:number>/resume", "POST", Role.WEBINAR, _l("Продолжить загрузку"), Webinar
    )
)
def resume(number: int) -> Webinar:
    return _after("resume", number)


@api.endpoint(
    Endpoint(
        "webinar_work_repeat",
        "/webinars/<int:number>/repeat",
        "POST",
        Role.WEBINAR,
        _l("Повторить для тех, у кого не вышло"),
        Webinar,
    )
)
def repeat(number: int) -> Webinar:
    return _after("repeat", number)


@api.endpoint(
    Endpoint(
        "webinar_work_repeat_one",
        "/webinars/<int:number>/people/<int:place>/repeat",
        "POST",
        Role.WEBINAR,
        _l("Повторить для одного участника, у которого не вышло"),
        Attendee,
    )
)
def repeat_one(number: int, place: int) -> Attendee:
    at_hand = webinar_services_or_404()
    with refusing():
        webinars_service.repeat(at_hand, number, place)
        return attendee(at_hand.book.row(number, place), at_hand)


@api.endpoint(
    Endpoint("webinar_work_undo", "/webinars/<int:number>/undo", "POST", Role.WEBINAR, _l("Отменить загрузку"), Webinar)
)
def undo(number: int) -> Webinar:
    return _after("undo", number)


@api.endpoint(
    Endpoint("webinar_work_drop", "/webinars/<int:number>/drop", "POST", Role.WEBINAR, _l("Удалить черновик"), Webinar)
)
def drop(number: int) -> Webinar:
    return _after("drop", number)


def _after(deed: webinars_service.Deed, number: int) -> Webinar:
    at_hand = webinar_services_or_404()
    with refusing():
        webinars_service.act(at_hand, number, deed)
        return Webinar(**facts(at_hand.book.get(number), at_hand.book))


def _drafted(at_hand: WebinarServices, told: WebinarUpload) -> list[int]:
    """Columns that are named hold for tables that ask for them, each kind of table once, and for those that are
    understood by themselves and have them."""
    files, named = webinars_service.uploads(), set[str]()
    while True:
        try:
            return webinars_service.draft(at_hand, files, f"API: {token().name}", told.held_on, told.columns)
        except ColumnsUnknown as unknown:
            if not told.columns or unknown.signature in named:
                raise
            at_hand.drafting.memory.remember_columns(unknown.signature, _titles(told.columns, unknown), unknown.headers)
            named.add(unknown.signature)


def _titles(columns: dict[Field, str], unknown: ColumnsUnknown) -> dict[Field, str]:
    """Raises ColumnsUnknown for a title that the table has not, and when nobody can be found by what is named."""
    if not columns.keys() & FINDS_PEOPLE:
        raise ColumnsUnknown(useless_answer(), unknown.headers, unknown.signature, unknown.samples)
    for title in columns.values():
        if title != NO_COLUMN and not any(same_name(title, header) for header in unknown.headers):
            titles = ", ".join(unknown.headers)
            words = _("столбца «%(title)s» в этой таблице нет; столбцы: %(titles)s", title=title, titles=titles)
            raise ColumnsUnknown(words, unknown.headers, unknown.signature, unknown.samples)
    return columns


# ``/webinars``: the uploads, what is to become of everybody, and what became of them.

SOUGHT: dict[str, Any] = {
    "words": _l("имя, почта, телефон или что сказано о человеке"),
    "interest": "active, long, short, unknown",
    "standing": "new, known, owned, loaded, doubtful, no_minutes, no_client, unmatched, banned, skipped",
    "state": "planned, ready, sending, doubt, done, skipped, failed, undone, kept, intact",
    "page": _l("страница, по %(n)s человек", n=ON_A_PAGE),
}
# What is chosen from a list, and the page.
CHECKS = {name: one_of(SOUGHT[name].split(", ")) for name in ("interest", "standing", "state")} | {"page": whole(1)}


@api.endpoint(
    Endpoint("webinars_webinars", "/webinars", "GET", Role.WEBINAR, _l("Загрузки участников вебинаров"), Webinars)
)
def webinars() -> Webinars:
    book = webinar_services_or_404().book
    imports = book.all()
    counts = book.counts_of(one.id for one in imports)
    return Webinars(webinars=[Webinar(**_facts(one, counts[one.id])) for one in imports])


@api.endpoint(
    Endpoint(
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
        doubts=list(job.doubts),
        results=results(rows).in_words(),
        attendees=_attendees(rows, at_hand),
    )


@api.endpoint(
    Endpoint(
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


def _asked(number: int) -> tuple[WebinarServices, Import]:
    at_hand = webinar_services_or_404()
    with refusing():
        return at_hand, found(at_hand, number)


def _attendees(rows: list[ImportRow], at_hand: WebinarServices) -> list[Attendee]:
    return [attendee(kept, at_hand) for kept in rows]
