"""«At least two touches a week»: by the middle of it a task, by its end the head is told."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.builders import NOON, deal, stayed, step_due, task, times

from amo_bridge.rules.actions import CreateTask, Notify, Skip
from amo_bridge.rules.deal import Touch, Touches
from amo_bridge.rules.handler import MARK
from schedules.touch_frequency import TouchFrequency, touch_frequency

CLIENT = "Продажи / Отложенные"
MIDDLE, END = "середина недели", "конец недели"
ASK = {"text": "Связаться", "to": "manager", "due": "1 d"}
OPTIONS = TouchFrequency.model_validate(
    {
        "stages": [CLIENT],
        "at_least": 2,
        "steps": [
            {"name": MIDDLE, "every": "ср 12:00", "at_least": 1, "task": ASK},
            {"name": END, "every": "пт 16:00", "escalate": {"text": "С клиентом не работают: {Название}"}},
        ],
    }
)  # fmt: skip


def touched(*touches):
    """«call -1»: so many days after the week's noon of Monday."""
    made = [word.split() for word in touches]
    return Touches(
        Touch(kind=kind, direction="out", at=NOON + timedelta(days=float(days)), seconds=95) for kind, days in made
    )


def judged(step, *touches, options=OPTIONS, on=CLIENT, **changed):
    """The week began on Monday at noon; the step falls due on Friday at noon."""
    event = replace(step_due(step, "2026-11-27"), at=NOON + timedelta(days=4), since=NOON)
    return touch_frequency(event, deal(on, touches=touched(*touches), **changed), options)


def test_by_the_middle_a_task_by_the_end_the_head():
    (ask,) = judged(MIDDLE)
    assert (type(ask), ask.text, ask.slot) == (CreateTask, "Связаться", MIDDLE)
    assert [type(act) for act in judged(END)] == [CreateTask, Notify]


@pytest.mark.parametrize(
    ("step", "touches", "acts"),
    [
        (MIDDLE, ("call 1",), False),
        (END, ("call 1",), True),
        (END, ("call 1", "mail 2"), False),
        (END, ("call -1", "mail -2", "chat -0.1"), True),
        (END, ("call 4.5", "mail 5"), True),
        (END, ("task 1", "move 2"), False),
    ],
    ids=["one is enough", "one is too few", "two", "of last week", "after the slot", "work counts"],
)
def test_touches_of_this_week_are_counted(step, touches, acts):
    said = judged(step, *touches)
    assert isinstance(said, list) == acts
    if not acts:
        assert said == Skip(f"касаний достаточно: {len(touches)}, нужно {len(touches)}")


def test_only_the_kinds_that_count():
    rule = OPTIONS.model_copy(update={"kinds": ("call", "mail")})
    assert isinstance(judged(END, "task 1", "move 2", "call 3", options=rule), list)
    assert isinstance(judged(END, "mail 1", "call 3", options=rule), Skip)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"step": END, "on": "Продажи / Новый клиент"}, "сделка ушла"),
        ({"step": "понедельник"}, "такого шага"),
        ({"step": MIDDLE, "own_tasks": (task(MIDDLE),)}, "ещё открыта"),
    ],
)
def test_it_does_nothing(how, why):
    said = judged(**how)
    assert isinstance(said, Skip)
    assert why in said.reason


def test_both_steps_are_planned_every_week():
    now = deal(CLIENT, stays=stayed((CLIENT, -1000)))
    steps = list(getattr(touch_frequency, MARK).steps(now, OPTIONS, times()))
    assert [(one.name, one.anchor) for one in steps if one.due > NOON] == [(MIDDLE, "2026-11-25"), (END, "2026-11-27")]
    assert {f"{one.since:%d.%m %H:%M}" for one in steps if one.due > NOON} == {"22.11 21:00"}


@pytest.mark.parametrize(
    ("facts", "enough"),
    [
        ({"seconds": 95}, True),
        ({"seconds": 95, "status": 4}, True),
        ({"seconds": 0, "status": 6}, False),
        ({"seconds": 45, "status": 6}, False),
        ({"seconds": 12}, False),
        ({"seconds": None}, False),
    ],
)
def test_a_call_that_nobody_answered_is_no_touch(facts, enough):
    touches = Touches(Touch(kind="call", direction="out", at=NOON + timedelta(days=day), **facts) for day in (1, 2))
    event = replace(step_due(END, "2026-11-27"), at=NOON + timedelta(days=4), since=NOON)
    assert isinstance(touch_frequency(event, deal(CLIENT, touches=touches), OPTIONS), Skip) == enough
