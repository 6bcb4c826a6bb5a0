"""One task as the mirror keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import Row

from amo_bridge.crm.records import EPOCH, TaskRecord
from amo_bridge.crm.values import ENTITY_TYPES
from amo_bridge.events import TaskAdded, TaskReported


@dataclass(frozen=True, kw_only=True)
class TaskCopy:
    """``entity_type``: deal, contact, company or customer; None for a task on nobody's card. ``created_at``: EPOCH as
    long as nobody has told that it was added. ``completed_at``: when it was finished, as far as amoCRM tells. Times are
    aware UTC, users' ids 0 for a robot or nobody."""

    id: int
    entity_type: str | None = None
    entity_id: int | None = None
    responsible_user_id: int = 0
    created_by: int = 0
    task_type_id: int = 1
    text: str = ""
    result: str | None = None
    is_completed: bool = False
    due: datetime = EPOCH
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH
    completed_at: datetime | None = None

    @property
    def deal_id(self) -> int | None:
        """The deal on whose card the task is."""
        return self.entity_id if self.entity_type == "deal" else None

    @classmethod
    def of(cls, record: TaskRecord) -> Self:
        """The copy of a task that was read."""
        return cls(
            id=record.id,
            entity_type=ENTITY_TYPES.get(record.entity_type or ""),
            entity_id=record.entity_id,
            responsible_user_id=record.responsible_user_id,
            created_by=record.created_by,
            task_type_id=record.task_type_id,
            text=record.text,
            result=record.result,
            is_completed=record.is_completed,
            due=record.complete_till,
            created_at=record.created_at,
            updated_at=record.updated_at,
            completed_at=record.updated_at if record.is_completed else None,
        )

    @classmethod
    def of_event(cls, event: TaskReported) -> Self:
        """What is known of a task that was only told of."""
        at = event.at or event.created_at or EPOCH
        is_added = isinstance(event, TaskAdded)
        return cls(
            id=event.task_id,
            entity_type=event.entity_type,
            entity_id=event.entity_id,
            responsible_user_id=event.responsible_user_id or 0,
            created_by=(event.user_id or 0) if is_added else 0,
            task_type_id=event.task_type_id or 1,
            text=event.text or "",
            result=event.result or None,
            is_completed=event.is_completed or False,
            due=event.due or EPOCH,
            created_at=event.created_at or at if is_added else EPOCH,
            updated_at=at,
            completed_at=at if event.is_completed else None,
        )

    @classmethod
    def of_row(cls, row: Row[Any]) -> Self:
        """The copy that ``row`` of the store holds."""
        return cls(
            id=row.task_id,
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            responsible_user_id=row.responsible_user_id,
            created_by=row.created_by,
            task_type_id=row.task_type_id,
            text=row.text,
            result=row.result,
            is_completed=bool(row.is_completed),
            due=_moment(row.due_at),
            created_at=_moment(row.created_at),
            updated_at=_moment(row.updated_at),
            completed_at=None if row.completed_at is None else _moment(row.completed_at),
        )

    def row(self, account: int) -> Mapping[str, Any]:
        """As the store keeps it."""
        return {
            "account": account,
            "task_id": self.id,
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "responsible_user_id": self.responsible_user_id,
            "created_by": self.created_by,
            "task_type_id": self.task_type_id,
            "text": self.text,
            "result": self.result,
            "is_completed": self.is_completed,
            "due_at": self.due.timestamp(),
            "created_at": self.created_at.timestamp(),
            "updated_at": self.updated_at.timestamp(),
            "completed_at": self.completed_at.timestamp() if self.completed_at else None,
        }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
