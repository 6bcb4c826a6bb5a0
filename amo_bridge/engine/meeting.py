"""Meeting an account: what has to be known before its hooks can be taken in, and who it is learnt from."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from amo_bridge.clock import AccountClock, Clock
from amo_bridge.config.account_check import unknown_names
from amo_bridge.config.model import Config
from amo_bridge.engine.closing import Closing
from amo_bridge.engine.connection import HOOK_SECRET, Connection, known_account, known_secret
from amo_bridge.engine.desk import Desk
from amo_bridge.engine.metrics import AccountMeters
from amo_bridge.engine.own_address import destination
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.storage.accounts import key_of, known_key
from amo_bridge.storage.database import Store

NOT_MET = "аккаунт ещё не подключал ни один рабочий процесс (amo-bridge serve --role worker)"


@dataclass(frozen=True)
class Met:
    """``secret`` opens the door for hooks. ``desk`` is there for whoever may work for the account."""

    account_key: int
    secret: str
    desk: Desk | None = None


def by_what_a_worker_left(config: Config, environment: Mapping[str, str], store: Store) -> Met:
    """Without a token and without amoCRM. Raises StoreUnavailable while no worker has met the account."""
    key = known_key(store, config.account.url)
    secret = known_secret(config, environment)
    if key is None or secret is None:
        raise StoreUnavailable(NOT_MET)
    return Met(key, secret)


def by_asking(
    config: Config,
    environment: Mapping[str, str],
    store: Store,
    *,
    own_url: str | None,
    clock: Clock,
    settle: float,
    meters: AccountMeters,
    closing: Closing,
    under: str = "",
) -> Met:
    """From amoCRM itself. Raises CrmError, StoreUnavailable, and ConfigError when the config does not fit."""
    account_clock = AccountClock(clock)
    connection = Connection(config, environment, store, account_clock, meters=meters, closing=closing)
    account = connection.account()
    if problems := unknown_names(config, account):
        # The names of the last time can't accuse the config: the account may have them by now.
        raise connection.silence or ConfigError(problems)
    key = key_of(store, account, config.account.url)
    secret = connection.remembered(HOOK_SECRET, lambda: secrets.token_urlsafe(32))
    desk = Desk(
        config=config,
        store=store,
        account_key=key,
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
    return Met(key, secret, desk)


def known_misfits(config: Config, environment: Mapping[str, str]) -> list[str]:
    """Names that the account does not know, as far as its names are remembered; nothing if they are not."""
    account = known_account(config, environment)
    return [] if account is None else unknown_names(config, account)
