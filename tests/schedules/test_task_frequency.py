"""«At least two optimisation tasks a month for a new client»: counted by the 20th, set if they are missing."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError
from support.builders import NOON, deal, stayed, step_due, task, times

from amo_bridge.rules.actions import CreateTask, Skip
from amo_bridge.rules.handler import MARK
from schedules.task_frequency import TaskFrequency, task_frequency

CLIENT = "Продажи / Отложенные"
SINCE = "Дата передачи"
STEP = "20 число 10:00"
plan = getattr(task_frequency, MARK).steps


def options(**changed):
    told = {
        "stages": [CLIENT],
        "counts": {"only": ["Оптимизация"]},
        "at_least": 2,
        "client_since": SINCE,
        "younger_than": 3,
        "steps": [{"every": STEP, "task": {"text": "Оптимизация: найти, что улучшить", "to": "manager", "due": "3 d"}}],
    }
    return TaskFrequency.model_validate(told | changed)


def optimised(*days, is_completed=True, text="Оптимизация ставок"):
    """Tasks that were set on these days of November."""
    return tuple(
        task("", id=day, text=text, is_completed=is_completed, created_at=datetime(2026, 11, day, 12, tzinfo=UTC))
        for day in days
    )


def judged(rule=None, finished=(), still_open=(), began=date(2026, 10, 5), on=CLIENT, step=STEP, own=()):
    fields = {SINCE: began} if began else {}
    now = deal(on, fields=fields, finished_tasks=finished, open_tasks=still_open, own_tasks=own)
    event = replace(
        step_due(step, "2026-11-20"),
        at=datetime(2026, 11, 20, 7, tzinfo=UTC),
        since=datetime(2026, 10, 31, 21, tzinfo=UTC),
    )
    return task_frequency(event, now, rule or options())


@pytest.mark.parametrize(
    ("facts", "acts"),
    [
        ({}, True),
        ({"finished": optimised(3)}, True),
        ({"finished": optimised(3), "still_open": optimised(10, is_completed=False)}, False),
        ({"finished": optimised(3, 10, text="Позвонить")}, True),
        ({"finished": optimised(3, 25)}, True),
        ({"finished": optimised(3, 10), "began": date(2026, 8, 21)}, False),
    ],
    ids=["none", "one", "two", "other tasks", "one is of after the slot", "two, and nearly three months"],
)
def test_tasks_of_this_month_are_counted(facts, acts):
    said = judged(**facts)
    assert isinstance(said, list) == acts
    if acts:
        assert [(type(act), act.slot) for act in said] == [(CreateTask, STEP)]
    else:
        assert said == Skip("таких задач достаточно: 2, нужно 2")


@pytest.mark.parametrize(
    ("began", "young", "old"),
    [(date(2026, 10, 5), True, False), (date(2026, 8, 21), True, False), (date(2026, 8, 20), False, True)],
    ids=["new", "three months tomorrow", "three months today"],
)
def test_clients_of_an_age(began, young, old):
    older = options(younger_than=None, older_than=3, at_least=1)
    assert isinstance(judged(began=began), list) == young
    assert isinstance(judged(older, began=began), list) == old


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"began": None}, "неизвестно"),
        ({"on": "Продажи / Новый клиент"}, "сделка ушла"),
        ({"step": "1 число 10:00"}, "такого шага"),
        ({"own": (task(STEP),)}, "ещё открыта"),
        ({"began": date(2020, 1, 1)}, "месяцев: 82"),
    ],
)
def test_it_does_nothing(facts, why):
    said = judged(**facts)
    assert isinstance(said, Skip)
    assert why in said.reason


def test_everybody_when_no_age_is_asked_for():
    assert isinstance(judged(options(younger_than=None), began=None), list)


@pytest.mark.parametrize(
    ("months", "since"), [(1, "01.11.2026 00:00"), (2, "01.10.2026 00:00"), (12, "01.12.2025 00:00")]
)
def test_tasks_count_from_the_first_of_so_many_months(months, since):
    when = times(now=-24 * 10)
    *_, step = plan(deal(CLIENT, stays=stayed((CLIENT, -9000))), options(months=months), when)
    assert step.anchor == "2026-11-20"
    assert f"{when.calendar.local(step.since):%d.%m.%Y %H:%M}" == since
    assert step.due < NOON


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"client_since": None}, "client_since"),
        ({"at_least": 0}, "greater than or equal to 1"),
        ({"steps": [{"every": "пн 10:00", "note": "раз"}]}, "нужно число"),
    ],
)
def test_a_block_with_a_mistake_is_refused(told, words):
    with pytest.raises(ValidationError, match=words):
        options(**told)


@pytest.mark.parametrize(
    ("had", "open_slots", "texts"),
    [
        ((), (), ["Оптимизация: найти, что улучшить (1 из 2)", "Оптимизация: найти, что улучшить (2 из 2)"]),
        ((3,), (), ["Оптимизация: найти, что улучшить"]),
        ((), (f"{STEP}.more1",), ["Оптимизация: найти, что улучшить (1 из 2)"]),
    ],
    ids=["two are missing", "one is", "one of last month's is open"],
)
def test_as_many_as_are_missing_are_set(had, open_slots, texts):
    own = tuple(task(slot, id=number) for number, slot in enumerate(open_slots, 100))
    said = judged(options(each_missing=True), finished=optimised(*had), own=own)
    assert [act.text for act in said] == texts
    assert len({act.slot for act in said}) == len(said)


@pytest.mark.parametrize(
    ("had", "own", "texts"),
    [
        ((), 1, ["Оптимизация: найти, что улучшить"]),
        ((3,), 1, []),
        ((3,), None, ["Оптимизация: найти, что улучшить"]),
        ((), 3, [f"Оптимизация: найти, что улучшить ({number} из 3)" for number in (1, 2, 3)]),
    ],
    ids=["one by now", "it is there", "two in the rule", "three by now"],
)
def test_a_step_may_want_another_number_by_its_day(had, own, texts):
    task_of = {"text": "Оптимизация: найти, что улучшить", "to": "manager", "due": "3 d"}
    steps = [{"every": STEP, "task": task_of} | ({"at_least": own} if own else {})]
    said = judged(options(each_missing=True, steps=steps), finished=optimised(*had))
    assert [act.text for act in said] == texts if texts else isinstance(said, Skip)
