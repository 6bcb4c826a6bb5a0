"""What rules look at beside the deals of one round: read only where a rule looks, and for all such deals at once.

Rules are pure, so they can be asked beforehand on deals where nothing of this has been read: where one of them looks,
it stumbles over ``NotRead``, and the planner knows what to read (``expect``) before it asks in earnest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.data_sources import (
    CardTasks,
    ContactSteps,
    DealBloggers,
    DealCalls,
    DealContacts,
    DealFiles,
    DealNotes,
    DealTouches,
    OwnDeals,
    OwnSteps,
    OwnTasks,
    Source,
    SourceContext,
)
from amo_bridge.events import Event
from amo_bridge.rules.deal import DataNeed, Deal, Missing, NotLoaded
from amo_bridge.rules.handler import Rule

SOURCES: Mapping[DataNeed, Callable[[SourceContext], Source]] = {
    "own_tasks": OwnTasks,
    "own_deals": OwnDeals,
    "own_steps": OwnSteps,
    "contact_steps": ContactSteps,
    "open_tasks": lambda ways: CardTasks(ways, are_completed=False),
    "finished_tasks": lambda ways: CardTasks(ways, are_completed=True),
    "calls": DealCalls,
    "files": DealFiles,
    "contacts": DealContacts,
    "bloggers": DealBloggers,
    "notes": DealNotes,
    "touches": DealTouches,
}


class DataAccess(Protocol):
    """How the dispatcher shows a rule what lies around a deal."""

    def seen(self, rule: Rule, deal: Deal) -> Deal:
        """The deal with what has been read so far of what the rule needs; the rest is ``Unread``."""
        ...

    def read(self, rule: Rule, deal: Deal) -> Deal:
        """The deal with everything that the rule needs. Raises CrmError, StoreUnavailable."""
        ...


class DataLoader:
    """``records``: the deals of this round. Each need is read once; what was not expected is read by itself."""

    def __init__(self, ways: SourceContext, records: Mapping[int, DealRecord]) -> None:
        self._ways = ways
        self._records = records
        self._expected: dict[DataNeed, set[int]] = {}
        self._found: dict[DataNeed, dict[int, Sequence[Any]]] = {}

    def expect(self, needs: Iterable[DataNeed], deal_id: int) -> None:
        """Some rule is going to look there."""
        for need in needs:
            self._expected.setdefault(need, set()).add(deal_id)

    def seen(self, rule: Rule, deal: Deal) -> Deal:
        """See Looking."""
        if not rule.handler.needs:
            return deal
        shown: dict[str, Any] = {need: self._shown(need, rule, deal.id) for need in rule.handler.needs}
        return replace(deal, **shown)

    def read(self, rule: Rule, deal: Deal) -> Deal:
        """See Looking."""
        for need in sorted(rule.handler.needs):
            if deal.id not in self._found.get(need, {}):
                self._read(need, self._expected.pop(need, set()) | {deal.id})
        return self.seen(rule, deal)

    def _shown(self, need: DataNeed, rule: Rule, deal_id: int) -> tuple[Any, ...]:
        found = self._found.get(need, {})
        return SOURCES[need](self._ways).shown(found[deal_id], rule) if deal_id in found else Missing(need)

    def _read(self, need: DataNeed, deal_ids: Iterable[int]) -> None:
        found = self._found.setdefault(need, {})
        records = [self._records[number] for number in sorted(deal_ids) if number in self._records]
        told = SOURCES[need](self._ways).read([record for record in records if record.id not in found])
        found |= {record.id: told.get(record.id, ()) for record in records if record.id not in found}


def needs_of(asked: Iterable[tuple[Event, Rule]], deal: Deal) -> set[DataNeed]:
    """What rules are going to look at, found out by asking them beforehand where nothing has been read: only a rule
    that comes so far as to look costs a read."""
    needs: set[DataNeed] = set()
    for event, rule in asked:
        if rule.handler.needs <= needs:
            continue
        unread: dict[str, Any] = {need: Missing(need) for need in rule.handler.needs}
        try:
            rule.handler.judge(event, replace(deal, **unread), rule.options)
        except NotLoaded:
            needs |= rule.handler.needs
        except Exception:  # noqa: BLE001 - it is asked again in earnest, and its bug is told there
            continue
    return needs
