"""What a rule by the clock would do about the deals that were there before it: shown before anybody decides.

Everything comes from the store: the mirror tells where the deals are, and since when. amoCRM is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import select

from amo_bridge.engine.brain import Brain
from amo_bridge.engine.mirror import IndexedContact, Mirror, Mirrored
from amo_bridge.engine.store import Store, schedules
from amo_bridge.engine.timers import main_contacts
from amo_bridge.engine.timetable import Timetable
from amo_bridge.rules import Rule

CHUNK = 500


@dataclass(frozen=True)
class Planned:
    """A step that the rule would do; ``at_once``: its time has come already."""

    step: str
    due: datetime
    at_once: bool


@dataclass(frozen=True)
class ExistingDeal:
    """A deal about which the choice matters. ``choices``: «skip», «from now», «catch up» → what would be done."""

    deal_id: int
    name: str
    stage: str
    since: datetime
    choices: Mapping[str, tuple[Planned, ...]]

    def to_json(self) -> dict[str, Any]:
        told = {
            choice: [{"step": one.step, "due": one.due.isoformat(), "at_once": one.at_once} for one in steps]
            for choice, steps in self.choices.items()
        }
        return {"deal_id": self.deal_id, "name": self.name, "stage": self.stage, "since": self.since.isoformat()} | {
            "choices": told
        }


def choices_of(rule: Rule) -> tuple[str, ...]:
    """What the rule's ``existing`` may be; empty for a rule that has no such option."""
    option = type(rule.options).model_fields.get("existing")
    return tuple(get_args(option.annotation)) if option else ()


class ExistingDeals:
    def __init__(self, store: Store, account_key: int, brain: Brain, now: datetime) -> None:
        self._store = store
        self._key = account_key
        self._brain = brain
        self._now = now
        self._mirror = Mirror(store, account_key)

    def of(self, rule: Rule) -> Iterator[ExistingDeal]:
        """The deals that are treated differently by different choices, in the order of their ids."""
        since = self.begun(rule)
        tables = {choice: self._table(rule, choice) for choice in choices_of(rule)}
        last = 0
        while True:
            with self._store.read() as connection:
                copies = self._mirror.next_after(connection, last, CHUNK)
                people = main_contacts(connection, self._key, copies)
            if not copies:
                return
            last = copies[-1].record.id
            yield from self._differing(
                copies, {choice: self._plan(table, rule, copies, people, since) for choice, table in tables.items()}
            )

    def begun(self, rule: Rule) -> datetime:
        """When the rule was first switched on; now, if it never was."""
        mine = (schedules.c.account == self._key, schedules.c.rule == rule.name)
        with self._store.read() as connection:
            found = connection.execute(select(schedules.c.since).where(*mine)).scalar()
        return self._now if found is None else datetime.fromtimestamp(found, self._now.tzinfo)

    def _table(self, rule: Rule, choice: str) -> Timetable:
        chosen = replace(rule, enabled=True, options=rule.options.model_copy(update={"existing": choice}))
        return self._brain.timetable.with_rules([chosen])

    def _plan(
        self,
        table: Timetable,
        rule: Rule,
        copies: Iterable[Mirrored],
        people: Mapping[int, IndexedContact],
        since: datetime,
    ) -> dict[int, tuple[Planned, ...]]:
        steps: dict[int, list[Planned]] = {}
        for key, moments in table.wanted(copies, {rule.name: since}, people).steps.items():
            due = datetime.fromtimestamp(moments.due_at, self._now.tzinfo)
            steps.setdefault(key.deal_id, []).append(Planned(key.step, due, due <= self._now))
        return {deal_id: tuple(sorted(found, key=lambda one: one.due)) for deal_id, found in steps.items()}

    def _differing(
        self, copies: Iterable[Mirrored], plans: Mapping[str, Mapping[int, tuple[Planned, ...]]]
    ) -> Iterator[ExistingDeal]:
        for copy in copies:
            choices = {choice: plan.get(copy.record.id, ()) for choice, plan in plans.items()}
            if len(set(choices.values())) > 1:
                stage = self._brain.account.stage_of(*copy.stage).title
                yield ExistingDeal(copy.record.id, copy.record.name, stage, copy.stage_since, choices)
