"""Intake: bodies become events once, however often they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, insert, select, update
from sqlalchemy import event as engine_event
from support.fakes import ACCOUNT, NOON

from amo_bridge.engine.event_queue import add_events, decode_new
from amo_bridge.events import (
    CallLogged,
    ClientDeleted,
    DealAdded,
    DealMoved,
    DealUpdated,
    Event,
    FileAttached,
    PipelineTriggerFired,
    TaskAdded,
    TaskCompleted,
    Unrecognised,
)
from amo_bridge.events.base import from_json
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, inbox

MOVED = b"leads[status][0][id]=7&leads[status][0][status_id]=142&leads[status][0][updated_at]=1795424400&account[id]=1"
HOUR = timedelta(hours=1)


def put(store: Store, *bodies: bytes, account: int = ACCOUNT) -> None:
    rows = [{"account": account, "received_at": NOON.timestamp(), "body": body, "state": "new"} for body in bodies]
    with store.write() as connection:
        connection.execute(insert(inbox), rows)


def add(store: Store, *found: Event, later: timedelta = timedelta(0)) -> int:
    with store.write() as connection:
        return add_events(connection, ACCOUNT, list(found), (NOON + later).timestamp())


def kept(store: Store) -> list[Event]:
    with store.read() as connection:
        found = connection.execute(select(events.c.body).order_by(events.c.id)).scalars()
        return [from_json(json.loads(body)) for body in found]


def test_each_body_is_decoded_once_and_stays_to_be_looked_at(store: Store) -> None:
    put(store, MOVED, b"leads[add][0][id]=8&leads[add][0][name]=%D0%A0&leads[add][0][created_at]=1795424401")
    assert decode_new(AccountStore(store, ACCOUNT)) == 2
    assert decode_new(AccountStore(store, ACCOUNT)) == 0
    assert [type(event) for event in kept(store)] == [DealMoved, DealAdded]
    with store.read() as connection:
        rows = connection.execute(select(inbox.c.state, inbox.c.body).order_by(inbox.c.id)).all()
        found = connection.execute(select(events.c.deal_id, events.c.inbox_id, events.c.state)).all()
    assert [row.state for row in rows] == ["decoded", "decoded"]
    assert bytes(rows[0].body) == MOVED
    assert [(row.deal_id, row.inbox_id, row.state) for row in found] == [(7, 1, "open"), (8, 2, "open")]


def test_bulk_changes_let_hooks_in_after_each_body(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen bodies of 250 deals, written at once, kept the store for two seconds: the next hooks were refused."""
    bulk = ["&".join(f"leads[status][{n}][id]={first + n}" for n in range(250)).encode() for first in (1000, 2000)]
    put(store, *bulk, *[MOVED.replace(b"=7&", b"=%d&" % deal) for deal in (3000, 3001, 3002)])
    written = []
    write = store.write

    @contextmanager
    def counted() -> Iterator[Connection]:
        before = len(kept(store))
        with write() as connection:
            yield connection
        written.append(len(kept(store)) - before)

    monkeypatch.setattr(store, "write", counted)
    assert decode_new(AccountStore(store, ACCOUNT)) == 5
    assert written == [250, 250, 3], "and single ones together"


def test_another_account_s_bodies_are_left_to_it(store: Store) -> None:
    put(store, MOVED, account=2)
    assert decode_new(AccountStore(store, ACCOUNT)) == 0
    assert kept(store) == []


def test_a_hook_told_again_while_it_waits_is_one_event_and_a_later_change_another(store: Store) -> None:
    put(store, MOVED, MOVED, MOVED.replace(b"1795424400", b"1795424401"))
    decode_new(AccountStore(store, ACCOUNT))
    put(store, MOVED)
    assert decode_new(AccountStore(store, ACCOUNT)) == 1
    assert len(kept(store)) == 2


def test_a_deal_s_hook_that_comes_again_later_rings_again(store: Store) -> None:
    """Lost, put back and lost again within a second: the hooks are equal, and the mirror has to look."""
    moved = DealMoved(at=NOON, deal_id=7, status_id=143)
    for _ in range(3):
        assert add(store, moved) == 1
        assert add(store, moved) == 0
        with store.write() as connection:
            connection.execute(update(events).values(state="done"))


def test_a_move_that_reconciliation_reads_again_is_the_same_row_of_amocrm_s_list(store: Store) -> None:
    moved = DealMoved(at=NOON, caught_up=True, deal_id=7, pipeline_id=1, status_id=142)
    assert add(store, moved) == 1
    with store.write() as connection:
        connection.execute(update(events).values(state="done"))
    assert add(store, moved, later=timedelta(minutes=1)) == 0
    assert add(store, replace(moved, at=NOON + timedelta(seconds=1))) == 1


def test_bytes_that_mean_nothing_are_kept_and_hinder_nobody(store: Store) -> None:
    put(store, b"\xff\x00", MOVED)
    decode_new(AccountStore(store, ACCOUNT))
    unknown, moved = kept(store)
    assert isinstance(unknown, Unrecognised)
    assert isinstance(moved, DealMoved)


def test_the_same_thing_without_a_time_is_a_repeat_only_while_amocrm_repeats_hooks(store: Store) -> None:
    for event in (
        ClientDeleted(kind="contact", client_id=7),
        PipelineTriggerFired(deal_id=7, trigger="mail_in"),
    ):
        assert add(store, event) == 1
        assert add(store, event, later=HOUR) == 0
        assert add(store, event, later=3 * HOUR) == 1
        assert add(store, event, later=3.5 * HOUR) == 0


def test_things_without_a_time_about_different_deals_are_different(store: Store) -> None:
    triggers = [PipelineTriggerFired(deal_id=number, trigger="mail_in") for number in range(1, 41)]
    assert add(store, *triggers[:39]) == 39
    assert add(store, *triggers) == 1


def test_a_note_is_one_thing_whoever_tells_of_it(store: Store) -> None:
    by_hook = FileAttached(at=NOON, note_id=5, entity_type="deal", entity_id=7, file_name="КП.pdf", author_name="Павел")
    by_list = FileAttached(at=NOON + HOUR, note_id=5, entity_type="deal", entity_id=7, file_name="КП.pdf")
    assert add(store, by_hook) == 1
    assert add(store, by_list) == 0
    assert add(store, CallLogged(at=NOON, note_id=6, entity_type="deal", entity_id=7, direction="out")) == 1


def test_a_task_is_completed_again_only_at_another_time(store: Store) -> None:
    done = TaskCompleted(at=NOON, task_id=9, entity_type="deal", entity_id=7)
    assert add(store, done) == 1
    assert add(store, done) == 0
    assert add(store, TaskCompleted(at=NOON + HOUR, task_id=9, entity_type="deal", entity_id=7)) == 1


def test_which_deal_an_event_is_about() -> None:
    assert DealUpdated(deal_id=7).about_deal_id == 7
    assert FileAttached(entity_type="deal", entity_id=7, file_name="").about_deal_id == 7
    assert TaskAdded(task_id=1, entity_type="contact", entity_id=7).about_deal_id is None
    assert Unrecognised().about_deal_id is None


def test_a_batch_asks_for_its_keys_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query for each undated webhook was two fifths of what receiving cost."""
    asked: list[str] = []
    engine_event.listen(store.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    first = [PipelineTriggerFired(deal_id=number, trigger="mail_in") for number in range(1, 101)]
    assert add(store, *first, *first) == 100, "told twice in one batch it is one"
    alone = len(asked)
    assert add(store, *first[:1], later=HOUR) == 0
    assert alone == len(asked) - alone
