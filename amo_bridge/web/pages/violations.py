"""Violations: who broke which clause on which deal, what it costs; forgiven and counted again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as Answer

from amo_bridge.engine.violations import NoSuchViolation, Total, Violation
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.violations import Month, sheet, sums
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, user
from amo_bridge.web.pages import Menu, Pager, download

routes = Blueprint("violations", __name__)
MENU = Menu(_l("Нарушения"), "violations.show", place=55)
A_PAGE = 100
ALL = "all"
MOST_MONTHS = 36
LONGEST_WHY = 500
DECISIONS = {"forgive": "Нарушения прощены", "restore": "Нарушения снова учтены"}
STATES = {"counts": ("bad", _l("учтено")), "forgiven": ("quiet", _l("прощено"))}


@dataclass(frozen=True)
class Wish:
    """What is asked for. ``month``: None for all of them; ``person``, ``clause``: empty for all."""

    month: Month | None
    person: str
    clause: str

    @property
    def asked(self) -> dict[str, Any]:
        """As it stands in an address."""
        told = {"month": str(self.month or ALL), "person": self.person, "clause": self.clause}
        return {key: value for key, value in told.items() if value}


@routes.get("/violations")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    wish = _wish(here)
    known: dict[str, Any] = {"found": [], "people": [], "clauses": [], "months": [_this_month(here)]}
    if here.is_known:
        pager = Pager(count_of(here, wish), A_PAGE)
        known = {
            "found": violations_of(here, wish, A_PAGE, pager.passed),
            "sums": sums(totals_of(here, wish)),
            "pager": pager,
            "people": here.violations.people(),
            "clauses": here.violations.clauses(),
            "months": _months(here),
        }
    return render_template("violations/show.html", **known, wish=wish, states=STATES, every=ALL)


@routes.get("/violations.csv")
@open_to(Role.VIEWER)
def as_text() -> Response:
    here = current_account()
    wish = _wish(here)
    body = sheet(violations_of(here, wish), here.config.account.url, here.zone)
    return download(body, f"violations-{wish.month or ALL}.csv")


@routes.post("/violations/<any(forgive, restore):decision>")
@open_to(Role.HEAD)
def decide(decision: str) -> Answer:
    """Those that were ticked, with the reason; back to where it was asked from."""
    here = current_account()
    back = redirect(url_for("violations.show", **_wish(here).asked))
    numbers, why = request.form.getlist("number", type=int), " ".join(request.form.get("why", "").split())
    if not numbers or not why or len(why) > LONGEST_WHY:
        flash(_("Отметьте нарушения и напишите причину, не длиннее 500 знаков."))
        return back
    try:
        ruling_of(here, decision)(numbers, user().login, why)
    except NoSuchViolation as error:
        flash(str(error))
        return back
    audit(f"violations.{decision}", in_the_audit(decision, numbers, why))
    flash(_("Прощено.") if decision == "forgive" else _("Снова учтено."))
    return back


def violations_of(here: AccountView, wish: Wish, most: int | None = None, passed: int = 0) -> list[Violation]:
    """The oldest first; ``most``: so many, after the first ``passed``."""
    since, until = wish.month.span(here.zone) if wish.month else (None, None)
    person, clause = wish.person or None, wish.clause or None
    return here.violations.between(since, until, person=person, clause=clause, most=most, passed=passed)


def totals_of(here: AccountView, wish: Wish) -> list[Total]:
    since, until = wish.month.span(here.zone) if wish.month else (None, None)
    return here.violations.totals(since, until, wish.person or None, wish.clause or None)


def count_of(here: AccountView, wish: Wish) -> int:
    since, until = wish.month.span(here.zone) if wish.month else (None, None)
    return here.violations.count(since, until, wish.person or None, wish.clause or None)


def asked_for(default: Month | None) -> Wish:
    """As the address asks; ``default``: the month, if it names none."""
    told = request.args.get("month", "")
    month = None if told == ALL else Month.of(told) or default
    return Wish(month, request.args.get("person", "").strip(), request.args.get("clause", "").strip())


def ruling_of(here: AccountView, decision: str) -> Callable[[list[int], str, str], list[Violation]]:
    return here.violations.forgive if decision == "forgive" else here.violations.restore


def in_the_audit(decision: str, numbers: list[int], why: str) -> str:
    return f"{DECISIONS[decision]}: № {', '.join(map(str, numbers))} — {why}"


def _wish(here: AccountView) -> Wish:
    """Nonsense in the address is the month that is running."""
    return asked_for(_this_month(here))


def _this_month(here: AccountView) -> Month:
    return Month.containing(here.clock.now().astimezone(here.zone).date())


def _months(here: AccountView) -> list[Month]:
    """From now back to the ledger's first, the newest first."""
    found, first_at = [_this_month(here)], here.violations.first_at()
    while first_at is not None and found[-1].span(here.zone)[0] > first_at and len(found) < MOST_MONTHS:
        found.append(found[-1].previous)
    return found
