"""The clock's door bell: APScheduler asks the worker for its chores, and does nothing itself.

What is due stands in the store, so a missed tick, a restart or two ticks at once change nothing.
"""

from __future__ import annotations

from typing import Protocol
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler

RECONCILE = "reconcile"
RETENTION = "retention"
TIMERS = "timers"
TOKEN_WATCH = "token_watch"
SERIES = "series"
IMPORTS = "imports"
REHEARSALS = "rehearsals"
EVENING = "evening"
BIZON = "bizon"
# Asked for at the start, and by itself until it is done.
FIRST_READING = "first_reading"
# Four requests each time (deals, contacts, events, the webhook): well under one a minute when nothing happens.
# Retention looks by itself whether a day has passed. Imports and rehearsals are begun by a page or a command, maybe in
# another process: the worker looks into the store for them. Timers cost one look too; so late a step is at most.
EVERY_SECONDS = {
    RECONCILE: 300, SERIES: 60, TIMERS: 10, EVENING: 60, RETENTION: 3600, TOKEN_WATCH: 86400, IMPORTS: 3, REHEARSALS: 3,
    BIZON: 10,
}  # fmt: skip


class Asked(Protocol):
    def ask(self, chore: str) -> None: ...


class Ticker:
    def __init__(self) -> None:
        self._scheduler: BackgroundScheduler | None = None

    def start(self, worker: Asked) -> None:
        """Begin to tick; ticks that were missed while the machine slept come once."""
        self._scheduler = BackgroundScheduler(timezone=ZoneInfo("UTC"))
        for chore, seconds in EVERY_SECONDS.items():
            self._scheduler.add_job(
                worker.ask, "interval", args=[chore], seconds=seconds, coalesce=True, misfire_grace_time=None, id=chore
            )
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
