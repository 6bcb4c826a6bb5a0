"""The door through which every word about a task comes, before it becomes an event.

What says nothing new is dropped, whoever said it and however often: a repeated hook, a late one, the echo of our own
write, reconciliation. What is news is completed by what was known, so that rules hear what changed and on whose card.
Of two words about one second nobody can say which was the later: then the task is read again, of all such tasks of a
batch in one request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import tasks_by_ids
from amo_bridge.crm.records import TaskRecord
from amo_bridge.engine.mirror.own_writes import done_writes, on_their_way
from amo_bridge.engine.mirror.task_copy import TaskCopy
from amo_bridge.engine.mirror.task_news import NOTHING, differing, is_in_doubt, news_of, settled
from amo_bridge.engine.mirror.tasks import TaskRows
from amo_bridge.errors import CrmForbidden, CrmRefused
from amo_bridge.events import TaskDeleted, TaskReported
from amo_bridge.storage.database import chunks
from amo_bridge.storage.tables import made

log = structlog.get_logger()

Fresh = Mapping[int, TaskRecord | None]
"""Task → as it was read after all that is told; None: it can't be read."""
ReadTasks = Callable[[Collection[int]], Mapping[int, TaskRecord]]
Result = TypeVar("Result")


class InDoubt(Exception):
    """Which word about these tasks is the last one only a fresh read can say; nothing was written."""

    def __init__(self, task_ids: Collection[int]) -> None:
        super().__init__(f"tasks that must be read again: {sorted(task_ids)}")
        self.task_ids = task_ids


def reader_of(client: CrmClient) -> ReadTasks:
    """Reads tasks; where they may not be read, the words about them have to do. Raises CrmError."""

    def read(task_ids: Collection[int]) -> Mapping[int, TaskRecord]:
        try:
            return tasks_by_ids(client, task_ids)
        except (CrmForbidden, CrmRefused) as error:
            log.error("tasks can't be read", error=str(error))
            return {}

    return read


def settling(read: ReadTasks, attempt: Callable[[Fresh], Result]) -> Result:
    """Make the attempt (a transaction), again with the tasks read that are in doubt. Raises CrmError."""
    fresh: dict[int, TaskRecord | None] = {}
    while True:
        try:
            return attempt(fresh)
        except InDoubt as doubt:
            found = read(doubt.task_ids)
            fresh |= {number: found.get(number) for number in doubt.task_ids}


def meet(
    connection: Connection, account: int, told: Sequence[TaskReported], fresh: Fresh | None = None
) -> list[TaskReported | None]:
    """What is news in each of these, in their order: the event completed by what was known, or None. The copies are
    changed accordingly, in this very transaction.

    Raises InDoubt when tasks must be read that are not in ``fresh``; where that is None, the words have to do."""
    rows = TaskRows(account)
    before = rows.known(connection, (event.task_id for event in told))
    made_for = _cards_of_made(connection, account, [one.task_id for one in told if isinstance(one, TaskDeleted)])
    written = on_their_way(connection, account, before)
    own = {} if fresh is None else done_writes(connection, account, _disputed(before, told))
    now: dict[int, TaskCopy | None] = dict(before)
    news: list[TaskReported | None] = []
    in_doubt: set[int] = set()
    for event in told:
        number, known = event.task_id, now.get(event.task_id)
        ours, ways = own.get(number, []), written.get(number, NOTHING)
        record = None
        if fresh is not None and known and is_in_doubt(event, known, ours):
            record = fresh.get(number)
            in_doubt |= {number} - fresh.keys()
        if record and known:
            found, now[number] = settled(event, known, record, ways, ours)
        else:
            found, now[number] = news_of(event, known, made_for.get(number), ways)
        news.append(found)
    if in_doubt:
        raise InDoubt(in_doubt)
    rows.forget(connection, [number for number, copy in now.items() if copy is None and number in before])
    rows.put(connection, [copy for number, copy in now.items() if copy and copy != before.get(number)])
    return news


def _disputed(known: Mapping[int, TaskCopy], told: Sequence[TaskReported]) -> list[TaskCopy]:
    """The tasks of which something else is told than was known, or several things."""
    times = Counter(event.task_id for event in told)
    return [
        copy
        for event in told
        if (copy := known.get(event.task_id)) and (times[copy.id] > 1 or differing(event, copy))
    ]  # fmt: skip


def _cards_of_made(connection: Connection, account: int, task_ids: Sequence[int]) -> Mapping[int, int]:
    """Task → deal, of tasks that rules made: a deleted one may be older than this copy of the tasks."""
    found: dict[int, int] = {}
    for chunk in chunks(task_ids):
        mine = (made.c.account == account, made.c.kind == "create_task", made.c.entity_id.in_(chunk))
        for row in connection.execute(select(made.c.entity_id, made.c.deal_id).where(*mine)):
            found[row.entity_id] = row.deal_id
    return found
