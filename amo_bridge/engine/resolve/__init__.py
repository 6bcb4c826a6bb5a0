"""Actions → effects: stage names, roles, due phrases and field names become amoCRM's ids and Unix seconds.

Each group of actions has its file here; ``Resolver`` knows which action is whose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.due import Due
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.people import People
from amo_bridge.engine.resolve.deals import DealWays
from amo_bridge.engine.resolve.new_deals import NewDealWays
from amo_bridge.engine.resolve.outside import OutsideWays
from amo_bridge.engine.resolve.tasks import TaskWays
from amo_bridge.engine.resolve.terms import Terms, Way
from amo_bridge.rules.actions import Action, Person
from amo_bridge.rules.deal import Deal


def nobody_is_told(user_id: int) -> bool:
    """No way to tell people is connected."""
    return False


class Resolver:
    """``can_be_told``: is there a way to tell this user something?

    Raises UnknownName (a name the account lost since the start) or ValueError (a due phrase over an empty field)."""

    def __init__(
        self,
        account: Account,
        people: People,
        calendar: WorkCalendar,
        can_be_told: Callable[[int], bool] = nobody_is_told,
    ) -> None:
        terms = Terms(account, people, calendar)
        self._tasks = TaskWays(terms)
        self._outside = outside = OutsideWays(terms, can_be_told)
        self._ways: Mapping[type[Action], Way] = {
            **self._tasks.ways,
            **DealWays(terms, self._tasks.for_mover, outside.tell_if_possible).ways,
            **NewDealWays(terms, self.effects).ways,
            **outside.ways,
        }

    def effects(self, action: Action, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """What has to be sent; empty when all is so already. ``at``: when the cause happened (amoCRM's clock)."""
        return self._ways[type(action)](action, deal, record, at)

    def free_task(self, text: str, to: Person, due: Due, record: DealRecord, at: datetime) -> dict[str, Any]:
        """A task on nobody's card: amoCRM's object for it."""
        return self._tasks.free(text, to, due, record, at)

    def free_notice(
        self, text: str, to: Iterable[Person], about: str, record: DealRecord, at: datetime
    ) -> list[dict[str, Any]]:
        """A notice about no deal: a body for the port, for each person."""
        return self._outside.free_notice(text, to, about, record, at)
