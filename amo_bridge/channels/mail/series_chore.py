"""The clock's part of series of letters: a letter that is due becomes an event, and the rules decide about it."""

from __future__ import annotations

from collections.abc import Callable

from amo_bridge.channels.mail.series_log import Run, SeriesLog
from amo_bridge.clock import Clock
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.rule_engine import Brain
from amo_bridge.events import SeriesLetterDue
from amo_bridge.storage.database import Store


class SeriesChore:
    """``clock``: the bridge's own, ``account_clock``: by which letters fall due."""

    def __init__(
        self, store: Store, account_key: int, brain: Callable[[], Brain], clock: Clock, account_clock: Clock
    ) -> None:
        self._store = store
        self._key = account_key
        self._brain = brain
        self._clock = clock
        self._account_clock = account_clock
        self._log = SeriesLog(store, account_key)

    def run(self) -> int:
        """Tell of the letters that are due, each once however often it is looked; how many series were moved on."""
        runs = self._log.due(self._account_clock.now())
        for run in runs:
            self._move_on(run)
        return len(runs)

    def _move_on(self, run: Run) -> None:
        brain = self._brain()
        spec = brain.config.channels.series.of(run.name)
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
            add_events(connection, self._key, [event], self._clock.now().timestamp())
            if run.number + 1 < len(letters):
                next_at = letters[run.number + 1].after.resolve(run.started_at, brain.calendar)
                self._log.go_on(connection, run, next_at)
            else:
                self._log.end(connection, run.id, "все письма отправлены")
