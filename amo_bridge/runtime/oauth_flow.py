"""OAuth connection of an account: the one-time link, the state, the exchange of the code.

There are no users here yet. Whoever can run ``amo-bridge connect`` on the machine is the administrator: it prints a
link that works once. A link and a state live 20 minutes, as amoCRM's code does (amoCRM docs, oauth/step-by-step).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping

from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.crm.oauth import authorize_url, client_of, is_of_account, is_signed
from amo_bridge.crm.rate_limiter import RateLimiter, StoreRateLimiter
from amo_bridge.crm.tokens import OAuthTokens
from amo_bridge.errors import BridgeError, NotConnected
from amo_bridge.logs import log
from amo_bridge.runtime.connection import CLIENT_ID, CLIENT_SECRET, oauth_tokens, redirect_uri
from amo_bridge.storage.database import Store
from amo_bridge.storage.secrets import account_name, small_state
from amo_bridge.storage.tables import budgets

LIFE = 20 * 60
LINK, STATE = "connect_link", "connect_state"
NO_KEYS = f"Нет ключей интеграции: передайте {CLIENT_ID} и {CLIENT_SECRET} (или {CLIENT_SECRET}_FILE)"
NO_REDIRECT = "Не указан адрес перенаправления: задайте [bridge] public_url или AMO_BRIDGE_REDIRECT_URI"
DISCONNECTED = "Интеграция отключена в amoCRM: включите её и подключите аккаунт (amo-bridge connect)"


class NotNow(BridgeError):
    """This can't go on; the text (Russian) says why and what to do."""


class Connecting:
    """One account's way in and out. Everything raises StoreUnavailable, and ConfigError for a wrong key.

    ``store`` must be prepared. ``revived`` is called when the account has been connected."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        store: Store,
        *,
        revived: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._environment = environment
        self._state = small_state(config, environment)
        self._store = store
        self._revived = revived
        self._clock = clock
        self._client_id = secret(environment, CLIENT_ID)
        self._client_secret = secret(environment, CLIENT_SECRET)

    @property
    def account(self) -> str:
        """The account's host, for people."""
        return account_name(self._config)

    def new_link(self) -> str:
        """What opens the page for connecting, once. The link before it works no more. Raises NotNow."""
        self._needs_keys()
        return self._issue(LINK)

    def new_page(self) -> str:
        """amoCRM's page where an administrator lets us in. Raises NotNow."""
        self._needs_keys()
        return authorize_url(self._config.account.url, self._client_id, self._issue(STATE))

    def follow(self, link: str) -> str | None:
        """amoCRM's page for whoever has the link; None if the link is not ours, too old, or was used. Raises NotNow."""
        return self.new_page() if self._spend(LINK, link) else None

    def knows(self, state: str) -> bool:
        """Has this account given out the state, and is it still good? Spends it."""
        return self._spend(STATE, state)

    def come_back(self, told: Mapping[str, str]) -> None:
        """What amoCRM sends the browser back with, its state already checked. Raises NotNow, CrmError."""
        if told.get("error"):
            raise NotNow("В amoCRM нажали «Отказать»: доступ не дан")
        if told.get("client_id", self._client_id) != self._client_id:
            raise NotNow("Разрешение дано другой интеграции")
        if not is_of_account(told.get("referer", ""), self._config.account.url):
            raise NotNow(
                f"Разрешение дано в другом аккаунте ({told.get('referer') or 'не назван'}), а мост настроен на "
                f"{self.account}: войдите в amoCRM под ним"
            )
        if not told.get("code"):
            raise NotNow("amoCRM не передала код")
        self.exchange(told["code"])

    def exchange(self, code: str) -> None:
        """The code becomes the first token pair, and whatever had stopped for want of one goes on. Raises CrmError."""
        self._needs_keys()
        self._tokens().exchange_code(code.strip())
        self._rate_limiter().resume()
        self._revived()

    def disconnect(self, told: Mapping[str, str], amo_id: int) -> bool:
        """amoCRM says that the integration was switched off; False if that is not amoCRM, or not about us.

        All processes of the account stop at once, by the circuit breaker, and none uses the tokens again.
        """
        if not (self._client_id and self._client_secret and is_signed(told, self._client_secret)):
            return False
        if client_of(told) != self._client_id or told.get("account_id") != str(amo_id):
            return False
        self._tokens().revoke()
        self._rate_limiter().stop(NotConnected(DISCONNECTED))
        log.critical("disconnected in amoCRM", account=self.account)
        return True

    def _needs_keys(self) -> None:
        if not (self._client_id and self._client_secret):
            raise NotNow(NO_KEYS)
        if not redirect_uri(self._config, self._environment):
            raise NotNow(NO_REDIRECT)

    def _tokens(self) -> OAuthTokens:
        return oauth_tokens(self._config, self._environment, self._state)

    def _rate_limiter(self) -> RateLimiter:
        return StoreRateLimiter(self._store.engine, budgets, self._config.account.url)

    def _issue(self, what: str) -> str:
        value = secrets.token_urlsafe(32)
        self._state.secrets.write(self._slot(what), {"digest": _digest(value), "until": self._clock() + LIFE})
        return value

    def _spend(self, what: str, value: str) -> bool:
        """Only the right one is taken away: a guess must not spoil it for whoever has it."""
        slot = self._slot(what)
        if not self._fits(self._state.secrets.read(slot), value):
            return False
        return self._fits(self._state.secrets.take(slot), value)

    def _fits(self, kept: object, value: str) -> bool:
        if not isinstance(kept, dict) or kept["until"] < self._clock():
            return False
        return hmac.compare_digest(str(kept["digest"]), _digest(value))

    def _slot(self, what: str) -> str:
        return f"{what} {self.account}"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
