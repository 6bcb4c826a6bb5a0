"""A deal moves on with open tasks → it is put back, and the mover is told which ones.

``only``: texts that the tasks begin with; without it every task on the deal's card counts. ``not_counting``: tasks that
hold nobody up, such as those for the head; ``set_by_rules``: only tasks that a rule set count, by what it set them as.
What the bridge set to explain a roll-back never counts. Does nothing if no such task is open, the condition of ``when``
does not hold, the mover has a role that may pass, or the deal has moved on already. A lost deal may leave any stage.
Covers A92 («Тайминг», «Подготовка контента», «Согласование контента»), A98, A106 («Исполнение»).
"""

from __future__ import annotations

from amo_bridge.events import StageEntered
from amo_bridge.rules import AnybodysTasks, Deal, Gate, Lack, RollBack, Skip, handler


class StageNeedsFinishedTasks(Gate, AnybodysTasks):
    pass


@handler(on=StageEntered, options=StageNeedsFinishedTasks, gate=True, needs={"open_tasks"}, sends={"notices"})
def stage_needs_finished_tasks(event: StageEntered, deal: Deal, options: StageNeedsFinishedTasks) -> Skip | RollBack:
    if passes := options.lets_pass(event, deal):
        return passes
    missing = [Lack("закройте задачи", task.text) for task in options.counted(deal.open_tasks)]
    return options.put_back(event, deal, missing) if missing else Skip("открытых задач нет")
