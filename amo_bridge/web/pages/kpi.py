"""KPI: figures of each person for a day, week, month against the plan (S1, S9); a mode for a TV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.config.model import KpiSection
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.kpi import Figures, in_words, shown_people, summed
from amo_bridge.reports.kpi_days import KpiDays, Way
from amo_bridge.reports.kpi_plans import LARGEST, KpiPlans, expected
from amo_bridge.reports.kpi_plans import MEASURES as PLAN_MEASURES
from amo_bridge.reports.pipedrive import PipedriveFigures, figures_there, together
from amo_bridge.reports.workbook import Table, is_available, workbook
from amo_bridge.text.csv_table import as_csv
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, user
from amo_bridge.web.pages import Menu, download

routes = Blueprint("kpi", __name__)
MENU = Menu(_l("KPI"), "kpi.show", place=49)
Span = Literal["day", "week", "month"]
SPANS: Mapping[Span, Any] = {"day": _l("день"), "week": _l("неделя"), "month": _l("месяц")}
MEASURES: Mapping[str, Any] = {
    "contacts": _l("Новые клиенты"),
    "worked": _l("Обработано клиентов"),
    "talks": _l("Разговоры"),
    "unanswered": _l("Не дозвонились"),
    "letters": _l("Письма и сообщения"),
    "tasks": _l("Задачи"),
    "sales": _l("Продажи"),
    "amount": _l("Сумма продаж"),
    "lost": _l("Потеряно"),
}
EARLIEST = date(2000, 1, 1)
PLANNED_AHEAD = timedelta(days=366)
PLANNED: Mapping[str, Any] = {name: words for name, words in MEASURES.items() if name in PLAN_MEASURES}
REFRESH_SECONDS = 60
"""How often a screen on the wall is drawn anew."""


@dataclass(frozen=True)
class Cell:
    """A figure against its plan. ``plan``: None where nothing is expected."""

    value: int
    plan: int | None

    @property
    def share(self) -> int:
        """Per cent of the plan, at most 100."""
        return min(100, round(100 * self.value / self.plan)) if self.plan else 0


@dataclass(frozen=True)
class Line:
    """One person. ``cells``: measure → figure. ``lost_by``: reason → lost deals. ``first_at``: of the one day asked
    for; ``shift``: when it was to be."""

    name: str
    cells: Mapping[str, Cell]
    lost_by: Mapping[str, int]
    first_at: datetime | None
    shift: datetime | None

    @property
    def is_late(self) -> bool:
        return self.shift is not None and self.first_at is not None and self.first_at > self.shift


@dataclass(frozen=True)
class Board:
    """Everybody's figures. ``days``: asked for, as far as they have begun; ``talks``: name → talks of each day.
    ``pipedrive``: what of them comes from there, if it is connected. ``changed``: days whose figures became other ones
    after the day was over, and when. ``known_from``: the first day of which anything is known, if days before it are
    asked for."""

    lines: Sequence[Line]
    total: Mapping[str, Cell]
    days: Sequence[date]
    talks: Mapping[str, Sequence[int]]
    pipedrive: PipedriveFigures | None = None
    changed: Mapping[date, datetime] = field(default_factory=dict)
    known_from: date | None = None
    plan: Mapping[str, int | None] = field(default_factory=dict)
    """Of each person in these days."""

    @property
    def reasons(self) -> list[str]:
        """Why deals were lost, the most frequent reason first."""
        total = sum((Counter(line.lost_by) for line in self.lines), Counter[str]())
        return [reason for reason, _ in sorted(total.items(), key=lambda one: (-one[1], one[0]))]


@dataclass(frozen=True)
class Wish:
    """What is asked for: the day, week or month with this day."""

    span: Span
    day: date
    is_tv: bool

    @property
    def days(self) -> list[date]:
        first = self.day
        if self.span == "week":
            first -= timedelta(days=first.weekday())
        elif self.span == "month":
            first = first.replace(day=1)
        count = {"day": 1, "week": 7, "month": 31}[self.span]
        found = [first + timedelta(days=n) for n in range(count)]
        return [one for one in found if self.span != "month" or one.month == first.month]

    @property
    def asked(self) -> dict[str, str]:
        """As it stands in an address."""
        return {"span": self.span, "day": self.day.isoformat()}


@routes.get("/reports/kpi")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    wish, usual = wish_asked_for(here), plan_of(here.config.kpi)
    return render_template(
        "reports/kpi.html",
        board=board_of(here, wish) if here.is_known else None,
        wish=wish,
        spans=SPANS,
        measures=MEASURES,
        has_plan=any(usual.values()),
        planned=PLANNED,
        usual=usual,
        users=[one for one in known.users if one.is_active] if (known := here.crm_account) else [],
        ahead=_agreed_ahead(here) if here.is_known else [],
        tomorrow=here.clock.now().astimezone(here.zone).date() + timedelta(days=1),
        has_xlsx=is_available(),
        refresh=REFRESH_SECONDS,
        clock=lambda at: f"{at.astimezone(here.zone):%H:%M}",
    )


@routes.get("/reports/kpi.csv")
@open_to(Role.VIEWER)
def as_text() -> Response:
    lines = _lines()
    why = [in_words(line.lost_by) for line in lines]
    rows = [[*row, words] for row, words in zip(_rows(lines), why, strict=True)]
    return download(as_csv([*_head(), _("Почему потеряно")], rows), "kpi.csv")


@routes.get("/reports/kpi.xlsx")
@open_to(Role.VIEWER)
def as_workbook() -> Response:
    lines = _lines()
    lost: list[list[str | int | None]] = [
        [line.name, reason, count] for line in lines for reason, count in line.lost_by.items()
    ]
    more = [Table(_("Потеряно"), [_("Человек"), _("Причина"), _("Сделок")], lost)] if lost else []
    return download(workbook("KPI", _head(), _rows(lines), more), "kpi.xlsx")


@routes.post("/reports/kpi/plan")
@open_to(Role.HEAD)
def agree() -> ResponseReturnValue:
    """The plan of one day that was agreed with one person; an empty field is the usual plan."""
    here, form = current_account(), request.form
    try:
        told = AgreedPlan(
            date.fromisoformat(form.get("day", "")),
            form.get("person", type=int) or 0,
            {name: int(form[name]) for name in PLANNED if form.get(name, "").strip()},
        )
        keep_plan(here, told, user().login)
    except (ValueError, PlanRefused) as error:
        flash(str(error) if isinstance(error, PlanRefused) else _("Выберите день и человека, впишите целые числа."))
    else:
        flash(_("План записан."))
    return redirect(url_for("kpi.show", span="day", day=form.get("day", "")))


@dataclass(frozen=True)
class AgreedPlan:
    """``plan``: measure → what is expected."""

    day: date
    person: int
    plan: Mapping[str, int]


class PlanRefused(ValueError):
    """What can't be a plan (Russian)."""


def keep_plan(here: AccountView, told: AgreedPlan, who: str) -> None:
    """Raises PlanRefused, NotMet, StoreUnavailable."""
    known, today = here.crm_account, here.clock.now().astimezone(here.zone).date()
    person = next((one for one in known.users if one.id == told.person), None) if known else None
    if person is None:
        raise PlanRefused(_("Такого человека в аккаунте нет: выберите из списка."))
    if not today <= told.day <= today + PLANNED_AHEAD:
        raise PlanRefused(_("План — на сегодня и на дни вперёд, не дальше года."))
    if any(not 0 <= one <= LARGEST for one in told.plan.values()):
        raise PlanRefused(_("Впишите целые числа, от 0 до миллиарда."))
    KpiPlans(here.account_store).agree(told.day, person.id, told.plan, who, here.clock.now())
    words = ", ".join(f"{MEASURES[name]}: {one}" for name, one in told.plan.items()) or "как обычно"
    audit("kpi.plan", f"План на {told.day:%d.%m.%Y}, {person.name}: {words}")


def _agreed_ahead(here: AccountView) -> list[tuple[date, str, str]]:
    """(day, person, what is expected) of today and the two weeks to come."""
    today, names = here.clock.now().astimezone(here.zone).date(), here.user_names
    agreed = KpiPlans(here.account_store).of(today, today + timedelta(days=14))
    return [
        (day, names.get(person, str(person)), ", ".join(f"{MEASURES[name]} — {one}" for name, one in plan.items()))
        for day, people in sorted(agreed.items())
        for person, plan in sorted(people.items(), key=lambda one: names.get(one[0], ""))
    ]


def wish_asked_for(here: AccountView) -> Wish:
    """Nonsense in the address is the usual."""
    today = here.clock.now().astimezone(here.zone).date()
    try:
        day = date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        day = today
    span: Span = next((one for one in SPANS if one == request.args.get("span")), "day")
    return Wish(span, max(min(day, today), EARLIEST), request.args.get("tv") == "1")


def plan_of(kpi: KpiSection) -> dict[str, int | None]:
    """Measure → what is expected of each person on a working day."""
    return {name: getattr(kpi.plan, name, None) for name in MEASURES}


def board_of(here: AccountView, wish: Wish) -> Board:
    """Raises NotMet, StoreUnavailable."""
    config, known, now = here.fit.config, here.crm_account, here.clock.now()
    kpi = config.kpi
    today = now.astimezone(here.zone).date()
    days = [day for day in wish.days if day <= today]
    calendar = config.calendar.calendar(str(here.zone))
    agreed = KpiPlans(here.account_store).of(days[0], days[-1])
    way = Way.of(calendar.timezone, kpi.talk_seconds, known)
    midnights = {day: way.midnight(day) for day in days}
    end = way.midnight(days[-1] + timedelta(days=1))
    kept = KpiDays(here.account_store, way)
    found = kept.figures(days, now)
    there = figures_there(here.account_store, config.channels.pipedrive, known, midnights, end) if known else None
    if there is not None:
        found = together(found, there.days)
    names = {person.id: person.name for person in known.users} if known else {}
    working = [day for day in days if calendar.is_working_day(day)]
    usual = plan_of(kpi)
    plan = {name: one * len(working) if one else None for name, one in usual.items()}
    sums = summed(found[day] for day in days)
    people = shown_people(kpi.people, names, {*sums, *(person for plans in agreed.values() for person in plans)})
    shift = _shift(here, kpi, days[0]) if wish.span == "day" and working else None
    lines = [
        _line(name, sums.get(number, Figures()), expected(number, days, working, usual, agreed), shift)
        for number, name in people.items()
    ]
    total = {
        name: Cell(
            sum(line.cells[name].value for line in lines), sum(line.cells[name].plan or 0 for line in lines) or None
        )
        for name in plan
    }
    talks = {
        name: [found[day][number].talks if number in found[day] else 0 for day in days]
        for number, name in people.items()
    }
    known_from = kept.known_from()
    is_before = known_from is not None and days[0] < known_from
    return Board(lines, total, days, talks, there, kept.changed(days), known_from if is_before else None, plan)


def _line(name: str, figures: Figures, plan: Mapping[str, int | None], shift: datetime | None) -> Line:
    return Line(
        name,
        {measure: Cell(getattr(figures, measure), one) for measure, one in plan.items()},
        figures.lost_by,
        figures.first_at,
        shift,
    )


def _shift(here: AccountView, kpi: KpiSection, day: date) -> datetime | None:
    """When the first thing of this day is to be done."""
    at = kpi.event_days.get(day, kpi.shift)
    return datetime.combine(day, at, here.zone) if at else None


def _head() -> list[str]:
    return [_("Человек"), *(str(words) for words in MEASURES.values())]


def _lines() -> Sequence[Line]:
    here = current_account()
    return board_of(here, wish_asked_for(here)).lines


def _rows(lines: Iterable[Line]) -> list[list[str | int]]:
    return [[line.name, *(cell.value for cell in line.cells.values())] for line in lines]
