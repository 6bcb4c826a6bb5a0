"""Answers that are still to come: looked at again when they have had time.

From the list of tasks amoCRM tells a completion first and its result in a hook of its own, which may get lost. So an
empty answer is judged only after a while, by what the task's result is then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.engine import Connection

from amo_bridge.events import TaskAnswered
from amo_bridge.events.codec import to_json
from amo_bridge.storage.database import insert_new
from amo_bridge.storage.tables import events

TIME_TO_ANSWER = 15.0


def await_answers(
    connection: Connection, account: int, answers: Sequence[TaskAnswered], now: datetime, seconds: float
) -> None:
    """Have these judged in ``seconds``. They stand in no queue of their deal: what happens there meanwhile does not
    wait."""
    due = now.timestamp() + seconds
    insert_new(
        connection,
        events,
        [
            {
                "account": account,
                "key": f"answer:{answer.task_id}:{int(answer.at.timestamp()) if answer.at else 0}",
                "deal_id": None,
                "received_at": now.timestamp(),
                "due_at": due,
                "body": json.dumps(to_json(answer), ensure_ascii=False),
                "state": "open",
            }
            for answer in answers
        ],
    )
