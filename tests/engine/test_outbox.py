"""The outbox: what is to be written, in which order, under which key, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, NOON, at, clock, effect, errors, queue, states

from amo_bridge.clock import FixedClock
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.outbox import Outbox, Sendable
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import OPEN_STATES, outbox


@pytest.fixture
def hands() -> FixedClock:
    return clock()


@pytest.fixture
def box(store: Store, hands: FixedClock) -> Outbox:
    return Outbox(AccountStore(store, ACCOUNT), hands)


def words(rows: list[Sendable]) -> list[str]:
    return [row.payload["words"] for row in rows]


def ready(box: Outbox) -> list[str]:
    return words(box.take("ready"))


def settle(store: Store, box: Outbox, row: Sendable, entity_id: int = 900, url: str = "") -> None:
    with store.write() as connection:
        box.done(connection, row, entity_id, url)


def test_what_was_decided_twice_is_done_once(store: Store, box: Outbox) -> None:
    for _ in range(3):
        queue(store, effect(text="a"), effect(text="b"))
    assert ready(box) == ["create_task «a»", "create_task «b»"]
    queue(store, effect(text="a"), effect(text="b"), event_key="another event")
    queue(store, effect(text="a"), name="another_rule")
    assert len(states(store)) == 5


def test_what_is_made_once_for_a_deal_stays_so_whatever_happens_to_it(store: Store, box: Outbox) -> None:
    def make(slot: str, deal_id: int = 7) -> Effect:
        return effect("create_deal", deal_id, slot=slot, once=True)

    for number in range(3):
        queue(store, make("win back"), event_key=f"lost for the {number}. time")
    queue(store, make("other"), make("win back", deal_id=8), event_key="lost")
    assert len(states(store)) == 3


@pytest.mark.parametrize(
    ("effects", "first"),
    [
        pytest.param(
            [effect(text="a"), effect(text="b"), effect("add_note", text="c")], ["a", "b"], id="tasks go together"
        ),
        pytest.param([effect("patch_deal", text="a"), effect("patch_deal", text="b")], ["a"], id="patches one by one"),
        pytest.param(
            [effect(text="a"), effect("patch_deal", text="b"), effect(text="c")], ["a"], id="nothing overtakes a patch"
        ),
        pytest.param(
            [effect("change_task", text="a"), effect("change_task", text="b")], ["a"], id="changes one by one"
        ),
        pytest.param(
            [effect("patch_deal", 1, "a"), effect("patch_deal", 2, "b"), effect("patch_deal", 1, "c")], ["a", "b"],
            id="other deals don't wait",
        ),
    ],
)  # fmt: skip
def test_each_deal_s_order_is_kept(store: Store, box: Outbox, effects: list[Effect], first: list[str]) -> None:
    queue(store, *effects)
    assert [told.partition("«")[2].rstrip("»") for told in ready(box)] == first


@pytest.mark.parametrize("hold", ["later", "doubt", "sending"])
def test_what_is_held_up_holds_up_its_own_deal_only(store: Store, box: Outbox, hold: str) -> None:
    queue(store, effect(text="held"), effect("patch_deal", text="behind"), effect("patch_deal", 8, text="other deal"))
    first = box.take("ready")[:1]
    if hold == "sending":
        box.sending(first)
    else:
        box.later(first, 60, "429", state="ready" if hold == "later" else "doubt")
    assert ready(box) == ["patch_deal «other deal»"]


def test_a_task_does_not_overtake_the_one_before_it(store: Store, box: Outbox, hands: FixedClock) -> None:
    queue(store, effect(text="a"), effect(text="b"))
    box.later(box.take("ready")[:1], 60, "429")
    assert ready(box) == []
    hands.advance(timedelta(seconds=60))
    assert ready(box) == ["create_task «a»", "create_task «b»"]


def test_what_is_put_off_comes_when_its_time_comes(store: Store, box: Outbox, hands: FixedClock) -> None:
    queue(store, effect())
    (row,) = box.take("ready")
    box.later([row], 30, "too many requests")
    hands.advance(timedelta(seconds=29))
    assert box.take("ready") == []
    hands.advance(timedelta(seconds=1))
    (again,) = box.take("ready")
    assert (again.attempts, errors(store)) == (1, ["too many requests"])


def chain() -> Effect:
    note = effect("add_note", text="Дальше: {new.url} ({new.id})")
    link = effect("patch_deal", body={"id": 7, "name": "{new.url}"})
    return effect("create_deal", text="Новая", then=(note, link))


def test_what_follows_waits_for_the_address_of_what_it_follows(store: Store, box: Outbox) -> None:
    queue(store, chain())
    assert states(store) == ["ready", "waiting", "waiting"]
    (new,) = box.take("ready")
    settle(store, box, new, 900, "https://x/900")
    (note,) = box.take("ready")
    assert note.body["params"]["text"] == "Дальше: https://x/900 (900)"
    settle(store, box, note)
    (link,) = box.take("ready")
    assert link.body == {"id": 7, "name": "https://x/900"}
    settle(store, box, link, 7)
    assert not set(states(store)) & set(OPEN_STATES)


@pytest.mark.parametrize(
    ("ends", "state", "why"),
    [
        (Outbox.failed, "failed", "не выполнено то, после чего это делается: нельзя"),
        (Outbox.dropped, "done", "нельзя"),
    ],
)
def test_what_follows_shares_the_fate_of_what_it_follows(
    store: Store, box: Outbox, ends: Callable[..., None], state: str, why: str
) -> None:
    queue(store, chain())
    (new,) = box.take("ready")
    with store.write() as connection:
        ends(box, connection, new, "нельзя")
    assert states(store) == [state] * 3
    assert errors(store) == ["нельзя", why, why]
    assert not set(states(store)) & set(OPEN_STATES)


def test_what_was_being_sent_when_the_process_died_is_in_doubt_after_a_while(
    store: Store, box: Outbox, hands: FixedClock
) -> None:
    queue(store, effect(text="a"), effect(deal_id=8, text="b"))
    box.sending(box.take("ready")[:1])
    assert box.recover(15) == 1
    assert states(store) == ["doubt", "ready"]
    assert box.take("doubt") == []
    hands.advance(timedelta(seconds=15))
    assert words(box.take("doubt")) == ["create_task «a»"]
    assert box.recover(15) == 0


def test_what_was_made_is_remembered_with_its_rule_and_mark(store: Store, box: Outbox) -> None:
    queue(store, effect(slot="first"), effect("patch_deal"))
    (task,) = box.take("ready")
    settle(store, box, task, 55)
    (patch,) = box.take("ready")
    settle(store, box, patch, 7)
    assert box.taken_ids("create_task", [*range(2000), 55]) == {55}
    assert box.taken_ids("create_task", [54]) == set()
    assert box.taken_ids("patch_deal", [7]) == set()
    assert Outbox(AccountStore(store, ACCOUNT + 1), clock()).taken_ids("create_task", [55]) == set()


def test_a_row_tells_when_it_was_decided_sent_and_done(store: Store, box: Outbox, hands: FixedClock) -> None:
    queue(store, effect())
    (row,) = box.take("ready")
    hands.advance(timedelta(seconds=1))
    box.sending([row])
    hands.advance(timedelta(seconds=1))
    with store.write() as connection:
        box.done_all(connection, [(row, 55, "")], {row.id: at(3).timestamp()})
    with store.read() as connection:
        kept = connection.execute(select(outbox)).one()
    noon = NOON.timestamp()
    assert (kept.created_at, kept.sent_at, kept.done_at) == (noon, noon + 1, noon + 2)
    assert (kept.state, json.loads(kept.result)) == ("done", {"id": 55, "at": at(3).timestamp()})
