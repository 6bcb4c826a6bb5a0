"""Which tasks stand behind a figure of the report of overdue tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, select

from amo_bridge.reports.overdue import Promise, Span, Way, due_in, is_counted, name_of, promise_of
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import deals, tasks


@dataclass(frozen=True)
class LateTask:
    """``card``: deal, contact … and its id, where the task is; None for a task on nobody's card. ``deal_name``: empty
    if it is on no deal, or on one that the mirror does not know."""

    promise: Promise
    person: str
    text: str
    card: tuple[str, int] | None
    deal_name: str


def late_tasks(
    store: Store, account_key: int, spans: Sequence[Span], names: Mapping[int, str], way: Way, person: str = ""
) -> list[LateTask]:
    """The tasks that count on one of these days at least, the longest overdue first. ``person``: only his, as the
    report calls him. Raises StoreUnavailable."""
    deal = and_(deals.c.account == tasks.c.account, deals.c.deal_id == tasks.c.entity_id, tasks.c.entity_type == "deal")
    query = (
        select(tasks, deals.c.record)
        .join_from(tasks, deals, deal, isouter=True)
        .where(*due_in(account_key, spans))
        .order_by(tasks.c.due_at, tasks.c.task_id)
    )
    with store.read() as connection:
        found = [_late_task(row, names) for row in connection.execute(query)]
    return [
        one
        for one in found
        if (not person or one.person == person) and any(is_counted(one.promise, span, way) for span in spans)
    ]


def _late_task(row: Row[Any], names: Mapping[int, str]) -> LateTask:
    return LateTask(
        promise=promise_of(row),
        person=name_of(row.responsible_user_id, names),
        text=row.text,
        card=(row.entity_type, row.entity_id) if row.entity_type and row.entity_id else None,
        deal_name=json.loads(row.record)["name"] if row.record else "",
    )
