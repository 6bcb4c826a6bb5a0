"""Webinars: uploads, the plan, decisions, the import run, held, reported and undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import wraps
from secrets import token_urlsafe
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as Answer

from amo_bridge.engine.deal_view import deal_url
from amo_bridge.errors import UnknownName
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account, user
from amo_bridge.web.pages import Menu
from amo_bridge.web.services import webinars as webinars_service
from amo_bridge.web.services.webinars import (
    FILTERS,
    ON_A_PAGE,
    NotAContact,
    WebinarServices,
    bizon_service,
    contacts_of,
    filtered,
    override_in,
    webinar_services,
)
from amo_bridge.webinars.formats.model import ColumnsUnknown, ExportError
from amo_bridge.webinars.imports.model import BEGUN, Import
from amo_bridge.webinars.imports.report import carried_out, contact_url, sizes, sums
from amo_bridge.webinars.imports.report import progress as progress_of
from amo_bridge.webinars.imports.report import report as report_of
from amo_bridge.webinars.imports.repository import ACTIVE, NoSuchImport
from amo_bridge.webinars.imports.service import UnknownContact
from amo_bridge.webinars.plan import Override
from amo_bridge.webinars.sorting import minutes_of, rule_in_words

routes = Blueprint("webinars", __name__)
MOST_TITLES = 200
LONGEST_KEY = 40
MENU = Menu(
    _l("Вебинары"), "webinars.show", place=30, role=Role.WEBINAR, needs=lambda config: config.webinar is not None
)


def with_errors_shown(view: Callable[..., Any]) -> Callable[..., Any]:
    """What can't be done is said on the page it was asked from."""

    @wraps(view)
    def wrapper(number: int, **more: Any) -> Any:
        try:
            return view(number, **more)
        except (NoSuchImport, ExportError, UnknownName) as error:
            flash(str(error))
            # A part of the page can't show that, and the rest of it is out of date.
            there = url_for("webinars.one", number=number)
            return Response(status=204, headers={"HX-Redirect": there}) if _by_htmx() else _to(number)

    return wrapper


@routes.get("/webinars")
@open_to(Role.WEBINAR)
def show() -> str:
    return _front()


def _front(**more: Any) -> str:
    try:
        at_hand = webinar_services()
    except ExportError as error:
        return render_template("webinars/off.html", why=str(error))
    imports = at_hand.book.all()
    about = {
        "imports": imports,
        "sizes": sizes(current_account().store, [job.id for job in imports]),
        "words": webinars_service,
        "rule": rule_in_words(at_hand.drafting.options), "bizon": bizon_service(),
        "answers": at_hand.drafting.memory.column_answers(), "reading_key": token_urlsafe(12),
    }  # fmt: skip
    return render_template("webinars/list.html", **about, **more)


@routes.post("/webinars")
@open_to(Role.WEBINAR, most_bytes=webinars_service.SEVERAL_FILES)
def upload() -> Any:
    """Files → drafts. Columns that nobody knows are asked for in the same form, so that the files needn't be chosen
    again."""
    key, mistake = request.form.get("reading", "")[:LONGEST_KEY], ""
    try:
        at_hand = webinar_services()
        is_useless = not _remember_columns(at_hand)
        mistake = webinars_service.useless_answer() if is_useless else ""
        files, day = webinars_service.uploads(), _day(request.form.get("held_on", ""))
        if "ask" in request.form:
            signature = request.form.get("signature", "")
            answered = {*request.form.getlist("answered"), signature} - ({signature} if is_useless else set())
            if asked := webinars_service.columns_to_confirm(at_hand, files, day, answered):
                return _again(columns=asked, answered=sorted(answered - {""}), mistake=mistake)
        numbers = webinars_service.draft(at_hand, files, user().login, day, progress=webinars_service.READING.of(key))
    except ColumnsUnknown as unknown:
        return _again(columns=unknown, answered=request.form.getlist("answered"), mistake=mistake)
    except (ExportError, UnknownName) as error:
        return _again(mistake=str(error))
    finally:
        webinars_service.READING.over(key)
    if len(numbers) > 1:
        flash(_("В файлах несколько дней: на каждый своя загрузка."))
    target = url_for("webinars.one", number=numbers[0]) if len(numbers) == 1 else url_for("webinars.show")
    return Response(status=204, headers={"HX-Redirect": target}) if _by_htmx() else redirect(target)


def _again(**more: Any) -> str:
    if _by_htmx():
        return render_template("webinars/answer.html", words=webinars_service, **more)
    return _front(**more)


@routes.get("/webinars/reading/<key>")
@open_to(Role.WEBINAR)
def reading(key: str) -> Response:
    """How far the files of a form are that was sent and not answered yet, in words."""
    words = webinars_service.READING.describe(key)
    return Response(words, status=200 if words else 204, mimetype="text/plain")


def _remember_columns(at_hand: WebinarServices) -> bool:
    """False for an answer by which nobody can be found in amoCRM."""
    if not (signature := request.form.get("signature", "")):
        return True
    named, was = (
        {field: title for field in webinars_service.ASKED if (title := request.form.get(f"{kind}-{field}", ""))}
        for kind in ("column", "was")
    )
    titles = request.form.getlist("title")[:MOST_TITLES]
    return webinars_service.remember_columns(at_hand, signature[:32], named, was, titles)


def _day(told: str) -> date | None:
    try:
        return date.fromisoformat(told) if told else None
    except ValueError:
        return None


def _by_htmx() -> bool:
    return "HX-Request" in request.headers


@routes.get("/webinars/<int:number>")
@open_to(Role.WEBINAR)
def one(number: int) -> str:
    return render_template("webinars/one.html", **_page_values(number))


@routes.get("/webinars/<int:number>/people")
@open_to(Role.WEBINAR)
def people(number: int) -> str:
    """The table alone, as it is filtered."""
    return render_template("webinars/people.html", **_page_values(number))


@routes.get("/webinars/<int:number>/progress")
@open_to(Role.WEBINAR)
def progress(number: int) -> str | Response:
    """Asked for again and again while the import runs; the page is shown anew when that is over."""
    at_hand, job = _found(number)
    if job.state not in ACTIVE:
        return Response(status=204, headers={"HX-Refresh": "true"})
    return render_template(
        "webinars/progress.html", job=job, progress=progress_of(at_hand.book, number), now=webinars_service.now
    )


def _found(number: int) -> tuple[WebinarServices, Import]:
    try:
        at_hand = webinar_services()
        job = at_hand.book.get(number)
    except (NoSuchImport, ExportError):
        abort(404)
    if job.state == "dropped":
        abort(404)
    return at_hand, job


def _page_values(number: int) -> dict[str, Any]:
    at_hand, job = _found(number)
    counts = at_hand.book.counts(number)
    rows = at_hand.book.rows(number)
    by_stage, left_out = sums((kept.row for kept in rows), carried_out(rows))
    found = filtered(rows, request.args)
    page = max(request.args.get("page", 1, type=int), 1)
    shown = found[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
    return {
        "job": job, "counts": counts, "rows": shown, "contacts": contacts_of(shown, current_account()),
        "found": len(found), "page": page, "pages": -(-len(found) // ON_A_PAGE), "sums": by_stage, "left_out": left_out,
        "drafts_beside": at_hand.drafting.drafts_beside(job), "services": at_hand,
        "waiting": [kept for kept in rows if kept.waits],
        "standings": [one for one in webinars_service.STANDINGS if any(kept.row.standing == one for kept in rows)],
        "rule": rule_in_words(at_hand.drafting.options), "words": webinars_service, "minutes_of": minutes_of,
        "deal_url": lambda deal_id: deal_url(current_account().config.account.url, deal_id),
        "contact_url": lambda contact_id: contact_url(current_account().config.account.url, contact_id),
        "failed": counts.state.get("failed", 0) if job.state in BEGUN else 0,
        "is_active": job.state in ACTIVE,
        "progress": progress_of(at_hand.book, number) if job.state in (*ACTIVE, "paused") else None,
        "now": webinars_service.now, "did": webinars_service.did,
        "start_question": webinars_service.start_question(counts, job.doubts),
        "undo_question": webinars_service.undo_question(rows),
        "came_of_it": webinars_service.came_of_it(rows) if job.state in ("paused", "done", "undone") else "",
        "asked": _asked(),
    }  # fmt: skip


def _asked() -> dict[str, str]:
    return {key: request.args[key] for key in FILTERS if request.args.get(key)}


@routes.post("/webinars/<int:number>/people/<int:place>")
@open_to(Role.WEBINAR)
@with_errors_shown
def decide(number: int, place: int) -> str | Answer:
    """A person's own decision about one row. What is mistyped in the row's form is said there."""
    try:
        webinars_service.decide(
            webinar_services(), number, place, override_in(request.form, current_account().config.account.url)
        )
    except (NotAContact, UnknownContact) as error:
        return _decided(number, place, mistake=str(error))
    except ValueError:
        abort(400)
    if _by_htmx() and webinar_services().book.get(number).state != "draft":
        # It goes on by that: the whole page says so.
        return Response(status=204, headers={"HX-Refresh": "true"})
    return _decided(number, place)


@routes.post("/webinars/<int:number>/people/<int:place>/repeat")
@open_to(Role.WEBINAR)
@with_errors_shown
def repeat(number: int, place: int) -> Answer:
    """Work again on one person for whom it has failed."""
    webinars_service.repeat(webinar_services(), number, place)
    return _to(number)


@routes.post("/webinars/<int:number>/unknown-minutes")
@open_to(Role.WEBINAR)
@with_errors_shown
def decide_unknown_minutes(number: int) -> Answer:
    """One decision about everybody of whom nobody knows how long he watched."""
    what = request.form.get("what", "")
    if what != "skip" and what not in webinars_service.INTERESTS:
        abort(400)
    said = Override(skip=True) if what == "skip" else Override(interest=what)  # type: ignore[arg-type]
    webinars_service.decide_unknown_minutes(webinar_services(), number, said)
    return _to(number)


@routes.post("/webinars/columns/<signature>")
@open_to(Role.WEBINAR)
def change_columns(signature: str) -> Answer:
    """Change what a person has said about the columns of a kind of table, or forget it."""
    try:
        if "forget" in request.form:
            webinars_service.forget_columns(webinar_services(), signature)
            flash(_("Ответ забыт: такую таблицу мост спросит снова."))
        else:
            named = {field: request.form.get(f"column-{field}", "").strip() for field in webinars_service.ASKED}
            webinars_service.change_columns(webinar_services(), signature, named)
            flash(_("Ответ изменён: он действует со следующей загрузки."))
    except (NoSuchImport, ExportError, webinars_service.WrongColumns) as error:
        flash(str(error))
    return redirect(url_for("webinars.show"))


def _decided(number: int, place: int, mistake: str = "") -> str | Answer:
    """``focus``: the row that the keyboard goes on from; the next one, if this one is filtered out now."""
    if _by_htmx():
        told = _page_values(number)
        focus = next((kept.number for kept in told["rows"] if kept.number >= place), None)
        row = webinar_services().book.row(number, place)
        return render_template("webinars/decided.html", **told, focus=focus, decided=row, mistake=mistake)
    if mistake:
        flash(mistake)
    page = max(request.args.get("page", 1, type=int), 1)
    asked: dict[str, Any] = _asked()
    return redirect(url_for("webinars.one", number=number, page=page, _anchor=f"row-{place}", **asked))


@routes.post("/webinars/<int:number>/<any(start, pause, resume, repeat, undo, drop):deed>")
@open_to(Role.WEBINAR)
@with_errors_shown
def act(number: int, deed: webinars_service.Deed) -> Answer:
    webinars_service.act(webinar_services(), number, deed)
    return redirect(url_for("webinars.show")) if deed == "drop" else _to(number)


@routes.get("/webinars/<int:number>/report.csv")
@open_to(Role.WEBINAR)
def report(number: int) -> Response:
    at_hand, job = _found(number)
    body = report_of(at_hand.book.rows(number), current_account().config.account.url, at_hand.drafting.options)
    name = f"webinar-{job.held_on.isoformat()}-{number}.csv"
    return Response(body, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _to(number: int) -> Answer:
    return redirect(url_for("webinars.one", number=number))
