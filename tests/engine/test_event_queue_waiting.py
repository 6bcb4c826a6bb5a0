"""Events with which rules wait: kept until the deal is what ``when`` asks for, acted on once, gone with its stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import ACCOUNT, MEETING, NEW, NOON, Around, NoOptions, agency, clock, record, rule

from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.dispatcher import Dispatcher, EvaluationContext, Verdict
from amo_bridge.engine.event_queue import WaitingEvent, WaitingEvents
from amo_bridge.engine.people import People
from amo_bridge.engine.resolver import Resolver
from amo_bridge.events import DealUpdated, Event, FieldChanged, FileAttached, StageEntered, TaskAnswered
from amo_bridge.rules.actions import Action, CreateTask, Skip, Waiting
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import AccountStore, Store

FILE = FileAttached(at=NOON - timedelta(days=9), note_id=5, entity_type="deal", entity_id=7, file_name="Договор.pdf")
STAGE = agency().stage(MEETING).key
CHANGED = DealUpdated(at=NOON, deal_id=7)
TASK = CreateTask(deal_id=7, text="Запросить оплату", to="manager", due=Due.parse("1 d"), slot="0")
OTHER = CreateTask(deal_id=7, text="Отправить договор", to="manager", due=Due.parse("1 d"), slot="1")


def waits(event: Event, deal: Deal, options: NoOptions) -> Skip | Action:
    """Until there is a budget."""
    return TASK if deal.price else Waiting("не выполнено условие: «Бюджет» заполнено")


def waits_with_one(event: Event, deal: Deal, options: NoOptions) -> Sequence[Action | Waiting]:
    """One task is set at once, the other waits for the budget."""
    return [OTHER, TASK] if deal.price else [OTHER, Waiting("не выполнено условие задачи")]


WAITS, PARTLY = rule(waits, "waits", FileAttached), rule(waits_with_one, "partly", FileAttached)


def judged(rules: Sequence[Rule], *events: Event, waiting: Sequence[WaitingEvent] = (), **deal: Any) -> list[Verdict]:
    resolver = Resolver(agency(), People(agency(), {}), CalendarOptions().calendar("Europe/Moscow"))
    dispatcher = Dispatcher(rules, resolver, agency(), clock(NOON), dry_run=False, opt_out_tag="без робота")
    now = record(**({"on": MEETING, "updated_at": NOON} | deal))
    view = Viewer(agency(), "https://agency.amocrm.ru").deal(now)
    context = EvaluationContext(events or (CHANGED,), "told", now, view, waiting=waiting)
    return dispatcher.evaluate(context, Around())


def kept(name: str = "waits.one", event: Event = FILE, **changed: Any) -> WaitingEvent:
    one = WaitingEvent(id=1, rule=name, event=event, event_key="note:5", stage=STAGE)
    return replace(one, **changed)


def test_a_rule_whose_condition_does_not_hold_waits_and_says_so() -> None:
    fresh = replace(FILE, at=NOON)
    (verdict,) = judged([WAITS], fresh, price=0)
    assert (verdict.outcome, verdict.waits, verdict.done_slots) == ("skipped", True, None)
    assert verdict.reason == (
        "не выполнено условие: «Бюджет» заполнено; правило ждёт, пока сделка на этапе «Встреча назначена»"
    )


def test_it_acts_when_the_deal_is_so_however_long_ago_the_file_came() -> None:
    (verdict,) = judged([WAITS], waiting=[kept()], price=1000)
    assert (verdict.outcome, verdict.settles, verdict.waits) == ("acts", kept(), False)
    assert verdict.event == FILE
    (effect,) = verdict.effects
    assert effect.not_before == NOON.timestamp(), "it counts from now on"
    assert verdict.event_key.startswith("note:5:when")


@pytest.mark.parametrize(
    ("waiting", "deal"),
    [
        pytest.param(kept(), {"price": 0}, id="still not so"),
        pytest.param(kept(stage=agency().stage(NEW).key), {"price": 1000}, id="another stage"),
        pytest.param(kept("gone.one"), {"price": 1000}, id="the rule is gone or off"),
    ],
)
def test_it_does_nothing_and_writes_nothing(waiting: WaitingEvent, deal: dict[str, Any]) -> None:
    assert judged([WAITS], waiting=[waiting], **deal) == []


def test_of_tasks_some_may_wait_and_the_others_are_not_set_again() -> None:
    (first,) = judged([PARTLY], replace(FILE, at=NOON), price=0)
    assert ([effect.slot for effect in first.effects], first.waits, first.done_slots) == (["1"], True, {"1"})
    waiting = kept("partly.one", done_slots=first.done_slots)
    assert judged([PARTLY], waiting=[waiting], price=0) == []
    (later,) = judged([PARTLY], waiting=[waiting], price=1000)
    assert ([effect.slot for effect in later.effects], later.waits) == (["0"], False)


def test_several_files_that_wait_are_one_wish_each_and_equal_wishes_one() -> None:
    waiting = [kept(), kept(id=2, event=replace(FILE, note_id=6))]
    first, second = judged([WAITS], waiting=waiting, price=1000)
    assert (first.outcome, second.outcome) == ("acts", "skipped")
    assert [one.settles for one in (first, second)] == waiting


# --- in the store -------------------------------------------------------------------------------------------------


def put(waiting: WaitingEvents, store: Store, event: Event, rule_name: str = "waits.one", **changed: Any) -> None:
    facts: dict[str, Any] = {"event_key": "k", "stage": STAGE, "done_slots": None, "now": NOON}
    with store.write() as connection:
        waiting.put(connection, 7, rule_name, event, **(facts | changed))


def test_what_waits_is_kept_as_it_was(store: Store) -> None:
    waiting = WaitingEvents(AccountStore(store, ACCOUNT))
    put(waiting, store, FILE, event_key="note:5", done_slots={"1"})
    (one,) = waiting.of([7])[7]
    assert (one.event, one.event_key, one.stage, one.done_slots) == (FILE, "note:5", STAGE, {"1"})
    assert waiting.of([8]) == WaitingEvents(AccountStore(store, ACCOUNT + 1)).of([7]) == {}


ENTERED = StageEntered(at=NOON, deal_id=7, stage=STAGE)
ANSWER = TaskAnswered(at=NOON, deal_id=7, task_id=9, result="да")
DATE = FieldChanged(at=NOON, deal_id=7, field_name="Дата", new="1")


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        pytest.param(FILE, FILE, 1, id="the same file"),
        pytest.param(FILE, replace(FILE, note_id=6), 2, id="two files"),
        pytest.param(ENTERED, ENTERED, 1, id="a stage entered"),
        pytest.param(ANSWER, replace(ANSWER, result="нет"), 1, id="two answers to one task"),
        pytest.param(ANSWER, replace(ANSWER, task_id=10), 2, id="answers to two tasks"),
        pytest.param(DATE, replace(DATE, new="2"), 1, id="a field changed twice"),
        pytest.param(DATE, replace(DATE, field_name="Бюджет"), 2, id="two fields"),
    ],
)
def test_of_events_about_one_thing_the_newest_waits(store: Store, first: Event, second: Event, count: int) -> None:
    waiting = WaitingEvents(AccountStore(store, ACCOUNT))
    put(waiting, store, first)
    put(waiting, store, second)
    put(waiting, store, first, "another.one")
    own = [one for one in waiting.of([7])[7] if one.rule == "waits.one"]
    assert len(own) == count
    assert own[-1].event == second


def test_what_was_acted_on_or_lies_on_a_deleted_deal_is_gone(store: Store) -> None:
    waiting = WaitingEvents(AccountStore(store, ACCOUNT))
    put(waiting, store, FILE)
    put(waiting, store, ENTERED)
    first, second = waiting.of([7])[7]
    with store.write() as connection:
        waiting.settle(connection, [first])
    assert waiting.of([7]) == {7: [second]}
    with store.write() as connection:
        waiting.forget(connection, [7])
    assert waiting.of([7]) == {}
