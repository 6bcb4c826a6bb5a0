"""``/reports`` and ``/violations``: what the head of sales looks at."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import Field, StringConstraints

from amo_bridge.engine.daily_reports import DailyReport as DayReport
from amo_bridge.engine.violations import NoSuchViolation
from amo_bridge.engine.violations import Violation as Broken
from amo_bridge.reports.months import Line
from amo_bridge.reports.overdue import WAYS
from amo_bridge.reports.violations import Month
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Number, Shape, day, one_of, refusal, whole
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, token
from amo_bridge.web.pages.daily import SPANS as DAILY_SPANS
from amo_bridge.web.pages.daily import reports_of, wish_asked_for
from amo_bridge.web.pages.documents import month_asked_for, tables_of
from amo_bridge.web.pages.kpi import SPANS as KPI_SPANS
from amo_bridge.web.pages.kpi import AgreedPlan, PlanRefused, board_of, keep_plan
from amo_bridge.web.pages.kpi import wish_asked_for as kpi_wish
from amo_bridge.web.pages.mine import own_of, person_at
from amo_bridge.web.pages.reports import SPANS, report_asked_for, week_asked_for, week_at
from amo_bridge.web.pages.violations import ALL, asked_for, count_of, in_the_audit, ruling_of, violations_of


def _month_of_year(told: str) -> str:
    return "" if Month.of(told) else _("месяц, например 2026-11")


class DeadlineMoves(Shape):
    """How often deadlines were moved, and by how many days in all, to a tenth; less than nothing: to earlier."""

    times: int
    days: float


class Overdue(Shape):
    """Overdue tasks: name → a figure for each of the days; ``tasks``: name → how many tasks these are, each counted
    once. ``moves``: name → how often deadlines of these tasks were moved in these days, and by how many days in all.
    ``known_from``: before this day some are counted by their last deadline. See docs/pages.md for the two ways."""

    count: Literal["standing", "missed"]
    days: list[date]
    people: dict[str, list[int]]
    tasks: dict[str, int]
    moves: dict[str, DeadlineMoves]
    known_from: date | None


@api.endpoint(
    Endpoint(
        "reports_overdue",
        "/reports/overdue",
        "GET",
        Role.VIEWER,
        _l("Просроченные задачи, каждый человек × каждый день"),
        Overdue,
        query={
            "days": _l("7, 14 или 31"),
            "until": _l("последний день, 2026-11-25"),
            "count": _l("standing или missed"),
        },
        checks={"days": one_of(SPANS), "until": day, "count": one_of(WAYS)},
    )
)
def overdue() -> Overdue:
    report, way = report_asked_for(current_account())
    people = {name: list(figures) for name, figures in report.rows.items()}
    return Overdue(
        count=way,
        days=list(report.days),
        people=people,
        tasks=dict(report.tasks),
        moves={name: DeadlineMoves(times=moves.times, days=moves.days) for name, moves in report.moves.items()},
        known_from=report.known_from,
    )


class DayPlan(Shape):
    """What was agreed with one person for one day; null: as usual, 0: nothing is expected."""

    day: date
    user_id: int
    contacts: int | None = None
    worked: int | None = None
    talks: int | None = None
    letters: int | None = None
    tasks: int | None = None
    sales: int | None = None
    amount: int | None = None


@api.endpoint(
    Endpoint(
        "reports_kpi_plan",
        "/reports/kpi/plan",
        "POST",
        Role.HEAD,
        _l("План на день, о котором договорились с человеком"),
        DayPlan,
        takes=DayPlan,
    )
)
def kpi_plan(told: DayPlan) -> DayPlan:
    plan = {name: one for name, one in told.model_dump(exclude={"day", "user_id"}).items() if one is not None}
    try:
        keep_plan(current_account(), AgreedPlan(told.day, told.user_id, plan), token().name)
    except PlanRefused as error:
        abort(refusal(400, str(error)))
    return told


class DayOfWeek(Shape):
    """What the bridge did on one day: how many decisions were carried out, refused, sent nowhere, only noted."""

    day: date
    acted: int
    failed: int
    unsent: int
    would_act: int


class WeekOfPerson(Shape):
    """``late``: tasks overdue when the week ended, or now; ``missed``: deadlines of the week that were missed."""

    late: int
    missed: int
    violations: int


class WeekSummary(Shape):
    """``failures``, ``broken``: how many failed actions wait for a decision now, and which rules don't work now.
    ``known_from``: when the bridge began to know the tasks, if that is not before the week."""

    monday: date
    people: dict[str, WeekOfPerson]
    days: list[DayOfWeek]
    failures: int
    broken: list[str]
    known_from: date | None


@api.endpoint(
    Endpoint(
        "reports_week",
        "/reports/week",
        "GET",
        Role.VIEWER,
        _l("Неделя: кто с чем опаздывает, нарушения, что сделал мост"),
        WeekSummary,
        query={"monday": _l("любой день недели, 2026-11-25; без него — прошлая неделя")},
        checks={"monday": day},
    )
)
def week() -> WeekSummary:
    here = current_account()
    found = week_at(here, week_asked_for(here))
    return WeekSummary(
        monday=found.monday,
        people={
            name: WeekOfPerson(
                late=found.late.get(name, 0),
                missed=found.missed.get(name, 0),
                violations=found.violations.get(name, 0),
            )
            for name in found.people
        },
        days=[
            DayOfWeek(
                day=found.monday + timedelta(days=number),
                acted=count.acted,
                failed=count.failed,
                unsent=count.unsent,
                would_act=count.would_act,
            )
            for number, count in enumerate(found.days)
        ],
        failures=found.failures,
        broken=list(found.broken),
        known_from=found.known_from,
    )


class KpiFigures(Shape):
    """What somebody has done. ``contacts``: new clients; ``worked``: clients of whatever kind; ``unanswered``: calls in
    vain; ``amount``: whole units of the account's currency; ``lost``: deals lost."""

    contacts: int
    worked: int
    talks: int
    unanswered: int
    letters: int
    tasks: int
    sales: int
    amount: int
    lost: int


class KpiOfPerson(KpiFigures):
    """``lost_by``: reason → lost deals. ``first_at``: when he did his first thing, of the first day asked for;
    ``is_late``: later than his shift."""

    lost_by: dict[str, int]
    first_at: datetime | None
    is_late: bool


class KpiPlan(Shape):
    """What is expected of each person in these days; null: nothing."""

    contacts: int | None
    worked: int | None
    talks: int | None
    unanswered: int | None
    letters: int | None
    tasks: int | None
    sales: int | None
    amount: int | None


class Kpi(Shape):
    """``days``: asked for, as far as they have begun. ``known_from``: before this day nothing is known; null: all is.
    ``changed``: day → when its figures became other ones after the day was over."""

    days: list[date]
    people: dict[str, KpiOfPerson]
    total: KpiFigures
    plan: KpiPlan
    known_from: date | None
    changed: dict[str, datetime]


@api.endpoint(
    Endpoint(
        "reports_kpi",
        "/reports/kpi",
        "GET",
        Role.VIEWER,
        _l("KPI каждого за день, неделю, месяц"),
        Kpi,
        query={"span": _l("day, week или month"), "day": _l("любой день этой недели или месяца, 2026-11-25")},
        checks={"span": one_of(KPI_SPANS), "day": day},
    )
)
def kpi() -> Kpi:
    here = current_account()
    board = board_of(here, kpi_wish(here))
    people = {
        line.name: KpiOfPerson(
            **{name: cell.value for name, cell in line.cells.items()},
            lost_by=dict(line.lost_by),
            first_at=line.first_at,
            is_late=line.is_late,
        )
        for line in board.lines
    }
    return Kpi(
        days=list(board.days),
        people=people,
        total=KpiFigures(**{name: cell.value for name, cell in board.total.items()}),
        plan=KpiPlan(**{name: one for name, one in board.plan.items() if name in KpiPlan.model_fields}),
        known_from=board.known_from,
        changed={str(one): at for one, at in board.changed.items()},
    )


class DailyReportChange(Shape):
    """A version of a report. ``what``: made, figures, plan, confirmed; ``who``: empty for the bridge."""

    version: int
    at: datetime
    who: str
    what: str
    amount: int
    sales: int
    talks: int
    plan: str


class DailyReport(Shape):
    """A person's report of a day, as it stands now. ``amount``: whole units of the account's currency. ``corrections``:
    how often it was changed after the confirmation; ``changes``: all versions, oldest first."""

    number: int
    day: date
    person: str
    amount: int
    sales: int
    talks: int
    plan: str
    confirmed_at: datetime | None
    confirmed_by: str
    corrections: int
    changes: list[DailyReportChange]


class DailyReportList(Shape):
    """The newest first."""

    reports: list[DailyReport]


@api.endpoint(
    Endpoint(
        "reports_daily",
        "/reports/daily",
        "GET",
        Role.VIEWER,
        _l("Отчёты за день"),
        DailyReportList,
        query={"span": _l("week или month"), "day": _l("любой день этой недели или месяца, 2026-11-25")},
        checks={"span": one_of(DAILY_SPANS), "day": day},
    )
)
def daily() -> DailyReportList:
    here = current_account()
    found = reports_of(here, wish_asked_for(here))
    return DailyReportList(reports=[_daily_report(one) for one in found])


def _daily_report(one: DayReport) -> DailyReport:
    changes = [
        DailyReportChange(
            version=change.version,
            at=change.at,
            who=change.who,
            what=change.what,
            plan=change.plan,
            **asdict(change.sums),
        )
        for change in one.changes
    ]
    return DailyReport(
        number=one.number,
        day=one.day,
        person=one.person,
        **asdict(one.sums),
        plan=one.plan,
        confirmed_at=one.confirmed_at,
        confirmed_by=one.confirmed_by,
        corrections=len(one.corrections),
        changes=changes,
    )


# Documents by month.


class MonthlyTask(Shape):
    """``what``: the task's text without the month. ``at``: when it was finished or deleted, or is due, if known."""

    what: str
    state: Literal["done", "open", "late", "deleted"]
    at: datetime | None


class MonthlyDeal(Shape):
    """What was asked of this deal about the month."""

    deal_id: int
    deal_name: str
    is_done: bool
    tasks: list[MonthlyTask]


class MonthlyRule(Shape):
    """``deals``: what is not done yet comes first."""

    rule: str
    words: str
    deals: list[MonthlyDeal]


class MonthlyDocuments(Shape):
    """What rules have asked about one month, such as closing documents. ``month``: 2026-11."""

    month: str
    rules: list[MonthlyRule]


@api.endpoint(
    Endpoint(
        "reports_documents",
        "/reports/documents",
        "GET",
        Role.VIEWER,
        _l("Документы за месяц: что отправлено, получено, подписано по каждой сделке"),
        MonthlyDocuments,
        query={"month": _l("2026-11; без него — прошлый")},
        checks={"month": _month_of_year},
    )
)
def documents() -> MonthlyDocuments:
    here = current_account()
    month = month_asked_for(here)
    rules = [
        MonthlyRule(rule=table.rule, words=table.words, deals=[_monthly_deal(line) for line in table.lines])
        for table in tables_of(here, month)
    ]
    return MonthlyDocuments(month=str(month), rules=rules)


def _monthly_deal(line: Line) -> MonthlyDeal:
    cells = [MonthlyTask(what=what, state=cell.state, at=cell.at) for what, cell in line.cells.items()]
    return MonthlyDeal(deal_id=line.deal_id, deal_name=line.deal_name, is_done=line.is_done, tasks=cells)


# Violations and what was decided about them.


class Decision(Shape):
    """What somebody decided about a violation. ``state``: what it became by that."""

    at: datetime
    who: str
    state: Literal["counts", "forgiven"]
    why: str


class Violation(Shape):
    """``penalty``: whole units of ``currency``; null: none. ``decisions``: oldest first."""

    number: int
    at: datetime
    user_id: int
    person: str
    clause: str
    deal_id: int
    deal_name: str
    rule: str
    why: str
    penalty: int | None
    currency: str
    state: Literal["counts", "forgiven"]
    decisions: list[Decision]


class Violations(Shape):
    """Oldest first. ``total``: how many there are."""

    total: int
    violations: list[Violation]


class Ruling(Shape):
    """Which violations, and why they are forgiven or counted again."""

    numbers: Annotated[list[Number], Field(min_length=1, max_length=1000)]
    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


def _month(told: str) -> str:
    return "" if told == ALL or Month.of(told) else _("месяц, например 2026-11, или %(all)s", all=ALL)


@api.endpoint(
    Endpoint(
        "violations_violations",
        "/violations",
        "GET",
        Role.VIEWER,
        _l("Кто какой пункт нарушил"),
        Violations,
        query={
            "month": "2026-11",
            "person": _l("имя"),
            "clause": "M7",
            "most": _l("сколько, до 1000; 100"),
            "passed": _l("сколько старых пропустить; 0"),
        },
        checks={"month": _month, "most": whole(1, 1000), "passed": whole(0)},
    )
)
def violations() -> Violations:
    here, wish = current_account(), asked_for(None)
    most, passed = request.args.get("most", 100, type=int), request.args.get("passed", 0, type=int)
    return _violations(violations_of(here, wish, most, passed), count_of(here, wish))


@api.endpoint(
    Endpoint(
        "violations_forgive",
        "/violations/forgive",
        "POST",
        Role.HEAD,
        _l("Простить нарушения"),
        Violations,
        takes=Ruling,
    )
)
def forgive(told: Ruling) -> Violations:
    return _ruled("forgive", told)


@api.endpoint(
    Endpoint(
        "violations_restore",
        "/violations/restore",
        "POST",
        Role.HEAD,
        _l("Снова учесть нарушения"),
        Violations,
        takes=Ruling,
    )
)
def restore(told: Ruling) -> Violations:
    return _ruled("restore", told)


def _ruled(decision: str, told: Ruling) -> Violations:
    try:
        found = ruling_of(current_account(), decision)(told.numbers, token().name, told.why)
    except NoSuchViolation as error:
        abort(refusal(404, str(error)))
    audit(f"violations.{decision}", in_the_audit(decision, told.numbers, told.why))
    return _violations(found, len(found))


def _violations(found: list[Broken], total: int) -> Violations:
    return Violations(total=total, violations=[Violation.model_validate(one.to_json()) for one in found])


# What is a person's own.


class OpenTask(Shape):
    """``deal_id``: null if it is on no deal."""

    id: int
    text: str
    due: datetime
    is_late: bool
    deal_id: int | None
    deal_name: str


class Unread(Shape):
    """A text that the person has not acknowledged."""

    policy_id: int
    title: str
    due: datetime


class PersonsOwn(Shape):
    """What is one person's. ``tasks``: open ones, what is due first first, 200 at most. ``violations``: of three
    months, the newest first. ``unconfirmed``: days whose report waits for him."""

    user_id: int
    name: str
    tasks: list[OpenTask]
    violations: list[Violation]
    unconfirmed: list[date]
    unread: list[Unread]


@api.endpoint(
    Endpoint(
        "reports_person",
        "/reports/people/<int:user_id>",
        "GET",
        Role.VIEWER,
        _l("Задачи, нарушения и отчёты одного человека"),
        PersonsOwn,
    )
)
def person(user_id: int) -> PersonsOwn:
    here = current_account()
    own = own_of(here, person_at(here, user_id))
    return PersonsOwn(
        user_id=own.person.id,
        name=own.person.name,
        tasks=[
            OpenTask(
                id=one.task.id, text=one.task.text, due=one.task.due, is_late=one.is_late, deal_id=one.task.deal_id,
                deal_name=one.deal_name,
            )
            for one in own.tasks
        ],
        violations=[Violation.model_validate(one.to_json()) for one in own.violations],
        unconfirmed=[one.day for one in own.reports],
        unread=[Unread(policy_id=one.policy_id, title=title, due=one.due) for one, title in own.unread],
    )  # fmt: skip
