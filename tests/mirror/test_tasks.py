"""The tasks' door: what is news about a task, whoever tells of it and in whatever order."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import insert, select
from support.fakes import ACCOUNT, NOON, at, client_of
from support.task_mirror import TaskMirror

from amo_bridge.crm.records import EPOCH, TaskRecord
from amo_bridge.engine.event_queue import add_events
from amo_bridge.errors import CrmForbidden
from amo_bridge.events import Event, TaskAdded, TaskCompleted, TaskDeleted, TaskReported, TaskUpdated
from amo_bridge.events.base import from_json
from amo_bridge.mirror import tasks
from amo_bridge.mirror.tasks import (
    DoneWrite,
    Fresh,
    InDoubt,
    MirroredTask,
    TaskRows,
    is_in_doubt,
    news_of,
    reader_of,
    settled,
    settling,
)
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, made, outbox

DUE, LATER = at(3600), at(7200)
KNOWN = MirroredTask(
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
def test_what_says_nothing_new_is_dropped(event: TaskReported, known: MirroredTask) -> None:
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
    event: TaskReported, known: MirroredTask, kind: type[TaskReported], facts: dict[str, Any]
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


# --- two words about one second ----------------------------------------------------------------------------------

LATEST = at(10_800)
OWN_ID, PERSON = 1, 5
CHANGED = replace(KNOWN, updated_at=at(60), due=LATER)
OURS = (DoneWrite(at(60), {"due": DUE}),)
BACK = replace(KNOWN, updated_at=at(60))


def read(seconds: float = 60, **facts: Any) -> TaskRecord:
    """The known task, as a fresh read has it."""
    there = {
        "id": 9, "entity_type": "leads", "entity_id": 7, "responsible_user_id": 3, "created_by": 2, "created_at": NOON,
        "text": "Позвонить", "complete_till": DUE, "updated_at": at(seconds), "updated_by": PERSON,
    }  # fmt: skip
    return TaskRecord(**(there | facts))


@pytest.mark.parametrize(
    ("event", "known", "own", "in_doubt"),
    [
        pytest.param(told(due=LATEST), CHANGED, (), True, id="another date of the same second"),
        pytest.param(told(), CHANGED, (), True, id="the date before, in the same second"),
        pytest.param(told(due=LATER), CHANGED, (), False, id="the same again"),
        pytest.param(told(seconds=61, due=LATEST), CHANGED, (), False, id="a later second"),
        pytest.param(told(seconds=59, due=LATEST), CHANGED, (), False, id="an earlier one"),
        pytest.param(replace(told(due=LATEST), at=None), CHANGED, (), False, id="no time"),
        pytest.param(told(due=LATER), BACK, OURS, True, id="the second of our own write"),
        pytest.param(told(seconds=30, text="Ё"), KNOWN, OURS, True, id="before our own write was done"),
        pytest.param(told(seconds=61, due=LATER), BACK, OURS, False, id="after our own write"),
        pytest.param(told(), BACK, OURS, False, id="the echo of our own write"),
        pytest.param(
            told(TaskCompleted, due=LATER, is_completed=True), CHANGED, (), True, id="finished in the same second"
        ),
        pytest.param(
            told(TaskCompleted, 0, is_completed=True, result="да"), DONE, (), False, id="only its result follows"
        ),
        pytest.param(TaskDeleted(at=at(60), task_id=9), CHANGED, (), False, id="deleted"),
        pytest.param(told(TaskAdded), replace(CHANGED, created_at=EPOCH), (), False, id="overtaken when it was added"),
    ],
)
def test_only_a_second_of_which_two_things_are_told_is_in_doubt(
    event: TaskReported, known: MirroredTask, own: tuple[DoneWrite, ...], in_doubt: bool
) -> None:
    assert is_in_doubt(event, known, own) is in_doubt


@pytest.mark.parametrize(
    ("event", "record", "known", "own"),
    [
        pytest.param(told(), read(complete_till=LATER), CHANGED, (), id="an older word of that second"),
        pytest.param(told(due=LATER), read(updated_by=OWN_ID), BACK, OURS, id="what we have put right"),
        pytest.param(told(), read(updated_by=OWN_ID), CHANGED, OURS, id="the echo behind an older word"),
        pytest.param(told(due=LATEST), read(updated_by=OWN_ID), CHANGED, OURS, id="an older word, and our own write"),
    ],
)
def test_a_fresh_read_that_tells_nothing_new_is_no_news(
    event: TaskReported, record: TaskRecord, known: MirroredTask, own: tuple[DoneWrite, ...]
) -> None:
    news, now = settled(event, known, record, own=own)
    assert news is None
    assert now == MirroredTask.of(record)


@pytest.mark.parametrize(
    ("event", "record", "known", "own", "facts"),
    [
        pytest.param(
            told(due=LATEST, user_id=4), read(complete_till=LATEST), CHANGED, (),
            {"due": LATEST, "old_due": LATER, "user_id": 4, "at": at(60)}, id="the last word of that second",
        ),
        pytest.param(
            told(due=LATER, user_id=4), read(61, complete_till=LATEST), KNOWN, (),
            {"due": LATEST, "old_due": DUE, "user_id": PERSON, "at": at(61)}, id="somebody else's, later than the word",
        ),
        pytest.param(
            told(due=LATER, user_id=4), read(complete_till=LATER), BACK, OURS,
            {"due": LATER, "old_due": DUE, "user_id": 4}, id="a person's, after our own write",
        ),
        pytest.param(
            told(seconds=30, text="Ё", due=LATER), read(text="Ё"), KNOWN, OURS,
            {"text": "Ё", "old_text": "Позвонить", "due": DUE, "old_due": None}, id="a person's, before our own write",
        ),
        pytest.param(
            told(seconds=61, due=LATEST), read(61), replace(CHANGED, updated_at=at(61)), OURS,
            {"due": DUE, "old_due": LATER}, id="as we wrote it once, but by a person",
        ),
    ],
)  # fmt: skip
def test_what_a_fresh_read_tells_is_news_with_what_was_before(
    event: TaskReported, record: TaskRecord, known: MirroredTask, own: tuple[DoneWrite, ...], facts: dict[str, Any]
) -> None:
    news, now = settled(event, known, record, own=own)
    assert type(news) is TaskUpdated
    assert {name: getattr(news, name) for name in facts} == facts
    assert now == MirroredTask.of(record)


def test_a_task_finished_and_opened_again_in_one_second_is_as_it_is() -> None:
    done = told(TaskCompleted, due=LATER, is_completed=True)
    assert settled(done, CHANGED, read(complete_till=LATER)) == (None, CHANGED)
    news, now = settled(done, CHANGED, read(complete_till=LATER, is_completed=True))
    assert isinstance(news, TaskCompleted)
    assert (now.is_completed, now.completed_at) == (True, at(60))


def test_what_is_still_on_its_way_is_no_news_in_a_fresh_read_either() -> None:
    assert settled(told(due=LATEST), CHANGED, read(), written={"due": DUE}) == (None, CHANGED)


# --- by the store, on both databases -----------------------------------------------------------------------------


def hear(store: Store, *some: Event, when: datetime = NOON) -> int:
    with store.write() as connection:
        return add_events(connection, ACCOUNT, list(some), when.timestamp())


def heard(store: Store) -> list[Event]:
    with store.read() as connection:
        return [from_json(json.loads(body)) for body in connection.execute(select(events.c.body)).scalars()]


def write(store: Store, state: str, at: float | None = None, **body: Any) -> None:
    """A change of the task in the outbox. ``at``: when amoCRM says that it was done."""
    with store.write() as connection:
        row = {"account": ACCOUNT, "key": f"{state}", "rule": "r", "deal_id": 7, "kind": "change_task", "created_at": 0}
        payload = json.dumps({"body": {"id": 9, **body}})
        connection.execute(insert(outbox).values(**row, payload=payload, state=state, result=json.dumps({"at": at})))


@pytest.mark.parametrize(("state", "is_news"), [("ready", True), ("sending", False), ("doubt", False), ("done", True)])
def test_an_echo_that_overtakes_the_record_of_its_write_is_dropped(store: Store, state: str, is_news: bool) -> None:
    hear(store, told(TaskAdded, 0, created_at=NOON, user_id=2))
    write(store, state, complete_till=int(LATER.timestamp()))
    hear(store, told(due=LATER))
    assert [type(event) for event in heard(store)] == [TaskAdded, TaskUpdated][: 2 if is_news else 1]
    copy = TaskMirror(AccountStore(store, ACCOUNT)).get([9])[9]
    assert copy.due == (LATER if is_news else DUE), "the copy learns it with the record"


def hear_settled(store: Store, read_as: Mapping[int, TaskRecord], *some: Event) -> list[set[int]]:
    """As a batch of hooks is heard; which tasks were read for it, request by request."""
    asked: list[set[int]] = []

    def attempt(fresh: Fresh) -> int:
        with store.write() as connection:
            return add_events(connection, ACCOUNT, list(some), NOON.timestamp(), fresh=fresh)

    def read_them(task_ids: Collection[int]) -> Mapping[int, TaskRecord]:
        asked.append(set(task_ids))
        return read_as

    settling(read_them, attempt)
    return asked


def test_all_that_is_in_doubt_in_a_batch_is_read_at_once_and_nothing_else(store: Store) -> None:
    with store.write() as connection:
        TaskRows(ACCOUNT).put(connection, [replace(CHANGED, id=number) for number in (9, 10, 11)])
    records = {number: read(id=number, complete_till=LATER) for number in (9, 10)}
    told_of = [told(task_id=9), told(task_id=10), told(seconds=61, task_id=11), told(task_id=9, due=LATEST)]
    assert hear_settled(store, records, *told_of) == [{9, 10}]
    (event,) = heard(store)
    assert isinstance(event, TaskUpdated)
    assert (event.task_id, event.old_due) == (11, LATER)
    assert hear_settled(store, {}, told(seconds=61, task_id=11)) == [], "what is known is not read"


def test_our_own_write_is_known_on_every_way_back(store: Store) -> None:
    """Moved twice and put back by the bridge, all in one second: by hooks, by the list, once more, in any order."""
    words = [told(due=LATER), told(due=LATEST), told()]
    listed = [TaskUpdated(at=at(60), caught_up=True, task_id=9, due=due) for due in (LATER, LATEST, DUE)]
    with store.write() as connection:
        TaskRows(ACCOUNT).put(connection, [BACK])
    write(store, "done", at=at(60).timestamp(), complete_till=int(DUE.timestamp()))
    for order in permutations((*words, *listed[1:]), 3):
        hear_settled(store, {9: read(updated_by=OWN_ID)}, *order)
    assert heard(store) == []
    assert TaskMirror(AccountStore(store, ACCOUNT)).get([9]) == {9: BACK}


def test_where_a_task_is_not_found_the_words_have_to_do(store: Store) -> None:
    with store.write() as connection:
        TaskRows(ACCOUNT).put(connection, [CHANGED])
    assert hear_settled(store, {}, told(due=LATEST)) == [{9}]
    assert TaskMirror(AccountStore(store, ACCOUNT)).get([9])[9].due == LATEST


def test_nothing_is_written_while_something_is_in_doubt(store: Store) -> None:
    with store.write() as connection:
        TaskRows(ACCOUNT).put(connection, [CHANGED, replace(CHANGED, id=10)])
    with pytest.raises(InDoubt) as doubt, store.write() as connection:
        add_events(connection, ACCOUNT, [told(seconds=61, task_id=10), told()], NOON.timestamp(), fresh={})
    assert doubt.value.task_ids == {9}
    assert heard(store) == []
    assert TaskMirror(AccountStore(store, ACCOUNT)).get([10])[10].due == LATER


def test_a_token_that_may_not_read_tasks_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(client: object, ids: object) -> None:
        raise CrmForbidden("нельзя")

    monkeypatch.setattr(tasks, "tasks_by_ids", forbidden)
    assert reader_of(client_of("http://localhost"))([9]) == {}


def test_the_copy_follows_what_is_told(store: Store) -> None:
    hear(store, told(TaskAdded, 0, created_at=NOON, user_id=2))
    hear(store, told(due=LATER), told(seconds=120, due=LATER, text="Перезвонить"))
    hear(store, told(TaskCompleted, 180, due=LATER, text="Перезвонить", is_completed=True, result="да"))
    assert TaskMirror(AccountStore(store, ACCOUNT)).get([9]) == {
        9: MirroredTask(
            id=9, entity_type="deal", entity_id=7, responsible_user_id=3, created_by=2, text="Перезвонить", due=LATER,
            is_completed=True, result="да", created_at=NOON, updated_at=at(180), completed_at=at(180),
        )
    }  # fmt: skip
    assert [type(event) for event in heard(store)] == [TaskAdded, TaskUpdated, TaskUpdated, TaskCompleted]
    assert TaskMirror(AccountStore(store, ACCOUNT + 1)).get([9]) == {}


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
    assert TaskMirror(AccountStore(store, ACCOUNT)).get([9]) == {}


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
    assert TaskMirror(AccountStore(store, ACCOUNT)).get([9]) == {}
