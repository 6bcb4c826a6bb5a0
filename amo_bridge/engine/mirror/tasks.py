"""Tasks as they were last known: the open ones, and the finished ones for some days.

For reports, for pages, and to know what changed (``task_door``). What a rule decides on is read afresh all the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, delete, func, select
from sqlalchemy.engine import Connection

from amo_bridge.engine.mirror.task_copy import TaskCopy
from amo_bridge.storage.database import Store, chunks, insert_or_replace
from amo_bridge.storage.tables import tasks

Card = tuple[str, int]


class TaskRows:
    """One account's tasks, within a transaction of somebody else's."""

    def __init__(self, account: int) -> None:
        self._account = account

    def known(self, connection: Connection, task_ids: Iterable[int]) -> dict[int, TaskCopy]:
        """Those of the tasks that are known."""
        found = {}
        for chunk in chunks(sorted(set(task_ids))):
            rows = connection.execute(select(tasks).where(tasks.c.account == self._account, tasks.c.task_id.in_(chunk)))
            found.update({row.task_id: TaskCopy.of_row(row) for row in rows})
        return found

    def put(self, connection: Connection, copies: Iterable[TaskCopy]) -> None:
        """Keep them as they are told."""
        by_id = {copy.id: copy.row(self._account) for copy in copies}
        insert_or_replace(connection, tasks, ("account", "task_id"), list(by_id.values()))

    def forget(self, connection: Connection, task_ids: Iterable[int]) -> None:
        """Tasks that are deleted."""
        for chunk in chunks(sorted(set(task_ids))):
            connection.execute(delete(tasks).where(tasks.c.account == self._account, tasks.c.task_id.in_(chunk)))


class TaskMirror:
    """One account's tasks. Reads raise StoreUnavailable when the store is."""

    def __init__(self, store: Store, account: int) -> None:
        self._store = store
        self._account = account
        self._rows = TaskRows(account)

    def get(self, task_ids: Iterable[int]) -> dict[int, TaskCopy]:
        """Those of the tasks that are known."""
        with self._store.read() as connection:
            return self._rows.known(connection, task_ids)

    def count_open(self) -> int:
        with self._store.read() as connection:
            mine = (tasks.c.account == self._account, tasks.c.is_completed.is_(False))
            return connection.execute(select(func.count()).select_from(tasks).where(*mine)).scalar_one()

    def open_tasks(self) -> list[TaskCopy]:
        """All open tasks, the most urgent first: for reports."""
        mine = (tasks.c.account == self._account, tasks.c.is_completed.is_(False))
        with self._store.read() as connection:
            rows = connection.execute(select(tasks).where(*mine).order_by(tasks.c.due_at, tasks.c.task_id))
            return [TaskCopy.of_row(row) for row in rows]

    def on_cards(self, cards: Iterable[Card]) -> dict[Card, list[TaskCopy]]:
        """(deal, contact or company; id) → its tasks, open and lately finished, the most urgent first."""
        by_type: dict[str, list[int]] = {}
        for kind, number in sorted(set(cards)):
            by_type.setdefault(kind, []).append(number)
        found: dict[Card, list[TaskCopy]] = {}
        with self._store.read() as connection:
            for kind, numbers in by_type.items():
                for chunk in chunks(numbers):
                    here = and_(tasks.c.entity_type == kind, tasks.c.entity_id.in_(chunk))
                    query = select(tasks).where(tasks.c.account == self._account, here)
                    for row in connection.execute(query.order_by(tasks.c.due_at, tasks.c.task_id)):
                        found.setdefault((row.entity_type, row.entity_id), []).append(TaskCopy.of_row(row))
        return found
