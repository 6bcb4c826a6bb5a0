"""Connection with amoCRM for pages and API: its state, and how it is begun anew."""

from __future__ import annotations

from amo_bridge.config.loader import secret
from amo_bridge.crm.account import Account
from amo_bridge.engine import alerts
from amo_bridge.engine.metrics import HealthSnapshot
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.runtime.connection import CLIENT_ID, TOKEN, redirect_uri
from amo_bridge.web.accounts import AccountView, NotMet
from amo_bridge.web.context import audit


@dataclass(frozen=True)
class ConnectionView:
    """``known`` and ``health``: None before the bridge has met the account. ``ends_at``: when the token dies (Unix
    seconds), if that is known; ``warning`` tells of it in good time (Russian)."""

    here: AccountView
    known: Account | None
    health: HealthSnapshot | None
    is_long_lived: bool
    has_keys: bool
    redirect_uri: str
    ends_at: float | None
    warning: str

    @classmethod
    def of(cls, here: AccountView) -> ConnectionView:
        environment = here.bridge.environment
        ends_at = here.bridge.token_ends_at
        try:
            health = here.health_snapshot()
        except NotMet:
            health = None
        return cls(
            here=here,
            known=here.crm_account,
            health=health,
            is_long_lived=bool(secret(environment, TOKEN)),
            has_keys=bool(secret(environment, CLIENT_ID)),
            redirect_uri=redirect_uri(here.config, environment),
            ends_at=ends_at,
            warning=alerts.warning(ends_at, here.clock.now()),
        )

    @property
    def trouble(self) -> str:
        """What holds the requests up (Russian)."""
        return self.here.bridge.trouble or (self.health.stopped if self.health else "")


def begin(here: AccountView) -> str:
    """amoCRM's own page, where an administrator of the account lets us in. Raises BridgeError, ConfigError."""
    page = here.bridge.connections()[0].new_page()
    audit("connect.begin", "Начато подключение аккаунта")
    return page
