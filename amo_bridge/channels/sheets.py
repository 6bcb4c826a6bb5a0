"""Sheets that people read elsewhere: the port of table services, and the job that keeps one sheet.

A row is found again by its key, in the first column, and changed in place; the columns behind ours are people's. Every
round reads the keys before it writes, so a lost answer is settled by the next one, and nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from amo_bridge.clock import Clock
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.daily_reports import DailyReport, DailyReports
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.engine.sheet_writes import SheetWrites
from amo_bridge.errors import ChannelBusy, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.logs import log
from amo_bridge.retry import Backoff
from amo_bridge.storage.database import AccountStore

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
    """``key``: its first cell. ``cells``: those behind it; a text is never taken for a formula. ``is_new_wanted``: else
    it only changes the row that is there."""

    key: str
    cells: Sequence[str | int]
    is_new_wanted: bool = True


class SheetService(Protocol):
    """A service of tables."""

    def write(self, sheet: str, head: Sequence[str], rows: Sequence[SheetRow]) -> None:
        """Put these rows in: in the place of those with their keys, else at the end; ``head`` first, if the sheet is
        empty. Raises ChannelError; then some rows may be there, and doing it again does no harm."""


class SheetSource(Protocol):
    """What is kept in one sheet. ``name``: of the job; ``what``: in words (Russian); ``head``: the first row."""

    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def sheet(self) -> str: ...
    @property
    def head(self) -> Sequence[str]: ...

    def due(self, engine: RuleEngine, now: datetime) -> Mapping[str, Sequence[str | int]]:
        """Key → cells, of rows that are not in the sheet as they are now; some of them, the oldest first. Raises
        StoreUnavailable."""

    def emptied(self) -> Mapping[str, Sequence[str | int]]:
        """Key → cells, of rows without figures beside those that were due last: one that is in the sheet shows what is
        no longer so."""

    def keep_written(self) -> None:
        """What was due last is in the sheet. Raises StoreUnavailable."""


class ReportRows:
    """Daily reports as a source: those whose version in the sheet is another one. ``name``: of the job."""

    what = "отчёты за день"
    head = HEAD

    def __init__(self, store: AccountStore, account_clock: Clock, name: str, sheet: str) -> None:
        self.name = name
        self.sheet = sheet
        self._reports = DailyReports(store, account_clock)
        self._writes = SheetWrites(store, name)
        self._versions: Mapping[str, int] = {}

    def due(self, engine: RuleEngine, now: datetime) -> Mapping[str, Sequence[str | int]]:
        reports = self._reports.not_in_sheet(self._writes, now - KEPT, BATCH_SIZE)
        self._versions = {str(report.number): report.version for report in reports}
        return {f"{report.day.isoformat()} {report.user_id}": _cells(report, engine) for report in reports}

    def emptied(self) -> Mapping[str, Sequence[str | int]]:
        return {}

    def keep_written(self) -> None:
        self._writes.keep(self._versions)


def _cells(report: DailyReport, engine: RuleEngine) -> Sequence[str | int]:
    sums, at = report.sums, report.confirmed_at
    return (
        f"{report.day:%d.%m.%Y}", report.person, sums.amount, sums.sales, sums.talks, report.plan,
        f"{engine.calendar.local(at):%d.%m.%Y %H:%M}" if at else "", report.confirmed_by, len(report.corrections),
    )  # fmt: skip


class SheetJob:
    """In a thread of its own, once a minute: rows that are not in their sheet."""

    def __init__(
        self,
        service: SheetService,
        source: SheetSource,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self.name = source.name
        self._service = service
        self._source = source
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._ran_at = 0.0
        self._backoff = Backoff(clock, patience=3)

    @property
    def is_put_off(self) -> bool:
        """After an error, until rows were written again."""
        return self._backoff.failures > 0

    def recover(self) -> None:
        """Nothing is in doubt: keys are read before each write."""

    def send(self) -> int:
        """A round, if its time has come; how many rows were written. Raises LeadLost, StoreUnavailable."""
        now = self._clock.now().timestamp()
        if 0 <= now - self._ran_at < PERIOD_SECONDS or self._backoff.lasts:
            return 0
        self._ran_at = now
        return self.run()

    def run(self) -> int:
        """Write what is due. Raises LeadLost, StoreUnavailable."""
        engine, source = self._rule_engine(), self._source
        if engine.config.bridge.dry_run:
            return 0
        rows = [SheetRow(key, cells) for key, cells in source.due(engine, self._account_clock.now()).items()]
        emptied = [SheetRow(key, cells, is_new_wanted=False) for key, cells in source.emptied().items()]
        try:
            if rows or emptied:
                self._service.write(source.sheet, source.head, [*rows, *emptied])
        except ChannelError as error:
            self._wait(error)
            return 0
        if rows or emptied:
            self._backoff.rest()
        source.keep_written()
        return len(rows)

    def _wait(self, error: ChannelError) -> None:
        self._backoff.fail(error)
        log.warning("a table waits", sheet=self._source.sheet, error=str(error))
        if isinstance(error, ChannelRefused) or not isinstance(error, ChannelBusy | ChannelUncertain):
            alerts = Alerts(self._store, CurrentRules(self._rule_engine()), self._clock)
            alerts.tell(f"{self._source.what} не попадают в таблицу: {error}", self._source.name)
