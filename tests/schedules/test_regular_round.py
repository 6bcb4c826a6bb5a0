"""«Every Monday»: planned once a slot, judged when it comes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError
from support.builders import NOON, deal, stayed, step_due, task, times

from amo_bridge.rules.actions import CreateTask, MoveDeal, Skip
from amo_bridge.rules.deal import Touch, Touches
from amo_bridge.rules.handler import MARK
from schedules.regular_round import RegularRound, regular_round

REPEAT = "Продажи / Отложенные"
NEW = "Продажи / Новый клиент"
LOST = "Продажи / Закрыто и не реализовано"
ASK = {"text": "Назначить встречу", "to": "manager", "due": "3 working days"}
plan = getattr(regular_round, MARK).steps


def options(*steps, **changed):
    told = {"stages": [REPEAT], "steps": list(steps) or [{"every": "пн 10:00", "task": ASK}]}
    return RegularRound.model_validate(told | changed)


def here(since=-24 * 60, on=REPEAT, **changed):
    return deal(on, stays=stayed((on, since), (NEW, since - 5)), **changed)


def planned(rule, now=None, when=None):
    when = when or times()
    return [
        (step.name, step.anchor, f"{when.calendar.local(step.due):%d.%m %H:%M}")
        for step in plan(now or here(), rule, when)
    ]


# --- when ------------------------------------------------------------------------------------------------------------
# It is Monday, 23 November 2026, noon.


def test_the_slot_that_has_passed_and_the_next_one():
    assert planned(options()) == [
        ("пн 10:00", "2026-11-16", "16.11 10:00"),
        ("пн 10:00", "2026-11-23", "23.11 10:00"),
        ("пн 10:00", "2026-11-30", "30.11 10:00"),
    ]


def test_the_same_slots_are_planned_however_often_and_one_more_when_one_has_passed():
    rule = options()
    before = planned(rule, when=times(now=-3))
    after = planned(rule)
    assert before[-1] == after[-2]


def test_not_what_was_before_the_deal_came():
    assert [anchor for _, anchor, _ in planned(options(), here(since=-1))] == ["2026-11-30"]


def test_not_what_was_before_the_rule_was_switched_on():
    assert [anchor for _, anchor, _ in planned(options(), when=times(since=-1))] == ["2026-11-30"]


def test_several_steps_and_a_name():
    rule = options({"every": "1 число 10:00", "name": "встреча", "task": ASK}, {"every": "пт 16:00", "task": ASK})
    names = {name for name, _, _ in planned(rule)}
    assert names == {"встреча", "пт 16:00"}


def test_what_the_client_sees_waits_for_working_time():
    rule = options({"every": "пн 8:00", "letter": {"template": "приглашение"}})
    assert planned(rule)[-1] == ("пн 8:00", "2026-11-30", "30.11 10:00")


@pytest.mark.parametrize("now", [here(on=NEW), deal(REPEAT)], ids=["another stage", "nobody knows since when"])
def test_nothing_is_planned(now):
    assert planned(options(), now) == []


def test_it_comes_again():
    assert getattr(regular_round, MARK).recurs(options())


# --- what ------------------------------------------------------------------------------------------------------------


def judged(rule=None, now=None, step="пн 10:00"):
    return regular_round(step_due(step, "2026-11-23"), now or here(), rule or options())


def test_a_task_and_a_move():
    (act,) = judged()
    assert (type(act), act.text, act.slot) == (CreateTask, "Назначить встречу", "пн 10:00")
    rule = options({"every": "пн 10:00", "move_to": LOST, "loss_reason": "Без причины"})
    (move,) = judged(rule)
    assert isinstance(move, MoveDeal)
    assert move.to == LOST


@pytest.mark.parametrize(
    ("rule", "now", "step", "why"),
    [
        (None, here(on=NEW), "пн 10:00", "сделка ушла"),
        (None, None, "вт 10:00", "такого шага"),
        (options(when={"tag": "важный"}), None, "пн 10:00", "не выполнено условие"),
        (None, here(own_tasks=(task("пн 10:00"),)), "пн 10:00", "ещё открыта"),
    ],
)
def test_it_does_nothing(rule, now, step, why):
    said = judged(rule, now, step)
    assert isinstance(said, Skip)
    assert why in said.reason


def test_last_times_task_is_finished_so_it_is_set_again():
    assert isinstance(judged(now=here(own_tasks=(task("пн 10:00", is_completed=True),)))[0], CreateTask)


@pytest.mark.parametrize(("days", "acts"), [(-1, False), (-8, True)])
def test_only_whom_nobody_touched_since_the_week_began(days, acts):
    rule = options({"every": "пт 16:00", "task": ASK, "touched": False})
    touch = Touch(kind="call", direction="out", at=NOON + timedelta(days=days), seconds=95)
    now = here(touches=Touches([touch]))
    event = replace(step_due("пт 16:00", "2026-11-27"), since=NOON - timedelta(days=2))
    assert isinstance(regular_round(event, now, rule), list) == acts


@pytest.mark.parametrize(
    ("month", "day", "words", "slot"),
    [
        ("last", "2026-04-01", "март 2026", "2026-03"),
        ("last", "2027-01-11", "декабрь 2026", "2026-12"),
        ("this", "2026-12-31", "декабрь 2026", "2026-12"),
    ],
)
def test_a_months_tasks_say_which_and_stand_for_themselves(month, day, words, slot):
    rule = options({"name": "документы", "every": "1 число 11:00", "month": month, "task": ASK})
    earlier = task("документы@2026-02")
    (act,) = regular_round(step_due("документы", day), here(own_tasks=(earlier,)), rule)
    assert (act.text, act.slot) == (f"Назначить встречу ({words})", f"документы@{slot}")
    again = here(own_tasks=(earlier, task(f"документы@{slot}")))
    assert "ещё открыта" in regular_round(step_due("документы", day), again, rule).reason


@pytest.mark.parametrize(("hours", "acts"), [(-50, True), (-60 * 24 - 1, False)], ids=["here", "before it came"])
def test_touches_may_count_since_the_deal_came_to_its_stage(hours, acts):
    step = {"every": "рабочий день 19:30", "task": ASK, "touched": True, "touched_since": "stage"}
    touch = Touch(kind="call", direction="out", at=NOON + timedelta(hours=hours), seconds=95)
    event = step_due("рабочий день 19:30", "2026-11-23")
    assert isinstance(regular_round(event, here(touches=Touches([touch])), options(step)), list) == acts


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"steps": [{"every": "иногда", "task": ASK}]}, "Примеры"),
        ({"steps": [{"every": 5, "task": ASK}]}, "словами"),
        ({"steps": [{"every": "пн 10:00", "task": ASK}] * 2}, "два шага"),
        ({"steps": [{"every": "пн 10:00"}]}, "нечего делать"),
        ({"steps": []}, "at least 1"),
        ({"stages": []}, "at least 1"),
    ],
)
def test_a_block_with_a_mistake_is_refused(told, words):
    with pytest.raises(ValidationError, match=words):
        options(**told)
