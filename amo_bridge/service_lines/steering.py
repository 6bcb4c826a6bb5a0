"""A rule's own tasks and the tasks that should be: what is to be done so that they agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from amo_bridge.actions import Action, ChangeTask, CreateTask, FinishTask
from amo_bridge.deal import Deal, Task
from amo_bridge.text.names import normalise


def steered(deal: Deal, wanted: Sequence[CreateTask], before: Sequence[CreateTask] | None, gone: str) -> list[Action]:
    """Set, change and close the rule's own tasks so that what is ``wanted`` is there once.

    ``before``: what was wanted until now; None: nobody knows, the deal has only just come. Tasks are told apart by
    their slots, and within a slot by their texts. What was wanted before is not set again: somebody has finished it.
    A task that is not wanted any more takes the text of a new one of its slot, or is closed with the result ``gone``.
    A task whose text a person has changed is left alone as long as anything of its slot is wanted.
    """
    mine: dict[str, list[Task]] = defaultdict(list)
    for task in deal.own_tasks:
        if not task.is_completed:
            mine[task.slot].append(task)
    there = {_said(task.slot, task.text) for tasks in mine.values() for task in tasks}
    known = {_said(one.slot, one.text) for one in wanted}
    old = None if before is None else {_said(one.slot, one.text) for one in before}
    slots = {one.slot for one in wanted}

    def is_spare(task: Task) -> bool:
        said = _said(task.slot, task.text)
        return said not in known and (old is None or said in old or task.slot not in slots)

    spare = {slot: [task for task in tasks if is_spare(task)] for slot, tasks in mine.items()}
    actions: list[Action] = []
    for one in _each_once(wanted):
        said = _said(one.slot, one.text)
        if said in there or (old is not None and said in old):
            continue
        free = spare.get(one.slot)
        actions.append(ChangeTask(deal_id=deal.id, task_id=free.pop(0).id, text=one.text) if free else one)
    closed = (task for tasks in spare.values() for task in tasks)
    return actions + [FinishTask(deal_id=deal.id, task_id=task.id, result=gone) for task in closed]


def _said(slot: str, text: str) -> tuple[str, str]:
    return slot, normalise(text)


def _each_once(wanted: Iterable[CreateTask]) -> Iterable[CreateTask]:
    """Two lines of the same words are one piece of work."""
    return {_said(one.slot, one.text): one for one in wanted}.values()
