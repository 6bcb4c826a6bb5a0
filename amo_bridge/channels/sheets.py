"""Tables that people read elsewhere: the port for services of tables, and the job that keeps daily reports in one.

A row is found again by its key, in the first column, and changed in place; the columns behind ours are people's. Every
round reads the keys before it writes, so a lost answer is settled by the next one, and nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from amo_bridge.clock import Clock
from amo_bridge.config.channels import GoogleSheetsSection
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.daily_reports import DailyReport, DailyReports
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import ChannelBusy, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.retry import Backoff
from amo_bridge.storage.database import AccountStore

log = structlog.get_logger()
PERIOD_SECONDS = 60.0
BATCH_SIZE = 200
KEPT = timedelta(days=62)
"""Older reports are not written any more: whoever connects a table gets two months."""
HEAD = (
    "Ключ (не менять)", "День", "Человек", "Сумма продаж", "Продажи", "Дозвоны", "План на завтра", "Подтверждён", "Кем",
    "Исправлений",
)  # fmt: skip


@dataclass(frozen=True)
class SheetRow:
    """``key``: its first cell. ``cells``: those behind it; a text is never taken for a formula."""

    key: str
    cells: Sequence[str | int]


class SheetService(Protocol):
    """A service of tables."""

    def write(self, sheet: str, head: Sequence[str], rows: Sequence[SheetRow]) -> None:
        """Put these rows in: in the place of those with their keys, else at the end; ``head`` first, if the sheet is
        empty. Raises ChannelError; then some rows may be there, and doing it again does no harm."""


def report_row(report: DailyReport, at: Callable[[DailyReport], str]) -> SheetRow:
    """``at``: when it was confirmed, by the account's clocks."""
    sums = report.sums
    cells = (
        f"{report.day:%d.%m.%Y}", report.person, sums.amount, sums.sales, sums.talks, report.plan, at(report),
        report.confirmed_by, len(report.corrections),
    )  # fmt: skip
    return SheetRow(f"{report.day.isoformat()} {report.user_id}", cells)


class ReportSheetJob:
    """In a thread of its own, once a minute: daily reports whose version in the table is an older one."""

    name = "google_sheets"

    def __init__(
        self,
        service: SheetService,
        section: GoogleSheetsSection,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self._service = service
        self._section = section
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._reports = DailyReports(store, account_clock)
        self._ran_at = 0.0
        self._backoff = Backoff(clock, patience=3)

    @property
    def is_put_off(self) -> bool:
        """After an error, until rows were written again."""
        return self._backoff.failures > 0

    def recover(self) -> None:
        """Nothing is in doubt: keys are read before each write."""

    def send(self) -> int:
        """A round, if its time has come; how many reports were written. Raises LeadLost, StoreUnavailable."""
        now = self._clock.now().timestamp()
        if 0 <= now - self._ran_at < PERIOD_SECONDS or self._backoff.lasts:
            return 0
        self._ran_at = now
        return self.run()

    def run(self) -> int:
        """Write what is due. Raises LeadLost, StoreUnavailable."""
        engine = self._rule_engine()
        if engine.config.bridge.dry_run:
            return 0
        reports = self._reports.not_in_sheet(self._account_clock.now() - KEPT, BATCH_SIZE)
        if not reports:
            return 0

        def confirmed_at(report: DailyReport) -> str:
            at = report.confirmed_at
            return f"{engine.calendar.local(at):%d.%m.%Y %H:%M}" if at else ""

        try:
            rows = [report_row(report, confirmed_at) for report in reports]
            self._service.write(self._section.daily_reports, HEAD, rows)
        except ChannelError as error:
            self._wait(error)
            return 0
        self._backoff.rest()
        versions: Mapping[int, int] = {report.number: report.version for report in reports}
        with self._store.write() as connection:
            for number, version in versions.items():
                self._reports.mark(connection, number, sheet_version=version)
        return len(reports)

    def _wait(self, error: ChannelError) -> None:
        self._backoff.fail(error)
        log.warning("the table of reports waits", error=str(error))
        if isinstance(error, ChannelRefused) or not isinstance(error, ChannelBusy | ChannelUncertain):
            alerts = Alerts(self._store, CurrentRules(self._rule_engine()), self._clock)
            alerts.tell(f"отчёты за день не попадают в таблицу: {error}", "google_sheets")
