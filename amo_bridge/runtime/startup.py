"""What the work for an account stands on."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from amo_bridge.clock import AccountClock, Clock
from amo_bridge.config.account_check import unknown_names
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.engine.metrics import AccountMetrics
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.runtime.connection import HOOK_SECRET, Connection, Shutdown, known_account, known_secret
from amo_bridge.storage.accounts import key_of, known_key
from amo_bridge.storage.database import Store


@dataclass
class AccountContext:
    """All that the work needs. ``destination``: where amoCRM is to send its hooks, if that is known. ``under``: the
    path of this account's pages among several, «/accounts/NAME»."""

    config: Config
    store: Store
    account_id: int
    connection: Connection
    account: Account
    clock: Clock
    account_clock: AccountClock
    settle: float
    destination: str | None
    meters: AccountMetrics
    environment: Mapping[str, str] = field(default_factory=dict)
    under: str = ""


# Where amoCRM is to send its hooks.

log = structlog.get_logger()
ACCOUNTS = "/accounts/"
"""Under it each of several accounts has its pages."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def pages_of(destination: str | None, under: str = "") -> str:
    """Where the bridge's pages are: they are served where hooks are taken in, ``under`` which path («/accounts/NAME»)
    if there are several accounts. Empty if that is not known."""
    return destination.partition("/hooks/amocrm/")[0] + under if destination else ""


def destination(config: Config, own_url: str | None, secret: str) -> str | None:
    """The hook's full address; None if nobody said how amoCRM reaches us.

    ``own_url`` is where this process listens, if it does: a local amoCRM reaches us there, the real one needs the
    public address.
    """
    is_local = urlsplit(config.account.url).hostname in LOOPBACK
    base = config.bridge.public_url or (own_url if is_local else None)
    if base is None:
        log.warning("no public_url: amoCRM is not told where to send its hooks")
        return None
    return f"{base}/hooks/amocrm/{secret}"


# Meeting an account: what has to be known before its hooks can be taken in, and who it is learnt from.

NOT_MET = "аккаунт ещё не подключал ни один рабочий процесс (amo-bridge serve --role worker)"


@dataclass(frozen=True)
class KnownAccount:
    """``secret``: of the webhook's path. ``context``: only in a process that may work for the account."""

    account_id: int
    secret: str
    context: AccountContext | None = None


def by_what_a_worker_left(config: Config, environment: Mapping[str, str], store: Store) -> KnownAccount:
    """Without a token and without amoCRM. Raises StoreUnavailable while no worker has met the account."""
    key = known_key(store, config.account.url)
    secret = known_secret(config, environment)
    if key is None or secret is None:
        raise StoreUnavailable(NOT_MET)
    return KnownAccount(key, secret)


def by_asking(
    config: Config,
    environment: Mapping[str, str],
    store: Store,
    *,
    own_url: str | None,
    clock: Clock,
    settle: float,
    meters: AccountMetrics,
    closing: Shutdown,
    under: str = "",
) -> KnownAccount:
    """From amoCRM itself. Raises CrmError, StoreUnavailable, and ConfigError when the config does not fit."""
    account_clock = AccountClock(clock)
    connection = Connection(config, environment, store, account_clock, meters=meters, closing=closing)
    account = connection.account()
    if problems := unknown_names(config, account):
        # The names of the last time can't accuse the config: the account may have them by now.
        raise connection.silence or ConfigError(problems)
    key = key_of(store, account, config.account.url)
    secret = connection.remembered(HOOK_SECRET, lambda: secrets.token_urlsafe(32))
    context = AccountContext(
        config=config,
        store=store,
        account_id=key,
        connection=connection,
        account=account,
        clock=clock,
        account_clock=account_clock,
        settle=settle,
        destination=destination(config, own_url, secret),
        meters=meters,
        environment=environment,
        under=under,
    )
    return KnownAccount(key, secret, context)


def known_misfits(config: Config, environment: Mapping[str, str]) -> list[str]:
    """Names that the account does not know, as far as its names are remembered; nothing if they are not."""
    account = known_account(config, environment)
    return [] if account is None else unknown_names(config, account)
