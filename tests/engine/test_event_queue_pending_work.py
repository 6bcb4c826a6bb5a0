"""Whether there is anything to do, asked of the store: every queue counts, what waits for its time does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text, update
from support.fakes import ACCOUNT, NOON, clock, effect, queue

from amo_bridge.engine.event_queue import PendingWork
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, inbox, intake_requests, outbox

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


REQUEST = {"vendor": "tilda", "key": "k", "method": "POST", "body": b"x", "state": "new"}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        pytest.param(inbox, {"body": b"x", "state": "new"}, id="a webhook"),
        pytest.param(events, {"key": "k", "body": "{}", "state": "open"}, id="an event"),
        pytest.param(intake_requests, REQUEST, id="an enquiry's request"),
    ],
)
def test_what_no_rule_has_judged_yet(store: Store, table: Any, row: dict[str, Any]) -> None:
    """A notice waits for it: more of the kind may come."""
    judging = PendingWork(AccountStore(store, ACCOUNT), clock())
    queue(store, effect())
    assert not judging.is_judging(), "an effect is judged"
    put(store, table, **row)
    assert judging.is_judging()


def test_another_accounts_work_is_not_ours(store: Store) -> None:
    put(store, inbox, body=b"x", state="new")
    assert not has_work(store, account=ACCOUNT + 1)


def test_old_rows_are_not_read(tmp_path: Path) -> None:
    """Every queue is asked by the index of its open rows: what was done long ago costs nothing."""
    store = Store.in_folder(tmp_path)
    store.prepare()
    pending = PendingWork(AccountStore(store, ACCOUNT), clock())
    indexes = ("inbox_new", "intake_requests_new", "enquiries_open", "events_open")
    for question, last in ((pending.question(), "INDEX outbox_open"), (pending.unjudged_question(), "imports")):
        told = str(question.compile(store.engine, compile_kwargs={"literal_binds": True}))
        with store.read() as connection:
            plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {told}"))]
        looks = [step for step in plan if step.startswith(("SEARCH", "SCAN")) and "CONSTANT" not in step]
        for step, index in zip(looks, (*(f"INDEX {name}" for name in indexes), last), strict=True):
            assert index in step
    store.close()
