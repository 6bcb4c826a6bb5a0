"""What the bridge gave up on is listed with amoCRM's words, put back with all that hangs on it, or dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, select, update
from support.fakes import ACCOUNT, URL, ScriptedCrm, clock, effect, errors, queue, rule_engine, states

from amo_bridge.engine.dead_letters import DeadLetters, NotFailed
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.engine.sender import Sender
from amo_bridge.errors import CrmRefused
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, outbox

REFUSAL = CrmRefused("Ответственный не найден", status=400, method="POST", path="/api/v4/tasks")


def sender(store: Store, crm: ScriptedCrm) -> Sender:
    return Sender(AccountStore(store, ACCOUNT), crm, CurrentRules(rule_engine()), URL, clock())  # type: ignore[arg-type]


def failures(store: Store) -> DeadLetters:
    return DeadLetters(AccountStore(store, ACCOUNT), clock())


@pytest.fixture
def refused(store: Store) -> Store:
    """A new deal that amoCRM refused, with the note that was to follow it."""
    queue(store, replace(effect("create_deal", text="Ромашка"), then=(effect("add_note", text="перенесено"),)))
    sender(store, ScriptedCrm(REFUSAL)).send()
    assert states(store) == ["failed", "failed"]
    return store


def event(store: Store, state: str = "failed") -> None:
    body = '{"type": "DealMoved", "deal_id": 7, "at": "2026-11-23T09:00:00+00:00"}'
    facts = {"key": "k", "deal_id": 7, "received_at": 1.0, "body": body, "state": state, "attempts": 5, "error": "нет"}
    with store.write() as connection:
        connection.execute(insert(events).values(account=ACCOUNT, **facts))


def test_a_refused_effect_is_told_with_the_vendors_words(refused: Store) -> None:
    told = failures(refused).all()
    assert [(one.name, one.rule, one.deal_id, one.what, one.after) for one in told] == [
        ("F1", "rule.one", 7, "create_deal «Ромашка»", None),
        ("F2", "rule.one", 7, "add_note «перенесено»", "F1"),
    ]
    assert "Ответственный не найден" in told[0].error
    assert "Ответственный не найден" in told[1].error


def test_what_was_waited_for_and_is_done_is_waited_for_no_more(refused: Store) -> None:
    with refused.write() as connection:
        connection.execute(update(outbox).where(outbox.c.id == 1).values(state="done"))
    (told,) = failures(refused).all()
    assert (told.name, told.after) == ("F2", None)


def test_a_failed_event_is_told_too(store: Store) -> None:
    event(store)
    (told,) = failures(store).all()
    assert (told.name, told.what, told.error) == ("H1", "смена этапа", "нет")


def test_an_event_that_can_not_be_read_is_told_all_the_same(store: Store) -> None:
    with store.write() as connection:
        facts = {"key": "k", "received_at": 1.0, "body": '{"type": "OfTomorrow"}', "state": "failed"}
        connection.execute(insert(events).values(account=ACCOUNT, **facts))
    (told,) = failures(store).all()
    assert told.what.startswith("событие не читается")


@pytest.mark.parametrize("name", ["F1", "f1", "A1", "a1", "А1", "F2"])
def test_a_chain_is_put_back_whole_by_any_of_its_names(refused: Store, name: str) -> None:
    """The Russian letter is as good as the Latin one; what follows waits for what it needs."""
    assert [one.name for one in failures(refused).retry([name], "Мария")] == ["F1", "F2"]
    assert states(refused) == ["ready", "waiting"]
    crm = ScriptedCrm()
    at_work = sender(refused, crm)
    at_work.send()
    at_work.send()
    assert states(refused) == ["done", "done"]
    assert [path for _, path, _ in crm.written] == ["/api/v4/leads", "/api/v4/leads/notes"]


def test_a_retry_counts_its_tries_anew(refused: Store) -> None:
    failures(refused).retry(None, "Мария")
    with refused.read() as connection:
        rows = connection.execute(select(outbox.c.attempts, outbox.c.due_at)).all()
    now = clock().now().timestamp()
    assert [tuple(row) for row in rows] == [(0, now), (0, now)], "due now: its age counts from here"
    assert errors(refused) == ["", ""]


def test_an_event_is_judged_again_after_a_retry(store: Store) -> None:
    event(store)
    failures(store).retry(["H1"], "Мария")
    with store.read() as connection:
        row = connection.execute(select(events.c.state, events.c.attempts, events.c.error)).one()
    assert tuple(row) == ("open", 0, None)


def test_what_is_dropped_is_never_tried_again_nor_what_hangs_on_it(refused: Store) -> None:
    assert [one.name for one in failures(refused).drop(["F1"], "Мария")] == ["F1", "F2"]
    assert states(refused) == ["dropped", "dropped"]
    assert failures(refused).all() == []
    crm = ScriptedCrm()
    sender(refused, crm).send()
    assert crm.written == []
    with pytest.raises(NotFailed, match="F1"):
        failures(refused).retry(["F1"], "Мария")


def test_what_hangs_on_it_can_be_dropped_alone(refused: Store) -> None:
    failures(refused).drop(["F2"], "Мария")
    failures(refused).retry(["F1"], "Мария")
    assert states(refused) == ["ready", "dropped"]


def test_the_journal_says_who_decided_and_what_the_refusal_was(refused: Store) -> None:
    failures(refused).drop(["F1"], "Мария")
    told, _ = Journal(AccountStore(refused, ACCOUNT)).of_deal(7)
    assert (told.verdict, told.what, told.at) == ("dropped", "create_deal «Ромашка»", clock().now())
    assert "Мария" in told.reason
    assert "Ответственный не найден" in told.reason


@pytest.mark.parametrize(("names", "words"), [(["F1", "F9"], "F9"), (["1"], "«1» — не номер"), (["H1"], "H1")])
def test_one_wrong_name_and_nothing_is_changed(refused: Store, names: list[str], words: str) -> None:
    with pytest.raises(NotFailed, match=words):
        failures(refused).retry(names, "Мария")
    assert states(refused) == ["failed", "failed"]


def test_what_has_not_failed_is_not_touched(refused: Store) -> None:
    queue(refused, effect("add_note"), event_key="another")
    event(refused, state="done")
    failures(refused).drop(None, "Мария")
    assert states(refused) == ["dropped", "dropped", "ready"]


def test_another_accounts_failures_are_not_ours(refused: Store) -> None:
    assert DeadLetters(AccountStore(refused, ACCOUNT + 1), clock()).all() == []
