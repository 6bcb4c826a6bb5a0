"""The tasks around a deal: those its rules set themselves, those that are open, those that are finished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, select

from amo_bridge.crm.reads import tasks_by_ids, tasks_of_deals
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.needs.source import Ways
from amo_bridge.engine.observe_tasks import USUAL_TYPE
from amo_bridge.engine.view import task_view
from amo_bridge.rules.deal import Task
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import chunks
from amo_bridge.storage.tables import made


@dataclass(frozen=True)
class OwnTasks:
    """The tasks that rules set for the deal, wherever they stand (a contact's card too), finished ones as well."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Task]]:
        rows = _made(self.ways, made.c.deal_id, [deal.id for deal in deals])
        records = tasks_by_ids(self.ways.client, [row.entity_id for row in rows]) if rows else {}
        found: dict[int, list[Task]] = {}
        for row in rows:
            if record := records.get(row.entity_id):
                found.setdefault(row.deal_id, []).append(task_view(record, row.slot, row.rule))
        return found

    def shown(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return tuple(task for task in _as_seen(found, rule) if task.is_own)


@dataclass(frozen=True)
class CardTasks:
    """All tasks on the deal's card, people's too; the open ones or the finished ones."""

    ways: Ways
    are_completed: bool

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Task]]:
        found = tasks_of_deals(self.ways.client, [deal.id for deal in deals], are_completed=self.are_completed)
        by_rules = _made(self.ways, made.c.entity_id, [task.id for own in found.values() for task in own])
        marks = {row.entity_id: (row.slot, row.rule) for row in by_rules}
        types = {kind.id: kind.name for kind in self.ways.account.task_types if kind.id != USUAL_TYPE}
        return {
            deal_id: [
                replace(task_view(task, *marks.get(task.id, ("", ""))), task_type=types.get(task.task_type_id))
                for task in own
            ]
            for deal_id, own in found.items()
        }

    def shown(self, found: Sequence[Task], rule: Rule) -> tuple[Task, ...]:
        return _as_seen(found, rule)


def _made(ways: Ways, by: Column[int], numbers: Sequence[int]) -> list[Any]:
    """What rules remember of the tasks they made: those of some deals, or those with some ids."""
    if ways.store is None:
        return []
    query = select(made.c.rule, made.c.deal_id, made.c.slot, made.c.entity_id).order_by(made.c.id)
    tasks = (made.c.account == ways.key, made.c.kind == "create_task")
    with ways.store.read() as connection:
        some = (connection.execute(query.where(*tasks, by.in_(chunk))).all() for chunk in chunks(numbers))
        return [row for rows in some for row in rows]


def _as_seen(tasks: Iterable[Task], rule: Rule) -> tuple[Task, ...]:
    return tuple(replace(task, is_own=task.made_by == rule.name) for task in tasks)
