"""Evening digest: a person's tasks not done by the end of the day, overdue ones first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import and_, select

from amo_bridge.clock import Clock
from amo_bridge.crm.account import User
from amo_bridge.engine.effects import NO_DEAL, Effect
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.people import Reach
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.accounts import EVENING_LIST_SENT, Cursors
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import deals, outbox, tasks
from amo_bridge.text.names import same_name

MOST = 25
LONGEST = 120


@dataclass(frozen=True)
class Undone:
    """An open task. ``deal``: the name of the deal on whose card it is; empty for others."""

    text: str
    due: datetime
    deal: str


def undone(store: AccountStore, until: datetime) -> dict[int, list[Undone]]:
    """User's id → his open tasks that are due before ``until``, the oldest first; ``due`` is in the time zone of
    ``until``. From the mirror: amoCRM is not asked. Raises StoreUnavailable."""
    same_deal = (deals.c.account == tasks.c.account, deals.c.deal_id == tasks.c.entity_id)
    on_deal = and_(*same_deal, tasks.c.entity_type == "deal")
    query = (
        select(tasks.c.responsible_user_id, tasks.c.text, tasks.c.due_at, deals.c.record)
        .select_from(tasks.outerjoin(deals, on_deal))
        .where(store.owns(tasks), tasks.c.is_completed.is_(False), tasks.c.due_at < until.timestamp())
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


# The end of a working day: everybody is told once which of his tasks are not done.

RULE = "bridge.evening"
# A bridge that was down at that hour tells it later the same evening, and not in the night.
NOT_LATER = timedelta(hours=3)


class EveningDigest:
    """A job: ``run()`` every minute. ``account_clock`` is amoCRM's."""

    def __init__(self, store: AccountStore, rules: CurrentRules, account_clock: Clock, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._account_clock = account_clock
        self._clock = clock
        self._cursors = Cursors(store)

    def run(self) -> None:
        """Put today's lists into the outbox, if it is time. Raises StoreUnavailable."""
        rules = self._rules.get()
        section, calendar = rules.config.evening_list, rules.calendar
        if section is None or rules.config.bridge.dry_run:
            return
        now = self._account_clock.now()
        today = calendar.local(now).date()
        at = calendar.moment(today, section.at)
        if not calendar.is_working_day(today) or not at <= now < at + NOT_LATER:
            return
        if (self._cursors.read(EVENING_LIST_SENT) or 0.0) >= at.timestamp():
            return
        rows = list(self._rows(rules, today))
        with self._store.write() as connection:
            insert_new(connection, outbox, rows)
            self._cursors.write(connection, EVENING_LIST_SENT, at.timestamp())

    def _rows(self, rules: RuleEngine, today: date) -> Iterator[dict[str, Any]]:
        midnight = rules.calendar.local(rules.calendar.moment(today + timedelta(days=1), time()))
        for user_id, some in undone(self._store, midnight).items():
            user = next((one for one in rules.account.users if one.id == user_id), None)
            if user is not None and _is_recipient(rules, user, today):
                yield self._row(rules.config.account.url, user_id, in_words(some, today), today)

    def _row(self, account_url: str, user_id: int, text: str, today: date) -> dict[str, Any]:
        url = f"{account_url}/todo/list/"
        body = {"user_id": user_id, "text": text, "urgent": False, "about": "Задачи на сегодня", "url": url}
        effect = Effect("notify", NO_DEAL, body, text)
        return Planned(None, RULE, f"{RULE}|{user_id}|{today:%Y-%m-%d}", effect).row(
            self._store.account_id, self._clock.now()
        )


def _is_recipient(rules: RuleEngine, user: User, today: date) -> bool:
    """Is the user named by the config, at work today and reachable by a channel?"""
    section = rules.config.evening_list
    named = section is not None and (not section.to or any(same_name(user.name, name) for name in section.to))
    return (
        named
        and rules.people.is_at_work(user, today)
        and Reach(rules.config.channels, rules.account).is_reachable(user.id)
    )
