"""A date has come and no task is open any more → the next step, whichever of the two happens last.

Asked when the date comes (``at`` o'clock, on a deal that comes onto one of the stages later a quarter of an hour after
it came, when the stage's tasks are set) and whenever a task is finished. ``only`` and ``not_counting`` say which tasks
count. It is done once for a deal. Does nothing if the date is empty or still to come, some of the tasks are open, the
deal is on another stage or has only just come, or the condition of ``when`` does not hold.
Covers A100 (at «Дедлайн проекта» all tasks finished → the report).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import Field

from amo_bridge.events import StepDue, TaskFinished
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    AnybodysTasks,
    Conditional,
    DateFieldName,
    Deal,
    Due,
    Existing,
    HourOfDay,
    Skip,
    StageName,
    Step,
    Times,
    Waiting,
    schedule,
)

STEP = "дата наступила"
TASKS_ARE_SET = timedelta(minutes=15)


class DateAndLastTaskBringNextStep(Conditional, AnybodysTasks):
    field: DateFieldName
    at: HourOfDay = "10:15"
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    do: ActionsSpec
    existing: Existing = "skip"


def _steps(deal: Deal, options: DateAndLastTaskBringNextStep, times: Times) -> Iterator[Step]:
    if not deal.is_on(options.stages) or not deal.stays:
        return
    moment = times.after(times.since, Due.of_field(options.field, options.at), deal)
    if moment is None:
        return
    late = max(moment, deal.stays[0].since + TASKS_ARE_SET)
    if to_come := times.to_come(late, options.existing):
        yield Step(name=STEP, anchor=deal.text(options.field), due=to_come, since=moment)


@schedule(
    options=DateAndLastTaskBringNextStep,
    steps=_steps,
    on=(TaskFinished,),
    needs={"open_tasks", "own_tasks", "own_acts"},
)  # fmt: skip
def date_and_last_task_bring_next_step(
    event: StepDue | TaskFinished, deal: Deal, options: DateAndLastTaskBringNextStep
) -> Skip | list[Action | Waiting]:
    if not deal.is_on(options.stages):
        return Skip(f"этап «{deal.stage.title}» не из этого правила")
    if deal.stage_since is None:
        # Several tasks finished at once are told one by one, and the first of them may have moved the deal.
        return Skip("приход сделки на этот этап ещё не рассмотрен, его задачи не поставлены")
    if not _has_come(event, deal, options):
        return Skip(f"дата «{options.field}» ещё не наступила")
    if unmet := options.unmet(deal):
        return unmet
    still_open = options.counted(deal.open_tasks)
    if still_open:
        return Skip(f"ещё открыты задачи: {len(still_open)}, среди них «{still_open[0].text}»")
    if deal.own_tasks or (isinstance(event, TaskFinished) and deal.was_acted_on_since(event.at)):
        return Skip("на этой сделке это уже сделано")
    return [*options.do.for_deal(deal, slot="once"), *options.do.waiting(deal)]


def _has_come(event: StepDue | TaskFinished, deal: Deal, options: DateAndLastTaskBringNextStep) -> bool:
    if isinstance(event, StepDue):
        return event.anchor == deal.text(options.field)
    awaited = deal.value(options.field)
    if not isinstance(awaited, date) or event.at is None:
        return False
    return event.at >= awaited if isinstance(awaited, datetime) else event.at.date() >= awaited
