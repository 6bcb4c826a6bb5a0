"""Series of letters: begun and ended by actions, sent by the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.port import Job, LocalPort, NotSent, Outcome, Sent
from amo_bridge.clock import Clock
from amo_bridge.engine.effects import Channel
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.events import SeriesLetterDue
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, insert_new
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
    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._open = (store.owns(series), series.c.state == "open")

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
            "account": self._store.account_id,
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


# The clock's part of series of letters: a letter that is due becomes an event, and the rules decide about it.


class SeriesJob:
    """``clock``: the bridge's own, ``account_clock``: by which letters fall due."""

    def __init__(
        self, store: AccountStore, rule_engine: Callable[[], RuleEngine], clock: Clock, account_clock: Clock
    ) -> None:
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._log = SeriesLog(store)

    def run(self) -> int:
        """Tell of the letters that are due, each once however often it is looked; how many series were moved on."""
        runs = self._log.due(self._account_clock.now())
        for run in runs:
            self._move_on(run)
        return len(runs)

    def _move_on(self, run: Run) -> None:
        rule_engine = self._rule_engine()
        spec = rule_engine.config.channels.series.of(run.name)
        letters = spec.letters if spec else ()
        with self._store.write() as connection:
            if run.number >= len(letters):
                self._log.end(connection, run.id, "в настройке столько писем больше нет")
                return
            event = SeriesLetterDue(
                at=run.due_at,
                deal_id=run.deal_id,
                series=run.name,
                run=run.id,
                number=run.number,
                stage=run.stage,
                started_at=run.started_at,
            )
            add_events(connection, self._store.account_id, [event], self._clock.now().timestamp())
            if run.number + 1 < len(letters):
                next_at = letters[run.number + 1].after.resolve(run.started_at, rule_engine.calendar)
                self._log.go_on(connection, run, next_at)
            else:
                self._log.end(connection, run.id, "все письма отправлены")


# The port that begins and ends series of letters: nothing is sent, so no answer can be lost.


class SeriesPort(LocalPort):
    channel: Channel = "series"

    def __init__(self, log: SeriesLog, rule_engine: Callable[[], RuleEngine], account_clock: Clock) -> None:
        self._log = log
        self._rule_engine = rule_engine
        self._account_clock = account_clock

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        return {row.id: self._outcome(row) for row in rows}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        if not isinstance(outcome, Sent):
            return
        if row.kind == "start_series":
            rule_engine, now = self._rule_engine(), self._account_clock.now()
            spec = rule_engine.config.channels.series.of(row.body["series"])
            assert spec is not None
            first = spec.letters[0].after.resolve(now, rule_engine.calendar)
            self._log.begin(connection, row.id, row.deal_id, row.body["series"], row.body["stage"], now, first)
        else:
            for run in self._log.runs_of(row.deal_id, row.body["series"]):
                self._log.end(connection, run.id, row.body["because"])

    def _outcome(self, row: Sendable) -> Outcome:
        name = row.body["series"]
        running = self._log.runs_of(row.deal_id, name)
        if row.kind == "stop_series":
            return Sent(row.body["because"]) if running else NotSent("серия писем не шла")
        if running:
            return NotSent(f"серия писем «{name}» уже идёт")
        if self._rule_engine().config.channels.series.of(name) is None:
            return NotSent(f"серии писем «{name}» в настройке нет")
        return Sent()
