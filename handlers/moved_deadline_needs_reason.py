"""Somebody puts a task's deadline off without a reason → he is asked for it; his note is the answer.

The reason is a text note of his on the deal, of at least ``letters`` letters, written within ``since`` before the move;
one that comes later closes the task that asks for it. ``also`` says what else is done at once: the head is told.
Does nothing if there is a reason or he was asked already, the new deadline is an earlier one, the task is not one of
``tasks``, the deal is on another stage, nobody knows who did it, or he may (``may``).
Covers C13 (moving a deadline needs a reason, else told).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from amo_bridge.events import NoteAdded, TaskRescheduled
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    CreateTask,
    Deal,
    Due,
    Duration,
    FinishTask,
    Options,
    PersonName,
    Skip,
    StageName,
    Task,
    any_begins_with,
    handler,
    says_nothing,
    says_something,
)

# In the marks of the tasks that are set beside the question.
ALSO = ".also"


class MovedDeadlineNeedsReason(Options):
    ask: Annotated[str, Field(min_length=1, max_length=200)]
    due: Due = Due.parse("end of day")
    tasks: tuple[str, ...] = ()
    stages: tuple[StageName, ...] = ()
    may: tuple[PersonName, ...] = ()
    letters: Annotated[int, Field(ge=1)] = 10
    since: Duration = timedelta(minutes=30)
    also: ActionsSpec | None = None


@handler(on=(TaskRescheduled, NoteAdded), options=MovedDeadlineNeedsReason, needs={"own_tasks", "notes"})
def moved_deadline_needs_reason(
    event: TaskRescheduled | NoteAdded, deal: Deal, options: MovedDeadlineNeedsReason
) -> Skip | list[Action]:
    if isinstance(event, NoteAdded):
        return _explained(event, deal, options)
    if event.new <= event.old:
        return Skip("срок стал раньше")
    if options.tasks and not any_begins_with(event.texts, options.tasks):
        return Skip(f"срок задачи «{event.text}» двигать можно")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» сроки двигать можно")
    if event.user_id is None:
        return Skip("неизвестно, кто сдвинул срок")
    if set(options.may) & set(event.user_is):
        return Skip("этому человеку можно")
    if _is_explained(event, deal, options):
        return Skip("причина уже записана")
    if any(event.task_id == task.id for task in deal.own_tasks):
        return Skip("это задача самого правила")
    if any(task.slot.startswith(f"{event.task_id}.") for task in _waiting(deal)):
        return Skip("о переносе этой задачи уже спросили")
    asked = CreateTask(
        deal_id=deal.id,
        text=f"{options.ask}: «{event.text}»",
        to=event.user_id,
        due=options.due,
        slot=f"{event.task_id}.{event.new:%Y%m%d%H%M}",
    )
    return [asked, *(options.also.for_deal(deal, slot=f"{asked.slot}{ALSO}") if options.also else [])]


def _is_explained(event: TaskRescheduled, deal: Deal, options: MovedDeadlineNeedsReason) -> bool:
    """Has he written why, shortly before he did it or since?"""
    moved = event.at
    return any(
        note.user_id == event.user_id
        and says_something(note, options.letters)
        and (moved is None or note.at >= moved - options.since)
        for note in deal.notes
    )


def _explained(event: NoteAdded, deal: Deal, options: MovedDeadlineNeedsReason) -> Skip | list[Action]:
    if why := says_nothing(event, options.letters):
        return Skip(why)
    asked = [task for task in _waiting(deal) if task.responsible_user_id == event.user_id]
    done: list[Action] = [FinishTask(deal_id=deal.id, task_id=task.id, result="Причина записана") for task in asked]
    return done or Skip("о переносе срока у него не спрашивали")


def _waiting(deal: Deal) -> list[Task]:
    """Its open tasks that ask for a reason."""
    return [task for task in deal.own_open_tasks() if ALSO not in task.slot]
