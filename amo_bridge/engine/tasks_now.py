"""The tasks that this round's events speak of: as they are now, and who did it where a hook does not tell. Each is
read in one go when the first rule cares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.events_api import DATE_CHANGED, DELETED, Done, doers_of
from amo_bridge.crm.reads import tasks_by_ids
from amo_bridge.crm.records import TaskRecord
from amo_bridge.events import Event, TaskAnswered, TaskDeleted, TaskReported, TaskUpdated


class TasksNow:
    def __init__(self, client: CrmClient, events: Sequence[Event]) -> None:
        self._client = client
        self._ids = {event.task_id for event in events if isinstance(event, TaskReported | TaskAnswered)}
        self._found: dict[int, TaskRecord] | None = None
        nameless = (event for event in events if isinstance(event, TaskDeleted | TaskUpdated) and event.user_id is None)
        self._nameless = sorted({event.task_id for event in nameless})
        self._doers: dict[tuple[int, str], list[Done]] | None = None

    def get(self, task_id: int) -> TaskRecord | None:
        """None if there is no such task any more. Raises CrmError."""
        if self._found is None:
            self._found = tasks_by_ids(self._client, self._ids | {task_id})
        return self._found.get(task_id)

    def with_doer(self, event: TaskReported) -> TaskReported:
        """A deleted task's hook has nothing but the id, and a changed date's often no author: amoCRM's events list
        knows, if it is not too late with it. Of several changes, ours among them, the one to the date that the event
        tells counts. Raises CrmError."""
        kind = DELETED if isinstance(event, TaskDeleted) else DATE_CHANGED if event.old_due is not None else None
        if kind is None or event.user_id is not None:
            return event
        if self._doers is None:
            self._doers = doers_of(self._client, self._nameless)
        doers = self._doers.get((event.task_id, kind), [])
        done = next((one for one in doers if one.due == event.due), doers[0] if doers else None)
        return replace(event, user_id=done.user_id, at=event.at or done.at) if done else event
