"""A deal on a stage has no task soon enough → one is set and the manager is told; a task too far off comes nearer.

``within``: how far the nearest task may be. As soon as a person sets a task of his own that is near enough, the rule's
own one is closed. Does nothing if there is such a task, the deal is on another stage, or ``when`` asks for something
else; with ``move_far_tasks = false`` a far task is only told of.
Covers W5 («Думает (поговорили)», «Перенос звонка»: a task within 7 days).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from amo_bridge.events import StageEntered, TaskAdded, TaskCompleted, TaskDeleted, TaskUpdated
from amo_bridge.rules import (
    Action,
    ChangeTask,
    Conditional,
    Deal,
    Due,
    Duration,
    FinishTask,
    Notify,
    PersonName,
    Skip,
    StageName,
    Task,
    TaskSpec,
    describe_duration,
    handler,
)

Heard = StageEntered | TaskAdded | TaskUpdated | TaskCompleted | TaskDeleted


class StageNeedsTask(Conditional):
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    within: Duration = timedelta(days=7)
    task: TaskSpec
    move_far_tasks: bool = True
    tell: PersonName = PersonName("manager")


@handler(
    on=(StageEntered, TaskAdded, TaskUpdated, TaskCompleted, TaskDeleted),
    options=StageNeedsTask,
    needs={"open_tasks"},
    tasks_until="stage left",
    sends={"notices"},
)
def stage_needs_task(event: Heard, deal: Deal, options: StageNeedsTask) -> Skip | list[Action]:
    if not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» задача не обязательна")
    if unmet := options.unmet(deal):
        return unmet
    own = [task for task in deal.open_tasks if task.is_own]
    theirs = sorted((task for task in deal.open_tasks if not task.made_by), key=lambda task: task.due)
    if not theirs:
        return Skip("задача правила ещё открыта") if own else options.task.unmet(deal) or _set(deal, options)
    closed: list[Action] = [
        FinishTask(deal_id=deal.id, task_id=task.id, result="Менеджер поставил свою задачу") for task in own
    ]
    if event.at is None or theirs[0].due <= event.at + options.within:
        return closed or Skip("задача есть, и она близко")
    if not options.move_far_tasks:
        return [_notice_of(theirs[0], "", deal, options)]
    days = max(options.within // timedelta(days=1), 1)
    nearer = ChangeTask(deal_id=deal.id, task_id=theirs[0].id, due=Due.parse(f"{days} d"))
    told = _notice_of(theirs[0], "; срок перенесён ближе", deal, options)
    return [nearer.followed_by(told), *closed]


def _set(deal: Deal, options: StageNeedsTask) -> list[Action]:
    text = (
        f"{deal.name}: на этапе «{deal.stage.name}» нужна задача не позже чем через {describe_duration(options.within)}"
    )
    told = Notify(deal_id=deal.id, to=(options.tell,), text=f"{text}. Задача поставлена, поправьте её")
    return [options.task.for_deal(deal, slot="needed").followed_by(told)]


def _notice_of(far: Task, done: str, deal: Deal, options: StageNeedsTask) -> Notify:
    """A person's task stands too far off."""
    text = f"{deal.name}: задача «{far.text}» стоит дальше, чем через {describe_duration(options.within)}{done}"
    return Notify(deal_id=deal.id, to=(options.tell,), text=text)
