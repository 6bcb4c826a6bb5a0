"""The tasks that the events list names: what a row says happened to a task, completed by a read of the task.

A row names a task and perhaps one new value; on whose card the task is, only the task itself tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.entities import TaskRecord
from amo_bridge.crm.reading import tasks_by_ids
from amo_bridge.crm.records import embedded
from amo_bridge.crm.values import ENTITY_TYPES, identifier, integer, moment
from amo_bridge.events import TaskAdded, TaskCompleted, TaskDeleted, TaskReported, TaskUpdated

Row = Mapping[str, Any]
ADDED, DELETED, DONE = "task_added", "task_deleted", "task_completed"
DATE_CHANGED = "task_deadline_changed"
# amoCRM's filter takes no more (amoCRM docs, events-and-notes).
MOST_IDS = 10
CHANGED = ("task_text_changed", DATE_CHANGED, "task_type_changed", "task_result_added")
TASKS = (ADDED, DELETED, DONE, *CHANGED, "entity_responsible_changed")


def tasks_told(client: CrmClient, rows: Sequence[Row]) -> dict[int, TaskReported]:
    """The place of a row → what it says of a task. Tasks that are gone are told of only by their deletion. Raises
    CrmError."""
    about = {number: row for number, row in enumerate(rows) if _is_about_task(row)}
    ids = {identifier(row.get("entity_id")) for row in about.values() if row["type"] != DELETED}
    records = tasks_by_ids(client, [one for one in ids if one is not None])
    done = {identifier(row.get("entity_id")) for row in about.values() if row["type"] == DONE}
    found: dict[int, TaskReported] = {}
    for number, row in about.items():
        task_id = identifier(row.get("entity_id"))
        if task_id is not None and row["type"] == DELETED:
            found[number] = TaskDeleted(task_id=task_id, **_common(row))
        elif task_id is not None and (record := records.get(task_id)):
            found[number] = _event(row, record, was_done_later=task_id in done)
    return found


class Done(NamedTuple):
    """Who did it, and when. ``due``: to what the date was changed."""

    user_id: int | None
    at: datetime
    due: datetime | None = None


def doers_of(client: CrmClient, task_ids: Sequence[int]) -> dict[tuple[int, str], list[Done]]:
    """(task, what happened: its date was changed, it was deleted) → who did it, the last first. Raises CrmError."""
    found: dict[tuple[int, str], list[Done]] = {}
    for start in range(0, len(task_ids), MOST_IDS):
        some = task_ids[start : start + MOST_IDS]
        sought = {"entity": "task", "entity_id": some, "type": f"{DELETED},{DATE_CHANGED}"}
        for row in embedded(client.get("/api/v4/events", {"filter": sought, "limit": 100}) or {}, "events"):
            task_id, common = identifier(row.get("entity_id")), _common(row)
            if task_id is not None and task_id in some:
                done = Done(common["user_id"], common["at"], _new_due(row))
                # Newest first.
                found.setdefault((task_id, str(row.get("type"))), []).append(done)
    return found


def _new_due(row: Row) -> datetime | None:
    after: Mapping[str, Any] = next((one for one in row.get("value_after") or [] if isinstance(one, Mapping)), {})
    told = after.get("task_deadline")
    return moment(told.get("timestamp")) if isinstance(told, Mapping) else None


def _is_about_task(row: Row) -> bool:
    return row.get("type") in TASKS and row.get("entity_type") == "task"


def _event(row: Row, task: TaskRecord, *, was_done_later: bool) -> TaskReported:
    common = _common(row) | {
        "task_id": task.id,
        "entity_type": ENTITY_TYPES.get(task.entity_type or ""),
        "entity_id": task.entity_id,
    }
    if row["type"] == DONE:
        return TaskCompleted(text=task.text, is_completed=True, result=task.result, **common)
    if row["type"] == ADDED:
        return TaskAdded(
            text=task.text,
            task_type_id=task.task_type_id,
            responsible_user_id=task.responsible_user_id,
            due=task.complete_till,
            created_at=task.created_at,
            # It was open when it was added, if it was finished later: that is told by a row of its own.
            is_completed=task.is_completed and not was_done_later,
            result=None if was_done_later else task.result,
            **common,
        )
    return TaskUpdated(**_new_value(row, task), **common)


def _new_value(row: Row, task: TaskRecord) -> dict[str, Any]:
    """What the row says is new; its own word, since others may have changed the task after it."""
    after: Mapping[str, Any] = next((one for one in row.get("value_after") or [] if isinstance(one, Mapping)), {})

    def told(name: str, key: str) -> Any:
        inner = after.get(name)
        return inner.get(key) if isinstance(inner, Mapping) else None

    values = {
        "task_text_changed": {"text": told("task", "text")},
        "task_deadline_changed": {"due": _new_due(row)},
        "task_type_changed": {"task_type_id": identifier(told("task_type", "id"))},
        "entity_responsible_changed": {"responsible_user_id": integer(told("responsible_user", "id"))},
        "task_result_added": {"result": task.result},
    }
    return values[row["type"]]


def _common(row: Row) -> dict[str, Any]:
    at = datetime.fromtimestamp(integer(row.get("created_at")) or 0, UTC)
    return {"at": at, "user_id": integer(row.get("created_by")), "caught_up": True}
