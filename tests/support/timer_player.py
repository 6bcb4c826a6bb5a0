"""A store, a mirror and timers, with a clock that a test turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from amo_bridge.clock import FixedClock
from amo_bridge.engine.scheduler import Scheduler
from amo_bridge.engine.timers import Timers
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Step, Times
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, timers
from support.fakes import (
    ACCOUNT,
    BRIEF,
    NOON,
    at,
    clock,
    record,
    scheduled,
    timetable_of,
)

DAYS = (1, 3)


def ladder(deal: Deal, options: Any, times: Times) -> Iterator[Step]:
    """One day and three days after the deal came onto «Бриф получен», counted from the moment the rule began."""
    if deal.is_on([BRIEF]) and deal.stage_since and deal.stage_since >= times.since:
        for days in DAYS:
            moment = deal.stage_since + timedelta(days=days)
            anchor = str(int(deal.stage_since.timestamp()))
            yield Step(name=f"{days} d", anchor=anchor, due=moment, since=deal.stage_since)


class Clockmaker:
    """A store, a mirror, the timers, and a clock to turn."""

    def __init__(self, store: Store, hands: FixedClock | None = None, *rules: Any) -> None:
        self.store = store
        self.hands = hands or clock()
        self.mirror = Mirror(AccountStore(store, ACCOUNT))
        self.starts(*(rules or (scheduled(ladder),)))

    def starts(self, *rules: Any) -> None:
        """The bridge is started, or started again, with these rules."""
        self.timetable = timetable_of(*rules, hands=self.hands)
        self.clockwork = Scheduler(AccountStore(self.store, ACCOUNT), self.hands, clock())
        self.clockwork.begin(self.timetable)

    def sees(self, *copies: MirroredDeal) -> None:
        with self.store.write() as connection:
            self.mirror.put(connection, copies, NOON)
            Timers(ACCOUNT).follow(connection, self.timetable, copies)

    def ticks(self) -> None:
        self.clockwork.tick(self.ticks)

    def timers(self) -> list[tuple[int, str, str]]:
        query = select(timers).order_by(timers.c.deal_id, timers.c.anchor, timers.c.due_at)
        with self.store.read() as connection:
            return [(row.deal_id, row.step, row.state) for row in connection.execute(query)]

    def fired(self) -> list[tuple[int, str, datetime]]:
        """The events that the rules will hear: deal, step, for when it was planned."""
        with self.store.read() as connection:
            told = [
                json.loads(body) for body in connection.execute(select(events.c.body).order_by(events.c.id)).scalars()
            ]
        return [(one["deal_id"], one["step"], datetime.fromisoformat(one["at"])) for one in told]


def on(stage: str, deal_id: int = 7, since: float = 0, **facts: Any) -> MirroredDeal:
    return MirroredDeal(record(stage, deal_id, **facts), at(since))
