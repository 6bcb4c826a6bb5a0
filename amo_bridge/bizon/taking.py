"""A fetched report → a draft of an import, as if its file had been uploaded; begun at once if the config says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amo_bridge.bizon.reports import BizonReports, Report
from amo_bridge.clock import Clock
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.imports.book import NotNow
from amo_bridge.engine.imports.control import DRY, ImportControl
from amo_bridge.engine.imports.drafting import Drafting, Upload
from amo_bridge.engine.imports.memory import COUNTS
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import Brain
from amo_bridge.storage.database import Store, insert_new
from amo_bridge.storage.tables import outbox

RULE = "bridge.bizon"
MADE_BY = "Бизон365"
NO_DEAL = 0
BEFORE = "этот отчёт уже загружен"


class Taking:
    """``pages``: where the bridge's pages are, for the link; empty if that is not known."""

    def __init__(self, store: Store, key: int, brain: Callable[[], Brain], clock: Clock, pages: str) -> None:
        self._store = store
        self._key = key
        self._brain = brain
        self._clock = clock
        self._pages = pages
        self._reports = BizonReports(store, key, clock)

    def take(self, report: Report, content: bytes) -> None:
        """Raises ExportError for a report that can't be used (yet), UnknownName, StoreUnavailable."""
        brain = self._brain()
        drafting = Drafting(self._store, self._key, brain.config, brain.account, self._clock)
        upload = Upload(f"{report.webinar_id}.json", content)
        before = drafting.memory.same_file(upload.digest, (*COUNTS, "draft"))
        if before is not None and drafting.book.get(before).made_by != MADE_BY:
            self._reports.taken(report, [before], BEFORE)
            return
        # A draft of ours is what a bridge left that died in the middle of this.
        numbers = [before] if before is not None else drafting.draft([upload], MADE_BY)
        remark = self._begin(drafting, numbers)
        self._tell(report, drafting, numbers)
        self._reports.taken(report, numbers, remark)

    def _begin(self, drafting: Drafting, numbers: Sequence[int]) -> str:
        """Why it was not begun, if it should have been."""
        bizon = drafting.options.bizon
        if bizon is None or bizon.what_then != "at once":
            return ""
        dry_run = self._brain().config.bridge.dry_run
        if dry_run:
            return DRY
        control = ImportControl(self._store, self._key, drafting, dry_run=dry_run)
        for number in numbers:
            if drafting.book.get(number).state == "draft":
                try:
                    control.start(number, as_shown=False)
                except NotNow as error:
                    return str(error)
        return ""

    def _tell(self, report: Report, drafting: Drafting, numbers: Sequence[int]) -> None:
        bizon = drafting.options.bizon
        if bizon is None or not bizon.tell:
            return
        people = sum(drafting.book.counts(number).all for number in numbers)
        begun = any(drafting.book.get(number).state != "draft" for number in numbers)
        what = "загружается в amoCRM" if begun else "посмотрите и загрузите"
        links = "".join(f"\n{self._pages}/webinars/{number}" for number in numbers) if self._pages else ""
        text = f"Отчёт вебинара {report.webinar_id} получен, участников {people}: {what}{links}"
        now = self._clock.now()
        bodies = self._brain().resolver.free_notice(text, bizon.tell, MADE_BY, DealRecord(id=NO_DEAL), now)
        rows = [
            Planned(None, RULE, f"{RULE}|{report.webinar_id}|{body['user_id']}", Effect("notify", NO_DEAL, body, text))
            for body in bodies
        ]
        with self._store.write() as connection:
            insert_new(connection, outbox, [row.row(self._key, now) for row in rows])
