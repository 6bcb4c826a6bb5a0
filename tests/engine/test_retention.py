"""What is done and old goes; what is open, failed or needed for «once» stays, however old it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Table, insert, select
from support.fakes import ACCOUNT, NOON, clock, states

from amo_bridge.config.model import BridgeSection
from amo_bridge.engine import retention
from amo_bridge.engine.retention import Retention, RetentionJob
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import (
    approval_presses,
    approvals,
    events,
    inbox,
    intake_requests,
    journal,
    made,
    outbox,
    staff_messages,
    task_history,
    tasks,
    touches,
)

KEEP = BridgeSection(keep_journal=timedelta(days=90), keep_hooks=timedelta(days=14))


def ago(days: float) -> float:
    return (NOON - timedelta(days=days)).timestamp()


def hook(store: Store, days: float, state: str = "decoded") -> None:
    add(store, inbox, received_at=ago(days), body=b"x", state=state)


def event(store: Store, key: str, days: float, state: str = "done") -> None:
    add(store, events, key=key, received_at=ago(days), body="{}", state=state)


def effect(store: Store, key: str, days: float, state: str = "done", **more: object) -> None:
    facts = {"rule": "r", "deal_id": 7, "kind": "create_task", "payload": "{}", "created_at": ago(days)}
    add(store, outbox, key=key, state=state, **{**facts, **more})


def told(store: Store, what: str, days: float) -> None:
    add(store, journal, at=ago(days), what=what, verdict="came")


def add(store: Store, table: Table, **row: object) -> None:
    with store.write() as connection:
        connection.execute(insert(table).values(**{"account": ACCOUNT, **row}))


def left(store: Store, column: object) -> list[object]:
    with store.read() as connection:
        return list(connection.execute(select(column).order_by(column)).scalars())  # type: ignore[call-overload]


def tidy(store: Store, days_later: float = 0) -> dict[str, int]:
    deleted: dict[str, int] = {}
    for table, rows in Retention(AccountStore(store, ACCOUNT), clock(NOON + timedelta(days=days_later)), KEEP).tidy():
        deleted[table] = deleted.get(table, 0) + rows
    return deleted


def test_hooks_and_their_events_go_after_their_time(store: Store) -> None:
    for days in (30, 14.1, 13.9, 0):
        hook(store, days)
        event(store, f"k{days}", days)
    assert Retention(AccountStore(store, ACCOUNT), clock(NOON), KEEP).count() == {"inbox": 2, "events": 2}
    assert tidy(store) == {"inbox": 2, "events": 2}
    assert left(store, events.c.key) == ["k0", "k13.9"]
    assert left(store, inbox.c.received_at) == [ago(13.9), ago(0)]


def test_what_is_not_finished_stays_for_ever(store: Store) -> None:
    hook(store, 400, state="new")
    event(store, "open", 400, state="open")
    event(store, "failed", 400, state="failed")
    for state in ("waiting", "ready", "sending", "doubt", "failed"):
        effect(store, state, 400, state=state)
    assert tidy(store) == {}


def vendor_request(store: Store, key: str, days: float, state: str) -> None:
    facts = {"vendor": "jivo", "method": "POST", "body": b"x", "received_at": ago(days)}
    add(store, intake_requests, key=key, state=state, **facts)


def test_requests_of_vendors_go_as_webhooks_do_but_not_before_they_are_read(store: Store) -> None:
    for days in (30, 13):
        for state in ("new", "read", "broken"):
            vendor_request(store, f"{state} {days}", days, state)
    assert tidy(store) == {"intake_requests": 2}
    assert left(store, intake_requests.c.key) == ["broken 13", "new 13", "new 30", "read 13"]


def test_the_journal_and_what_was_done_are_kept_longer(store: Store) -> None:
    told(store, "old", 91)
    told(store, "young", 89)
    effect(store, "old", 91, done_at=ago(91))
    effect(store, "dropped", 91, state="dropped")
    effect(store, "done late", 91, done_at=ago(89))
    effect(store, "young", 89, done_at=ago(89))
    assert tidy(store) == {"outbox": 2, "journal": 1}
    assert left(store, outbox.c.key) == ["done late", "young"]
    assert left(store, journal.c.what) == ["young"]


def test_what_is_done_once_for_ever_is_remembered_for_ever(store: Store) -> None:
    effect(store, "lost|once|7|winback", 400, done_at=ago(400))
    add(store, made, rule="r", deal_id=7, slot="0", kind="create_task", entity_id=55, at=ago(400))
    assert tidy(store) == {}
    assert states(store) == ["done"]
    assert left(store, made.c.entity_id) == [55]


def test_another_account_of_the_store_is_left_alone(store: Store) -> None:
    add(store, inbox, account=2, received_at=ago(400), body=b"x", state="decoded")
    assert tidy(store) == {}


def test_many_rows_go_in_small_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a hook that comes meanwhile waits for one portion only; rows that stay don't stop the walk."""
    monkeypatch.setattr(retention, "BATCH_SIZE", 3)
    for number in range(10):
        event(store, f"k{number}", 30, state="failed" if number < 4 else "done")
    portions = [rows for _, rows in Retention(AccountStore(store, ACCOUNT), clock(), KEEP).tidy()]
    assert sum(portions) == 6
    assert max(portions) <= 3
    assert left(store, events.c.key) == ["k0", "k1", "k2", "k3"]


def test_the_chore_is_done_once_a_day(store: Store) -> None:
    asked: list[None] = []
    hook(store, 30)
    now = clock()
    chore = RetentionJob(Retention(AccountStore(store, ACCOUNT), now, KEEP), lambda: asked.append(None))
    chore.run()
    assert left(store, inbox.c.id) == []
    hook(store, 30)
    now.advance(timedelta(hours=23))
    chore.run()
    assert len(left(store, inbox.c.id)) == 1, "not due yet, also for a bridge that was started again"
    now.advance(timedelta(hours=1))
    chore.run()
    assert left(store, inbox.c.id) == []
    assert not asked


def test_a_long_chore_lets_hooks_through_between_its_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 1)
    monkeypatch.setattr(retention, "CHUNKS_IN_A_ROW", 2)
    for number in range(5):
        event(store, f"k{number}", 30)
    asked: list[None] = []
    chore = RetentionJob(Retention(AccountStore(store, ACCOUNT), clock(), KEEP), lambda: asked.append(None))
    chore.run()
    assert (len(left(store, events.c.id)), len(asked)) == (3, 1)
    chore.run()
    chore.run()
    assert (left(store, events.c.id), len(asked)) == ([], 2)


def test_touches_and_finished_tasks_go_after_their_time_open_tasks_never(store: Store) -> None:
    call = {"kind": "call", "direction": "in", "entity_type": "deal", "entity_id": 7}
    for number, days in enumerate((401, 399, 0)):
        add(store, touches, key=f"k{number}", at=ago(days), **call)
    facts = {"responsible_user_id": 1, "created_by": 1, "task_type_id": 1, "text": "?", "due_at": 0, "created_at": 0}
    for number, (days, done) in enumerate(((31, True), (29, True), (500, False))):
        add(store, tasks, task_id=number, updated_at=ago(days), is_completed=done, **facts)
    another = {**call, "account": 2}
    add(store, touches, key="k0", at=ago(500), **another)
    assert tidy(store) == {"touches": 1, "tasks": 1}
    assert left(store, touches.c.key) == ["k0", "k1", "k2"]
    assert left(store, tasks.c.task_id) == [1, 2]


def test_the_history_of_tasks_goes_a_year_after_their_end(store: Store) -> None:
    state = {"created_at": 0.0, "due_at": 0.0, "responsible_user_id": 1}
    kept = [(1, "open", 900), (1, "done", 500), (2, "open", 900), (3, "open", 500), (3, "deleted", 300)]
    for task_id, name, days in kept:
        add(store, task_history, task_id=task_id, since=ago(days), state=name, **state)
    add(store, tasks, task_id=2, responsible_user_id=1, due_at=0.0, is_completed=False, updated_at=ago(900),
        created_by=1, task_type_id=1, text="", created_at=0.0)  # fmt: skip
    assert tidy(store) == {"task_history": 2}
    assert left(store, task_history.c.task_id) == [2, 3, 3], "an open task's stays, and a young one's"
    assert tidy(store, days_later=2) == {}


def test_presses_of_buttons_and_what_they_decided_go_with_the_journal(store: Store) -> None:
    facts = {"task_id": 1, "deal_id": 7, "way": "telegram", "chat_id": 1, "message": "1", "words": ""}
    for number, (state, days) in enumerate((("closed", 91), ("refused", 91), ("closed", 89), ("asked", 400)), 1):
        add(store, approvals, user_id=number, state=state, due_at=ago(days), **facts)
    asked = {"subject": "dr", "version": 1, "user_id": 1, "way": "max", "chat_id": 1, "message": "", "text": ""}
    for number, (state, days) in enumerate((("closed", 91), ("refused", 91), ("closed", 89), ("asked", 400)), 1):
        add(store, staff_messages, number=number, state=state, due_at=ago(days), words="", **asked)
    for key, days, done in (("old", 91, 1.0), ("young", 89, 1.0), ("open", 400, None)):
        add(store, approval_presses, key=key, body="{}", received_at=ago(days), done_at=done)
    assert tidy(store) == {"approvals": 2, "approval_presses": 1, "staff_messages": 2}
    assert left(store, approvals.c.state) == ["asked", "closed"]
    assert left(store, approval_presses.c.key) == ["open", "young"]
