"""A person sets a task of some kind on the deal → people are told, as one puts them among a task's auditors.

``counts``: which tasks, by how their texts begin. The notice ends with the task's text.
Does nothing if a rule has set the task or it is another kind of task, if whoever answers for the deal has set it
himself, it is finished already, the deal is on another stage, or the condition of ``when`` does not hold.
Covers C10 (production sets an optimisation task: the account manager is kept informed).
"""

from __future__ import annotations

from amo_bridge.events import TaskAdded
from amo_bridge.rules import Conditional, Deal, NoticeSpec, Notify, Skip, StageName, WhichTasks, handler


class NewTaskNotifies(Conditional):
    counts: WhichTasks
    notify: NoticeSpec
    stages: tuple[StageName, ...] = ()


@handler(on=TaskAdded, options=NewTaskNotifies, needs={"open_tasks"}, sends={"notices"})
def new_task_notifies(event: TaskAdded, deal: Deal, options: NewTaskNotifies) -> Skip | Notify:
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» о новых задачах не говорится")
    if unmet := options.unmet(deal):
        return unmet
    task = next((task for task in deal.open_tasks if task.id == event.task_id), None)
    if task is None:
        return Skip("задача уже закрыта")
    if task.made_by:
        return Skip("задачу поставило правило, о ней говорит оно само")
    if not options.counts.counted([task]):
        return Skip(f"задача «{task.text}» не из тех, о которых говорится")
    if deal.responsible and task.created_by == deal.responsible.id:
        return Skip("задачу поставил сам ответственный за сделку")
    return options.notify.for_deal(deal, f". Задача: «{task.text}»")
