"""The tasks that rules set themselves, with the marks (slots) they gave them: how a rule finds its own task again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.entities import TaskRecord
from amo_bridge.crm.reading import tasks_by_ids
from amo_bridge.deal import Task
from amo_bridge.engine.store import Store, made
from amo_bridge.engine.view import own_tasks
from amo_bridge.rules import Rule

BATCH = 1000


class OwnTasks:
    """The tasks that rules set on the deals of this round, read in one go when the first rule asks."""

    def __init__(self, store: Store, key: int, client: CrmClient, deal_ids: list[int]) -> None:
        self._store = store
        self._key = key
        self._client = client
        self._deals = deal_ids
        self._found: dict[tuple[str, int], list[tuple[str, TaskRecord]]] | None = None

    def __call__(self, rule: Rule, deal_id: int) -> tuple[Task, ...]:
        if self._found is None:
            self._found = self._read()
        return own_tasks(self._found.get((rule.name, deal_id), ()))

    def _read(self) -> dict[tuple[str, int], list[tuple[str, TaskRecord]]]:
        rows: list[Any] = []
        with self._store.read() as connection:
            for start in range(0, len(self._deals), BATCH):
                rows += connection.execute(
                    select(made.c.rule, made.c.deal_id, made.c.slot, made.c.entity_id).where(
                        made.c.account == self._key,
                        made.c.deal_id.in_(self._deals[start : start + BATCH]),
                        made.c.kind == "create_task",
                    )
                ).all()
        tasks = tasks_by_ids(self._client, [row.entity_id for row in rows]) if rows else {}
        found: dict[tuple[str, int], list[tuple[str, TaskRecord]]] = {}
        for row in rows:
            if task := tasks.get(row.entity_id):
                found.setdefault((row.rule, row.deal_id), []).append((row.slot, task))
        return found
