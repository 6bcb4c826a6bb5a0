"""Our own changes of tasks: those on their way, and those that are done.

amoCRM's hook about a write may overtake the record that it is done: until then, or when the answer was lost, the hook
is recognised by what is being written. Once it is recorded the mirror knows it (engine/aftermath.py); but a word of
what was before it may still come, and has the same time if it happened in the same second.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.engine.mirror.task_copy import TaskCopy
from amo_bridge.storage.database import chunks
from amo_bridge.storage.tables import in_open_state, outbox

ON_THEIR_WAY = ("sending", "doubt")

Facts = Mapping[str, Any]


def on_their_way(connection: Connection, account: int, task_ids: Collection[int]) -> dict[int, Facts]:
    """Task → what is being written into it, by the names that a copy and an event have for it."""
    if not task_ids:
        return {}
    mine = (outbox.c.account == account, in_open_state(outbox), outbox.c.kind == "change_task")
    rows = select(outbox.c.payload).where(*mine, outbox.c.state.in_(ON_THEIR_WAY)).order_by(outbox.c.id)
    written: dict[int, Facts] = {}
    for payload in connection.execute(rows).scalars():
        body = json.loads(payload)["body"]
        if body["id"] in task_ids:
            written[body["id"]] = _facts(body)
    return written


class DoneWrite(NamedTuple):
    """What was written into a task, and when, by amoCRM's clock."""

    at: datetime
    facts: Facts


def done_writes(connection: Connection, account: int, copies: Iterable[TaskCopy]) -> dict[int, list[DoneWrite]]:
    """Task → our recorded changes of it, oldest first; only of tasks on deals' cards, by which they are found."""
    deal_of = {copy.id: copy.deal_id for copy in copies if copy.deal_id is not None}
    found: dict[int, list[DoneWrite]] = {}
    for chunk in chunks(sorted(set(deal_of.values()))):
        mine = (outbox.c.account == account, outbox.c.deal_id.in_(chunk))
        done = (outbox.c.kind == "change_task", outbox.c.state == "done")
        query = select(outbox.c.payload, outbox.c.result).where(*mine, *done).order_by(outbox.c.id)
        for payload, result in connection.execute(query):
            body, at = json.loads(payload)["body"], json.loads(result or "{}").get("at")
            if body["id"] in deal_of and at is not None:
                found.setdefault(body["id"], []).append(DoneWrite(datetime.fromtimestamp(at, UTC), _facts(body)))
    return found


def _facts(body: Mapping[str, Any]) -> Facts:
    same = ("text", "task_type_id", "responsible_user_id", "is_completed")
    facts: dict[str, Any] = {name: body[name] for name in same if name in body}
    if "complete_till" in body:
        facts["due"] = datetime.fromtimestamp(body["complete_till"], UTC)
    if body.get("result"):
        facts["result"] = body["result"]["text"]
    return facts
