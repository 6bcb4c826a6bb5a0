"""A protected task is moved, renamed, deleted, or finished without its file → it is put right, and the head is told.

Its due date goes back to what it was, and one that a rule set gets its name back; a deleted one is set again. One that
is finished although the file of ``file`` is missing is set again too, counts as finished for no other rule, and what
``without_file`` says is done: a task for the head. Does nothing if the task is not one of ``tasks``, the deal is on
another stage, or whoever did it may (``may``: the head).
Covers A98 («Получить закрывающие документы»), A101 («Подготовить и загрузить отчет по проекту»).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import TaskAnswered, TaskFinished, TaskRemoved, TaskRenamed, TaskRescheduled
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    ChangeTask,
    CreateTask,
    Deal,
    Due,
    Options,
    PersonName,
    Skip,
    StageName,
    WantedFile,
    Withheld,
    any_begins_with,
    handler,
)


class ProtectedTaskIsRestored(Options):
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    stages: tuple[StageName, ...] = ()
    may: tuple[PersonName, ...] = ()
    file: WantedFile | None = None
    due_again: Due = Due.parse("1 working day")
    without_file: ActionsSpec | None = None


TaskNews = TaskRescheduled | TaskRenamed | TaskRemoved | TaskFinished | TaskAnswered


@handler(
    on=(TaskRescheduled, TaskRenamed, TaskRemoved, TaskFinished, TaskAnswered),
    options=ProtectedTaskIsRestored,
    gate=True,
)
def protected_task_is_restored(
    event: TaskNews, deal: Deal, options: ProtectedTaskIsRestored
) -> Skip | Withheld | list[Action]:
    if not any_begins_with(event.texts, options.tasks):
        return Skip(f"задача «{event.text}» этим правилом не защищена")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» задача не защищена")
    if isinstance(event, TaskFinished | TaskAnswered):
        return _finished(event, deal, options)
    if set(options.may) & set(event.user_is):
        return Skip("этому человеку можно")
    if isinstance(event, TaskRescheduled):
        return [ChangeTask(deal_id=deal.id, task_id=event.task_id, due=Due.exactly(event.old))]
    if isinstance(event, TaskRenamed):
        if any_begins_with((event.text,), options.tasks):
            return Skip("название начинается как надо")
        return [ChangeTask(deal_id=deal.id, task_id=event.task_id, text=event.set_as)]
    return [_again(event, deal, Due.exactly(event.due))]


def _finished(event: TaskFinished | TaskAnswered, deal: Deal, options: ProtectedTaskIsRestored) -> Skip | Withheld:
    """What was finished without its file is not finished, for no rule."""
    if isinstance(event, TaskFinished) and event.by_bridge:
        return Skip("задачу закрыл мост")
    if options.file is None or options.file.is_there(deal):
        return Skip("задача закрыта как надо")
    missing = f"нет файла «{options.file.wanted(deal)}»"
    if isinstance(event, TaskAnswered):
        return Withheld(missing)
    told = options.without_file.for_deal(deal, slot=f"{event.task_id}.told") if options.without_file else []
    return Withheld(missing, (_again(event, deal, options.due_again), *told))


def _again(event: TaskRemoved | TaskFinished, deal: Deal, due: Due) -> CreateTask:
    return CreateTask(
        deal_id=deal.id,
        text=event.set_as or event.text,
        to=event.responsible_user_id or "manager",
        due=due,
        task_type=event.task_type,
        slot=f"{event.task_id}",
    )
