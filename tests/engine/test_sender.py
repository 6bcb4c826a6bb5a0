"""Sending: like effects together, each surely once, whatever amoCRM answers. Here it answers as it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import (
    ACCOUNT,
    BRIEF,
    MEETING,
    NEW,
    NOON,
    URL,
    ScriptedCrm,
    agency,
    at,
    clock,
    effect,
    errors,
    on_stage,
    queue,
    record,
    rule_engine,
    states,
)

from amo_bridge.clock import FixedClock
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.freshness import MAX_READ_AGE_SECONDS
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.engine.sender import Sender
from amo_bridge.errors import (
    CrmBlocked,
    CrmForbidden,
    CrmRefused,
    CrmStopped,
    CrmTemporary,
    CrmUnauthorized,
    CrmUncertain,
    CrmUnpaid,
)
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events

SETTLE = 15.0
TASKS, NOTES, DEALS = "/api/v4/tasks", "/api/v4/leads/notes", "/api/v4/leads"


@pytest.fixture
def hands() -> FixedClock:
    return clock()


@pytest.fixture
def sender_of(store: Store, hands: FixedClock) -> Callable[[ScriptedCrm], Sender]:
    def make(crm: ScriptedCrm) -> Sender:
        return Sender(AccountStore(store, ACCOUNT), crm, CurrentRules(rule_engine()), URL, hands, settle=SETTLE)  # type: ignore[arg-type]

    return make


Make = Callable[[ScriptedCrm], Sender]


def texts(crm: ScriptedCrm) -> list[list[str]]:
    """The texts of the tasks of each request."""
    return [[item["text"] for item in body] for _, path, body in crm.written if path == TASKS]


def kept_events(store: Store) -> list[tuple[str, int]]:
    with store.read() as connection:
        rows = connection.execute(select(events.c.body, events.c.deal_id).order_by(events.c.id)).all()
    return [(json.loads(row.body)["type"], row.deal_id) for row in rows]


def shown(of: Effect, **more: Any) -> dict[str, Any]:
    """What amoCRM's list shows of an effect that was written."""
    return {"id": 555, "created_at": int(NOON.timestamp()), **of.body, **more}


def test_like_effects_of_many_deals_are_one_request(store: Store, sender_of: Make) -> None:
    for deal_id in range(1, 301):
        queue(store, effect(deal_id=deal_id, text=str(deal_id)), event_key=f"e{deal_id}")
    crm = ScriptedCrm()
    assert sender_of(crm).send() == 300
    assert [len(body) for _, _, body in crm.written] == [250, 50]
    assert set(states(store)) == {"done"}


def test_a_deal_s_effects_go_in_their_order(store: Store, sender_of: Make) -> None:
    queue(store, effect("patch_deal"), effect(text="a"), effect(text="b"), effect("add_note"))
    crm = ScriptedCrm()
    sender = sender_of(crm)
    while sender.send():
        pass
    assert [(method, path, len(body)) for method, path, body in crm.written] == [
        ("PATCH", DEALS, 1),
        ("POST", TASKS, 2),
        ("POST", NOTES, 1),
    ]


def test_that_it_is_being_sent_is_written_down_before_it_leaves(
    store: Store, sender_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(store, effect(deal_id=1), effect(deal_id=2))
    crm = ScriptedCrm()
    write, seen = crm.post, []

    def looking(path: str, body: Any) -> Any:
        seen.extend(states(store))
        return write(path, body)

    monkeypatch.setattr(crm, "post", looking)
    sender_of(crm).send()
    assert seen == ["sending", "sending"]
    assert states(store) == ["done", "done"]


def test_nothing_to_send_asks_nothing(sender_of: Make) -> None:
    crm = ScriptedCrm()
    assert sender_of(crm).send() == 0
    assert crm.asked == []


def test_too_many_requests_means_later_and_no_look(store: Store, sender_of: Make, hands: FixedClock) -> None:
    queue(store, effect())
    crm = ScriptedCrm(CrmTemporary("Too Many Requests", status=429, retry_after=300))
    sender = sender_of(crm)
    assert sender.send() == 0
    hands.advance(timedelta(seconds=299))
    assert sender.send() == 0
    hands.advance(timedelta(seconds=1))
    assert sender.send() == 1
    assert crm.asked == [("POST", TASKS)] * 2


def test_pauses_grow_when_amocrm_does_not_say_how_long(store: Store, sender_of: Make, hands: FixedClock) -> None:
    queue(store, effect())
    crm = ScriptedCrm(*[CrmTemporary("no connection")] * 4)
    sender = sender_of(crm)
    waited = []
    for _ in range(4):
        sender.send()
        seconds = 0
        asked = len(crm.asked)
        while len(crm.asked) == asked and set(states(store)) != {"done"}:
            hands.advance(timedelta(seconds=1))
            seconds += 1
            sender.send()
        waited.append(seconds)
    assert waited[0] < waited[1] < waited[2]
    assert states(store) == ["done"]


LOST_ANSWERS = [
    pytest.param(CrmUncertain("no answer: ReadTimeout"), id="silence"),
    pytest.param(CrmUncertain("Bad Gateway", status=502), id="5xx"),
]


@pytest.mark.parametrize("trouble", LOST_ANSWERS)
def test_a_lost_answer_is_looked_for_when_it_must_have_landed(
    store: Store, sender_of: Make, hands: FixedClock, trouble: CrmUncertain
) -> None:
    wanted = effect(not_before=NOON.timestamp())
    queue(store, wanted)
    crm = ScriptedCrm(trouble, rows={TASKS: [shown(wanted)]})
    sender = sender_of(crm)
    assert sender.send() == 0
    assert states(store) == ["doubt"]
    hands.advance(timedelta(seconds=SETTLE - 1))
    assert sender.send() == 0
    hands.advance(timedelta(seconds=1))
    assert sender.send() == 1
    assert crm.asked == [("POST", TASKS), ("GET", TASKS)]
    assert states(store) == ["done"]
    assert Outbox(AccountStore(store, ACCOUNT), hands).taken_ids("create_task", [555]) == {555}


@pytest.mark.parametrize("trouble", LOST_ANSWERS)
def test_what_is_not_there_is_sent_again(
    store: Store, sender_of: Make, hands: FixedClock, trouble: CrmUncertain
) -> None:
    queue(store, effect())
    crm = ScriptedCrm(trouble)
    sender = sender_of(crm)
    sender.send()
    hands.advance(timedelta(seconds=SETTLE))
    assert sender.send() == 1
    assert crm.asked == [("POST", TASKS), ("GET", TASKS), ("POST", TASKS)]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"text": "Позвонить ещё раз"}, id="another text"),
        pytest.param({"entity_id": 8}, id="another deal"),
        pytest.param({"responsible_user_id": 1}, id="somebody else's"),
        pytest.param({"complete_till": 1}, id="another time"),
        pytest.param({"created_at": int(at(-3600).timestamp())}, id="one of an hour ago"),
    ],
)
def test_a_task_that_only_looks_alike_is_not_taken_for_the_lost_one(
    store: Store, sender_of: Make, hands: FixedClock, other: dict[str, Any]
) -> None:
    wanted = effect(not_before=NOON.timestamp())
    queue(store, wanted)
    crm = ScriptedCrm(CrmUncertain("no answer"), rows={TASKS: [shown(wanted, **other)]})
    sender = sender_of(crm)
    sender.send()
    hands.advance(timedelta(seconds=SETTLE))
    sender.send()
    assert len(crm.written) == 1


def test_two_equal_tasks_need_two_and_one_of_another_rule_is_not_ours(
    store: Store, sender_of: Make, hands: FixedClock
) -> None:
    wanted = effect(not_before=NOON.timestamp())
    crm = ScriptedCrm(None, CrmUncertain("no answer"))
    sender = sender_of(crm)
    queue(store, wanted, name="earlier")
    sender.send()
    crm.rows[TASKS] = [shown(wanted, id=1001), shown(wanted, id=2002)]
    queue(store, wanted, name="first")
    queue(store, wanted, name="second")
    sender.send()
    hands.advance(timedelta(seconds=SETTLE))
    # 1001 is the earlier rule's own, 2002 is one of the two lost ones; the other one was not written.
    sender.send()
    assert [len(body) for _, _, body in crm.written] == [1, 1]
    assert states(store) == ["done"] * 3


def test_while_amocrm_can_not_be_read_nothing_is_sent_again(
    store: Store, sender_of: Make, hands: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(store, effect())
    crm = ScriptedCrm(CrmUncertain("no answer"))
    sender = sender_of(crm)
    sender.send()

    def silent(*_: Any) -> None:
        raise CrmUncertain("Gateway Timeout", status=504)

    monkeypatch.setattr(crm, "pages", silent)
    for _ in range(5):
        hands.advance(timedelta(hours=2))
        assert sender.send() == 0
    assert states(store) == ["doubt"]
    monkeypatch.undo()
    hands.advance(timedelta(hours=2))
    assert sender.send() == 1


def test_the_named_bad_items_fail_and_the_others_are_sent(store: Store, sender_of: Make) -> None:
    for deal_id in (1, 2, 3):
        queue(store, effect(deal_id=deal_id, text=str(deal_id)), event_key=f"e{deal_id}")
    crm = ScriptedCrm(CrmRefused("validation failed", status=400, bad_items={"2": "entity_id: нет такой сделки"}))
    assert sender_of(crm).send() == 3
    assert texts(crm) == [["1", "3"]]
    assert states(store) == ["done", "failed", "done"]
    assert errors(store)[1] == "entity_id: нет такой сделки"


def test_when_nobody_is_named_the_batch_is_halved_until_the_bad_one_stands_alone(
    store: Store, sender_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for deal_id in range(1, 9):
        queue(store, effect(deal_id=deal_id, text=str(deal_id)), event_key=f"e{deal_id}")
    crm = ScriptedCrm()
    write = crm.post

    def picky(path: str, body: list[dict[str, Any]]) -> Any:
        if any(item["text"] == "6" for item in body):
            crm.asked.append(("POST", path))
            raise CrmRefused("Bad Request", status=400)
        return write(path, body)

    monkeypatch.setattr(crm, "post", picky)
    assert sender_of(crm).send() == 8
    assert [state for state in states(store) if state != "done"] == ["failed"]
    assert sorted(int(text) for request in texts(crm) for text in request) == [1, 2, 3, 4, 5, 7, 8]
    assert len(crm.asked) == 7


@pytest.mark.parametrize("kind", [CrmUnauthorized, CrmUnpaid, CrmBlocked, CrmStopped])
def test_when_amocrm_stops_us_everything_stays_for_later(
    store: Store, sender_of: Make, hands: FixedClock, kind: type[CrmStopped]
) -> None:
    queue(store, effect(), effect("add_note"))
    crm = ScriptedCrm(kind("stop"))
    sender = sender_of(crm)
    with pytest.raises(kind):
        sender.send()
    assert states(store) == ["ready", "ready"]
    hands.advance(timedelta(hours=1))
    while sender.send():
        pass
    assert states(store) == ["done", "done"]


def test_a_right_that_is_missing_fails_this_kind_of_write_only(store: Store, sender_of: Make) -> None:
    queue(store, effect(), event_key="a")
    queue(store, effect("add_note", 8), event_key="b")
    crm = ScriptedCrm(CrmForbidden("нет прав", status=403))
    sender_of(crm).send()
    assert states(store) == ["failed", "done"]
    assert "нет прав" in errors(store)[0]


def test_an_answer_that_does_not_speak_of_everything_is_doubted(
    store: Store, sender_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(store, effect(deal_id=1), effect(deal_id=2))
    crm = ScriptedCrm()
    monkeypatch.setattr(crm, "post", lambda path, body: {"_embedded": {"tasks": [{"id": 5, "request_id": "1"}]}})
    sender_of(crm).send()
    assert states(store) == ["doubt", "doubt"]


def test_after_a_crash_between_sending_and_writing_down_the_effect_is_found(
    store: Store, sender_of: Make, hands: FixedClock
) -> None:
    wanted = effect(not_before=NOON.timestamp())
    queue(store, wanted)
    box = Outbox(AccountStore(store, ACCOUNT), hands)
    box.sending(box.take("ready"))

    crm = ScriptedCrm(rows={TASKS: [shown(wanted)]})
    sender = sender_of(crm)
    assert sender.send() == 0
    assert sender.recover() == 1
    assert sender.send() == 0
    hands.advance(timedelta(seconds=SETTLE))
    assert sender.send() == 1
    assert crm.written == []
    assert states(store) == ["done"]


def move(to: str = BRIEF, came_from: str = NEW, *, back: bool = False, deal_id: int = 7) -> Effect:
    expects = agency().stage(came_from).key
    return Effect(
        "patch_deal", deal_id, {"id": deal_id, **on_stage(to)}, f"этап → «{to}»", expects=expects, rolls_back=back
    )  # fmt: skip


def row_on(stage: str, deal_id: int = 7) -> dict[str, Any]:
    return {"id": deal_id, "name": "?", "updated_at": int(NOON.timestamp()), **on_stage(stage)}


def test_a_fresh_decision_to_move_is_carried_out_without_another_read(store: Store, sender_of: Make) -> None:
    queue(store, move())
    crm = ScriptedCrm(rows={DEALS: [row_on(MEETING)]})
    sender_of(crm).send()
    assert crm.asked == [("PATCH", DEALS)]


@pytest.mark.parametrize(
    ("is_on", "is_moved", "error"),
    [
        pytest.param(NEW, True, "", id="still there"),
        pytest.param(MEETING, False, "сделка уже на другом этапе", id="a person moved it on"),
        pytest.param(None, False, "сделка уже на другом этапе", id="the deal is gone"),
        pytest.param(BRIEF, False, "", id="it is there already"),
    ],
)
def test_an_old_decision_to_move_is_checked_first(
    store: Store, sender_of: Make, hands: FixedClock, is_on: str | None, is_moved: bool, error: str
) -> None:
    queue(store, move())
    hands.advance(timedelta(seconds=MAX_READ_AGE_SECONDS + 1))
    crm = ScriptedCrm(rows={DEALS: [row_on(is_on)] if is_on else []})
    sender_of(crm).send()
    assert bool(crm.written) is is_moved
    assert states(store) == ["done"]
    assert errors(store) == [error]


def test_a_roll_back_that_came_too_late_is_not_explained(store: Store, sender_of: Make, hands: FixedClock) -> None:
    back = move(NEW, MEETING, back=True)
    queue(store, Effect(**{**vars(back), "then": (effect(text="Сделка возвращена"),)}))
    hands.advance(timedelta(seconds=MAX_READ_AGE_SECONDS + 1))
    crm = ScriptedCrm(rows={DEALS: [row_on(BRIEF)]})
    sender = sender_of(crm)
    while sender.send():
        pass
    assert crm.written == []
    assert states(store) == ["done", "done"]


def test_a_move_of_ours_is_told_to_the_rules_even_if_no_hook_comes(store: Store, sender_of: Make) -> None:
    queue(store, move(), event_key="a")
    queue(store, effect("create_deal", 8, not_before=NOON.timestamp()), event_key="b")
    sender_of(ScriptedCrm()).send()
    assert kept_events(store) == [("DealMoved", 7), ("DealAdded", 1001)]


def test_a_roll_back_is_no_news_and_a_person_s_change_meanwhile_still_is(
    store: Store, sender_of: Make, hands: FixedClock
) -> None:
    mirror = Mirror(AccountStore(store, ACCOUNT))
    with store.write() as connection:
        mirror.put(connection, [MirroredDeal(record(MEETING, seconds=0), NOON)], NOON)
    queue(store, move(NEW, MEETING, back=True))
    sender_of(ScriptedCrm()).send()
    assert kept_events(store) == []
    (copy,) = mirror.get([7]).values()
    assert copy.stage == agency().stage(NEW).key
    # The patch was answered with 12:01; a person's change of 12:00:30 is still to be heard of.
    assert copy.record.updated_at == NOON
