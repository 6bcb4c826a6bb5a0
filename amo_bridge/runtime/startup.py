"""Startup of an account: names read or known from last time, the config fitted to them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import field

from amo_bridge.clock import AccountClock, Clock
from amo_bridge.config.account_fit import Fit, KnownIds, State, fit
from amo_bridge.config.model import Config, is_local
from amo_bridge.crm.account import Account, User
from amo_bridge.crm.client import Shutdown
from amo_bridge.engine.metrics import AccountMetrics
from amo_bridge.errors import StoreUnavailable
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.runtime.connection import HOOK_SECRET, Connection, known_secret
from amo_bridge.storage.accounts import KnownNames, key_of, known_key
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.secrets import known_account

TOLD: tuple[State, ...] = ("lost", "partial", "renamed", "inactive")
"""States of names that people are told of."""


@dataclass
class AccountContext:
    """All that the work needs. ``destination``: where amoCRM is to send its hooks, if that is known. ``under``: the
    path of this account's pages among several, «/accounts/NAME»."""

    config: Config
    store: AccountStore
    connection: Connection
    account: Account
    clock: Clock
    account_clock: AccountClock
    settle: float
    destination: str | None
    meters: AccountMetrics
    environment: Mapping[str, str] = field(default_factory=dict)
    under: str = ""
    fit: Fit = field(init=False)
    """The config compared with the account: what the work goes by. ``config`` is as the file has it."""

    compared: Account = field(init=False)
    """The account's names that ``fit`` stands on; ``account`` may have been read anew since then."""

    known: KnownIds = field(init=False)
    """What names meant, as it was remembered when ``fit`` was made."""

    switched_off: list[User] = field(default_factory=list)
    """Users who were switched off since the account was read last, and nobody has been told of yet."""

    def __post_init__(self) -> None:
        self.compared = self.account
        self.compare()

    def note_switched_off(self, before: Account) -> None:
        """Find out who has been switched off since then, or is not there any more."""
        active = {user.id for user in self.account.users if user.is_active}
        self.switched_off += [user for user in before.users if user.is_active and user.id not in active]

    def compare(self, config: Config | None = None, account: Account | None = None) -> Fit:
        """Take a new config or newer names of the account, and compare them unless they are those compared last. Raises
        StoreUnavailable."""
        self.config, self.account = config or self.config, account or self.account
        names = KnownNames(self.store)
        is_first = not hasattr(self, "fit")
        is_same = not is_first and self.fit.written is self.config and self.account == self.compared
        if is_same and names.read() == self.known:
            return self.fit
        self.note_switched_off(self.compared)
        self.compared = self.account
        told = [] if is_first else self.fit.lines(*TOLD)
        self.fit = fit(self.config, self.account, names.read())
        names.remember(self.fit.found)
        self.known = names.read()
        for issue in self.fit.issues:
            if issue.state in TOLD and issue.line not in told:
                log.warning("name not as configured", state=issue.state, rule=issue.rule, problem=issue.line)
        for rule, why in self.fit.broken.items():
            log.error("rule is broken", rule=rule, why=why)
        return self.fit

    def new_problems(self, config: Config) -> list[str]:
        """What is wrong with the names of another config, but for what is so already in the one at work."""
        known = KnownNames(self.store).read()
        return fit(config, self.account, known).new_problems(fit(self.config, self.account, known))


# Where amoCRM is to send its hooks.

ACCOUNTS = "/accounts/"
"""Under it each of several accounts has its pages."""


def pages_of(destination: str | None, under: str = "") -> str:
    """Where the bridge's pages are: they are served where hooks are taken in, ``under`` which path («/accounts/NAME»)
    if there are several accounts. Empty if that is not known."""
    return destination.partition("/hooks/amocrm/")[0] + under if destination else ""


def destination(config: Config, own_url: str | None, secret: str) -> str | None:
    """The hook's full address; None if nobody said how amoCRM reaches us.

    ``own_url`` is where this process listens, if it does: a local amoCRM reaches us there, the real one needs the
    public address.
    """
    base = config.bridge.public_url or (own_url if is_local(config.account.url) else None)
    if base is None:
        log.warning("no public_url: amoCRM is not told where to send its hooks")
        return None
    return f"{base}/hooks/amocrm/{secret}"


# Meeting an account: what has to be known before its hooks can be taken in, and who it is learnt from.

NOT_MET = "аккаунт ещё не подключал ни один рабочий процесс (amo-bridge serve --role worker)"


@dataclass(frozen=True)
class KnownAccount:
    """``secret``: of the webhook's path. ``context``: only in a process that may work for the account."""

    store: AccountStore
    secret: str
    context: AccountContext | None = None


def by_what_a_worker_left(config: Config, environment: Mapping[str, str], store: Store) -> KnownAccount:
    """Without a token and without amoCRM. Raises StoreUnavailable while no worker has met the account."""
    key = known_key(store, config.account.url)
    secret = known_secret(config, environment)
    if key is None or secret is None:
        raise StoreUnavailable(NOT_MET)
    return KnownAccount(AccountStore(store, key), secret)


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
    """From amoCRM itself. Raises CrmError, StoreUnavailable, and ConfigError when there is no token."""
    account_clock = AccountClock(clock)
    connection = Connection(config, environment, store, account_clock, meters=meters, closing=closing)
    before = known_account(config, environment)
    account = connection.account()
    account_store = AccountStore(store, key_of(store, account, config.account.url))
    if before is not None and before.id == account.id:
        # A store of an earlier version, or a config changed meanwhile: what its names meant then is still known.
        names = KnownNames(account_store)
        names.remember(fit(config, before, names.read()).found)
    secret = connection.remembered(HOOK_SECRET, lambda: secrets.token_urlsafe(32))
    context = AccountContext(
        config=config,
        store=account_store,
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
    if before is not None and before.id == account.id:
        context.note_switched_off(before)
    return KnownAccount(account_store, secret, context)


def known_fit(config: Config, environment: Mapping[str, str], store: Store) -> Fit:
    """The config compared with the names of the account as known last, for processes that don't lead; as it is while
    nobody has met the account. Raises StoreUnavailable."""
    account, key = known_account(config, environment), known_key(store, config.account.url)
    if account is None or key is None:
        return Fit(config, written=config)
    return fit(config, account, KnownNames(AccountStore(store, key)).read())


class LastFit:
    """``known_fit`` for those who ask again and again: compared anew only when the config or the names are others."""

    def __init__(self) -> None:
        self._last: tuple[Config, Account, Mapping[tuple[str, str], str], Fit] | None = None

    def read(self, config: Config, environment: Mapping[str, str], store: Store) -> Fit:
        """Raises StoreUnavailable."""
        account, key = known_account(config, environment), known_key(store, config.account.url)
        if account is None or key is None:
            return Fit(config, written=config)
        names = KnownNames(AccountStore(store, key)).read()
        last = self._last
        if last is not None and last[0] is config and last[1] == account and last[2] == names:
            return last[3]
        found = fit(config, account, names)
        self._last = (config, account, names, found)
        return found


def known_ids(config: Config, environment: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """What the config's names meant when the bridge resolved them last, for commands; empty before it has worked."""
    known: dict[tuple[str, str], str] = {}
    try:
        if account := known_account(config, environment):
            known = {(one.kind, one.name): one.id for one in fit(config, account).found}
        if not config.bridge.database and not config.data_folder.is_dir():
            return known
        store = Store.at(config.bridge.database, config.data_folder)
        try:
            store.prepare()
            key = known_key(store, config.account.url)
            return known | (KnownNames(AccountStore(store, key)).read() if key is not None else {})
        finally:
            store.close()
    except (StoreUnavailable, OSError) as error:
        log.warning("remembered names can't be read", error=str(error))
        return known
