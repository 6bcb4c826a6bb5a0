"""Too few tasks of a kind were set for the client this month → they are set.

Each step looks at its moment (``every``) how many such tasks (``counts``) there are on the deal's card, open or
finished, set since the beginning of this month or of ``months`` together: fewer than ``at_least`` (the step's own, else
the rule's) is too few. With ``each_missing`` the step's tasks are set as many times as are missing.
``client_since``, ``younger_than``, ``older_than``: only for clients who came less, or no less, than so many months ago.
Does nothing if there are enough, the client is of another age or nobody knows since when he is one, the deal has left
the stages, is not what ``when`` asks for, or the task of last time is still open.
Covers C10.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.events import StepDue
from amo_bridge.rules import (
    Action,
    CreateTask,
    DateFieldName,
    Deal,
    FrequencyStep,
    Round,
    Skip,
    Step,
    Times,
    WhichTasks,
    always,
    new_tasks_only,
    schedule,
    step_of,
)

Months = Annotated[int, Field(ge=1, le=120)]


class TaskFrequency(Round):
    counts: WhichTasks
    at_least: Annotated[int, Field(ge=1, le=1000)]
    months: Annotated[int, Field(ge=1, le=12)] = 1
    each_missing: bool = False
    client_since: DateFieldName | None = None
    younger_than: Months | None = None
    older_than: Months | None = None
    steps: Annotated[tuple[FrequencyStep, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def ages_need_a_date(self) -> Self:
        if (self.younger_than or self.older_than) and self.client_since is None:
            raise ValueError("younger_than и older_than считаются от даты: назовите поле в client_since")
        if any(step.every.day_of_month is None for step in self.steps):
            raise ValueError('задачи считаются с начала месяца: в every нужно число, например "20 число 10:00"')
        return self

    def wrong_age(self, deal: Deal, day: date) -> str:
        """Why the client is too old or too young for this rule on that day (Russian); empty if he is not."""
        if self.client_since is None or not (self.younger_than or self.older_than):
            return ""
        began = deal.value(self.client_since)
        if not isinstance(began, date):
            return f"неизвестно, давно ли это клиент: поле «{self.client_since}» пусто"
        age = (day.year - began.year) * 12 + day.month - began.month - (day.day < began.day)
        fits = (self.younger_than is None or age < self.younger_than) and age >= (self.older_than or 0)
        return "" if fits else f"это правило для других клиентов: этот с нами месяцев: {age}"


def _steps(deal: Deal, options: TaskFrequency, times: Times) -> Iterator[Step]:
    for step in options.planned(deal, options.steps, times):
        first = times.calendar.local(step.since).date()
        since = times.day_begins(_months_before(first, options.months - 1))
        yield Step(name=step.name, anchor=step.anchor, due=step.due, since=since)


@schedule(
    options=TaskFrequency,
    steps=_steps,
    needs={"own_tasks", "open_tasks", "finished_tasks", "touches"},
    recurs=always,
    tasks_until="stage left",
)
def task_frequency(event: StepDue, deal: Deal, options: TaskFrequency) -> Skip | list[Action]:
    assert event.at is not None
    if why_not := options.why_not(deal) or options.wrong_age(deal, event.at.date()):
        return Skip(why_not)
    step = step_of(event, options.steps)
    if step is None:
        return Skip("такого шага в правиле больше нет")
    wanted = step.at_least or options.at_least
    had = _set_between(event.since, event.at, deal, options.counts)
    if had >= wanted:
        return Skip(f"таких задач достаточно: {had}, нужно {wanted}")
    found = step.actions(event, deal, slot=step.title)
    missing = wanted - had
    if isinstance(found, Skip) or not options.each_missing or missing == 1:
        return found
    return new_tasks_only([action for one in found for action in _as_many(one, missing)], deal)


def _as_many(action: Action, missing: int) -> list[Action]:
    """A task, as often as it is missing; anything else once."""
    if not isinstance(action, CreateTask):
        return [action]
    numbered = ((number, f"{action.slot}.more{number}" if number else action.slot) for number in range(missing))
    return [action.saying(f"{action.text} ({number + 1} из {missing})", slot=slot) for number, slot in numbered]


def _set_between(since: datetime, until: datetime, deal: Deal, counts: WhichTasks) -> int:
    tasks = counts.counted([*deal.open_tasks, *deal.finished_tasks])
    return sum(since <= (task.created_at or task.due) < until for task in tasks)


def _months_before(first: date, months: int) -> date:
    """The first day of a month → of an earlier one."""
    year, month = divmod(first.year * 12 + first.month - 1 - months, 12)
    return date(year, month + 1, 1)
