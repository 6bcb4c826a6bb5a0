"""Reports: overdue tasks by person and day (A120) with chart, CSV and Excel; the week."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from flask import Blueprint, Response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.overdue import DAY_SECONDS, WAYS, Moves, Report, Span, Way, knows_tasks, late_tasks, overdue
from amo_bridge.reports.week import Week, week_of
from amo_bridge.reports.workbook import is_available, workbook
from amo_bridge.text.csv_table import as_csv
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu, Pager, download, page_asked_for

routes = Blueprint("reports", __name__)
MENU = Menu(_l("Отчёты"), "reports.show", place=50)
SPANS = (7, 14, 31)
EARLIEST = datetime(2000, 1, 1)  # noqa: DTZ001 - in whatever zone the account is
A_PAGE = 100


@dataclass(frozen=True)
class Wish:
    """What is asked for: how many days, ending with which, counted how."""

    days: int
    until: datetime
    way: Way

    @property
    def asked(self) -> dict[str, str | int]:
        """As it stands in an address."""
        return {"days": self.days, "count": self.way, "until": f"{self.until:%Y-%m-%d}"}


@routes.get("/reports/overdue")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    wish = _wish(here)
    report = _report(here, wish) if here.is_known else None
    return render_template(
        "reports/overdue.html",
        report=report,
        knows_tasks=here.is_known and knows_tasks(here.account_store),
        wish=wish,
        spans=SPANS,
        ways={"standing": _("просрочено к концу дня"), "missed": _("не сделано в срок")},
        has_xlsx=is_available(),
        moved=moved,
    )


@routes.get("/reports/overdue/tasks")
@open_to(Role.VIEWER)
def tasks() -> str:
    """The tasks behind a figure: one person's or everybody's, of one day or of all of them."""
    here = current_account()
    wish, person = _wish(here), request.args.get("person", "")
    spans = _spans(here, wish)
    day = next((span for span in spans if span.date.isoformat() == request.args.get("day")), None)
    asked = (here.account_store, [day] if day else spans, here.user_names, wish.way, person)
    found = late_tasks(*asked, most=A_PAGE, passed=(page_asked_for() - 1) * A_PAGE)
    return render_template(
        "reports/tasks.html",
        found=found.tasks,
        pager=Pager(found.many, A_PAGE),
        wish=wish,
        first=spans[0].date,
        day=day and day.date,
        person=person,
        url=here.config.account.url,
        moved=moved,
    )


@routes.get("/reports/overdue.csv")
@open_to(Role.VIEWER)
def as_text() -> Response:
    report = _report(current_account(), _wish(current_account()))
    return download(as_csv(_head(report), _rows(report)), "overdue.csv")


@routes.get("/reports/overdue.xlsx")
@open_to(Role.VIEWER)
def as_workbook() -> Response:
    report = _report(current_account(), _wish(current_account()))
    return download(workbook(_("Просроченные задачи"), _head(report), _rows(report)), "overdue.xlsx")


@routes.get("/reports/week")
@open_to(Role.VIEWER)
def week() -> str:
    """What the weekly letter tells, with charts; the same for any other week. Prints on one sheet."""
    here = current_account()
    monday = week_asked_for(here)
    following = monday + timedelta(days=7)
    return render_template(
        "reports/week.html",
        week=week_at(here, monday) if here.is_known else None,
        monday=monday,
        previous=monday - timedelta(days=7),
        following=following if following <= here.clock.now().astimezone(here.zone).date() else None,
        has_letter=here.config.weekly_letter is not None,
    )


def week_asked_for(here: AccountView) -> date:
    """The Monday of the week with the day in the address; nonsense, or a day to come: of the week that ended last."""
    today = here.clock.now().astimezone(here.zone).date()
    try:
        day = date.fromisoformat(request.args.get("monday", ""))
    except ValueError:
        day = today - timedelta(days=7)
    if not EARLIEST.date() <= day <= today:
        day = today - timedelta(days=7)
    return day - timedelta(days=day.weekday())


def week_at(here: AccountView, monday: date) -> Week:
    """Raises NotMet, StoreUnavailable."""
    calendar = here.config.calendar.calendar(str(here.zone))
    broken = [rule.name for rule in here.fit.config.rules if rule.broken]
    return week_of(here.account_store, calendar, here.user_names, broken, monday, here.clock)


def moved(moves: Moves) -> str:
    """How often deadlines were moved, and by how much in all; a dash if never."""
    if not moves.times:
        return "—"
    sign, seconds = "−" if moves.seconds < 0 else "+", abs(moves.seconds)
    if seconds >= DAY_SECONDS:
        by = _("%(many)s дн.", many=f"{seconds / DAY_SECONDS:.1f}".removesuffix(".0").replace(".", ","))
    elif seconds >= 3600:
        by = _("%(many)s ч", many=round(seconds / 3600))
    else:
        by = _("%(many)s мин", many=round(seconds / 60))
    return f"{moves.times} ({sign}{by})"


def report_asked_for(here: AccountView) -> tuple[Report, Way]:
    """As the address asks; and how it was counted."""
    wish = _wish(here)
    return _report(here, wish), wish.way


def _report(here: AccountView, wish: Wish) -> Report:
    return overdue(here.account_store, _spans(here, wish), here.user_names, wish.way)


def _wish(here: AccountView) -> Wish:
    """Nonsense in the address is the usual."""
    days = request.args.get("days", type=int)
    way = next((way for way in WAYS if way == request.args.get("count")), WAYS[0])
    now = here.clock.now().astimezone(here.zone)
    try:
        until = datetime.fromisoformat(request.args.get("until", "")).replace(tzinfo=here.zone)
    except ValueError:
        until = now
    return Wish(days if days in SPANS else SPANS[0], max(min(until, now), EARLIEST.replace(tzinfo=here.zone)), way)


def _spans(here: AccountView, wish: Wish) -> list[Span]:
    """Oldest first; the last one ends now if it is today."""
    dates = [wish.until.date() - timedelta(days=back) for back in range(wish.days - 1, -2, -1)]
    midnights = [datetime(day.year, day.month, day.day, tzinfo=here.zone).timestamp() for day in dates]
    now = here.clock.now().timestamp()
    return [
        Span(day, begin, min(end, now))
        for day, begin, end in zip(dates[:-1], midnights[:-1], midnights[1:], strict=True)
    ]


def _head(report: Report) -> list[str]:
    days = (f"{day:%d.%m.%Y}" for day in report.days)
    return [_("Человек"), *days, _("Всего задач"), _("Перенесено, раз"), _("Перенесено, часов")]


def _rows(report: Report) -> list[list[str | int]]:
    rows: list[list[str | int]] = []
    for name, figures in report.rows.items():
        moves = report.moves[name]
        rows.append([name, *figures, report.tasks[name], moves.times, round(moves.seconds / 3600)])
    return rows
