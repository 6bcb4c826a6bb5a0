"""Which series of letters are running: begun and ended by actions, gone through by the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.storage.database import Store, insert_new
from amo_bridge.storage.tables import series
from amo_bridge.text.names import normalise

AT_ONCE = 500


@dataclass(frozen=True)
class Run:
    """One start of a series for a deal. ``number``: the letter that is next, from 0."""

    id: int
    deal_id: int
    name: str
    stage: tuple[int, int]
    started_at: datetime
    number: int
    due_at: datetime


class SeriesLog:
    def __init__(self, store: Store, account_key: int) -> None:
        self._store = store
        self._key = account_key
        self._open = (series.c.account == account_key, series.c.state == "open")

    def runs_of(self, deal_id: int, name: str | None = None) -> list[Run]:
        """The running series of a deal; ``name``: only this one."""
        query = select(series).where(*self._open, series.c.deal_id == deal_id).order_by(series.c.id)
        with self._store.read() as connection:
            runs = [_run(row) for row in connection.execute(query)]
        return [run for run in runs if name is None or normalise(run.name) == normalise(name)]

    def due(self, now: datetime) -> list[Run]:
        """Those whose next letter is due, the most overdue first."""
        query = select(series).where(*self._open, series.c.next_at <= now.timestamp())
        with self._store.read() as connection:
            return [_run(row) for row in connection.execute(query.order_by(series.c.next_at).limit(AT_ONCE))]

    def begin(
        self,
        connection: Connection,
        outbox_id: int,
        deal_id: int,
        name: str,
        stage: Sequence[int],
        now: datetime,
        first: datetime,
    ) -> None:
        """Once for an effect (``outbox_id``)."""
        row = {
            "account": self._key,
            "outbox_id": outbox_id,
            "deal_id": deal_id,
            "name": name,
            "pipeline_id": stage[0],
            "status_id": stage[1],
            "started_at": now.timestamp(),
            "next_number": 0,
            "next_at": first.timestamp(),
            "state": "open",
            "because": "",
        }
        insert_new(connection, series, [row])

    def go_on(self, connection: Connection, run: Run, next_at: datetime) -> None:
        """The letter ``run.number`` is told of; the one after it is due then."""
        self._set(connection, run.id, next_number=run.number + 1, next_at=next_at.timestamp())

    def end(self, connection: Connection, run_id: int, because: str) -> None:
        self._set(connection, run_id, state="ended", because=because)

    def _set(self, connection: Connection, run_id: int, **values: object) -> None:
        connection.execute(update(series).where(*self._open, series.c.id == run_id).values(**values))


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        deal_id=row.deal_id,
        name=row.name,
        stage=(row.pipeline_id, row.status_id),
        started_at=datetime.fromtimestamp(row.started_at, UTC),
        number=row.next_number,
        due_at=datetime.fromtimestamp(row.next_at, UTC),
    )
