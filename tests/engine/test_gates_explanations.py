"""The task that explains a roll-back is closed by its own gate, once the deal is through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import ACCOUNT, LOST, MEETING, NEW, NOON, Around, NoOptions, agency, at, clock, record, rule

from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.dispatcher import Dispatcher, EvaluationContext, Verdict
from amo_bridge.engine.gates import Explanation, RollbackHistory, explanations_to_close, is_explained, slot_of
from amo_bridge.engine.people import People
from amo_bridge.engine.resolver import Resolver
from amo_bridge.events import DealMoved, Event, StageEntered
from amo_bridge.mirror.tasks import MirroredTask, TaskRows
from amo_bridge.rules.actions import Lack, RollBack, Skip
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import AccountStore, Store, insert_new
from amo_bridge.storage.tables import made

NEW_KEY, MEETING_KEY, LOST_KEY = (agency().stage(title).key for title in (NEW, MEETING, LOST))
OF_MEETING, OF_NEW = slot_of(MEETING_KEY), slot_of(NEW_KEY)


def passes(event: Event, deal: Deal, options: NoOptions) -> Skip:
    return Skip("всё в порядке")


def refuses(event: Event, deal: Deal, options: NoOptions) -> RollBack:
    lack = Lack("заполните", "Бриф")
    due = Due.parse("1 d")
    return RollBack(deal_id=7, to=NEW_KEY, because="перехода", missing=(lack,), tell="manager", due=due)


def judged(
    *rules: Rule,
    on: str = MEETING,
    late: timedelta = timedelta(0),
    open_ones: Sequence[Explanation] = (),
    **changed: Any,
) -> list[Verdict]:
    """The deal comes onto a stage; explanations: 1 of «gate» about the meeting, 2 of «gate» about «Новый клиент», 3 of
    another rule."""
    resolver = Resolver(agency(), People(agency(), {}), CalendarOptions().calendar("Europe/Moscow"))
    dispatcher = Dispatcher(rules, resolver, agency(), clock(NOON + late), dry_run=False, opt_out_tag="без робота")
    now = record(on, **changed)
    came = StageEntered(at=NOON, deal_id=7, stage=agency().stage(on).key, stage_name=on, from_stage=LOST_KEY)
    open_ones = open_ones or [
        Explanation(1, "gate.one", OF_MEETING),
        Explanation(2, "gate.one", OF_NEW),
        Explanation(3, "other.one", OF_MEETING),
    ]
    deal = Viewer(agency(), "https://agency.amocrm.ru").deal(now)
    happened = (DealMoved(at=NOON, deal_id=7), came)
    return dispatcher.evaluate(EvaluationContext(happened, "told", now, deal, explanations=lambda: open_ones), Around())


def closed(verdicts: list[Verdict], outcome: str = "acts") -> list[int]:
    return [
        effect.body["id"]
        for verdict in verdicts
        if verdict.outcome == outcome
        for effect in verdict.effects
        if effect.kind == "change_task"
    ]


GATE = rule(passes, "gate", gate=True)


@pytest.mark.parametrize(
    ("stage", "tasks"),
    [(MEETING, [1]), (NEW, [2]), (LOST, [1, 2])],
    ids=["the stage it was about", "the other one", "the deal is closed"],
)
def test_what_has_lost_its_reason_is_closed(stage: str, tasks: list[int]) -> None:
    assert closed(judged(GATE, on=stage)) == tasks


SAID = "Сделка возвращена на этап «Новый клиент». Для перехода заполните: «Бриф»"


@pytest.mark.parametrize(
    ("explanation", "sets"),
    [
        pytest.param(Explanation(1, "other.one", OF_MEETING, SAID, 4), 0, id="the same"),
        pytest.param(Explanation(1, "other.one", OF_NEW, SAID, 4), 1, id="of another stage"),
        pytest.param(Explanation(1, "other.one", OF_MEETING, f"{SAID}, «Бюджет»", 4), 1, id="of more"),
    ],
)
def test_a_refusal_that_an_open_task_explains_is_not_explained_again(explanation: Explanation, sets: int) -> None:
    (verdict,) = judged(rule(refuses, "gate", gate=True), open_ones=[explanation])
    (effect,) = verdict.effects
    assert (effect.kind, effect.rolls_back) == ("patch_deal", True)
    assert [after.kind for after in effect.then].count("create_task") == sets


@pytest.mark.parametrize(("mover", "explained"), [(4, True), (5, False), ("manager", True)])
def test_another_mover_is_told_too(mover: int | str, explained: bool) -> None:
    refusal = RollBack(
        deal_id=7,
        to=NEW_KEY,
        because="перехода",
        missing=(Lack("заполните", "Бриф"),),
        tell=mover,
        due=Due.parse("1 d"),
    )
    assert is_explained(refusal, MEETING_KEY, [Explanation(1, "gate.one", OF_MEETING, SAID, 4)]) is explained


def test_a_deal_among_the_unsorted_is_not_closed() -> None:
    among = replace(agency().stage(NEW), kind="unsorted")
    came = StageEntered(at=NOON, deal_id=7, stage=among.key)
    deal = Viewer(agency(), "https://agency.amocrm.ru").deal(record(NEW))
    explanations = [Explanation(1, "gate.one", OF_MEETING)]
    assert explanations_to_close(explanations, "gate.one", came, replace(deal, stage=among)) == []


def test_what_is_closed_says_where_the_deal_went() -> None:
    (verdict,) = judged(GATE)
    (effect,) = verdict.effects
    result = {"text": "Сделка перешла на этап «Встреча назначена»"}
    assert effect.body == {"id": 1, "is_completed": True, "result": result}


def test_as_long_as_any_gate_refuses_nothing_is_closed() -> None:
    found = judged(GATE, rule(refuses, "second", gate=True))
    assert [verdict.outcome for verdict in found] == ["skipped", "acts"]
    assert closed(found) == []


def test_a_gate_on_trial_that_refuses_holds_nothing_up() -> None:
    assert closed(judged(GATE, rule(refuses, "second", gate=True, dry_run=True))) == [1]


def test_a_rule_on_trial_only_says_what_it_would_close() -> None:
    trial = rule(passes, "gate", gate=True, dry_run=True)
    assert (closed(judged(trial)), closed(judged(trial), "would_act")) == ([], [1])


@pytest.mark.parametrize(
    "how",
    [{"tags": ("без робота",)}, {"late": timedelta(days=30)}],
    ids=["rules are switched off for the deal", "it happened long ago"],
)
def test_a_gate_that_is_not_asked_closes_nothing(how: dict[str, Any]) -> None:
    assert closed(judged(GATE, **how)) == []


def test_a_rule_that_is_no_gate_closes_nothing() -> None:
    assert closed(judged(rule(passes, "gate"))) == []


TASK = MirroredTask(id=0, responsible_user_id=4, text="почему", updated_at=at(0))


def task(
    store: Store, number: int, slot: str, *, deal: int = 7, is_completed: bool = False, known: bool = True
) -> None:
    row = {"account": ACCOUNT, "rule": "gate.one", "deal_id": deal, "slot": slot, "kind": "create_task",
           "entity_id": number, "at": NOON.timestamp()}  # fmt: skip
    with store.write() as connection:
        insert_new(connection, made, [row])
        if known:
            TaskRows(ACCOUNT).put(connection, [replace(TASK, id=number, is_completed=is_completed)])


def test_open_explanations_are_found_and_nothing_else_is(store: Store) -> None:
    task(store, 1, OF_MEETING)
    task(store, 2, OF_MEETING, is_completed=True)
    task(store, 3, OF_MEETING, deal=8)
    task(store, 4, OF_MEETING, known=False)
    task(store, 5, "again")
    task(store, 6, OF_NEW)
    look = RollbackHistory(AccountStore(store, ACCOUNT), clock(), [7]).explanations(7)
    assert look() == [
        Explanation(1, "gate.one", OF_MEETING, "почему", 4),
        Explanation(6, "gate.one", OF_NEW, "почему", 4),
    ]
    assert RollbackHistory(AccountStore(store, ACCOUNT + 1), clock(), [7]).explanations(7)() == ()
