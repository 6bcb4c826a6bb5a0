"""Daily reports: one's own confirmed with a plan for tomorrow; all days of a week or month (S2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.engine import Connection
from werkzeug.wrappers import Response as Answer

from amo_bridge.engine.daily_reports import (
    LONGEST_PLAN,
    Confirmation,
    DailyReport,
    DailyReports,
    Planning,
    Sums,
    notice_of,
)
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.workbook import is_available, workbook
from amo_bridge.storage.database import insert_new, notify
from amo_bridge.storage.tables import outbox
from amo_bridge.text.csv_table import as_csv
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts, audit, current_account, user
from amo_bridge.web.pages import Menu, download

routes = Blueprint("daily", __name__)
MENU = Menu(_l("Отчёт за день"), "daily.show", place=50, needs=lambda config: config.daily_report is not None)
Span = Literal["week", "month"]
SPANS: Mapping[Span, Any] = {"week": _l("неделя"), "month": _l("месяц")}
WHAT: Mapping[str, Any] = {
    "made": _l("составлен"),
    "figures": _l("цифры пересчитаны"),
    "plan": _l("план изменён"),
    "confirmed": _l("подтверждён"),
}
ANSWERS: Mapping[str, Any] = {
    "done": _l("Отчёт подтверждён."),
    "already": _l("Отчёт уже подтверждён."),
    "changed": _l("Отчёт изменился, пока вы смотрели: проверьте цифры и подтвердите ещё раз."),
    "no plan": _l("Сначала напишите план на завтра."),
    "saved": _l("План сохранён."),
    "same": _l("Ничего не изменилось: план тот же."),
}
EARLIEST = date(2000, 1, 1)


@dataclass(frozen=True)
class Wish:
    """What is asked for: the week or month with this day."""

    span: Span
    day: date

    @property
    def first(self) -> date:
        return self.day.replace(day=1) if self.span == "month" else self.day - timedelta(days=self.day.weekday())

    @property
    def last(self) -> date:
        if self.span == "week":
            return self.first + timedelta(days=6)
        return (self.first + timedelta(days=31)).replace(day=1) - timedelta(days=1)

    @property
    def asked(self) -> dict[str, str]:
        """As it stands in an address."""
        return {"span": self.span, "day": self.day.isoformat()}


@routes.get("/reports/daily")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    wish = wish_asked_for(here)
    reports = reports_of(here, wish)
    own = here.person_of(user().login)
    return render_template(
        "daily/show.html",
        reports=reports,
        sums=sums_of(reports),
        waiting=[one for one in reports if own is not None and one.user_id == own.id and not one.is_confirmed],
        own=own,
        wish=wish,
        spans=SPANS,
        is_on=here.config.daily_report is not None,
        has_xlsx=is_available(),
        currency=_currency(here),
    )


@routes.get("/reports/daily.csv")
@open_to(Role.VIEWER)
def as_text() -> Response:
    here = current_account()
    return download(as_csv(_head(), _rows(here, reports_of(here, wish_asked_for(here)))), "daily.csv")


@routes.get("/reports/daily.xlsx")
@open_to(Role.VIEWER)
def as_workbook() -> Response:
    here = current_account()
    rows = _rows(here, reports_of(here, wish_asked_for(here)))
    return download(workbook(_("Отчёты за день"), _head(), rows, has_chart=False), "daily.xlsx")


@routes.get("/reports/daily/<int:number>")
@open_to(Role.MANAGER)
def one(number: int) -> str:
    here = current_account()
    report = _report(here, number)
    if not _is_own(here, report) and not user().may(Role.VIEWER):
        abort(403)
    return _shown(here, report, report.plan)


def _shown(here: AccountView, report: DailyReport, plan: str) -> str:
    """``plan``: what stands in the form."""
    return render_template(
        "daily/one.html",
        report=report,
        plan=plan,
        may_confirm=_may_confirm(here, report),
        is_own=_is_own(here, report),
        what=WHAT,
        longest=LONGEST_PLAN,
        currency=_currency(here),
    )


@routes.post("/reports/daily/<int:number>")
@open_to(Role.MANAGER)
def change(number: int) -> str | Answer:
    """Save the plan, or save it and confirm; by the person himself, or by an admin, of which the person is told. What
    was written under an older version is kept in the form, and overwrites nothing."""
    here = current_account()
    report = _report(here, number)
    if not _may_confirm(here, report):
        abort(403)
    plan = request.form.get("plan", "").replace("\r\n", "\n").strip()
    back = redirect(url_for("daily.one", number=number))
    if len(plan) > LONGEST_PLAN:
        flash(_("План длиннее %(most)s знаков: сократите его.", most=LONGEST_PLAN))
        return back
    reports = DailyReports(here.account_store, here.clock)
    is_own = _is_own(here, report)
    who = f"{report.person}, {user().login}" if is_own else f"{user().login} вместо: {report.person}"
    is_confirmed = request.form.get("do") == "confirm"
    seen = request.form.get("version", type=int) or 0
    with here.store.write() as connection:
        answer: Planning | Confirmation = "no plan"
        if plan or not is_confirmed:
            answer = reports.set_plan(connection, number, plan, who, version=seen)
        changed = answer == "saved"
        if is_confirmed and answer in ("saved", "same"):
            answer = reports.confirm(connection, number, who, version=seen + changed)
        if not is_own and (changed or answer == "done"):
            _tell_owner(here, connection, report, is_confirmed=answer == "done")
        notify(connection, here.key)
    if not is_own and (changed or answer == "done"):
        deed = "подтверждён" if answer == "done" else "изменён план"
        audit("daily.confirm", f"Отчёт за {report.day:%d.%m.%Y}, {report.person}: {deed}")
    flash(ANSWERS[answer])
    return _shown(here, _report(here, number), plan) if answer == "changed" else back


def wish_asked_for(here: AccountView) -> Wish:
    """Nonsense in the address is the usual."""
    today = here.clock.now().astimezone(here.zone).date()
    try:
        day = date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        day = today
    span: Span = next((one for one in SPANS if one == request.args.get("span")), "week")
    return Wish(span, max(min(day, today), EARLIEST))


def reports_of(here: AccountView, wish: Wish) -> list[DailyReport]:
    """The newest first. Raises StoreUnavailable."""
    if not here.is_known:
        return []
    return DailyReports(here.account_store, here.clock).between(wish.first, wish.last)


def sums_of(reports: Sequence[DailyReport]) -> dict[str, tuple[int, int, Sums]]:
    """Person → how many reports, how many of them confirmed, all days together; by name."""
    found: dict[str, tuple[int, int, Sums]] = {}
    for report in sorted(reports, key=lambda one: one.person):
        many, confirmed, sums = found.get(report.person, (0, 0, Sums()))
        more = report.sums
        total = Sums(sums.amount + more.amount, sums.sales + more.sales, sums.talks + more.talks)
        found[report.person] = (many + 1, confirmed + report.is_confirmed, total)
    return found


def _report(here: AccountView, number: int) -> DailyReport:
    if not here.is_known or number > 2**62:
        abort(404)
    return DailyReports(here.account_store, here.clock).of(number) or abort(404)


def _is_own(here: AccountView, report: DailyReport) -> bool:
    own = here.person_of(user().login)
    return own is not None and own.id == report.user_id


def _may_confirm(here: AccountView, report: DailyReport) -> bool:
    return _is_own(here, report) or user().may(Role.HEAD)


def _tell_owner(here: AccountView, connection: Connection, report: DailyReport, *, is_confirmed: bool) -> None:
    """Nobody confirms for another behind his back."""
    deed = "подтверждён" if is_confirmed else "изменён план"
    text = f"Ваш отчёт за {report.day:%d.%m.%Y}: {deed}. Это сделал администратор {user().login}"
    base = accounts().public_url or request.host_url.rstrip("/")
    page = url_for("daily.one", number=report.number)
    row = notice_of(report, f"admin{report.version}", report.user_id, text, f"{base}{page}")
    insert_new(connection, outbox, [row.row(here.key, here.clock.now())])


def _currency(here: AccountView) -> str:
    known = here.crm_account
    return known.currency if known else ""


def _head() -> list[str]:
    return [
        _("День"), _("Человек"), _("Сумма продаж"), _("Продажи"), _("Дозвоны"), _("План на завтра"),
        _("Подтверждён"), _("Кем"), _("Исправлений"),
    ]  # fmt: skip


def _rows(here: AccountView, reports: Sequence[DailyReport]) -> list[list[str | int]]:
    return [
        [
            one.day.isoformat(), one.person, one.sums.amount, one.sums.sales, one.sums.talks, one.plan,
            f"{one.confirmed_at.astimezone(here.zone):%Y-%m-%d %H:%M}" if one.confirmed_at else "",
            one.confirmed_by, len(one.corrections),
        ]
        for one in reports
    ]  # fmt: skip
