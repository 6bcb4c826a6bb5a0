"""How the bridge is doing, read from its store."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, update
from support.fakes import ACCOUNT, NOON, URL, clock, effect, queue

from amo_bridge.engine.metrics import HealthReader, HealthSnapshot
from amo_bridge.storage.accounts import CLOCK_AHEAD, RECONCILED_AT, Cursors
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import budgets, deals, events, inbox, outbox, timers


def read(store: Store, seconds_later: float = 0) -> HealthSnapshot:
    return HealthReader(AccountStore(store, ACCOUNT), URL, clock(NOON + timedelta(seconds=seconds_later))).read()


def add_hook(store: Store, state: str, account: int = ACCOUNT) -> None:
    with store.write() as connection:
        row = {"account": account, "received_at": NOON.timestamp(), "body": b"x", "state": state}
        connection.execute(insert(inbox).values(row))


def add_event(store: Store, state: str, account: int = ACCOUNT, **more: object) -> None:
    with store.write() as connection:
        row = {"account": account, "key": state, "received_at": NOON.timestamp(), "body": "{}", "state": state}
        connection.execute(insert(events).values({**row, **more}))


def set_effect(store: Store, number: int, **values: object) -> None:
    with store.write() as connection:
        connection.execute(update(outbox).where(outbox.c.id == number).values(**values))


def test_a_store_in_which_nothing_has_happened(store: Store) -> None:
    nothing = {"waiting": 0, "ready": 0, "sending": 0, "doubt": 0}
    assert read(store) == HealthSnapshot(0, 0, nothing, {}, 0, 0, 0, 0, None, None, None, None, "")


def test_what_waits_and_what_has_failed_is_counted_by_kind(store: Store) -> None:
    for state in ("new", "new", "decoded"):
        add_hook(store, state)
    for state in ("open", "done", "failed"):
        add_event(store, state)
    for number, (kind, state) in enumerate(
        [("create_task", "ready"), ("create_task", "failed"), ("add_note", "failed"), ("add_note", "done")]
    ):
        queue(store, effect(kind), event_key=str(number))  # type: ignore[arg-type]
        set_effect(store, number + 1, state=state)
    vitals = read(store)
    assert (vitals.inbox_new, vitals.events_open) == (2, 1)
    assert vitals.outbox == {"waiting": 0, "ready": 1, "sending": 0, "doubt": 0}
    assert vitals.failed == {"create_task": 1, "add_note": 1, "event": 1}


def test_another_accounts_rows_are_not_ours(store: Store) -> None:
    add_hook(store, "new", account=ACCOUNT + 1)
    add_event(store, "open", account=ACCOUNT + 1)
    with store.write() as connection:
        connection.execute(insert(budgets).values(account="https://other", next_free=0, stopped_kind="CrmUnpaid"))
    assert read(store) == HealthSnapshot(0, 0, read(store).outbox, {}, 0, 0, 0, 0, None, None, None, None, "")


def test_work_is_overdue_when_a_minute_has_passed_and_it_could_have_been_done(store: Store) -> None:
    add_hook(store, "new")
    add_event(store, "open")
    add_event(store, "open", key="postponed", due_at=(NOON + timedelta(hours=1)).timestamp())
    queue(store, effect("create_task"))
    queue(store, effect("create_task"), event_key="postponed")
    set_effect(store, 2, due_at=(NOON + timedelta(hours=1)).timestamp())
    assert read(store, 30).overdue == 0
    assert read(store, 61).overdue == 3


def test_steps_to_come_are_counted_and_those_that_should_have_fired_apart(store: Store) -> None:
    due = {"past": 0, "just now": 100, "to come": 3600}
    with store.write() as connection:
        for step, seconds in due.items():
            connection.execute(insert(timers).values(timer(step, seconds)))
        connection.execute(insert(timers).values(timer("fired", 0) | {"state": "fired"}))
        connection.execute(insert(timers).values(timer("another's", 0) | {"account": ACCOUNT + 1}))
    assert (read(store, 120).timers_open, read(store, 120).timers_overdue) == (3, 1)


def test_steps_are_overdue_by_amocrm_s_clock(store: Store) -> None:
    with store.write() as connection:
        connection.execute(insert(timers).values(timer("in an hour", 3600)))
        Cursors(AccountStore(store, ACCOUNT)).write(connection, CLOCK_AHEAD, 7200.0)
    assert read(store).timers_overdue == 1


def timer(step: str, seconds: float) -> dict[str, object]:
    due_at = (NOON + timedelta(seconds=seconds)).timestamp()
    whose = {"account": ACCOUNT, "deal_id": 7, "rule": "ladder"}
    return {**whose, "step": step, "anchor": "a", "due_at": due_at, "since": NOON.timestamp()}


def test_how_long_ago_hooks_came_and_amocrm_was_compared(store: Store) -> None:
    add_hook(store, "decoded")
    with store.write() as connection:
        Cursors(AccountStore(store, ACCOUNT)).write(
            connection, RECONCILED_AT, (NOON + timedelta(seconds=10)).timestamp()
        )
    vitals = read(store, 40)
    assert (vitals.last_hook_age, vitals.reconcile_age) == (40.0, 30.0)


def test_the_mirror_and_the_burnt_fuse_are_told(store: Store) -> None:
    row = {"account": ACCOUNT, "deal_id": 7, "pipeline_id": 1, "status_id": 2, "record": "{}"}
    with store.write() as connection:
        connection.execute(insert(deals).values(**row, stage_since=0.0, updated_at=0.0, read_at=0.0))
        fuse = {"account": URL, "next_free": 0, "stopped_kind": "CrmUnpaid", "stopped_reason": "не оплачен"}
        connection.execute(insert(budgets).values(fuse))
    vitals = read(store)
    assert (vitals.mirror_deals, vitals.stopped) == (1, "CrmUnpaid: не оплачен")
