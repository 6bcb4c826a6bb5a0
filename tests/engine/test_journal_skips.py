"""Skips of an event: written as one row, read like the rows for one rule each that older releases wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from support.fakes import ACCOUNT, NOON, clock, rule

from amo_bridge.engine.dispatcher import Verdict
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.history import History
from amo_bridge.engine.journal import LOOKED_THROUGH, Entry, Journal
from amo_bridge.events import DealMoved, DealUpdated, Event, FieldChanged, StageEntered, TaskAdded
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository
from amo_bridge.intake.model import Enquiry
from amo_bridge.intake.results import EnquiryResults
from amo_bridge.rules.actions import Skip
from amo_bridge.rules.enquiries import DEAL_CLOSED
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.packing import SKIPS, pack
from amo_bridge.storage.tables import events, journal

TOLD = DealMoved(at=NOON, deal_id=7)
MOVE = StageEntered(at=NOON, deal_id=7, stage="9.2", stage_name="Бриф", from_stage="9.1", from_stage_name="Новый")
FIELD = FieldChanged(at=NOON, deal_id=7, field_name="Бюджет", new="5")


def silent(name: str, on: type[Event] = StageEntered, **more: Any) -> Rule:
    return rule(lambda event, deal, options: Skip("нет"), name, on, **more)


FIRST, SECOND, THIRD = silent("first", clause="A1"), silent("second", clause="A2"), silent("third", clause="A3")
OF_FIELDS, OF_TASKS = silent("of_fields", FieldChanged), silent("of_tasks", TaskAdded)
RULES = (FIRST, SECOND, THIRD, OF_FIELDS, OF_TASKS)
Write = Callable[..., None]


def packed(store: Store, number: int, verdicts: Sequence[Verdict], came: Event = TOLD) -> None:
    """As the recorder writes."""
    kept = Journal(AccountStore(store, ACCOUNT))
    with store.write() as connection:
        kept.write(connection, kept.rows_of(NOON + timedelta(seconds=number), number, 7, came, verdicts))


def one_each(store: Store, number: int, verdicts: Sequence[Verdict], came: Event = TOLD) -> None:
    """As releases before wrote."""
    for verdict in (None, *verdicts):
        row = {
            "account": ACCOUNT, "at": (NOON + timedelta(seconds=number)).timestamp(), "event_id": number, "deal_id": 7,
            "what": (verdict.event if verdict else came).label,
            "rule": verdict.rule.name if verdict else None,
            "clause": verdict.rule.clause if verdict else "",
            "verdict": verdict.outcome if verdict else "came",
            "reason": verdict.reason if verdict else "",
        }  # fmt: skip
        with store.write() as connection:
            connection.execute(insert(journal).values(row))


@pytest.fixture(params=[packed, one_each], ids=["one row", "a row for each"])
def write(request: pytest.FixtureRequest) -> Write:
    """Both forms that a journal has."""
    found: Write = request.param
    return found


def skip(of: Rule, reason: str, event: Event = MOVE) -> Verdict:
    return Verdict(of, event, "key", "skipped", reason)


def told(entries: Sequence[Entry]) -> list[tuple[str, str, str, str, str]]:
    return [(entry.rule, entry.clause, entry.verdict, entry.what, entry.reason) for entry in entries]


def history(store: Store) -> History:
    return History(AccountStore(store, ACCOUNT))


def test_a_deals_journal_tells_every_rule_and_its_reason(store: Store, write: Write) -> None:
    verdicts = [
        skip(FIRST, "не тот этап"),
        skip(SECOND, "этап «Продажи «Новый»»"),
        skip(THIRD, "не тот этап"),
        skip(OF_FIELDS, "не то поле", FIELD),
        Verdict(OF_TASKS, MOVE, "key", "acts"),
    ]
    write(store, 1, verdicts)
    entries = Journal(AccountStore(store, ACCOUNT)).of_deal(7)
    assert told(entries) == [
        ("", "", "came", TOLD.label, ""),
        ("first.one", "A1", "skipped", MOVE.label, "не тот этап"),
        ("second.one", "A2", "skipped", MOVE.label, "этап «Продажи „Новый“»"),
        ("third.one", "A3", "skipped", MOVE.label, "не тот этап"),
        ("of_fields.one", "", "skipped", FIELD.label, "не то поле"),
        ("of_tasks.one", "", "acts", MOVE.label, ""),
    ]
    assert {(entry.at, entry.event_id) for entry in entries} == {(NOON + timedelta(seconds=1), 1)}


def test_what_a_rule_left_undone_is_found_in_both_forms_newest_first(store: Store) -> None:
    one_each(store, 1, [skip(FIRST, "давно"), skip(SECOND, "давно")])
    packed(store, 2, [skip(FIRST, "потом"), skip(SECOND, "потом"), skip(OF_FIELDS, "одно", FIELD)])
    packed(store, 3, [Verdict(FIRST, MOVE, "key", "acts"), skip(SECOND, "недавно"), skip(THIRD, "недавно")])
    kept = history(store)
    assert kept.skips(RULES, 20) == {
        "first.one": {"потом": 1, "давно": 1},
        "second.one": {"недавно": 1, "потом": 1, "давно": 1},
        "third.one": {"недавно": 1},
        "of_fields.one": {"одно": 1},
        "of_tasks.one": {},
    }
    assert kept.skips([FIRST, SECOND], 2) == {
        "first.one": {"потом": 1}, "second.one": {"недавно": 1, "потом": 1},
    }  # fmt: skip
    lines = kept.of_rule(FIRST, 50)
    assert [(line.verdict, line.reason) for line in lines] == [
        ("acts", ""), ("skipped", "потом"), ("skipped", "давно"),
    ]  # fmt: skip
    assert [(line.deal_id, line.what, line.clause) for line in lines] == [(7, MOVE.label, "A1")] * 3
    assert [line.reason for line in kept.of_rule(SECOND, 2)] == ["недавно", "потом"]
    assert [line.verdict for line in kept.of_rule(FIRST, 50, loud=True)] == ["acts"]


def test_a_rule_with_nearly_the_name_of_another_is_not_taken_for_it(store: Store) -> None:
    packed(store, 1, [skip(silent("first_x"), "чужое"), skip(silent("a_first"), "чужое")])
    assert history(store).of_rule(FIRST, 50) == []
    assert history(store).of_rule(silent("firstXx"), 50) == []


def test_a_rule_that_hears_few_events_of_a_type_is_found_behind_many(store: Store) -> None:
    packed(store, 1, [skip(THIRD, "редкое"), skip(FIRST, "частое")])
    kept = Journal(AccountStore(store, ACCOUNT))
    often = [skip(FIRST, "частое"), skip(SECOND, "частое")]
    rows = [row for number in range(2, LOOKED_THROUGH + 1) for row in kept.rows_of(NOON, number, 7, TOLD, often)]
    with store.write() as connection:
        kept.write(connection, rows)
    assert [line.reason for line in history(store).of_rule(THIRD, 50)] == ["редкое"]


def test_days_count_each_decision(store: Store, write: Write) -> None:
    for number in (1, 2):
        write(store, number, [skip(FIRST, "нет"), skip(SECOND, "нет"), skip(OF_FIELDS, "нет", FIELD)])
    write(store, 90, [skip(FIRST, "нет"), skip(SECOND, "нет"), Verdict(THIRD, MOVE, "key", "failed", "ошибка")])
    begin = NOON.timestamp()
    counts = history(store).by_stretch([begin, begin + 60, begin + 120])
    assert [(count.skipped, count.failed, count.acted) for count in counts] == [(6, 0, 0), (2, 1, 0)]
    loud = history(store).by_stretch([begin, begin + 60, begin + 120], is_loud_alone=True)
    assert [(count.skipped, count.failed) for count in loud] == [(0, 0), (0, 1)]


def test_an_enquiry_that_no_rule_takes_says_why_by_every_rule(store: Store, write: Write) -> None:
    row = settled(store, write, "выключено", "не тот источник")
    assert (row.state, row.outcome) == ("skipped", "first.one: выключено; second.one: не тот источник")


def test_an_enquiry_whose_deal_was_closed_meanwhile_is_judged_anew(store: Store, write: Write) -> None:
    row = settled(store, write, DEAL_CLOSED, "не тот источник")
    assert (row.state, row.attempts) == ("new", 1)


def settled(store: Store, write: Write, *reasons: str) -> Any:
    """An enquiry of which these two rules said so."""
    mine = AccountStore(store, ACCOUNT)
    repository = EnquiryRepository(mine, clock())
    event = DealUpdated(at=NOON, deal_id=7)
    with store.write() as connection:
        repository.add(connection, Enquiry(source="tilda", key="1"), request_id=1, received_at=NOON.timestamp())
        add_events(connection, ACCOUNT, [event], NOON.timestamp())
        key, number = connection.execute(select(events.c.key, events.c.id)).one()
        connection.execute(events.update().values(state="done"))
    repository.write([1], state="sent", event_key=key)
    write(store, number, [skip(rule_, reason, event) for rule_, reason in zip((FIRST, SECOND), reasons, strict=True)])
    EnquiryResults(mine, repository).settle()
    (row,) = repository.find(EnquiryFilter())
    return row


def test_skips_of_an_event_are_one_row_with_it(store: Store) -> None:
    """What the store's size and its speed hang on: an event that forty rules pass by is one row, not forty-one."""
    many = [silent(f"rule_{number}", clause="A1") for number in range(40)]
    packed(store, 1, [skip(one, "не тот этап") for one in many])
    packed(store, 2, [*(skip(one, "не тот этап") for one in many), Verdict(FIRST, MOVE, "key", "acts")])
    with store.read() as connection:
        rows = connection.execute(select(journal).order_by(journal.c.id)).all()
    assert [(row.event_id, row.verdict, row.rule) for row in rows] == [
        (1, "came", None), (2, "came", None), (2, "acts", "first.one"),
    ]  # fmt: skip
    assert len(pack(rows[0].packed_skips, SKIPS)) < 300


def test_rows_that_an_older_release_had_not_compressed_are_read_alike(store: Store) -> None:
    packed(store, 1, [skip(FIRST, "потом"), skip(SECOND, "потом")])
    packed(store, 2, [skip(FIRST, "недавно"), skip(THIRD, "недавно")])
    before = Journal(AccountStore(store, ACCOUNT)).of_deal(7)
    with store.write() as connection:
        plain = connection.execute(select(journal.c.packed_skips).where(journal.c.event_id == 1)).scalar_one()
        older = journal.update().where(journal.c.event_id == 1)
        connection.execute(older.values(skips=plain.decode(), packed_skips=None))
    assert Journal(AccountStore(store, ACCOUNT)).of_deal(7) == before
    assert history(store).skips([FIRST], 20) == {"first.one": {"недавно": 1, "потом": 1}}
    assert [line.reason for line in history(store).of_rule(FIRST, 50)] == ["недавно", "потом"]
    assert [line.reason for line in history(store).of_rule(SECOND, 50)] == ["потом"]


def test_rules_of_one_handler_keep_their_names(store: Store) -> None:
    of_one = [replace(FIRST, block=block) for block in ("one", "two", "three")]
    packed(store, 1, [skip(one, "не тот этап") for one in (*of_one, SECOND, of_one[1])])
    kept = [entry.rule for entry in Journal(AccountStore(store, ACCOUNT)).of_deal(7)]
    assert kept == ["", "first.one", "first.two", "first.three", "second.one", "first.two"]
    assert [line.rule for line in history(store).of_rule(of_one[2], 50)] == ["first.three"]
    assert history(store).of_rule(replace(SECOND, block="two"), 50) == []
