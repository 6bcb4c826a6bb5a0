"""What happened to a task on a deal's card: a hook's words about it, put right by a fresh read of the task.

Hooks about tasks hardly ever say who it was, tell a completion before its result, and of a deleted task only the id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord, TaskRecord
from amo_bridge.engine.people import People
from amo_bridge.events import (
    TaskAnswered,
    TaskCompleted,
    TaskDeleted,
    TaskFinished,
    TaskObserved,
    TaskRemoved,
    TaskReported,
    TaskRescheduled,
    TaskUpdated,
)

USUAL_TYPE = 1
OBSERVED = (TaskFinished, TaskAnswered, TaskRescheduled, TaskRemoved)


def is_news(told: TaskReported) -> bool:
    """May it turn out to be something that is observed? Most hooks about tasks only say that one was set."""
    return isinstance(told, TaskCompleted | TaskDeleted) or told.old_due is not None or _tells_an_answer(told)


class TaskObserver:
    def __init__(self, account: Account, people: People) -> None:
        self._account = account
        self._people = people
        self._types = {kind.id: kind.name for kind in account.task_types if kind.id != USUAL_TYPE}

    def changes(self, told: TaskReported, now: TaskRecord | None, deal: DealRecord) -> list[TaskObserved]:
        """``now``: the task as it is; None if it is gone."""
        return [*self._changes(told, now, deal), *self._taken_back(told, now, deal)]

    def settled(self, answer: TaskAnswered, now: TaskRecord | None) -> TaskAnswered | None:
        """An answer that was waited for, with the result that the task has now; None when there is no such task."""
        if now is None or not now.is_completed:
            return None
        return replace(answer, result=now.result)

    def awaited(self, told: TaskReported, now: TaskRecord | None, deal: DealRecord) -> TaskAnswered | None:
        """The answer that is still to come when a completion was told without a result."""
        if not isinstance(told, TaskCompleted) or now is None or now.result or _is_our_own(told):
            return None
        return TaskAnswered(result=None, **self._common(told, now, deal))

    def _changes(self, told: TaskReported, now: TaskRecord | None, deal: DealRecord) -> Iterator[TaskObserved]:
        if now is None:
            return
        if isinstance(told, TaskCompleted):
            yield TaskFinished(**self._common(told, now, deal))
        says_it = isinstance(told, TaskCompleted) or _tells_an_answer(told)
        if says_it and now.is_completed and now.result and not _is_our_own(told):
            yield TaskAnswered(result=now.result, **self._common(told, now, deal))

    def _taken_back(self, told: TaskReported, now: TaskRecord | None, deal: DealRecord) -> Iterator[TaskObserved]:
        """An open task whose date was changed, or that was deleted; what it was is known from the mirror alone."""
        if isinstance(told, TaskDeleted):
            if told.due is not None and not told.is_completed:
                gone = TaskRecord(
                    id=told.task_id,
                    text=told.text or "",
                    responsible_user_id=told.responsible_user_id or 0,
                    task_type_id=told.task_type_id or USUAL_TYPE,
                )
                yield TaskRemoved(due=told.due, **self._common(told, gone, deal) | {"at": told.at})
        elif told.old_due is not None and now is not None and self._is_still_moved(told, now):
            yield TaskRescheduled(old=told.old_due, new=now.complete_till, **self._common(told, now, deal))

    def _is_still_moved(self, told: TaskReported, now: TaskRecord) -> bool:
        """Another due time than the one told of: either somebody moved the task once more, and it is to go back to
        where it was before the first of these moves, or the bridge has put it right already."""
        if now.is_completed or now.complete_till == told.old_due:
            return False
        return now.complete_till == told.due or now.updated_by != self._account.current_user_id

    def _common(self, told: TaskReported, now: TaskRecord, deal: DealRecord) -> dict[str, Any]:
        who = told.user_id or (now.updated_by if told.at in (None, now.updated_at) else None) or None
        return {
            "at": told.at or now.updated_at,
            "caught_up": told.caught_up,
            "deal_id": deal.id,
            # The token's own user is the integration's account, as in observe.py.
            "user_id": None if who == self._account.current_user_id else who,
            "user_is": self._people.names_of(who, deal),
            "task_id": now.id,
            "text": now.text,
            "responsible_user_id": now.responsible_user_id,
            "task_type": self._types.get(now.task_type_id),
        }


def _tells_an_answer(told: TaskReported) -> bool:
    return isinstance(told, TaskUpdated) and bool(told.result)


def _is_our_own(told: TaskReported) -> bool:
    """Did the bridge finish the task itself? What it wrote there answers nothing."""
    return told.user_id == 0
