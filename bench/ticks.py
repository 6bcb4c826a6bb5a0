"""Tick of the scheduler: what it costs to find that nothing is due among many steps to come."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from amo_bridge.clock import SystemClock
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.scheduler import DueTimers
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import deals, timers

ACCOUNT, BATCH_SIZE, TICKS = 1, 5000, 100
DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Ticks:
    """``cpu``: seconds of one tick, the mean of many. The tick gets no client of amoCRM, so it sends no request."""

    deals: int
    timers: int
    cpu: float


def tick(folder: Path, number: int) -> Ticks:
    """A mirror of so many deals, a step to come for each, and ticks while nothing is due."""
    store = Store.in_folder(folder)
    store.prepare()
    plan(AccountStore(store, ACCOUNT), number, datetime.now(UTC))
    due = DueTimers(AccountStore(store, ACCOUNT), SystemClock(), SystemClock())
    # The timetable is for what comes after a step that has fired; here none does.
    nothing: Any = None
    due.run(nothing, lambda: None)
    begun = time.process_time()
    fired = sum(due.run(nothing, lambda: None) for _ in range(TICKS))
    cpu = (time.process_time() - begun) / TICKS
    assert fired == 0
    store.close()
    return Ticks(number, number, cpu)


def plan(store: AccountStore, number: int, now: datetime) -> None:
    """Put so many deals into the account's mirror, each with a step to come.

    The first is due after a day, then one a second.
    """
    for batch in _batches(number):
        with store.write() as connection:
            connection.execute(insert(deals), [_deal(store.account_id, place, now.timestamp()) for place in batch])
            connection.execute(insert(timers), [_step(store.account_id, place, now.timestamp()) for place in batch])


def _batches(number: int) -> Iterator[range]:
    for start in range(0, number, BATCH_SIZE):
        yield range(start, min(start + BATCH_SIZE, number))


def _deal(account: int, number: int, now: float) -> dict[str, object]:
    times = {"stage_since": now, "updated_at": now, "read_at": now}
    at = datetime.fromtimestamp(now, UTC)
    record = DealRecord(id=number, name=f"Сделка {number}", pipeline_id=1, status_id=1, created_at=at, updated_at=at)
    told = json.dumps(record.to_json(), ensure_ascii=False)
    return {"account": account, "deal_id": number, "pipeline_id": 1, "status_id": 1, "record": told, **times}


def _step(account: int, number: int, now: float) -> dict[str, object]:
    due_at = now + DAY_SECONDS + number
    whose = {"account": account, "deal_id": number, "rule": "ladder"}
    return {**whose, "step": "1", "anchor": "a", "due_at": due_at, "since": now}
