"""A deal is won or lost → the tasks that the bridge itself set on its card are closed.

``only``, ``not_counting``: which of them, by how their texts begin. People's tasks are never touched, and what explains
a roll-back is its gate's to close. Does nothing if no such task is open, the deal is open or in another pipeline than
``pipelines``.
Covers W7, W10 (nothing is left to do on a closed deal).
"""

from __future__ import annotations

from amo_bridge.events import StageEntered
from amo_bridge.rules import Action, Deal, FinishTask, PipelineName, Skip, WhichTasks, handler, same_name


class ClosedDealClosesTasks(WhichTasks):
    pipelines: tuple[PipelineName, ...] = ()


@handler(on=StageEntered, options=ClosedDealClosesTasks, needs={"open_tasks"})
def closed_deal_closes_tasks(event: StageEntered, deal: Deal, options: ClosedDealClosesTasks) -> Skip | list[Action]:
    if event.stage != deal.stage.key or not (deal.stage.is_won or deal.stage.is_lost):
        return Skip("сделка не закрыта")
    if options.pipelines and not any(same_name(deal.stage.pipeline, name) for name in options.pipelines):
        return Skip(f"воронка «{deal.stage.pipeline}» не из этого правила")
    own = [task for task in options.counted(deal.open_tasks) if task.made_by]
    result = f"Сделка закрыта: «{deal.stage.name}»"
    closed: list[Action] = [FinishTask(deal_id=deal.id, task_id=task.id, result=result) for task in own]
    return closed or Skip("открытых задач моста на сделке нет")
