"""``/policies`` and ``/reports/daily``: what programs read of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from support.api_client import Program
from support.pages import Pages, agency

from amo_bridge.clock import FixedClock
from amo_bridge.config.model import DailyReportSection
from amo_bridge.engine.daily_reports import DailyReports, Sums
from amo_bridge.engine.policies import Policies

IVAN = "Иван Петров"
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)


def at_work(pages: Pages) -> Pages:
    pages.know_account(agency())
    pages.bridge.clock = FixedClock(NOW)
    pages.bridge.config = replace(pages.bridge.config, daily_report=DailyReportSection())
    return pages


def test_who_has_read_what(pages: Pages, reader: Program) -> None:
    at_work(pages)
    kept = Policies(pages.account.account_store, pages.bridge.clock)
    with pages.office.store.write() as connection:
        kept.publish(connection, "page:1", "Сделки", "Звонить", "anna")
    with pages.office.store.write() as connection:
        kept.enrol(connection, kept.all()[0], [agency().user(IVAN)], NOW, NOW + timedelta(days=2))
    (text,) = reader.get("/policies")["policies"]
    assert (text["title"], text["version"], text["who"], text["text"]) == ("Сделки", 1, "anna", "Звонить")
    (person,) = text["readers"]
    assert (person["person"], person["read_at"], person["read_by"]) == (IVAN, None, "")


def test_the_reports_of_a_week(pages: Pages, reader: Program) -> None:
    at_work(pages)
    kept = DailyReports(pages.account.account_store, pages.bridge.clock)
    with pages.office.store.write() as connection:
        kept.make(connection, NOW.date(), NOW, "Звонить", [(agency().user(IVAN).id, IVAN, Sums(5_000, 1, 7))])
        kept.confirm(connection, 1, "Иван")
    (report,) = reader.get("/reports/daily?span=week&day=2026-11-23")["reports"]
    told = {
        name: report[name] for name in ("person", "amount", "sales", "talks", "plan", "confirmed_by", "corrections")
    }
    assert told == {
        "person": IVAN, "amount": 5_000, "sales": 1, "talks": 7, "plan": "Звонить", "confirmed_by": "Иван",
        "corrections": 0,
    }  # fmt: skip
    assert [change["what"] for change in report["changes"]] == ["made", "confirmed"]
    assert reader.ask("GET", "/reports/daily?span=year").status_code == 422
