"""What the mirror holds of an account's tasks, for tests to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from amo_bridge.mirror.tasks import MirroredTask, TaskRows
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import tasks


def keep_tasks(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put rows of table ``tasks`` into the mirror, with their histories; what they leave out is empty."""
    empty = {"entity_type": None, "entity_id": None, "result": None, "completed_at": None}
    for row in rows:
        copy = MirroredTask.of_row(SimpleNamespace(**empty | row))  # type: ignore[arg-type]
        TaskRows(row["account"]).put(connection, [copy])


class TaskMirror:
    """One account's tasks."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._rows = TaskRows(store.account_id)

    def get(self, task_ids: Iterable[int]) -> dict[int, MirroredTask]:
        """Those of the tasks that are known."""
        with self._store.read() as connection:
            return self._rows.known(connection, task_ids)

    def count_open(self) -> int:
        with self._store.read() as connection:
            mine = (self._store.owns(tasks), tasks.c.is_completed.is_(False))
            return connection.execute(select(func.count()).select_from(tasks).where(*mine)).scalar_one()

    def open_tasks(self) -> list[MirroredTask]:
        """All open tasks, the most urgent first."""
        mine = (self._store.owns(tasks), tasks.c.is_completed.is_(False))
        with self._store.read() as connection:
            rows = connection.execute(select(tasks).where(*mine).order_by(tasks.c.due_at, tasks.c.task_id))
            return [MirroredTask.of_row(row) for row in rows]
