"""The reports that Bizon365 has told of: which are to be fetched, when, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, select, update

from amo_bridge.clock import Clock
from amo_bridge.storage.database import Store, insert_new
from amo_bridge.storage.tables import bizon_reports

State = Literal["waiting", "taken", "failed"]
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
GIVE_UP_AFTER = 3 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """Times are Unix seconds. ``trouble``: why it is still waiting, or what should be known of it (Russian).
    ``imports``: the numbers of the imports that it has become."""

    webinar_id: str
    state: State
    heard_at: float
    attempts: int
    due_at: float
    trouble: str
    imports: tuple[int, ...]


class BizonReports:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store, account: int, clock: Clock) -> None:
        self._store = store
        self._account = account
        self._clock = clock

    def hear(self, webinar_id: str) -> None:
        """Bizon365 says that the report is ready. One that is known already is fetched once all the same."""
        row = {
            "account": self._account, "webinar_id": webinar_id, "state": "waiting", "heard_at": self._now,
            "attempts": 0, "due_at": self._now, "trouble": "", "imports": "[]",
        }  # fmt: skip
        with self._store.write() as connection:
            insert_new(connection, bizon_reports, [row])

    def try_again(self, webinar_id: str | None = None) -> bool:
        """Fetch this one now, whatever became of it; without an id: all that wait or were given up. Are there any?"""
        table = bizon_reports.c
        which = table.state != "taken" if webinar_id is None else table.webinar_id == webinar_id
        those = (table.account == self._account, which)
        again = {"state": "waiting", "attempts": 0, "due_at": self._now, "heard_at": self._now}
        with self._store.write() as connection:
            return connection.execute(update(bizon_reports).where(*those).values(again)).rowcount > 0

    def due(self) -> Report | None:
        """The next that is to be fetched now."""
        table = bizon_reports.c
        mine = (table.account == self._account, table.state == "waiting", table.due_at <= self._now)
        with self._store.read() as connection:
            row = connection.execute(select(bizon_reports).where(*mine).order_by(table.due_at).limit(1)).first()
        return _report(row) if row else None

    def later(self, report: Report, why: str, retry_after: float | None = None) -> None:
        """It could not be had: again after a pause that grows; not for ever."""
        pause = min(FIRST_PAUSE * 2.0 ** min(report.attempts, 10), LONGEST_PAUSE)
        due_at = self._now + max(pause, retry_after or 0.0)
        state: State = "waiting" if due_at - report.heard_at < GIVE_UP_AFTER else "failed"
        self._become(report, state=state, attempts=report.attempts + 1, due_at=due_at, trouble=why)

    def taken(self, report: Report, imports: Sequence[int], remark: str = "") -> None:
        """It has become these imports."""
        self._become(report, state="taken", trouble=remark, imports=json.dumps(list(imports)))

    def all(self, most: int = 20) -> list[Report]:
        """Those told of last, newest first."""
        mine = select(bizon_reports).where(bizon_reports.c.account == self._account)
        with self._store.read() as connection:
            found = connection.execute(mine.order_by(bizon_reports.c.heard_at.desc()).limit(most))
            return [_report(row) for row in found]

    def _become(self, report: Report, **values: object) -> None:
        mine = (bizon_reports.c.account == self._account, bizon_reports.c.webinar_id == report.webinar_id)
        with self._store.write() as connection:
            connection.execute(update(bizon_reports).where(*mine).values(values))

    @property
    def _now(self) -> float:
        return self._clock.now().timestamp()


def _report(row: Row[Any]) -> Report:
    return Report(
        webinar_id=row.webinar_id,
        state=row.state,
        heard_at=row.heard_at,
        attempts=row.attempts,
        due_at=row.due_at,
        trouble=row.trouble,
        imports=tuple(json.loads(row.imports)),
    )
