"""Every week, every month or every working day → for each deal on the stages a task, a letter, another stage.

A step says when it comes (``every``) and may ask whether anybody was in touch with the client since its week or month
began, or with ``touched_since`` since the deal came to its stage (``touched``). It is done once for a deal and slot; a
deal that came after the slot waits for the next one.
Does nothing if the deal has left the stages, is not what ``when`` asks for, or the task of last time is still open.
Covers W6, W13, C4, C11, C12, C14.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from amo_bridge.events import StepDue
from amo_bridge.rules import Action, Deal, Round, RoundStep, Skip, Step, Times, always, schedule, step_of


class RegularRound(Round):
    steps: Annotated[tuple[RoundStep, ...], Field(min_length=1)]


def _steps(deal: Deal, options: RegularRound, times: Times) -> Iterator[Step]:
    yield from options.planned(deal, options.steps, times)


@schedule(options=RegularRound, steps=_steps, needs={"own_tasks", "touches"}, recurs=always)
def regular_round(event: StepDue, deal: Deal, options: RegularRound) -> Skip | list[Action]:
    if why_not := options.why_not(deal):
        return Skip(why_not)
    step = step_of(event, options.steps)
    if step is None:
        return Skip("такого шага в правиле больше нет")
    return step.actions(event, deal, slot=step.title)
