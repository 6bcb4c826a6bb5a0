"""Daily report job: made at the shift's end, counted again, reminded of, escalated, passed on (S2).

A report is made when the shift has ended, of the figures that the page «KPI» shows. Figures of the last days are
counted again every few minutes: before the confirmation the report follows them, after it each change is a correction.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.model import Config, DailyReportSection
from amo_bridge.crm.account import User
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.alerts import notice_or_task
from amo_bridge.engine.daily_reports import (
    ABOUT,
    RULE,
    DailyReport,
    DailyReports,
    Sums,
    correction_text,
    notice_of,
    planned,
    report_page,
    report_text,
)
from amo_bridge.engine.effects import NO_DEAL
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import UnknownName
from amo_bridge.logs import log
from amo_bridge.reports.kpi import Figures, per_day, sales_between
from amo_bridge.reports.pipedrive import figures_there, together
from amo_bridge.rules.actions import Person
from amo_bridge.storage.accounts import DAILY_REPORTS_MADE, Cursors
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import outbox
from amo_bridge.text.names import same_name

RECOUNT_SECONDS = 600.0
FOLLOWED = timedelta(days=7)
"""So long figures are counted again, and a report that is not confirmed is asked for."""
SHOWN = timedelta(days=14)
"""So long after its confirmation a report is passed on: longer than its figures are counted again."""


def shift_end(config: Config, section: DailyReportSection, day: date) -> time:
    return section.event_at if section.event_at and day in config.kpi.event_days else section.at


class DailyReportJob:
    """A job: ``run()`` every minute. ``account_clock`` is amoCRM's."""

    def __init__(self, store: AccountStore, rules: CurrentRules, account_clock: Clock, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._account_clock = account_clock
        self._clock = clock
        self._reports = DailyReports(store, account_clock)
        self._cursors = Cursors(store)
        self._recounted_at: datetime | None = None

    def run(self) -> None:
        """Raises StoreUnavailable."""
        engine = self._rules.get()
        section = engine.config.daily_report
        if section is None or engine.config.bridge.dry_run:
            return
        now = self._account_clock.now()
        self._make(engine, section, now)
        if self._recounted_at is None or not timedelta() <= now - self._recounted_at < _seconds(RECOUNT_SECONDS):
            self._recount(engine, now)
            self._recounted_at = now
        self._ask_again(engine, section, now)
        self._pass_on(engine, section, now)

    # --- making ---

    def _make(self, engine: RuleEngine, section: DailyReportSection, now: datetime) -> None:
        calendar = engine.calendar
        today = calendar.local(now).date()
        made = self._cursors.read(DAILY_REPORTS_MADE)
        days = [today] if calendar.is_working_day(today) else []
        if made is not None:
            # A bridge that was down at that hour makes up for the last shift, and for no older one.
            days.insert(0, calendar.previous_working_day(today))
        for day in days:
            due = calendar.moment(day, shift_end(engine.config, section, day))
            if now < due or (made is not None and made >= due.timestamp()):
                continue
            figures = self._figures(engine, day, day)[day]
            people = [(one.id, one.name, _sums(figures.get(one.id))) for one in _people(engine, section, day, figures)]
            with self._store.write() as connection:
                # From when it is there on, there is as much time to confirm it as on other days.
                self._reports.make(connection, day, due if now - due <= _LATE else now, section.plan, people)
                self._cursors.write(connection, DAILY_REPORTS_MADE, due.timestamp())

    def _figures(self, engine: RuleEngine, first: date, last: date) -> dict[date, dict[int, Figures]]:
        calendar = engine.calendar
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        midnights = {day: calendar.moment(day, time()) for day in days}
        end = calendar.moment(last + timedelta(days=1), time())
        sellers = self._sellers(midnights, end)
        own, seconds = engine.account.current_user_id, engine.config.kpi.talk_seconds
        found = per_day(self._store, midnights, end, own_user_id=own, talk_seconds=seconds, sellers=sellers)
        there = figures_there(self._store, engine.config.channels.pipedrive, engine.account, midnights, end)
        both = together(found, there.days) if there else found
        return {day: dict(people) for day, people in both.items()}

    def _sellers(self, midnights: Mapping[date, datetime], end: datetime) -> dict[int, int]:
        """Deal → whose sale it is. A deal that is handed over takes its sale along only while the reports of both are
        open: neither the seller's nor the next one's confirmed day is rewritten."""
        days = sorted(midnights)
        edges = [midnights[day] for day in days]
        confirmed = {(one.day, one.user_id) for one in self._reports.between(days[0], days[-1]) if one.is_confirmed}
        kept = self._reports.sellers(days[0])
        found: dict[int, int] = {}
        changed: list[tuple[int, date, int]] = []
        for sale in sales_between(self._store, edges[0], end):
            day = days[bisect_right(edges, sale.at) - 1]
            before, seller = kept.get(sale.deal_id), sale.person
            if before is not None and before[0] == day and confirmed & {(day, before[1]), (day, seller)}:
                seller = before[1]
            found[sale.deal_id] = seller
            if before != (day, seller):
                changed.append((sale.deal_id, day, seller))
        if changed:
            with self._store.write() as connection:
                for deal_id, day, seller in changed:
                    self._reports.keep_seller(connection, deal_id, day, seller)
                self._reports.forget_sellers(connection, days[-1] - SHOWN)
        return found

    def _recount(self, engine: RuleEngine, now: datetime) -> None:
        today = engine.calendar.local(now).date()
        reports = self._reports.between(today - FOLLOWED, today)
        if not reports:
            return
        figures = self._figures(engine, min(one.day for one in reports), today)
        changed = [(one, sums) for one in reports if (sums := _sums(figures[one.day].get(one.user_id))) != one.sums]
        if changed:
            with self._store.write() as connection:
                for report, sums in changed:
                    self._reports.recount(connection, report.number, sums)

    # --- what is not confirmed ---

    def _ask_again(self, engine: RuleEngine, section: DailyReportSection, now: datetime) -> None:
        between = section.escalate_after - section.remind_after
        for report in self._reports.open_since(now - FOLLOWED):
            if report.told_at is None:
                # Nobody is late with what has not reached him: quiet hours, a messenger that is down.
                continue
            begin = max(report.due, report.told_at)
            if report.reminded_at is None and now >= begin + section.remind_after:
                self._remind(engine, report, now, until=now + between)
            elif report.reminded_at and report.escalated_at is None and now >= report.reminded_at + between:
                self._escalate(engine, section, report, now)

    def _remind(self, engine: RuleEngine, report: DailyReport, now: datetime, until: datetime) -> None:
        at = engine.calendar.local(until)
        text = f"Отчёт за {report.day:%d.%m.%Y} не подтверждён. Подтвердите до {at:%H:%M}: потом узнает руководитель"
        with self._store.write() as connection:
            if self._reports.mark_open(connection, report.number, reminded_at=now.timestamp()):
                self._notify(connection, engine, report, "remind", [report.user_id], text)

    def _escalate(self, engine: RuleEngine, section: DailyReportSection, report: DailyReport, now: datetime) -> None:
        text = f"{report.person}: отчёт за {report.day:%d.%m.%Y} не подтверждён"
        url, rule = report_page(engine.viewer.pages_url, report.number), f"{RULE}.{report.number}"
        rows = notice_or_task(engine, rule, "escalate", section.escalate_to, text, ABOUT, url, now)
        if section.violation is not None:
            body = {
                "user_id": report.user_id, "clause": section.violation.clause,
                "penalty": section.violation.penalty, "at": int(now.timestamp()), "deal_name": "",
                "why": f"отчёт за {report.day:%d.%m.%Y} не подтверждён вовремя",
            }  # fmt: skip
            words = f"нарушение пункта {section.violation.clause} — {report.person}"
            rows = [*rows, planned(report, "violation", report.user_id, "record_violation", body, words)]
        with self._store.write() as connection:
            if self._reports.mark_open(connection, report.number, escalated_at=now.timestamp()):
                self._put(connection, *rows)

    # --- what is confirmed ---

    def _pass_on(self, engine: RuleEngine, section: DailyReportSection, now: datetime) -> None:
        for report in self._reports.unshown_since(now - SHOWN):
            confirmed = report.confirmed
            assert confirmed is not None
            to = list(_users(engine, section.tell, now))
            currency = engine.account.currency
            head = f"{report.person}, отчёт за {report.day:%d.%m.%Y}"
            # What was confirmed comes first, whatever has changed since then: that is a correction of the next minute.
            version = confirmed.version
            text = f"{head}\n{report_text(confirmed.sums, confirmed.plan, currency)}"
            if report.shown_version >= confirmed.version:
                version = report.version
                before = next(one for one in report.changes if one.version == report.shown_version)
                changed = correction_text(before, report, currency)
                text = f"{head}: исправление\n{changed}" if changed else ""
                to.append(report.user_id)
            with self._store.write() as connection:
                if text:
                    step = f"shown{version}"
                    self._notify(connection, engine, report, step, dict.fromkeys(to), text)
                self._reports.mark(connection, report.number, shown_version=version)

    # --- outbox ---

    def _notify(
        self,
        connection: Connection,
        engine: RuleEngine,
        report: DailyReport,
        step: str,
        to: Iterable[int],
        text: str,
    ) -> None:
        url = report_page(engine.viewer.pages_url, report.number)
        self._put(connection, *(notice_of(report, step, user_id, text, url) for user_id in to))

    def _put(self, connection: Connection, *rows: Planned) -> None:
        now = self._clock.now()
        insert_new(connection, outbox, [one.row(self._store.account_id, now) for one in rows])


_LATE = timedelta(minutes=10)


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _sums(figures: Figures | None) -> Sums:
    return Sums(figures.amount, figures.sales, figures.talks) if figures else Sums()


def _people(engine: RuleEngine, section: DailyReportSection, day: date, figures: dict[int, Figures]) -> Iterator[User]:
    """Who reports of this day: whoever is named and at work; if nobody is named, whoever did something."""
    named: Sequence[str] = section.people or engine.config.kpi.people
    for user in sorted(engine.account.users, key=lambda one: one.name):
        is_meant = any(same_name(user.name, name) for name in named) if named else user.id in figures
        if is_meant and engine.people.is_at_work(user, day):
            yield user


def _users(engine: RuleEngine, people: Iterable[Person], now: datetime) -> Iterator[int]:
    """Who works for these people today. A role that is nobody's is left out: the config's check tells of it."""
    today = engine.calendar.local(now.astimezone(UTC)).date()
    for person in people:
        try:
            yield engine.people.works_now(engine.people.user_id(person, DealRecord(id=NO_DEAL)), today)
        except UnknownName as error:
            log.error("nobody could be told of a daily report", person=str(person), error=str(error))
