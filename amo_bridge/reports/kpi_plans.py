"""Plans of one day that the head has agreed with a person: they go before the plan of the config (S1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import delete, insert, select

from amo_bridge.config.model import KpiPlan
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import kpi_plans

MEASURES: tuple[str, ...] = tuple(KpiPlan.model_fields)
LARGEST = 1_000_000_000
Agreed = Mapping[date, Mapping[int, Mapping[str, int]]]
"""Day → person's id → measure → what is expected. 0: nothing is, though the config's plan says so."""


class KpiPlans:
    """One account's. All methods raise StoreUnavailable."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def of(self, first: date, last: date) -> Agreed:
        days = kpi_plans.c.day.between(first.isoformat(), last.isoformat())
        told: dict[date, dict[int, dict[str, int]]] = {}
        with self._store.read() as connection:
            for row in connection.execute(select(kpi_plans).where(self._store.owns(kpi_plans), days)):
                own = told.setdefault(date.fromisoformat(row.day), {}).setdefault(row.user_id, {})
                own[row.measure] = row.expected
        return told

    def agree(self, day: date, person: int, plan: Mapping[str, int], who: str, now: datetime) -> None:
        """Instead of what was agreed for this day before; an empty ``plan`` leaves the config's."""
        mine = (self._store.owns(kpi_plans), kpi_plans.c.day == day.isoformat(), kpi_plans.c.user_id == person)
        place = {"account": self._store.account_id, "day": day.isoformat(), "user_id": person}
        made = {"who": who, "at": now.timestamp()}
        with self._store.write() as connection:
            connection.execute(delete(kpi_plans).where(*mine))
            if plan:
                rows = [{**place, **made, "measure": name, "expected": one} for name, one in plan.items()]
                connection.execute(insert(kpi_plans), rows)


def expected(
    person: int, days: Sequence[date], working: Sequence[date], usual: Mapping[str, int | None], agreed: Agreed
) -> dict[str, int | None]:
    """Measure → what is expected of the person in all these days together; None: nothing is. ``working``: those of
    them for which the usual plan holds; what was agreed holds on a day off too."""
    told: dict[str, int | None] = {}
    for name, one in usual.items():
        own = {day: plans[person][name] for day, plans in agreed.items() if name in plans.get(person, {})}
        total = sum(own.get(day, (one or 0) if day in working else 0) for day in days)
        told[name] = total or None
    return told
