"""What the work for an account stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from amo_bridge.clock import AccountClock, Clock
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.engine.connection import Connection
from amo_bridge.engine.metrics import AccountMeters
from amo_bridge.storage.database import Store


@dataclass
class Desk:
    """All that the work needs. ``destination``: where amoCRM is to send its hooks, if that is known. ``under``: the
    path of this account's pages among several, «/accounts/NAME»."""

    config: Config
    store: Store
    account_key: int
    connection: Connection
    account: Account
    clock: Clock
    account_clock: AccountClock
    settle: float
    destination: str | None
    meters: AccountMeters
    environment: Mapping[str, str] = field(default_factory=dict)
    under: str = ""
