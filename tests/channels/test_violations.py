"""The ledger of violations: written once for each decision, corrected with a reason, never deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.fakes import ACCOUNT, NOON, clock, queue, rule_engine, states, user

from amo_bridge.channels.port import Sent
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.violations import ViolationPort
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.violations import NoSuchViolation, Violations
from amo_bridge.storage.database import AccountStore, Store

IVAN = "Иван Петров"


def ledger(store: Store, account: int = ACCOUNT) -> Violations:
    return Violations(AccountStore(store, account), clock(NOON + timedelta(days=2)))


def sent(store: Store) -> None:
    """The lane carries out what is queued."""
    ChannelSender(AccountStore(store, ACCOUNT), ViolationPort(ledger(store), rule_engine), clock(), clock()).send()


def broken(
    store: Store, key: str = "event", rule: str = "rule", why: str = "", days: float = 0, person: str = IVAN,
    penalty: int | None = 5000,
) -> None:  # fmt: skip
    """A rule has decided that somebody broke M7."""
    at = int((NOON + timedelta(days=days)).timestamp())
    body = {
        "user_id": user(person), "clause": "M7", "penalty": penalty, "why": why, "at": at, "deal_name": "Ромашка",
    }  # fmt: skip
    queue(store, Effect("record_violation", 7, body, "нарушение"), event_key=key, name=rule)
    sent(store)


def test_a_violation_is_kept_with_all_that_the_pay_sheet_needs(store: Store) -> None:
    broken(store, why="проект не запущен")
    (one,) = ledger(store).between()
    assert (one.at, one.user_id, one.person, one.clause) == (NOON, user(IVAN), IVAN, "M7")
    assert (one.deal_id, one.deal_name, one.rule, one.why) == (7, "Ромашка", "rule.one", "проект не запущен")
    assert (one.penalty, one.currency, one.owed, one.state) == (5000, "RUB", 5000, "counts")
    assert states(store) == ["done"]


def test_without_a_reason_the_words_of_the_rule_are_kept(store: Store) -> None:
    rule = rule_engine().config.rules[0]
    body = {"user_id": user(IVAN), "clause": rule.clause, "penalty": None, "at": NOON.timestamp()}
    row = Sendable(1, rule.name, 7, "record_violation", {"body": body}, 0, 0.0, key="k")
    with store.write() as connection:
        ViolationPort(ledger(store), rule_engine).keep(connection, row, Sent())
    (one,) = ledger(store).between()
    assert one.why == rule.words
    assert (one.penalty, one.owed, one.deal_name) == (None, 0, "")


def test_the_same_decision_told_twice_is_one_violation(store: Store) -> None:
    broken(store)
    broken(store)
    broken(store, key="another event")
    assert len(ledger(store).between()) == 2


def test_of_a_span_of_time_and_of_a_person(store: Store) -> None:
    broken(store, key="a", days=-30)
    broken(store, key="b")
    broken(store, key="c", person="Елена Орлова")
    book = ledger(store)
    assert len(book.between(NOON)) == 2, "its first moment belongs to it"
    assert len(book.between(None, NOON)) == 1, "its last one does not"
    assert [one.person for one in book.between(NOON, person="иван петров")] == [IVAN]
    assert len(book.people()) == 2


def test_what_is_forgiven_stays_with_the_reason_and_may_be_taken_back(store: Store) -> None:
    broken(store)
    book = ledger(store)
    (one,) = book.between()
    (forgiven,) = book.forgive([one.number], "Марина", "клиент просил подождать")
    assert (forgiven.state, forgiven.owed, forgiven.penalty) == ("forgiven", 0, 5000)
    book.forgive([one.number], "Марина", "ещё раз")
    (restored,) = book.restore([one.number], "Пётр", "не просил")
    assert (restored.state, restored.owed) == ("counts", 5000)
    assert [(told.who, told.state, told.why) for told in restored.decisions] == [
        ("Марина", "forgiven", "клиент просил подождать"),
        ("Пётр", "counts", "не просил"),
    ]
    assert restored.decisions[0].at == NOON + timedelta(days=2)


def test_what_was_forgiven_is_not_recorded_again(store: Store) -> None:
    broken(store)
    ledger(store).forgive([ledger(store).between()[0].number], "Марина", "нечаянно")
    broken(store)
    assert [one.state for one in ledger(store).between()] == ["forgiven"]


def test_an_unknown_number_changes_nothing_and_neither_does_another_accounts(store: Store) -> None:
    broken(store)
    number = ledger(store).between()[0].number
    with pytest.raises(NoSuchViolation, match="999"):
        ledger(store).forgive([number, 999], "Марина", "все")
    with pytest.raises(NoSuchViolation, match=str(number)):
        ledger(store, account=2).forgive([number], "Чужой", "чужое")
    assert ledger(store, account=2).between() == []
    assert [one.state for one in ledger(store).between()] == ["counts"]
