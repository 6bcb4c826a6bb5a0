"""Sheets that people read elsewhere: the port of table services, and the job that keeps one sheet.

A row is found again by its key and changed in place; columns are found by their titles, so people may move them, put
their own between and rows above. Every round reads the keys before it writes, so a lost answer is settled by the next
one, and nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from amo_bridge.clock import Clock
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.daily_reports import DailyReport, DailyReports
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.engine.sheet_writes import SheetWrites
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelUncertain
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.retry import Backoff
from amo_bridge.storage.database import AccountStore

PERIOD_SECONDS = 60.0
BATCH_SIZE = 200
TOLD_AFTER = timedelta(hours=1)
"""An error that passes by itself is told if it has not by then: a file that somebody keeps open, say."""
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


Cell = str | int | float
"""As it is read; a date is the number of its day."""
Cells = Sequence[str | int]
Emptied = Callable[[str], Cells | None]
"""Of a key that stands in the sheet and is of no row that is written: what is to stand there then, None to leave it."""


HEAD_WITHIN = 20
"""The head stands in one of so many first rows."""


@dataclass(frozen=True)
class SheetColumns:
    """Where people have put the columns of a sheet. ``head_row``: from 1; ``columns``: of each title, from 0."""

    head_row: int
    columns: tuple[int, ...]

    @property
    def key(self) -> int:
        return self.columns[0]

    @property
    def are_as_written(self) -> bool:
        """Nobody has moved any."""
        return self.columns == tuple(range(len(self.columns)))

    def placed(self, row: SheetRow) -> dict[int, str | int]:
        """Column → what stands there."""
        return dict(zip(self.columns, (row.key, *row.cells), strict=True))


def columns_of(sheet: str, head: Sequence[str], top: Sequence[Sequence[object]]) -> SheetColumns | None:
    """``top``: the first rows of the sheet. None if nothing stands there. Raises ChannelDown if one can't be sure."""
    titles = [[" ".join(str(cell).split()) for cell in row] for row in top]
    at = next((number for number, row in enumerate(titles) if head[0] in row), None)
    if at is None:
        if any(any(row) for row in titles):
            raise ChannelDown(
                f"на листе «{sheet}» нет столбца «{head[0]}»: верните строку заголовков или освободите лист"
            )
        return None
    for title in head:
        if (count := titles[at].count(title)) != 1:
            told = f"нет столбца «{title}», верните его" if not count else f"два столбца «{title}», назовите свой иначе"
            raise ChannelDown(f"на листе «{sheet}» {told} (заголовки моста переименовывать нельзя)")
    return SheetColumns(at + 1, tuple(titles[at].index(title) for title in head))


class SheetService(Protocol):
    """A service of tables."""

    def check(self) -> str:
        """What to say of the table (Russian). Raises ChannelError."""

    def write(self, sheet: str, head: Sequence[str], rows: Sequence[SheetRow], emptied: Emptied) -> None:
        """Put these rows in: in the place of those with their keys, else at the end; ``head`` first, if the sheet is
        empty. Raises ChannelError; then some rows may be there, and doing it again does no harm."""

    def read(self, sheet: str) -> Sequence[Sequence[Cell]]:
        """All rows of a sheet from the first on, empty ones too. Raises ChannelError."""


def changes_of(rows: Sequence[SheetRow], keys: Iterable[str], emptied: Emptied) -> list[SheetRow]:
    """What is to be written over what stands there, for a sheet with these keys."""
    wanted = {row.key: row for row in rows}
    found: list[SheetRow] = []
    for key in keys:
        if key in wanted:
            found.append(wanted[key])
        elif (cells := emptied(key)) is not None:
            found.append(SheetRow(key, cells))
    return found


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

    def emptied(self) -> Emptied | None:
        """Of rows beside those that were due last: one that is in the sheet may show what is no longer so. None: none
        does."""

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

    def emptied(self) -> Emptied | None:
        return None

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
        self._failing_since: datetime | None = None
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
        emptied = source.emptied()
        try:
            if rows or emptied:
                self._service.write(source.sheet, source.head, rows, emptied or (lambda key: None))
        except ChannelError as error:
            self._wait(error)
            return 0
        if rows or emptied:
            self._backoff.rest()
            self._failing_since = None
        source.keep_written()
        return len(rows)

    def _wait(self, error: ChannelError) -> None:
        self._backoff.fail(error)
        log.warning("a table waits", sheet=self._source.sheet, error=str(error))
        now = self._clock.now()
        self._failing_since = self._failing_since or now
        is_passing = isinstance(error, ChannelBusy | ChannelUncertain)
        if not is_passing or now - self._failing_since >= TOLD_AFTER:
            alerts = Alerts(self._store, CurrentRules(self._rule_engine()), self._clock)
            alerts.tell(f"{self._source.what} не попадают в таблицу: {error}", self._source.name)
