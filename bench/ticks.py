"""The tick of all timed checks: what it costs to find that nothing is due among a great many steps to come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from amo_bridge.clock import SystemClock
from amo_bridge.engine.scheduler import DueTimers
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import deals, timers

ACCOUNT, TOGETHER, TICKS = 1, 5000, 100
A_DAY = 86_400.0


@dataclass(frozen=True)
class Ticks:
    """``cpu``: seconds of one tick, the mean of many. The tick has nobody to ask: it gets no client of amoCRM."""

    deals: int
    timers: int
    cpu: float


def tick(folder: Path, number: int) -> Ticks:
    """A mirror of so many deals, a step to come for each, and ticks while nothing is due."""
    store = Store.in_folder(folder)
    store.prepare()
    plan(store, ACCOUNT, number, datetime.now(UTC))
    due = DueTimers(store, ACCOUNT, SystemClock(), SystemClock())
    # The timetable is for what comes after a step that has fired; here none does.
    nothing: Any = None
    due.run(nothing, lambda: None)
    begun = time.process_time()
    fired = sum(due.run(nothing, lambda: None) for _ in range(TICKS))
    cpu = (time.process_time() - begun) / TICKS
    assert fired == 0
    store.close()
    return Ticks(number, number, cpu)


def plan(store: Store, account: int, number: int, now: datetime) -> None:
    """Put so many deals into the account's mirror, each with a step to come: the first after a day, then one a
    second."""
    for some in _portions(number):
        with store.write() as connection:
            connection.execute(insert(deals), [_deal(account, one, now.timestamp()) for one in some])
            connection.execute(insert(timers), [_step(account, one, now.timestamp()) for one in some])


def _portions(number: int) -> Iterator[range]:
    for start in range(0, number, TOGETHER):
        yield range(start, min(start + TOGETHER, number))


def _deal(account: int, number: int, now: float) -> dict[str, object]:
    times = {"stage_since": now, "updated_at": now, "read_at": now}
    return {"account": account, "deal_id": number, "pipeline_id": 1, "status_id": 1, "record": "{}", **times}


def _step(account: int, number: int, now: float) -> dict[str, object]:
    due_at = now + A_DAY + number
    whose = {"account": account, "deal_id": number, "rule": "ladder"}
    return {**whose, "step": "1", "anchor": "a", "due_at": due_at, "since": now}
