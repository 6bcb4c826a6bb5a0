"""Whether there is anything to do, asked of the store: every queue counts, what waits for its time does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update
from support.fakes import ACCOUNT, NOON, clock, effect, queue

from amo_bridge.engine.event_queue import PendingWork
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, inbox, outbox

AN_HOUR = timedelta(hours=1)


def has_work(store: Store, later: timedelta = timedelta(0), account: int = ACCOUNT) -> bool:
    return PendingWork(AccountStore(store, account), clock(NOON + later)).has_work()


def put(store: Store, table: object, **row: object) -> None:
    with store.write() as connection:
        connection.execute(insert(table), [{"account": ACCOUNT, "received_at": NOON.timestamp(), **row}])  # type: ignore[arg-type]


def test_an_empty_store_has_none(store: Store) -> None:
    assert not has_work(store)


@pytest.mark.parametrize(("state", "expected"), [("new", True), ("decoded", False)])
def test_a_hook_that_is_not_decoded(store: Store, state: str, expected: bool) -> None:
    put(store, inbox, body=b"x", state=state)
    assert has_work(store) is expected


@pytest.mark.parametrize(("state", "expected"), [("open", True), ("done", False), ("failed", False)])
def test_an_event_that_is_not_judged(store: Store, state: str, expected: bool) -> None:
    put(store, events, key="k", body="{}", state=state)
    assert has_work(store) is expected


def test_a_postponed_event_when_its_time_has_come(store: Store) -> None:
    put(store, events, key="k", body="{}", state="open", due_at=(NOON + AN_HOUR).timestamp())
    assert (has_work(store), has_work(store, AN_HOUR)) == (False, True)


@pytest.mark.parametrize(
    ("state", "expected"),
    [("ready", True), ("sending", True), ("doubt", True), ("waiting", False), ("done", False), ("failed", False)],
)
def test_an_effect_that_is_not_settled(store: Store, state: str, expected: bool) -> None:
    queue(store, effect())
    with store.write() as connection:
        connection.execute(update(outbox).values(state=state))
    assert has_work(store) is expected


def test_a_postponed_effect_when_its_time_has_come(store: Store) -> None:
    queue(store, effect())
    with store.write() as connection:
        connection.execute(update(outbox).values(due_at=(NOON + AN_HOUR).timestamp()))
    assert (has_work(store), has_work(store, AN_HOUR)) == (False, True)


def test_another_accounts_work_is_not_ours(store: Store) -> None:
    put(store, inbox, body=b"x", state="new")
    assert not has_work(store, account=ACCOUNT + 1)


def test_old_rows_are_not_read(tmp_path: Path) -> None:
    """Every queue is asked by the index of its open rows: what was done long ago costs nothing."""
    store = Store.in_folder(tmp_path)
    store.prepare()
    question = PendingWork(AccountStore(store, ACCOUNT), clock()).question()
    told = str(question.compile(store.engine, compile_kwargs={"literal_binds": True}))
    with store.read() as connection:
        plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {told}"))]
    looks = [step for step in plan if step.startswith(("SEARCH", "SCAN")) and "CONSTANT" not in step]
    indexes = ("inbox_new", "intake_requests_new", "enquiries_open", "events_open", "outbox_open")
    for step, index in zip(looks, indexes, strict=True):
        assert f"INDEX {index}" in step
    store.close()
