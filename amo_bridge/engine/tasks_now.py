"""The tasks that this round's events speak of, as they are now: read in one go when the first rule cares."""

from __future__ import annotations

from collections.abc import Iterable

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.entities import TaskRecord
from amo_bridge.crm.reading import tasks_by_ids
from amo_bridge.events import Event, TaskAnswered, TaskReported


class TasksNow:
    def __init__(self, client: CrmClient, events: Iterable[Event]) -> None:
        self._client = client
        self._ids = {event.task_id for event in events if isinstance(event, TaskReported | TaskAnswered)}
        self._found: dict[int, TaskRecord] | None = None

    def get(self, task_id: int) -> TaskRecord | None:
        """None if there is no such task any more. Raises CrmError."""
        if self._found is None:
            self._found = tasks_by_ids(self._client, self._ids | {task_id})
        return self._found.get(task_id)
