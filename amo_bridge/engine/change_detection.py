"""Change detection: concludes observed events by comparing a fresh read with the mirror.

A webhook repeats, overtakes an earlier one and gets lost. So rules about stages and fields are evaluated when the deal
*is* different, whatever reported it and however often; the webhook only says when and who.
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
    TaskRenamed,
    TaskReported,
    TaskRescheduled,
    TaskUpdated,
)
from amo_bridge.mirror.deals import MirroredDeal

# amoCRM tries to deliver a hook for some hour and a half (amoCRM docs, webhooks-format).
REDELIVERED_WITHIN = timedelta(hours=2)


class Observer:
    """Concludes what changed on a deal from the mirror, a fresh read and the webhook.

    ``secret``: names of fields whose values are not shown.
    """

    def __init__(self, account: Account, people: People, secret: Iterable[str] = ()) -> None:
        self._account = account
        self._people = people
        self._reader = FieldReader(account, secret=secret)

    def changes(self, before: MirroredDeal | None, now: DealRecord, event: DealReported) -> list[DealObserved]:
        author = self._author(now, event)
        common: dict[str, Any] = {
            "at": now.updated_at or event.at,
            "deal_id": now.id,
            # The token's own user is the integration's account: a task for it would be read by nobody.
            "user_id": None if author == self._account.current_user_id else author,
            "user_is": self._people.names_of(author, now),
        }
        return [
            *self._stage(before, now, event, common),
            *self._fields(before, now, event, common),
            *self._owner(before, now, common),
        ]

    def mirrored_after(self, before: MirroredDeal | None, now: DealRecord, event: DealReported) -> MirroredDeal:
        """What the mirror will know of the deal from now on."""
        moved_at = event.at or now.updated_at or now.created_at
        if before:
            return before.became(now, moved_at)
        # Met for the first time in mid-life: nobody knows since when it has been where it is.
        return MirroredDeal(now, moved_at if _entered_by(now, event) else now.created_at)

    def _stage(
        self, before: MirroredDeal | None, now: DealRecord, event: DealReported, common: dict[str, Any]
    ) -> Iterator[StageEntered]:
        stage = (now.pipeline_id, now.status_id)
        origin: tuple[int, int] | None
        if before is not None:
            origin = before.stage
            entered = origin != stage or isinstance(event, DealRestored)
        else:
            origin = self._reported_origin(event) or self._stage_of_creation(event, stage)
            entered = _entered_by(now, event)
        if not entered:
            return
        yield StageEntered(
            stage=stage,
            stage_name=self._account.stage_of(*stage).title,
            from_stage=origin,
            from_stage_name=self._account.past_stage(*origin).title if origin else "",
            is_new=before is None and origin is None and _is_new(now, event),
            **common,
        )

    def _reported_origin(self, event: DealReported) -> tuple[int, int] | None:
        """Where a deal that the mirror does not know came from, by the webhook.

        Webhooks of the account don't name the old pipeline: it is the present one, if that has such a stage.
        """
        pipeline = event.old_pipeline_id or event.pipeline_id
        if event.old_status_id is None or pipeline is None or event.old_status_id == event.status_id:
            return None
        known = self._account.has_stage(pipeline, event.old_status_id)
        return (pipeline, event.old_status_id) if known else None

    def _stage_of_creation(self, event: DealReported, stage: tuple[int, int]) -> tuple[int, int] | None:
        """The stage on which a new deal was created that has been moved since, before its «added» was processed."""
        if not isinstance(event, DealAdded) or event.pipeline_id is None or event.status_id is None:
            return None
        created_on = (event.pipeline_id, event.status_id)
        return created_on if created_on != stage and self._account.has_stage(*created_on) else None

    def _fields(
        self, before: MirroredDeal | None, now: DealRecord, event: DealReported, common: dict[str, Any]
    ) -> Iterator[FieldChanged]:
        if before is None and not _is_new(now, event):
            # Met for the first time in mid-life: what is filled now may have been filled a year ago.
            return
        old = self._reader.texts(before.record) if before else {}
        new = self._reader.texts(now)
        for name in [*new, *(name for name in old if name not in new)]:
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

    def _author(self, now: DealRecord, event: DealReported) -> int | None:
        """Who did it: the webhook's user if it is about this very change, else the deal's ``updated_by``; 0 is a robot.

        Two people may change a deal within one second: a webhook with another stage is about the other's change.
        """
        is_about_it = event.at == now.updated_at and event.status_id in (None, now.status_id)
        user = event.user_id if is_about_it and event.user_id is not None else now.updated_by
        return user or None


def _entered_by(now: DealRecord, event: DealReported) -> bool:
    """Did a deal that the mirror does not know come onto its stage by what the webhook reports?"""
    return isinstance(event, DealMoved | DealRestored) or _is_new(now, event)


def _is_new(now: DealRecord, event: DealReported) -> bool:
    """Is a deal that the mirror does not know a new one? Its «added» may come after another webhook, or never."""
    if isinstance(event, DealAdded | DealRestored):
        return isinstance(event, DealAdded)
    return (event.at or now.updated_at) - now.created_at < REDELIVERED_WITHIN


# --- tasks ---------------------------------------------------------------------------------------------------------

# «Связаться», which a task has when nobody chose a type.
DEFAULT_TASK_TYPE_ID = 1
OBSERVED_TASK_EVENTS = (TaskFinished, TaskAnswered, TaskRescheduled, TaskRemoved, TaskRenamed)


def may_be_observed(event: TaskReported, set_as: str = "") -> bool:
    """May something observed follow from it? Most webhooks about tasks only say that one was set. ``set_as``: the text
    that a rule set it with."""
    happened = isinstance(event, TaskCompleted | TaskDeleted) or event.old_due is not None or _has_result(event)
    return happened or (isinstance(event, TaskUpdated) and bool(set_as and event.text) and event.text != set_as)


class TaskObserver:
    """Concludes what happened to a task on a deal's card from a webhook and a fresh read of the task.

    Webhooks about tasks hardly ever say who it was, report a completion before its result, and of a deleted task only
    the id.
    """

    def __init__(self, account: Account, people: People) -> None:
        self._account = account
        self._people = people
        self._types = {kind.id: kind.name for kind in account.task_types if kind.id != DEFAULT_TASK_TYPE_ID}

    def changes(
        self, event: TaskReported, now: TaskRecord | None, deal: DealRecord, set_as: str = ""
    ) -> list[TaskObserved]:
        """``now``: the task as it is; None if it is gone. ``set_as``: the text that a rule set it with."""
        found = [
            *self._changes(event, now, deal),
            *self._moved_or_removed(event, now, deal),
            *self._renamed(event, now, deal, set_as),
        ]
        return [replace(one, set_as=set_as) for one in found]

    def answer_now(self, answer: TaskAnswered, now: TaskRecord | None) -> TaskAnswered | None:
        """An answer that was waited for, with the result that the task has now; None if there is no such task."""
        if now is None or not now.is_completed:
            return None
        return replace(answer, result=now.result)

    def pending_answer(
        self, event: TaskReported, now: TaskRecord | None, deal: DealRecord, set_as: str = ""
    ) -> TaskAnswered | None:
        """The answer that is still to come when a completion was reported without a result."""
        if not isinstance(event, TaskCompleted) or now is None or now.result or _is_by_bridge(event):
            return None
        return TaskAnswered(result=None, set_as=set_as, **self._common(event, now, deal))

    def _changes(self, event: TaskReported, now: TaskRecord | None, deal: DealRecord) -> Iterator[TaskObserved]:
        if now is None:
            return
        if isinstance(event, TaskCompleted):
            yield TaskFinished(by_bridge=_is_by_bridge(event), **self._common(event, now, deal))
        is_reported = isinstance(event, TaskCompleted) or _has_result(event)
        if is_reported and now.is_completed and now.result and not _is_by_bridge(event):
            yield TaskAnswered(result=now.result, **self._common(event, now, deal))

    def _moved_or_removed(
        self, event: TaskReported, now: TaskRecord | None, deal: DealRecord
    ) -> Iterator[TaskObserved]:
        """An open task that was rescheduled or deleted; what it was before only the mirror knows."""
        if isinstance(event, TaskDeleted):
            if event.due is not None and not event.is_completed:
                removed = TaskRecord(
                    id=event.task_id,
                    text=event.text or "",
                    responsible_user_id=event.responsible_user_id or 0,
                    task_type_id=event.task_type_id or DEFAULT_TASK_TYPE_ID,
                )
                yield TaskRemoved(due=event.due, **self._common(event, removed, deal) | {"at": event.at})
        elif event.old_due is not None and now is not None and self._is_still_moved(event, now):
            yield TaskRescheduled(old=event.old_due, new=now.complete_till, **self._common(event, now, deal))

    def _renamed(
        self, event: TaskReported, now: TaskRecord | None, deal: DealRecord, set_as: str
    ) -> Iterator[TaskObserved]:
        """An open task of a rule that says something else by now."""
        if not isinstance(event, TaskUpdated) or _is_by_bridge(event) or now is None or now.is_completed:
            return
        if set_as and now.text != set_as:
            yield TaskRenamed(**self._common(event, now, deal))

    def _is_still_moved(self, event: TaskReported, now: TaskRecord) -> bool:
        """Is it still another due time than before? If not the reported one either, somebody moved the task once more:
        then it counts from before the first of these moves, unless the bridge has put it right already."""
        if now.is_completed or now.complete_till == event.old_due:
            return False
        return now.complete_till == event.due or now.updated_by != self._account.current_user_id

    def _common(self, event: TaskReported, now: TaskRecord, deal: DealRecord) -> dict[str, Any]:
        author = event.user_id or (now.updated_by if event.at in (None, now.updated_at) else None) or None
        return {
            "at": event.at or now.updated_at,
            "caught_up": event.caught_up,
            "deal_id": deal.id,
            # The token's own user is the integration's account, as in Observer.changes.
            "user_id": None if author == self._account.current_user_id else author,
            "user_is": self._people.names_of(author, deal),
            "task_id": now.id,
            "text": now.text,
            "responsible_user_id": now.responsible_user_id,
            "task_type": self._types.get(now.task_type_id),
        }


def _has_result(event: TaskReported) -> bool:
    return isinstance(event, TaskUpdated) and bool(event.result)


def _is_by_bridge(event: TaskReported) -> bool:
    """Did the bridge finish the task itself? What it wrote there is nobody's answer."""
    return event.user_id == 0
