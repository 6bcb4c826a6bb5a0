"""Every week, every month or every working day → for each deal on the stages a task, a letter, another stage.

A step says when it comes (``every``) and may ask whether anybody was in touch with the client since its week or month
began, or with ``touched_since`` since the deal came to its stage (``touched``). It is done once for a deal and slot; a
deal that came after the slot waits for the next one.
``month``: its tasks are about this month or the last one, say so, and are set whatever became of an earlier month's.
Does nothing if the deal has left the stages, is not what ``when`` asks for, or the task of last time is still open.
Covers W6, W13, C4, C11, C12, C14.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import Field

from amo_bridge.events import StepDue
from amo_bridge.rules import (
    Action,
    CreateTask,
    Deal,
    Round,
    RoundStep,
    Skip,
    Step,
    Times,
    always,
    schedule,
    step_of,
)

MONTHS = (
    *("январь", "февраль", "март", "апрель", "май", "июнь"),
    *("июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь"),
)


class RegularStep(RoundStep):
    """``month``: which month its tasks are about."""

    month: Literal["this", "last"] | None = None

    def month_on(self, day: date) -> date:
        """The first day of the month that the tasks of this day are about."""
        first = day.replace(day=1)
        return first if self.month == "this" else (first - timedelta(days=1)).replace(day=1)


class RegularRound(Round):
    steps: Annotated[tuple[RegularStep, ...], Field(min_length=1)]


def _steps(deal: Deal, options: RegularRound, times: Times) -> Iterator[Step]:
    yield from options.planned(deal, options.steps, times)


@schedule(options=RegularRound, steps=_steps, needs={"own_tasks", "touches"}, recurs=always)
def regular_round(event: StepDue, deal: Deal, options: RegularRound) -> Skip | list[Action]:
    if why_not := options.why_not(deal):
        return Skip(why_not)
    step = step_of(event, options.steps)
    if step is None:
        return Skip("такого шага в правиле больше нет")
    if step.month is None:
        return step.actions(event, deal, slot=step.title)
    month = step.month_on(date.fromisoformat(event.anchor))
    found = step.actions(event, deal, slot=f"{step.title}@{month:%Y-%m}")
    words = f"{MONTHS[month.month - 1]} {month.year}"
    if isinstance(found, Skip):
        return found
    return [one.saying(f"{one.text} ({words})") if isinstance(one, CreateTask) else one for one in found]
