"""What is different on a deal: a fresh read compared with the mirror.

A hook is a door bell, not a letter: it repeats, overtakes its elder and gets lost. So rules about stages and fields
hear of a change when the deal *is* different, whoever rang and however often.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord, TaskRecord
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.people import People
from amo_bridge.events import (
    DealAdded,
    DealMoved,
    DealObserved,
    DealReported,
    DealRestored,
    FieldChanged,
    ResponsibleChanged,
    StageEntered,
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
from amo_bridge.mirror.deals import MirroredDeal

# amoCRM tries to deliver a hook for some hour and a half (amoCRM docs, webhooks-format).
REDELIVERED_WITHIN = timedelta(hours=2)


class Observer:
    """Turns (what was, what is, what the hook said) into observed events. ``secret``: fields whose values
    are not told."""

    def __init__(self, account: Account, people: People, secret: Iterable[str] = ()) -> None:
        self._account = account
        self._people = people
        self._reader = FieldReader(account, secret=secret)

    def changes(self, before: MirroredDeal | None, now: DealRecord, told: DealReported) -> list[DealObserved]:
        mover = self._mover(now, told)
        common: dict[str, Any] = {
            "at": now.updated_at or told.at,
            "deal_id": now.id,
            # The token's own user is the integration's account: a task for it would be read by nobody.
            "user_id": None if mover == self._account.current_user_id else mover,
            "user_is": self._people.names_of(mover, now),
        }
        return [
            *self._stage(before, now, told, common),
            *self._fields(before, now, told, common),
            *self._owner(before, now, common),
        ]

    def copy(self, before: MirroredDeal | None, now: DealRecord, told: DealReported) -> MirroredDeal:
        """What the mirror will know of the deal from now on."""
        moved_at = told.at or now.updated_at or now.created_at
        if before:
            return before.became(now, moved_at)
        # Seen for the first time in mid-life: it has been where it is since nobody knows when.
        return MirroredDeal(now, moved_at if _came_by(now, told) else now.created_at)

    def _stage(
        self, before: MirroredDeal | None, now: DealRecord, told: DealReported, common: dict[str, Any]
    ) -> Iterator[StageEntered]:
        stage = (now.pipeline_id, now.status_id)
        came_from: tuple[int, int] | None
        if before is not None:
            came_from = before.stage
            entered = came_from != stage or isinstance(told, DealRestored)
        else:
            came_from = self._told_origin(told) or self._where_it_was_made(told, stage)
            entered = _came_by(now, told)
        if not entered:
            return
        yield StageEntered(
            stage=stage,
            stage_name=self._account.stage_of(*stage).title,
            from_stage=came_from,
            from_stage_name=self._account.stage_of(*came_from).title if came_from else "",
            is_new=before is None and came_from is None and _is_new(now, told),
            **common,
        )

    def _told_origin(self, told: DealReported) -> tuple[int, int] | None:
        """Where a deal that the mirror does not know came from, by the hook's words. Account hooks don't tell the old
        pipeline: it is taken for the present one, if that has such a stage."""
        pipeline = told.old_pipeline_id or told.pipeline_id
        if told.old_status_id is None or pipeline is None or told.old_status_id == told.status_id:
            return None
        known = self._account.has_stage(pipeline, told.old_status_id)
        return (pipeline, told.old_status_id) if known else None

    def _where_it_was_made(self, told: DealReported, stage: tuple[int, int]) -> tuple[int, int] | None:
        """The stage on which a new deal was made that has been moved since, before its «added» was heard of."""
        if not isinstance(told, DealAdded) or told.pipeline_id is None or told.status_id is None:
            return None
        made_on = (told.pipeline_id, told.status_id)
        return made_on if made_on != stage and self._account.has_stage(*made_on) else None

    def _fields(
        self, before: MirroredDeal | None, now: DealRecord, told: DealReported, common: dict[str, Any]
    ) -> Iterator[FieldChanged]:
        if before is None and not _is_new(now, told):
            # Seen for the first time in mid-life: what is filled now may have been filled a year ago.
            return
        old = self._reader.texts(before.record) if before else {}
        new = self._reader.texts(now)
        for name in [*new, *(gone for gone in old if gone not in new)]:
            if old.get(name) != new.get(name):
                yield FieldChanged(field_name=name, old=old.get(name), new=new.get(name), **common)

    def _owner(
        self, before: MirroredDeal | None, now: DealRecord, common: dict[str, Any]
    ) -> Iterator[ResponsibleChanged]:
        if before and before.record.responsible_user_id != now.responsible_user_id:
            yield ResponsibleChanged(
                old=before.record.responsible_user_id,
                new=now.responsible_user_id,
                old_is=self._people.names_of(before.record.responsible_user_id, now),
                new_is=self._people.names_of(now.responsible_user_id, now),
                **common,
            )

    def _mover(self, now: DealRecord, told: DealReported) -> int | None:
        """Who did it. The hook's word counts if it speaks of this very change, else the deal's own; 0 is a robot.

        Two people may change a deal within one second: a hook that knows another stage speaks of the other's change.
        """
        speaks_of_it = told.at == now.updated_at and told.status_id in (None, now.status_id)
        user = told.user_id if speaks_of_it and told.user_id is not None else now.updated_by
        return user or None


def _came_by(now: DealRecord, told: DealReported) -> bool:
    """Did a deal that the mirror does not know come onto its stage by what the hook tells?"""
    return isinstance(told, DealMoved | DealRestored) or _is_new(now, told)


def _is_new(now: DealRecord, told: DealReported) -> bool:
    """Is a deal that the mirror does not know a new one? Its «added» may come later than another hook, or never."""
    if isinstance(told, DealAdded | DealRestored):
        return isinstance(told, DealAdded)
    return (told.at or now.updated_at) - now.created_at < REDELIVERED_WITHIN


# What happened to a task on a deal's card: a hook's words about it, put right by a fresh read of the task.
#
# Hooks about tasks hardly ever say who it was, tell a completion before its result, and of a deleted task only the id.

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
