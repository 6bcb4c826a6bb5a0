"""The steps of schedules that have fallen due on a deal: what a schedule has begun, and may have to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from amo_bridge.card import DoneStep
from amo_bridge.crm.entities import DealRecord
from amo_bridge.engine.needs.source import Ways
from amo_bridge.engine.rows import chunks
from amo_bridge.engine.store import timers
from amo_bridge.engine.timers import FIRED
from amo_bridge.rules import Rule


@dataclass(frozen=True)
class OwnSteps:
    """Remembered by the bridge itself: amoCRM is not asked. Found are (rule's name, step), shown the rule's own."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[tuple[str, DoneStep]]]:
        if self.ways.store is None:
            return {}
        query = select(timers).where(timers.c.account == self.ways.key, timers.c.state == FIRED)
        found: dict[int, list[tuple[str, DoneStep]]] = {}
        with self.ways.store.read() as connection:
            for chunk in chunks([deal.id for deal in deals]):
                for row in connection.execute(query.where(timers.c.deal_id.in_(chunk)).order_by(timers.c.id)):
                    found.setdefault(row.deal_id, []).append((row.rule, DoneStep(row.step, row.anchor)))
        return found

    def shown(self, found: Sequence[tuple[str, DoneStep]], rule: Rule) -> tuple[DoneStep, ...]:
        return tuple(step for name, step in found if name == rule.name)
