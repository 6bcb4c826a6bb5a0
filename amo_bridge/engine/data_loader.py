"""Data loader: reads what rules need besides the deal, only where a rule looks.

It is read for all such deals of a batch at once. Rules are pure, so they can be evaluated early on deals where nothing
of this is loaded: a rule that looks raises ``NotLoaded`` there, and the loader learns what to expect before the rules
are evaluated for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.ad_campaigns import DealCampaign
from amo_bridge.engine.client_sources import ContactTasks, OtherDeals, PeopleSteps, PersonDeals, PersonTasks
from amo_bridge.engine.data_sources import (
    CardTasks,
    ContactSteps,
    DealBloggers,
    DealCalls,
    DealContacts,
    DealFiles,
    DealNotes,
    DealTouches,
    OwnActs,
    OwnSteps,
    OwnTasks,
    Source,
    SourceContext,
)
from amo_bridge.engine.own_deals import OwnDeals
from amo_bridge.rules.deal import DataNeed, Deal, Missing
from amo_bridge.rules.handler import Rule

SOURCES: Mapping[DataNeed, Callable[[SourceContext], Source]] = {
    "own_tasks": OwnTasks,
    "own_deals": OwnDeals,
    "own_steps": OwnSteps,
    "own_acts": OwnActs,
    "contact_steps": ContactSteps,
    "people_steps": PeopleSteps,
    "open_tasks": lambda context: CardTasks(context, are_completed=False),
    "finished_tasks": lambda context: CardTasks(context, are_completed=True),
    "calls": DealCalls,
    "files": DealFiles,
    "contacts": DealContacts,
    "bloggers": DealBloggers,
    "notes": DealNotes,
    "touches": DealTouches,
    "other_deals": OtherDeals,
    "contact_tasks": ContactTasks,
    "person_deals": PersonDeals,
    "person_tasks": PersonTasks,
    "campaign": DealCampaign,
}


class DataLoader:
    """``records``: the deals of this batch. Each need is read once; what was not expected is read by itself."""

    def __init__(self, context: SourceContext, records: Mapping[int, DealRecord]) -> None:
        self._context = context
        self._records = records
        self._sources: dict[DataNeed, Source] = {}
        self._last_unread: tuple[Deal, dict[frozenset[DataNeed], Deal]] | None = None
        self._expected: dict[DataNeed, set[int]] = {}
        self._found: dict[DataNeed, dict[int, Sequence[Any]]] = {}

    def expect(self, needs: Iterable[DataNeed], deal_id: int) -> None:
        """Some rule is going to need this."""
        for need in needs:
            self._expected.setdefault(need, set()).add(deal_id)

    def expected(self, deal_id: int) -> set[DataNeed]:
        """What is going to be needed for this deal and is not loaded yet."""
        return {need for need, deal_ids in self._expected.items() if deal_id in deal_ids}

    def loaded(self, rule: Rule, deal: Deal) -> Deal:
        """The deal with what has been loaded so far of what the rule needs; the rest is ``Missing``."""
        if not rule.needs:
            return deal
        if not any(deal.id in self._found.get(need, ()) for need in rule.needs):
            return self._unread(rule.needs, deal)
        return deal.with_read({need: self._value(need, rule, deal.id) for need in rule.needs})

    def _unread(self, needs: frozenset[DataNeed], deal: Deal) -> Deal:
        """The deal, with nothing of this; the same object for all rules that need the same."""
        if self._last_unread is None or self._last_unread[0] is not deal:
            self._last_unread = (deal, {})
        views = self._last_unread[1]
        if needs not in views:
            views[needs] = deal.with_read({need: Missing(need) for need in needs})
        return views[needs]

    def load(self, rule: Rule, deal: Deal) -> Deal:
        """The deal with everything that the rule needs. Raises CrmError, StoreUnavailable."""
        for need in sorted(rule.needs):
            if deal.id not in self._found.get(need, {}):
                self._read(need, self._expected.pop(need, set()) | {deal.id})
        return self.loaded(rule, deal)

    def _value(self, need: DataNeed, rule: Rule, deal_id: int) -> tuple[Any, ...]:
        found = self._found.get(need, {})
        return self._source(need).for_rule(found[deal_id], rule) if deal_id in found else Missing(need)

    def _source(self, need: DataNeed) -> Source:
        if need not in self._sources:
            self._sources[need] = SOURCES[need](self._context)
        return self._sources[need]

    def _read(self, need: DataNeed, deal_ids: Iterable[int]) -> None:
        found = self._found.setdefault(need, {})
        records = [self._records[deal_id] for deal_id in sorted(deal_ids) if deal_id in self._records]
        new = [record for record in records if record.id not in found]
        rows = self._source(need).read(new)
        found |= {record.id: rows.get(record.id, ()) for record in new}
