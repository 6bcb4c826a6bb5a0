"""The door through which every word about a task comes, before it becomes an event.

What says nothing new is dropped, whoever said it and however often: a repeated hook, a late one, the echo of our own
write, reconciliation. What is news is completed by what was known, so that rules hear what changed and on whose card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.engine.mirror.own_writes import on_their_way
from amo_bridge.engine.mirror.task_copy import TaskCopy
from amo_bridge.engine.mirror.task_news import NOTHING, news_of
from amo_bridge.engine.mirror.tasks import TaskRows
from amo_bridge.engine.rows import chunks
from amo_bridge.engine.tables import made
from amo_bridge.events import TaskDeleted, TaskReported


def meet(connection: Connection, account: int, told: Sequence[TaskReported]) -> list[TaskReported | None]:
    """What is news in each of these, in their order: the event completed by what was known, or None. The copies are
    changed accordingly, in this very transaction."""
    rows = TaskRows(account)
    before = rows.known(connection, (event.task_id for event in told))
    made_for = _cards_of_made(connection, account, [one.task_id for one in told if isinstance(one, TaskDeleted)])
    written = on_their_way(connection, account, before)
    now: dict[int, TaskCopy | None] = dict(before)
    news: list[TaskReported | None] = []
    for event in told:
        number = event.task_id
        found, now[number] = news_of(event, now.get(number), made_for.get(number), written.get(number, NOTHING))
        news.append(found)
    rows.forget(connection, [number for number, copy in now.items() if copy is None and number in before])
    rows.put(connection, [copy for number, copy in now.items() if copy and copy != before.get(number)])
    return news


def _cards_of_made(connection: Connection, account: int, task_ids: Sequence[int]) -> Mapping[int, int]:
    """Task → deal, of tasks that rules made: a deleted one may be older than this copy of the tasks."""
    found: dict[int, int] = {}
    for chunk in chunks(task_ids):
        mine = (made.c.account == account, made.c.kind == "create_task", made.c.entity_id.in_(chunk))
        for row in connection.execute(select(made.c.entity_id, made.c.deal_id).where(*mine)):
            found[row.entity_id] = row.deal_id
    return found
