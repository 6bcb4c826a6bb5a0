"""What of a person's tasks is not done at the end of the day: overdue ones first, then those that are due today."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import and_, select

from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import deals, tasks

MOST = 25
LONGEST = 120


@dataclass(frozen=True)
class Undone:
    """An open task. ``deal``: the name of the deal on whose card it is; empty for others."""

    text: str
    due: datetime
    deal: str


def undone(store: Store, account_key: int, until: datetime) -> dict[int, list[Undone]]:
    """User's id → his open tasks that are due before ``until``, the oldest first; ``due`` is in the time zone of
    ``until``. From the mirror: amoCRM is not asked. Raises StoreUnavailable."""
    same_deal = (deals.c.account == tasks.c.account, deals.c.deal_id == tasks.c.entity_id)
    on_deal = and_(*same_deal, tasks.c.entity_type == "deal")
    query = (
        select(tasks.c.responsible_user_id, tasks.c.text, tasks.c.due_at, deals.c.record)
        .select_from(tasks.outerjoin(deals, on_deal))
        .where(tasks.c.account == account_key, tasks.c.is_completed.is_(False), tasks.c.due_at < until.timestamp())
        .order_by(tasks.c.due_at, tasks.c.task_id)
    )
    found: dict[int, list[Undone]] = {}
    with store.read() as connection:
        for row in connection.execute(query):
            due = datetime.fromtimestamp(row.due_at, until.tzinfo)
            deal = json.loads(row.record).get("name", "") if row.record else ""
            found.setdefault(row.responsible_user_id, []).append(Undone(row.text, due, deal))
    return found


def in_words(some: Sequence[Undone], today: date) -> str:
    """The list as a notice (Russian)."""
    late = sum(one.due.date() < today for one in some)
    head = f"Не закрыто задач: {len(some)}" + (f", из них просрочено: {late}" if late else "")
    lines = [_line(one, today) for one in some[:MOST]]
    more = [f"… и ещё {len(some) - MOST}"] if len(some) > MOST else []
    return "\n".join([head, *lines, *more])


def _line(one: Undone, today: date) -> str:
    when = f"с {one.due:%d.%m}" if one.due.date() < today else f"сегодня до {one.due:%H:%M}"
    text = " ".join(one.text.split())
    short = text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
    return f"— {short} ({when})" + (f": {one.deal}" if one.deal else "")
