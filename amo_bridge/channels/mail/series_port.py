"""The port that begins and ends series of letters: nothing leaves the house, so nothing can be in doubt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy.engine import Connection

from amo_bridge.channels.mail.series_log import SeriesLog
from amo_bridge.clock import Clock
from amo_bridge.engine.effects import Lane
from amo_bridge.engine.lanes.port import Job, NotSent, Outcome, Sent
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import Brain


class SeriesPort:
    lane: Lane = "series"
    in_order = True
    is_far = False
    repeats_doubtful = True
    gives_up_after = timedelta(days=36500)

    def __init__(self, log: SeriesLog, brain: Callable[[], Brain], account_clock: Clock) -> None:
        self._log = log
        self._brain = brain
        self._account_clock = account_clock

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        return {row.id: self._outcome(row) for row in rows}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        if not isinstance(outcome, Sent):
            return
        if row.kind == "start_series":
            brain, now = self._brain(), self._account_clock.now()
            spec = brain.config.channels.series.of(row.body["series"])
            assert spec is not None
            first = spec.letters[0].after.resolve(now, brain.calendar)
            self._log.begin(connection, row.id, row.deal_id, row.body["series"], row.body["stage"], now, first)
        else:
            for run in self._log.runs_of(row.deal_id, row.body["series"]):
                self._log.end(connection, run.id, row.body["because"])

    def rest(self) -> None:
        """There is no connection to close."""

    def _outcome(self, row: Sendable) -> Outcome:
        name = row.body["series"]
        running = self._log.runs_of(row.deal_id, name)
        if row.kind == "stop_series":
            return Sent(row.body["because"]) if running else NotSent("серия писем не шла")
        if running:
            return NotSent(f"серия писем «{name}» уже идёт")
        if self._brain().config.channels.series.of(name) is None:
            return NotSent(f"серии писем «{name}» в настройке нет")
        return Sent()
