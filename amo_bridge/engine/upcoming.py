"""The steps that are due next, as the store knows them: amoCRM is not asked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, literal_column, select

from amo_bridge.clock import Clock
from amo_bridge.engine.timers import OPEN
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.accounts import CLOCK_AHEAD, Cursors
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import deals, timers

# How many seconds amoCRM's clock is ahead of the machine's, as the worker heard it last.
MOST = 10_000
EVER = timedelta(days=36_500)


@dataclass(frozen=True)
class Coming:
    """A step that stands ready. ``due``: when (UTC); it may have passed, if the worker has not looked since."""

    due: datetime
    rule: str
    clause: str
    step: str
    deal_id: int
    deal_name: str
    says: str

    def to_json(self) -> dict[str, Any]:
        return {
            "due": self.due.isoformat(),
            "rule": self.rule,
            "clause": self.clause,
            "step": self.step,
            "deal_id": self.deal_id,
            "deal_name": self.deal_name,
            "says": self.says,
        }


class Upcoming:
    """``rules``: the config's, for their words."""

    def __init__(self, store: Store, account_key: int, rules: Iterable[Rule], clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._rules = {rule.name: rule for rule in rules}
        self._clock = clock
        self._cursors = Cursors(store, account_key)

    def now(self) -> datetime:
        """By amoCRM's clock."""
        return self._clock.now() + timedelta(seconds=self._cursors.read(CLOCK_AHEAD) or 0.0)

    def nearest(self, *, rule: str | None = None) -> Coming | None:
        """The step that is due first, however far it is."""
        return next(iter(self.within(EVER, rule=rule, most=1)), None)

    def within(
        self, span: timedelta, *, rule: str | None = None, deal_id: int | None = None, most: int = MOST
    ) -> list[Coming]:
        """What is due from now until then, and what is overdue; the nearest first, ``most`` at most."""
        until = (self.now() + span).timestamp()
        wanted = [timers.c.state == literal_column(f"'{OPEN}'"), timers.c.due_at <= until]
        if rule is not None:
            wanted.append(timers.c.rule == rule)
        if deal_id is not None:
            wanted.append(timers.c.deal_id == deal_id)
        known = and_(deals.c.account == timers.c.account, deals.c.deal_id == timers.c.deal_id)
        query = (
            select(timers, deals.c.record)
            .join_from(timers, deals, known)
            .where(timers.c.account == self._key, *wanted)
            .order_by(timers.c.due_at, timers.c.id)
            .limit(most)
        )
        with self._store.read() as connection:
            return [self._coming(row) for row in connection.execute(query)]

    def _coming(self, row: Row[Any]) -> Coming:
        rule = self._rules.get(row.rule)
        return Coming(
            due=datetime.fromtimestamp(row.due_at, UTC),
            rule=row.rule,
            clause=rule.clause if rule else "",
            step=row.step,
            deal_id=row.deal_id,
            deal_name=json.loads(row.record)["name"],
            says=rule.words if rule else "",
        )
