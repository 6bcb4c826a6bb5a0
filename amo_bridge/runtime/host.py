"""Host of several accounts: one process and port; the secret in a webhook's path names the account."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Protocol
from urllib.parse import quote

from amo_bridge.config.files import AccountConfig
from amo_bridge.config.model import Config
from amo_bridge.engine.metrics import Metrics
from amo_bridge.errors import StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.retry import SETTLE
from amo_bridge.runtime.account import AccountRuntime, Role
from amo_bridge.runtime.oauth_flow import Connecting
from amo_bridge.runtime.shared import SharedResources
from amo_bridge.runtime.startup import ACCOUNTS


class Application(Protocol):
    """What runs in a process, one account or several, as its web side sees it. Safe for several threads."""

    @property
    def is_opening(self) -> bool:
        """Are there accounts that take no webhooks yet? Then an unknown secret may be theirs."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def process_metrics(self) -> Metrics: ...

    def receiver(self, secret: str) -> AccountRuntime | None:
        """The account whose webhooks come by this secret."""

    def connections(self) -> list[Connecting]:
        """The accounts that can be connected. Raises StoreUnavailable while none can be."""

    def health(self) -> dict[str, Any]:
        """For anybody who asks: no secrets."""

    def observed(self) -> list[AccountRuntime]:
        """The accounts that have metrics."""

    def by_name(self) -> dict[str, AccountRuntime]:
        """The accounts that have pages, by their configs' names."""

    def broken(self) -> dict[str, list[str]]:
        """Accounts whose config can't be used: name → what is wrong (Russian)."""


class Host:
    """See Application. An account whose config is broken stays out, and is told of."""

    def __init__(
        self, accounts: Sequence[AccountConfig], own_url: str, *, role: Role = "all", settle: float = SETTLE
    ) -> None:
        self._broken = {one.name: list(one.problems) for one in accounts if (one.config or one.essentials) is None}
        self._resources: dict[tuple[str, Path], SharedResources] = {}
        self.process_metrics = Metrics()
        self.bridges: dict[str, AccountRuntime] = {}
        for one in accounts:
            if config := one.config or one.essentials:
                resources = self._resources_of(config)
                self.bridges[one.name] = AccountRuntime(
                    config,
                    one.environment,
                    own_url,
                    role=role,
                    resources=resources,
                    settle=settle,
                    meters=self.process_metrics,
                    under=f"{ACCOUNTS}{quote(one.name)}",
                    mistakes=one.problems if one.config is None else (),
                )

    def start(self) -> None:
        for name, problems in self._broken.items():
            log.error("config is broken, the account stays out", config=name, problems=problems)
        for bridge in self.bridges.values():
            bridge.start()

    def wait_receiving(self, timeout: float) -> None:
        """See AccountRuntime; of one account after the other."""
        until = monotonic() + timeout
        for bridge in self.bridges.values():
            bridge.wait_receiving(max(0.0, until - monotonic()))

    def stop(self) -> None:
        """Stop all of them, then close what they share."""
        for bridge in self.bridges.values():
            bridge.begin_to_stop()
        for bridge in self.bridges.values():
            bridge.stop()
        for resources in self._resources.values():
            resources.close()

    # --- what the web side sees ---

    @property
    def is_opening(self) -> bool:
        """Hooks of a broken account are told to come again: perhaps somebody mends it meanwhile."""
        return bool(self._broken) or any(bridge.is_opening for bridge in self.bridges.values())

    def receiver(self, secret: str) -> AccountRuntime | None:
        # All are asked, whoever answers first: how long it takes must not tell how many there are before.
        receivers = [bridge.receiver(secret) for bridge in self.bridges.values()]
        return next((receiver for receiver in receivers if receiver is not None), None)

    def connections(self) -> list[Connecting]:
        """Those that can be connected already. Raises StoreUnavailable when none can."""
        connections = []
        for bridge in self.bridges.values():
            try:
                connections += bridge.connections()
            except StoreUnavailable:
                # It is still starting; the others need not wait for it.
                continue
        if not connections:
            raise StoreUnavailable("мост запускается")
        return connections

    def observed(self) -> list[AccountRuntime]:
        """Whom /metrics tells of: every account."""
        return list(self.bridges.values())

    def by_name(self) -> dict[str, AccountRuntime]:
        """The accounts that have pages, by their configs' names."""
        return dict(self.bridges)

    def broken(self) -> dict[str, list[str]]:
        """Accounts whose config can't be used: name → what is wrong."""
        return dict(self._broken)

    @property
    def is_ready(self) -> bool:
        """Does any account work? One that does not must not take the others' hooks away."""
        return any(bridge.is_ready for bridge in self.bridges.values())

    def health(self) -> dict[str, Any]:
        accounts: dict[str, Any] = {name: bridge.health() for name, bridge in self.bridges.items()}
        accounts |= {name: {"status": "config is broken", "problems": words} for name, words in self._broken.items()}
        well = all(bridge.is_ready for bridge in self.bridges.values()) and not self._broken
        return {"status": "ready" if well else "not all accounts work", "accounts": accounts}

    def _resources_of(self, config: Config) -> SharedResources:
        place = (config.bridge.database, config.data_folder)
        if place not in self._resources:
            self._resources[place] = SharedResources.of(config)
        return self._resources[place]
