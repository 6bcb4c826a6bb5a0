"""The client was touched too seldom this week or month → a task, later the head is told.

Each step looks at its moment (``every``) how many touches there were since its week or month began: fewer than
``at_least`` is too few. ``kinds``: what counts (call, mail, chat, sms, task, move); without it everything does. A call
counts if it was answered and lasted ``talk_seconds``; noted several times it is one.
Does nothing if there were enough, the deal has left the stages, is not what ``when`` asks for, or the task of last time
is still open.
Covers C9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from amo_bridge.events import StepDue
from amo_bridge.rules import (
    TALK_SECONDS,
    Action,
    Deal,
    FrequencyStep,
    Round,
    Skip,
    Step,
    Times,
    always,
    schedule,
    step_of,
)

TouchKind = Literal["call", "mail", "chat", "sms", "task", "move"]
Count = Annotated[int, Field(ge=1, le=1000)]


class TouchFrequency(Round):
    at_least: Count
    kinds: tuple[TouchKind, ...] = ()
    talk_seconds: Annotated[int, Field(ge=1)] = TALK_SECONDS
    steps: Annotated[tuple[FrequencyStep, ...], Field(min_length=1)]


def _steps(deal: Deal, options: TouchFrequency, times: Times) -> Iterator[Step]:
    yield from options.planned(deal, options.steps, times)


@schedule(
    options=TouchFrequency,
    steps=_steps,
    needs={"own_tasks", "touches"},
    recurs=always,
    tasks_until="stage left",
)
def touch_frequency(event: StepDue, deal: Deal, options: TouchFrequency) -> Skip | list[Action]:
    if why_not := options.why_not(deal):
        return Skip(why_not)
    step = step_of(event, options.steps)
    if step is None:
        return Skip("такого шага в правиле больше нет")
    wanted = step.at_least or options.at_least
    touched = deal.touches.since(event.since, event.at).counting(options.talk_seconds)
    had = len(touched.of(*options.kinds) if options.kinds else touched)
    if had >= wanted:
        return Skip(f"касаний достаточно: {had}, нужно {wanted}")
    return step.actions(event, deal, slot=step.title)
