"""Our own changes of tasks that are on their way: amoCRM's hook about one may overtake the record that it is done.

As soon as the write is recorded the mirror knows it, and the hook then says nothing new (engine/aftermath.py). Until
then, or when the answer was lost, the hook is recognised by what is being written.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.engine.tables import in_open_state, outbox

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


def _facts(body: Mapping[str, Any]) -> Facts:
    same = ("text", "task_type_id", "responsible_user_id", "is_completed")
    facts: dict[str, Any] = {name: body[name] for name in same if name in body}
    if "complete_till" in body:
        facts["due"] = datetime.fromtimestamp(body["complete_till"], UTC)
    if body.get("result"):
        facts["result"] = body["result"]["text"]
    return facts
