"""The tasks' door: what is news about a task, whoever tells of it and in whatever order."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from engine_kit import ACCOUNT, NOON, at
from sqlalchemy import insert, select

from amo_bridge.engine.intake import add_events
from amo_bridge.engine.mirror.task_copy import TaskCopy
from amo_bridge.engine.mirror.task_news import news_of
from amo_bridge.engine.mirror.tasks import TaskMirror, TaskRows
from amo_bridge.engine.store import Store
from amo_bridge.engine.tables import events, made, outbox
from amo_bridge.event_json import from_json
from amo_bridge.events import Event, TaskAdded, TaskCompleted, TaskDeleted, TaskReported, TaskUpdated

DUE, LATER = at(3600), at(7200)
KNOWN = TaskCopy(
    id=9, entity_type="deal", entity_id=7, responsible_user_id=3, created_by=2, text="Позвонить", due=DUE,
    created_at=NOON, updated_at=NOON,
)  # fmt: skip
DONE = replace(KNOWN, is_completed=True, completed_at=NOON)


def told(kind: type[TaskReported] = TaskUpdated, seconds: float = 60, **facts: Any) -> TaskReported:
    """A full hook about the known task, a minute later."""
    full = {
        "task_id": 9, "entity_type": "deal", "entity_id": 7, "responsible_user_id": 3, "text": "Позвонить", "due": DUE,
        "is_completed": False, "task_type_id": 1,
    }  # fmt: skip
    return kind(at=at(seconds), **(full | facts))


@pytest.mark.parametrize(
    ("event", "known"),
    [
        pytest.param(told(), KNOWN, id="the same again"),
        pytest.param(told(TaskAdded, 0), KNOWN, id="it was added, told again"),
        pytest.param(told(seconds=-1, text="Старый текст"), KNOWN, id="an older word"),
        pytest.param(TaskUpdated(at=at(60), task_id=9, due=DUE), KNOWN, id="the list's word that agrees"),
        pytest.param(told(TaskCompleted, is_completed=True), replace(DONE, completed_at=at(30)), id="finished, again"),
        pytest.param(told(is_completed=True), DONE, id="an update of a finished task"),
    ],
)
def test_what_says_nothing_new_is_dropped(event: TaskReported, known: TaskCopy) -> None:
    news, now = news_of(event, known)
    assert news is None
    assert now is not None
    assert replace(now, updated_at=known.updated_at) == known


@pytest.mark.parametrize(
    ("event", "known", "kind", "facts"),
    [
        pytest.param(told(due=LATER), KNOWN, TaskUpdated, {"due": LATER, "old_due": DUE, "old_text": None}, id="date"),
        pytest.param(told(text="Ё"), KNOWN, TaskUpdated, {"text": "Ё", "old_text": "Позвонить"}, id="text"),
        pytest.param(
            told(responsible_user_id=4), KNOWN, TaskUpdated,
            {"responsible_user_id": 4, "old_responsible_user_id": 3}, id="responsible",
        ),
        pytest.param(told(TaskCompleted, is_completed=True), KNOWN, TaskCompleted, {}, id="finished"),
        pytest.param(told(is_completed=True, result="да"), KNOWN, TaskCompleted, {"result": "да"}, id="seen finished"),
        pytest.param(TaskCompleted(at=at(60), task_id=9), KNOWN, TaskCompleted, {"entity_id": 7}, id="a bare word"),
        pytest.param(told(TaskCompleted, result="да"), DONE, TaskUpdated, {"result": "да"}, id="only the result"),
        pytest.param(told(), DONE, TaskUpdated, {"is_completed": False}, id="opened again"),
        pytest.param(told(TaskCompleted, 600, is_completed=True), DONE, TaskCompleted, {}, id="finished once more"),
        pytest.param(
            TaskUpdated(at=at(60), task_id=9, due=LATER, user_id=5), KNOWN, TaskUpdated,
            {"entity_type": "deal", "entity_id": 7, "text": "Позвонить", "old_due": DUE, "user_id": 5}, id="the list's",
        ),
    ],
)  # fmt: skip
def test_what_is_news_is_told_with_what_was_before(
    event: TaskReported, known: TaskCopy, kind: type[TaskReported], facts: dict[str, Any]
) -> None:
    news, now = news_of(event, known)
    assert type(news) is kind
    assert {name: getattr(news, name) for name in facts} == facts
    assert now is not None
    assert now.updated_at == event.at
    assert news_of(event, now)[0] is None


def test_a_task_that_nobody_knew_is_told_as_it_came() -> None:
    for event in (told(TaskAdded), told(), told(TaskCompleted, is_completed=True)):
        news, now = news_of(event, None)
        assert news == event
        assert now is not None
        assert (now.deal_id, now.is_completed) == (7, isinstance(event, TaskCompleted))


def test_added_is_told_even_if_a_later_change_overtook_it() -> None:
    _, now = news_of(told(due=LATER), None)
    added = told(TaskAdded, 0, created_at=NOON, user_id=2)
    news, now = news_of(added, now)
    assert news == added
    assert now is not None
    assert (now.due, now.created_at, now.created_by) == (LATER, NOON, 2)
    assert news_of(added, now)[0] is None


def test_a_deleted_task_is_told_on_its_card() -> None:
    news, now = news_of(TaskDeleted(task_id=9), KNOWN)
    assert now is None
    assert news == TaskDeleted(
        task_id=9, entity_type="deal", entity_id=7, text="Позвонить", task_type_id=1, responsible_user_id=3, due=DUE,
        is_completed=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "written"),
    [
        pytest.param(told(due=LATER), {"due": LATER}, id="date"),
        pytest.param(
            told(TaskCompleted, is_completed=True), {"is_completed": True, "result": "да"}, id="no result yet"
        ),
        pytest.param(told(is_completed=True, result="да"), {"is_completed": True, "result": "да"}, id="result"),
    ],
)
def test_what_the_bridge_is_writing_just_now_is_no_news(event: TaskReported, written: dict[str, Any]) -> None:
    assert news_of(event, KNOWN, written=written) == (None, KNOWN)


def test_a_person_who_changes_more_than_that_is_heard() -> None:
    news, _ = news_of(told(due=LATER, text="Ё"), KNOWN, written={"due": LATER})
    assert isinstance(news, TaskUpdated)
    assert (news.old_due, news.old_text) == (DUE, "Позвонить")


# --- by the store, on both databases -----------------------------------------------------------------------------


def hear(store: Store, *some: Event, when: datetime = NOON) -> int:
    with store.write() as connection:
        return add_events(connection, ACCOUNT, list(some), when.timestamp())


def heard(store: Store) -> list[Event]:
    with store.read() as connection:
        return [from_json(json.loads(body)) for body in connection.execute(select(events.c.body)).scalars()]


def write(store: Store, state: str, **body: Any) -> None:
    """A change of the task in the outbox."""
    with store.write() as connection:
        row = {"account": ACCOUNT, "key": f"{state}", "rule": "r", "deal_id": 7, "kind": "change_task", "created_at": 0}
        payload = json.dumps({"body": {"id": 9, **body}})
        connection.execute(insert(outbox).values(**row, payload=payload, state=state))


@pytest.mark.parametrize(("state", "is_news"), [("ready", True), ("sending", False), ("doubt", False), ("done", True)])
def test_an_echo_that_overtakes_the_record_of_its_write_is_dropped(store: Store, state: str, is_news: bool) -> None:
    hear(store, told(TaskAdded, 0, created_at=NOON, user_id=2))
    write(store, state, complete_till=int(LATER.timestamp()))
    hear(store, told(due=LATER))
    assert [type(event) for event in heard(store)] == [TaskAdded, TaskUpdated][: 2 if is_news else 1]
    copy = TaskMirror(store, ACCOUNT).get([9])[9]
    assert copy.due == (LATER if is_news else DUE), "the copy learns it with the record"


def test_the_copy_follows_what_is_told(store: Store) -> None:
    hear(store, told(TaskAdded, 0, created_at=NOON, user_id=2))
    hear(store, told(due=LATER), told(seconds=120, due=LATER, text="Перезвонить"))
    hear(store, told(TaskCompleted, 180, due=LATER, text="Перезвонить", is_completed=True, result="да"))
    assert TaskMirror(store, ACCOUNT).get([9]) == {
        9: TaskCopy(
            id=9, entity_type="deal", entity_id=7, responsible_user_id=3, created_by=2, text="Перезвонить", due=LATER,
            is_completed=True, result="да", created_at=NOON, updated_at=at(180), completed_at=at(180),
        )
    }  # fmt: skip
    assert [type(event) for event in heard(store)] == [TaskAdded, TaskUpdated, TaskUpdated, TaskCompleted]
    assert TaskMirror(store, ACCOUNT + 1).get([9]) == {}


def test_hook_and_list_tell_one_thing_in_either_order(store: Store) -> None:
    by_hook = told(TaskCompleted, is_completed=True)
    by_list = TaskCompleted(
        at=at(61), caught_up=True, task_id=9, entity_type="deal", entity_id=7, text="Позвонить", is_completed=True
    )  # fmt: skip
    for first, second in ((by_hook, by_list), (by_list, by_hook)):
        with store.write() as connection:
            TaskRows(ACCOUNT).put(connection, [KNOWN])
        assert hear(store, first) + hear(store, second) == 1
        with store.write() as connection:
            connection.execute(events.delete())


def test_a_deleted_task_is_told_once_and_gone(store: Store) -> None:
    with store.write() as connection:
        TaskRows(ACCOUNT).put(connection, [KNOWN])
    assert hear(store, TaskDeleted(task_id=9)) == 1
    assert hear(store, TaskDeleted(at=at(60), caught_up=True, task_id=9)) == 0
    (event,) = heard(store)
    assert isinstance(event, TaskDeleted)
    assert (event.entity_type, event.entity_id) == ("deal", 7)
    assert TaskMirror(store, ACCOUNT).get([9]) == {}


def test_of_a_deleted_task_that_a_rule_made_the_deal_is_known_all_the_same(store: Store) -> None:
    row = {
        "account": ACCOUNT,
        "rule": "one",
        "deal_id": 7,
        "slot": "0",
        "kind": "create_task",
        "entity_id": 9,
        "at": 0.0,
    }
    with store.write() as connection:
        connection.execute(made.insert(), row)
        connection.execute(made.insert(), {**row, "kind": "create_deal", "entity_id": 10})
    hear(store, TaskDeleted(task_id=9), TaskDeleted(task_id=10))
    assert [(event.entity_type, event.entity_id) for event in heard(store) if isinstance(event, TaskDeleted)] == [
        ("deal", 7),
        (None, None),
    ]


def test_added_and_deleted_in_one_breath(store: Store) -> None:
    assert hear(store, told(TaskAdded, 0), TaskDeleted(task_id=9)) == 2
    assert heard(store)[1].entity_id == 7  # type: ignore[attr-defined]
    assert TaskMirror(store, ACCOUNT).get([9]) == {}


def test_tasks_are_found_by_their_cards_the_most_urgent_first(store: Store) -> None:
    copies = [
        replace(KNOWN, id=1, due=at(30)),
        replace(KNOWN, id=2, due=at(10)),
        replace(KNOWN, id=3, due=at(20), is_completed=True, completed_at=NOON),
        replace(KNOWN, id=4, entity_type="contact", due=at(5)),
        replace(KNOWN, id=5, entity_type=None, entity_id=None, due=at(40)),
    ]
    with store.write() as connection:
        TaskRows(ACCOUNT).put(connection, copies)
    mirror = TaskMirror(store, ACCOUNT)
    found = mirror.on_cards([("deal", 7), ("contact", 7), ("deal", 8)])
    assert {card: [one.id for one in some] for card, some in found.items()} == {
        ("deal", 7): [2, 3, 1],
        ("contact", 7): [4],
    }
    assert [one.id for one in mirror.open_tasks()] == [4, 2, 1, 5]
    assert mirror.count_open() == 4
