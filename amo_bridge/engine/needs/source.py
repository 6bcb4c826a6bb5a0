"""What all sources of needs have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import DealRecord
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.service_lines import ServicesSection
from amo_bridge.storage.database import Store


@dataclass(frozen=True)
class Ways:
    """The ways to find out. ``key`` is the account's in the ``store``; without a store (a saved hook is judged again)
    nothing is known of what the bridge did before. ``services``: how the account keeps service lines, if it does."""

    client: CrmClient
    account: Account
    store: Store | None = None
    key: int = 0
    services: ServicesSection | None = None


class Source(Protocol):
    """One kind of thing that lies around deals."""

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Any]]:
        """Deal id → what was found; deals with nothing may be left out. Raises CrmError, StoreUnavailable."""
        ...

    def shown(self, found: Sequence[Any], rule: Rule) -> tuple[Any, ...]:
        """What was found, as this rule is to see it."""
        ...
