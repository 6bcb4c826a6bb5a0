"""Documents by month: what was sent, received, signed for each client, and what is missing (C14)."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request
from flask_babel import lazy_gettext as _l

from amo_bridge.config.model import Config
from amo_bridge.reports.months import MonthlyTable, is_monthly, monthly_tables, sheet
from amo_bridge.reports.violations import Month
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu, download

routes = Blueprint("documents", __name__)
CHIPS = {
    "done": ("good", _l("сделано")),
    "open": ("quiet", _l("ждёт")),
    "late": ("bad", _l("просрочено")),
    "deleted": ("warning", _l("удалено")),
}


def _has_months(config: Config) -> bool:
    return any(rule.enabled and is_monthly(rule) for rule in config.rules)


MENU = Menu(_l("Документы"), "documents.show", place=57, needs=_has_months)


@routes.get("/documents")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    month = month_asked_for(here)
    now = Month.containing(here.clock.now().astimezone(here.zone).date())
    return render_template(
        "documents/show.html",
        tables=tables_of(here, month),
        month=month,
        following=month.following if month.first < now.first else None,
        chips=CHIPS,
        has_rules=_has_months(here.config),
    )


@routes.get("/documents.csv")
@open_to(Role.VIEWER)
def as_text() -> Response:
    here = current_account()
    month = month_asked_for(here)
    return download(sheet(tables_of(here, month), here.zone), f"documents-{month}.csv")


def tables_of(here: AccountView, month: Month) -> list[MonthlyTable]:
    return monthly_tables(here.account_store, here.config.rules, month, here.clock.now()) if here.is_known else []


def month_asked_for(here: AccountView) -> Month:
    """As the address asks; nonsense is the last month: its documents are what is worked at."""
    last = Month.containing(here.clock.now().astimezone(here.zone).date()).previous
    return Month.of(request.args.get("month", "")) or last
