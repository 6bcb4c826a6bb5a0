"""How the bridge reaches its account: the token, the budget, the client, and the account's names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from amo_bridge.clock import AccountClock
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.account_cache import AccountCache
from amo_bridge.crm.budget import StoreBudget
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.file_lock import file_lock
from amo_bridge.crm.json_store import JsonStore
from amo_bridge.crm.local_budget import LocalBudget
from amo_bridge.crm.oauth import OAuth
from amo_bridge.crm.token_store import FileTokenStore, cipher
from amo_bridge.crm.tokens import LongLivedToken, OAuthTokens, Tokens
from amo_bridge.engine.store import Store, budgets
from amo_bridge.errors import ConfigError, CrmTemporary

log = structlog.get_logger()
TOKEN = "AMO_BRIDGE_TOKEN"
CLIENT_ID, CLIENT_SECRET, REDIRECT_URI = "AMO_BRIDGE_CLIENT_ID", "AMO_BRIDGE_CLIENT_SECRET", "AMO_BRIDGE_REDIRECT_URI"
SMALL_STATE, KEY_FILE = "small-state.db", "bridge.key"
TOKEN_ADVICE = (
    f"Нет токена amoCRM. Создайте долгосрочный токен (docs/connect-account.md) и передайте его в {TOKEN} "
    f"или положите в файл, названный в {TOKEN}_FILE"
)


class Connection:
    """Everything that needs the token. Secrets come from the environment or ``*_FILE``, never from the config."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        store: Store | None = None,
        account_clock: AccountClock | None = None,
    ) -> None:
        self._config = config
        self._environment = environment
        self._store = store
        self._folder = config.data_folder
        self._tokens = tokens(config, environment)
        self._server_time = account_clock.heard if account_clock else None

    def client(self, account_key: int | None = None) -> CrmClient:
        """A client; with an account key its budget is shared by all processes that share the store."""
        rate = self._config.account.requests_per_second
        if self._store is None or account_key is None:
            return CrmClient(self._config.account.url, self._tokens, LocalBudget(rate), server_time=self._server_time)
        budget = StoreBudget(self._store.engine, budgets, account_key, rate)
        return CrmClient(self._config.account.url, self._tokens, budget, server_time=self._server_time)

    def account(self, *, refresh: bool = False) -> Account:
        """The account's names, read now; if amoCRM can't be asked just now, as they were known last."""
        cache = AccountCache(self._folder / SMALL_STATE, self._config.account.url, self.client())
        if refresh:
            return cache.refresh()
        try:
            return cache.refresh()
        except CrmTemporary as error:
            log.warning("the account's names are those of the last time", error=str(error))
            return cache.account

    def remembered(self, name: str, make: Callable[[], str]) -> str:
        """A secret of the bridge's own, made once and kept encrypted."""
        vault = _vault(self._folder, self._environment)
        kept = vault.read(name)
        if kept is None:
            kept = make()
            vault.write(name, kept)
        return str(kept)


def tokens(config: Config, environment: Mapping[str, str]) -> Tokens:
    """A long-lived token if there is one, else the OAuth pair that was connected. Raises ConfigError (Russian)."""
    if value := secret(environment, TOKEN):
        return LongLivedToken(value)
    client_id, client_secret = secret(environment, CLIENT_ID), secret(environment, CLIENT_SECRET)
    if client_id and client_secret:
        folder = config.data_folder
        oauth = OAuth(client_id, client_secret, environment.get(REDIRECT_URI, ""))
        lock = folder / "tokens.lock"
        store = FileTokenStore(folder / "tokens.db", environment)
        return OAuthTokens(store, oauth, config.account.url, lambda: file_lock(lock))
    raise ConfigError([TOKEN_ADVICE])


def secret(environment: Mapping[str, str], name: str) -> str:
    """A secret from the environment, or from the file that ``name``_FILE names; empty if there is neither."""
    if value := environment.get(name, "").strip():
        return value
    if not (path := environment.get(f"{name}_FILE", "").strip()):
        return ""
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}_FILE: файл {path} не читается: {error}"]) from error


def read_account(config: Config, environment: Mapping[str, str]) -> Account:
    """The account, asked now, leaving nothing behind. Raises CrmError, ConfigError."""
    return Account.read(CrmClient(config.account.url, tokens(config, environment), LocalBudget(), patience=5))


def known_timezone(config: Config, environment: Mapping[str, str]) -> str:
    """The account's time zone as known last, for commands that work without amoCRM."""
    kept = JsonStore(config.data_folder / SMALL_STATE, "accounts").read(config.account.url)
    return Account.from_json(kept["account"]).timezone if kept else "UTC"


def _vault(folder: Path, environment: Mapping[str, str]) -> JsonStore:
    key = cipher(folder / KEY_FILE, environment)
    return JsonStore(
        folder / SMALL_STATE,
        "secrets",
        encode=lambda value: key.encrypt(json.dumps(value).encode()).decode(),
        decode=lambda text: json.loads(key.decrypt(text)),
    )
