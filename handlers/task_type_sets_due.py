"""A person sets a task of some type → it is due so long after that, whatever date was picked.

``due_by_type``: the task type's name and its due phrase. A date that is changed later stays as it is.
Does nothing if the task is of another type, a rule has set it, it is finished already, the deal is on another stage, or
the condition of ``when`` does not hold.
Covers M11 (a client asks for a change: the post within 48 hours, targeting and text within 4).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import TaskAdded
from amo_bridge.rules import (
    ChangeTask,
    Conditional,
    Deal,
    Due,
    Skip,
    StageName,
    TaskTypeName,
    handler,
    same_name,
)


class TaskTypeSetsDue(Conditional):
    due_by_type: Annotated[dict[TaskTypeName, Due], Field(min_length=1)]
    stages: tuple[StageName, ...] = ()


@handler(on=TaskAdded, options=TaskTypeSetsDue, needs={"open_tasks"})
def task_type_sets_due(event: TaskAdded, deal: Deal, options: TaskTypeSetsDue) -> Skip | ChangeTask:
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» срок задачи не назначается")
    if unmet := options.unmet(deal):
        return unmet
    task = next((task for task in deal.open_tasks if task.id == event.task_id), None)
    if task is None:
        return Skip("задача уже закрыта")
    if task.made_by:
        return Skip("задачу поставило правило, срок у неё свой")
    due = next((due for kind, due in options.due_by_type.items() if same_name(kind, task.task_type or "")), None)
    if due is None:
        return Skip(f"у задачи «{task.text}» другой тип")
    return ChangeTask(deal_id=deal.id, task_id=task.id, due=due)
