"""Connection of the bridge with its account: token, rate limiter, client, the account's names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from amo_bridge.clock import AccountClock
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.account_cache import AccountCache
from amo_bridge.crm.client import CrmClient, Shutdown
from amo_bridge.crm.oauth import OAuth
from amo_bridge.crm.rate_limiter import LocalRateLimiter, RateLimiter, StoreRateLimiter
from amo_bridge.crm.tokens import KEY_FILE_VARIABLE, KEY_VARIABLE, LongLivedToken, OAuthTokens, Tokens
from amo_bridge.engine.metrics import AccountMetrics, MeteredRateLimiter, MeteredSession
from amo_bridge.errors import ConfigError, CrmForbidden, CrmStopped, CrmTemporary, NotConnected, StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.storage.database import Store
from amo_bridge.storage.secrets import KeptSecrets, SecretStore, account_name, small_state
from amo_bridge.storage.tables import budgets

TOKEN = "AMO_BRIDGE_TOKEN"
CLIENT_ID, CLIENT_SECRET, REDIRECT_URI = "AMO_BRIDGE_CLIENT_ID", "AMO_BRIDGE_CLIENT_SECRET", "AMO_BRIDGE_REDIRECT_URI"
HOOK_SECRET = "hook_secret"
SECRET_VARIABLES = {HOOK_SECRET: "AMO_BRIDGE_HOOK_SECRET"}
CALLBACK = "/connect/callback"
TOKEN_ADVICE = (
    f"Нет токена amoCRM. Создайте долгосрочный токен (docs/connect-account.md) и передайте его в {TOKEN}, "
    f"положите в файл, названный в {TOKEN}_FILE, или введите в amo-bridge init"
)


class Connection:
    """Everything that needs the token. Secrets come from the environment or ``*_FILE``, never from the config."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        store: Store | None = None,
        account_clock: AccountClock | None = None,
        *,
        meters: AccountMetrics | None = None,
        closing: Shutdown | None = None,
    ) -> None:
        self._config = config
        self._environment = environment
        self._store = store
        self._state = small_state(config, environment)
        self._tokens = tokens(config, environment, self._state)
        self._server_time = account_clock.heard if account_clock else None
        self._meters = meters
        self._closing = closing or Shutdown(threading.Event())
        self.silence: CrmTemporary | CrmStopped | None = None

    def client(self, *, before_send: Callable[[], None] | None = None) -> CrmClient:
        """A client; with a store its budget is shared by all that use the store."""
        rate = self._config.account.requests_per_second
        nap = self._closing.sleep
        budget: RateLimiter = LocalRateLimiter(rate, sleep=nap)
        if self._store is not None:
            # By address: the account is asked for its names before its number in the store is known.
            budget = StoreRateLimiter(self._store.engine, budgets, self._config.account.url, rate, sleep=nap)
        return CrmClient(
            self._config.account.url,
            self._tokens,
            MeteredRateLimiter(budget, self._meters) if self._meters else budget,
            session=MeteredSession(self._meters) if self._meters else None,
            before_send=self._closing.before(before_send),
            server_time=self._server_time,
            sleep=nap,
        )

    @property
    def token_ends_at(self) -> float | None:
        """When access ends unless somebody does something (Unix seconds), as far as that is known."""
        try:
            return self._tokens.expires_at
        except (NotConnected, StoreUnavailable):
            return None

    def account(self, *, refresh: bool = False) -> Account:
        """The account's names, read now; if amoCRM can't be asked just now, or has stopped us, as they were known last.
        ``silence`` then says why: hooks are taken in and people are told all the same."""
        cache = AccountCache(self._state.accounts, self._config.account.url, self.client())
        self.silence = None
        try:
            return cache.refresh()
        except CrmForbidden:
            # A token without rights has to be seen to before anything begins.
            raise
        except (CrmTemporary, CrmStopped) as error:
            if refresh:
                raise
            log.warning("the account's names are those of the last time", error=str(error))
            account = cache.account
            self.silence = error
            return account

    def remembered(self, name: str, make: Callable[[], str]) -> str:
        """A secret of the bridge's own: the environment's, else made once and kept encrypted."""
        if given := self._environment.get(SECRET_VARIABLES[name], "").strip():
            return given
        vault, key = self._state.secrets, _secret_key(self._config, name)
        with self._state.lock("secrets"):
            kept = vault.read(key)
            if kept is None:
                kept = make()
                vault.write(key, kept)
        return str(kept)


def tokens(config: Config, environment: Mapping[str, str], state: SecretStore | None = None) -> Tokens:
    """A long-lived token if there is one, else the OAuth pair that was connected. What ``amo-bridge init`` or the first
    pages have kept counts below the environment. Raises ConfigError (Russian)."""
    environment = with_kept(config, environment)
    if value := secret(environment, TOKEN):
        return LongLivedToken(value)
    client_id, client_secret = secret(environment, CLIENT_ID), secret(environment, CLIENT_SECRET)
    if client_id and client_secret:
        return oauth_tokens(config, environment, state or small_state(config, environment))
    raise ConfigError([TOKEN_ADVICE])


def with_kept(config: Config, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the secrets that were typed in. A folder that is not there yet is not made for them."""
    is_in_files = not config.bridge.database.startswith("postgresql")
    if isinstance(environment, KeptSecrets) or (is_in_files and not config.data_folder.is_dir()):
        return environment
    if not is_in_files and not any(environment.get(name, "").strip() for name in (KEY_VARIABLE, KEY_FILE_VARIABLE)):
        # Without the key there is nothing to read them by; whoever needs the database is told so there.
        return environment
    return KeptSecrets(config, environment)


def oauth_tokens(config: Config, environment: Mapping[str, str], state: SecretStore) -> OAuthTokens:
    """The account's OAuth pair, connected or not yet."""
    oauth = OAuth(secret(environment, CLIENT_ID), secret(environment, CLIENT_SECRET), redirect_uri(config, environment))
    name = account_name(config)
    return OAuthTokens(state.tokens, oauth, config.account.url, lambda: state.lock(f"tokens-{name}"), name=name)


def redirect_uri(config: Config, environment: Mapping[str, str]) -> str:
    """Where amoCRM sends the browser back to: must be in the integration's settings letter by letter."""
    given = environment.get(REDIRECT_URI, "").strip()
    return given or (f"{config.bridge.public_url}{CALLBACK}" if config.bridge.public_url else "")


def account_client(config: Config, environment: Mapping[str, str]) -> CrmClient:
    """A client for a command that somebody waits for: it leaves nothing behind. Raises ConfigError."""
    budget = LocalRateLimiter(config.account.requests_per_second)
    return CrmClient(config.account.url, tokens(config, environment), budget, max_retry_wait=5)


def read_account(config: Config, environment: Mapping[str, str]) -> Account:
    """The account, asked now. Raises CrmError, ConfigError."""
    return Account.read(account_client(config, environment))


def known_secret(config: Config, environment: Mapping[str, str], name: str = HOOK_SECRET) -> str | None:
    """A secret that the worker has made, for processes that have no token; None if there is none yet."""
    if given := environment.get(SECRET_VARIABLES[name], "").strip():
        return given
    kept = small_state(config, environment).secrets.read(_secret_key(config, name))
    return None if kept is None else str(kept)


def _secret_key(config: Config, name: str) -> str:
    return f"{name} {account_name(config)}"
