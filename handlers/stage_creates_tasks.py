"""A deal enters a stage → tasks are set.

Does nothing if the deal came onto another stage, has left again, is not what ``when`` asks for, or if the task that
this rule set before is still open.
Covers A10 («Новый клиент» → «Связаться и взять в работу»), A60 («Согласовать КП»), A74, A103, A104; M1, M5.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import StageEntered
from amo_bridge.rules import (
    Action,
    Conditional,
    Deal,
    Skip,
    StageName,
    TaskSpec,
    Waiting,
    handler,
    new_tasks_only,
    stage_is_one_of,
    waiting_tasks,
)


class StageCreatesTasks(Conditional):
    compared_stages = ("from_stages",)
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    from_stages: tuple[StageName, ...] = ()
    tasks: Annotated[tuple[TaskSpec, ...], Field(min_length=1)]


@handler(on=StageEntered, options=StageCreatesTasks, needs={"own_tasks"}, tasks_until="stage left")
def stage_creates_tasks(event: StageEntered, deal: Deal, options: StageCreatesTasks) -> Skip | list[Action | Waiting]:
    if event.stage != deal.stage.key:
        return Skip("сделка уже ушла с этого этапа")
    if not deal.is_on(options.stages):
        return Skip(f"этап «{deal.stage.title}» не из этого правила")
    if options.from_stages and not stage_is_one_of(event.from_stage_name, options.from_stages):
        return Skip("сделка пришла с другого этапа")
    if unmet := options.unmet(deal):
        return unmet
    wanted = [task for number, spec in enumerate(options.tasks) for task in spec.wanted(deal, slot=str(number))]
    later = waiting_tasks(options.tasks, deal)
    if not wanted:
        return later[0] if later else Skip("ни одна задача не подходит этой сделке")
    new = new_tasks_only(wanted, deal)
    return [*new, *later] if new else Skip("эти задачи ещё открыты")
