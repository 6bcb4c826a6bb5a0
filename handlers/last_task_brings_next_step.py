"""The last open task on a deal is finished → the next step: the deal moves on, a field is filled, tasks are set.

``only`` and ``not_counting`` say which tasks count; with ``only`` it must be one of them that is finished.
Of tasks that are finished at one moment one event is enough, whatever became of the deal since.
Does nothing if some of them are still open, none of them was set since the deal came to the stage, the file is missing,
it was done before (``once``), the deal is on another stage or has only just come, or the condition of ``when`` does not
hold.
Covers A91 (all tasks of the stage finished → the next stage), A99 (the last closing documents → the checkbox), A102
(the report is there, nothing open → won); M6.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import TaskFinished
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    AnybodysTasks,
    Conditional,
    Deal,
    Skip,
    StageName,
    Waiting,
    WantedFile,
    handler,
)


class LastTaskBringsNextStep(Conditional, AnybodysTasks):
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    file: WantedFile | None = None
    once: bool = False
    do: ActionsSpec


@handler(
    on=TaskFinished,
    options=LastTaskBringsNextStep,
    needs={"open_tasks", "finished_tasks", "own_tasks", "own_acts"},
    tasks_until="stage left",
)
def last_task_brings_next_step(
    event: TaskFinished, deal: Deal, options: LastTaskBringsNextStep
) -> Skip | list[Action | Waiting]:
    if not deal.is_on(options.stages):
        return Skip(f"этап «{deal.stage.title}» не из этого правила")
    if options.only and not options.counts(event.text, event.set_as):
        return Skip(f"задача «{event.text}» этим правилом не считается")
    if deal.stage_since is None:
        # Several tasks finished at once are told one by one, and the first of them may have moved the deal.
        return Skip("приход сделки на этот этап ещё не рассмотрен, его задачи не поставлены")
    if unmet := options.unmet(deal):
        return unmet
    still_open = options.counted(deal.open_tasks)
    if still_open:
        return Skip(f"ещё открыты задачи: {len(still_open)}, среди них «{still_open[0].text}»")
    done = options.counted(deal.finished_tasks)
    if not any(task.created_at is None or task.created_at >= deal.stage_since for task in done):
        return Skip("таких задач на этом этапе не было")
    if options.file and not options.file.is_there(deal):
        return Skip(f"нет файла «{options.file.wanted(deal)}»")
    if deal.was_acted_on_since(event.at):
        return Skip("правило уже сделало это после того, как эта задача была закрыта")
    if options.once and deal.own_tasks:
        return Skip("на этой сделке это уже сделано")
    return [*options.do.for_deal(deal, slot=f"{deal.stage.status_id}"), *options.do.waiting(deal)]
