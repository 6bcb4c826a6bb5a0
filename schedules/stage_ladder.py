"""A deal stays on a stage too long → step by step something is done: a letter, a task, another stage.

Steps are counted from the moment the deal came onto the stage, or, if it is filled, from the one in the field
``counts_from``, and so are the dues of their tasks. Leaving the stage ends the ladder (``on_leave`` says what is done
then, if a step has fallen due), coming back starts it anew; on stages of ``goes_on`` the count only goes on.
Does nothing if the deal has left, is not what ``when`` asks for, or the task that the step would set is still open.
``existing``: what of the deals that were on the stage before the rule was switched on.
Covers A11, A20, A21, A22, A23, A110, M1, M3, M5, M7, M10, M11, C8.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.events import StageEntered, StepDue
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    Condition,
    CreateTask,
    DateFieldName,
    Deal,
    Due,
    Existing,
    Options,
    Skip,
    StageName,
    Stay,
    Step,
    TimedActions,
    Times,
    names_are_unique,
    on_leaving,
    schedule,
    skip_unless,
    stage_is_one_of,
)


class LadderStep(TimedActions):
    """``after``: how long after the deal came onto the stage; without it at once."""

    after: Due | None = None

    @property
    def title(self) -> str:
        return self.name or (str(self.after) if self.after else "сразу")

    def due(self, deal: Deal, times: Times, options: StageLadder, stay: Stay) -> Step | None:
        existing = options.existing
        start = times.begin(stay.since, existing)
        if start is None:
            return None
        start = options.moment_in(deal) or start
        moment = times.after(start, self.after, deal) if self.after else start
        to_come = times.to_come(moment, existing) if moment else None
        return self.step(to_come, _anchor(stay), start, times) if to_come else None


class StageLadder(Options):
    compared_stages = ("goes_on",)
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    goes_on: tuple[StageName, ...] = ()
    counts_from: DateFieldName | None = None
    when: Condition | None = None
    steps: Annotated[tuple[LadderStep, ...], Field(min_length=1)]
    on_leave: ActionsSpec | None = None
    existing: Existing = "skip"

    @model_validator(mode="after")
    def each_step_has_its_name(self) -> Self:
        names_are_unique(step.title for step in self.steps)
        return self

    def moment_in(self, deal: Deal) -> datetime | None:
        """The moment in ``counts_from``; a day without its hour is none."""
        value = deal.value(self.counts_from) if self.counts_from else None
        return value if isinstance(value, datetime) else None


def _steps(deal: Deal, options: StageLadder, times: Times) -> Iterator[Step]:
    stay = _counted_stay(deal, options)
    if stay is not None:
        for step in options.steps:
            if planned := step.due(deal, times, options, stay):
                yield planned


@schedule(
    options=StageLadder,
    steps=_steps,
    on=(StageEntered,),
    needs={"own_tasks", "own_steps", "touches"},
    tasks_until="stage left",
)
def stage_ladder(event: StepDue | StageEntered, deal: Deal, options: StageLadder) -> Skip | list[Action]:
    if isinstance(event, StageEntered):
        return on_leaving(event, deal, (*options.stages, *options.goes_on), options.on_leave)
    stay = _counted_stay(deal, options)
    if stay is None:
        return Skip(f"сделка ушла: она на этапе «{deal.stage.title}»")
    if event.anchor != _anchor(stay):
        return Skip("сделка уходила с этапа и вернулась: счёт начат заново")
    step = next((step for step in options.steps if step.title == event.step), None)
    if step is None:
        return Skip("такого шага в правиле больше нет")
    if unmet := skip_unless(options.when, deal):
        return unmet
    found = step.actions(event, deal, slot=step.title)
    moment = options.moment_in(deal)
    if moment is None or isinstance(found, Skip):
        return found
    return [one.counted_from(moment) if isinstance(one, CreateTask) else one for one in found]


def _counted_stay(deal: Deal, options: StageLadder) -> Stay | None:
    """The stay from which the ladder counts: on one of its stages, now or before stages on which the count goes on."""
    for stay in deal.stays:
        if stage_is_one_of(stay.stage.title, options.stages):
            return stay
        if not stage_is_one_of(stay.stage.title, options.goes_on):
            return None
    return None


def _anchor(stay: Stay) -> str:
    return f"{stay.stage.pipeline_id}.{stay.stage.status_id}@{int(stay.since.timestamp())}"
