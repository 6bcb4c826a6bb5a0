"""The accounts of this installation as the pages see them, and the store of its users.

Users belong to the installation. Their rows are in the store of its first account: with one account, or with several
that share a database or a data folder, that is the store there is.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from amo_bridge.clock import Clock, FixedClock
from amo_bridge.config.account_fit import Fit
from amo_bridge.config.channels import folded_login
from amo_bridge.config.files import ConfigFile
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account, User
from amo_bridge.engine.dead_letters import DeadLetters
from amo_bridge.engine.forecast import ExistingDeal, ExistingDeals, Upcoming, choices_of
from amo_bridge.engine.history import History
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.metrics import HealthReader, HealthSnapshot
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.violations import Violations
from amo_bridge.errors import BridgeError, StoreUnavailable, UnknownName
from amo_bridge.rules.handler import Rule
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.host import Application
from amo_bridge.runtime.rehearsal_jobs import Rehearsals
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.secrets import known_account, small_state
from amo_bridge.web.auth.audit import Audit
from amo_bridge.web.auth.users import ApiTokens, Links, Users

SESSION_KEY = "session_key"
# A page needs to know whether it is many, not how many thousands.
MOST_EXISTING = 1000


class NotMet(BridgeError):
    """The bridge has not got to know its account yet: there is nothing to show."""


class NoSuchAccount(LookupError):
    """No account of this installation has the name."""


class ChoiceNeeded(LookupError):
    """There are several accounts, and the address does not say which."""


class AccountView:
    """One account as the pages see it."""

    def __init__(self, name: str, bridge: AccountRuntime, clock: Clock) -> None:
        self.name = name
        self.bridge = bridge
        self.clock = clock
        self._fit: tuple[Config, Fit] | None = None

    @property
    def config(self) -> Config:
        return self.bridge.config

    @property
    def fit(self) -> Fit:
        """The config compared with the account, once for a request: broken rules, renamed names. Raises
        StoreUnavailable."""
        if self._fit is None or self._fit[0] is not self.config:
            _ = self.store
            self._fit = self.config, self.bridge.fit
        return self._fit[1]

    @cached_property
    def store(self) -> Store:
        """Looked at once for a request: whether its tables are up to date is a question to it."""
        return _opened(self.bridge)

    @cached_property
    def key(self) -> int:
        """The account's number in the store. Raises NotMet before the bridge has met amoCRM, StoreUnavailable."""
        found = known_key(self.store, self.config.account.url)
        if found is None:
            raise NotMet("мост ещё не знакомился с аккаунтом")
        return found

    @property
    def account_store(self) -> AccountStore:
        """Its part of the store. Raises NotMet, StoreUnavailable."""
        return AccountStore(self.store, self.key)

    @property
    def is_known(self) -> bool:
        """Is there anything to show? Raises StoreUnavailable."""
        try:
            return self.key > 0
        except NotMet:
            return False

    @cached_property
    def zone(self) -> ZoneInfo:
        """The account's time zone; UTC as long as it is not known."""
        known = self.crm_account
        return ZoneInfo(known.timezone if known else "UTC")

    @property
    def history(self) -> History:
        return History(self.account_store)

    @property
    def upcoming(self) -> Upcoming:
        return Upcoming(self.account_store, self.config.rules, self.clock)

    def existing(self, rule: Rule) -> list[ExistingDeal] | None:
        """The deals that are there, and what the rule would do about them, the most urgent first; None for a rule that
        makes no difference between old and new ones, or while the account's names are not known."""
        known = self.crm_account
        if known is None or not self.is_known or not choices_of(rule):
            return None
        now = self.upcoming.now()
        rule_engine = RuleEngine.of(self.fit.config, known, FixedClock(now))
        found = islice(ExistingDeals(self.account_store, rule_engine, now).of(rule), MOST_EXISTING)
        return sorted(found, key=lambda deal: deal.urgency)

    @property
    def failures(self) -> DeadLetters:
        return DeadLetters(self.account_store, self.clock)

    @property
    def violations(self) -> Violations:
        return Violations(self.account_store, self.clock)

    @property
    def rehearsals(self) -> Rehearsals:
        return Rehearsals(self.account_store, self.clock)

    @cached_property
    def crm_account(self) -> Account | None:
        """The account's names as known last; read once, as they lie in a file of their own."""
        return known_account(self.config, self.bridge.environment)

    @property
    def user_names(self) -> dict[int, str]:
        """Id → name of the account's people, as known last."""
        known = self.crm_account
        return {person.id: person.name for person in known.users} if known else {}

    @property
    def file(self) -> ConfigFile:
        """The config's file, to be read and written."""
        return ConfigFile(self.config.path, self.config.data_folder, self.bridge.environment)

    def person_of(self, login: str) -> User | None:
        """Who logs in by this name, as ``[people]`` of the config says; else None. Raises StoreUnavailable."""
        known = self.crm_account
        for name, person in self.fit.config.channels.people.items():
            if known is not None and person.login and folded_login(person.login) == folded_login(login):
                try:
                    return known.user(name)
                except UnknownName:
                    return None
        return None

    def names_login(self, login: str) -> bool:
        """Does ``[people]`` say who logs in by this name?"""
        people = self.config.channels.people.values()
        return any(one.login and folded_login(one.login) == folded_login(login) for one in people)

    def health_snapshot(self) -> HealthSnapshot:
        """How it is doing, as the store tells; whether the bridge is at work or not."""
        return HealthReader(self.account_store, self.config.account.url, self.clock).read()

    @property
    def journal(self) -> Journal:
        return Journal(self.account_store)


class Accounts:
    """Safe for several threads. Everything may raise StoreUnavailable. ``clock``: instead of each account's own."""

    def __init__(self, application: Application, clock: Clock | None = None) -> None:
        self._application = application
        self._clock = clock
        self._lock = threading.Lock()
        self._session_key: str | None = None

    @property
    def names(self) -> list[str]:
        return sorted(self._application.by_name())

    @property
    def broken(self) -> Mapping[str, Sequence[str]]:
        return self._application.broken()

    @property
    def has_several(self) -> bool:
        return len(self._application.by_name()) + len(self._application.broken()) > 1

    def account_at(self, name: str | None) -> AccountView:
        """The account of this name; None: the only one. Raises NoSuchAccount, ChoiceNeeded."""
        bridges = self._application.by_name()
        if name is None:
            if self.has_several:
                raise ChoiceNeeded
            name = next(iter(bridges))
        if name not in bridges:
            raise NoSuchAccount(name)
        return AccountView(name, bridges[name], self._clock or bridges[name].clock)

    @property
    def public_url(self) -> str:
        """Where browsers reach the pages, if the config says so."""
        return self._home.config.bridge.public_url or ""

    @property
    def data_folder(self) -> Path:
        """Where the users' store is."""
        return self._home.config.data_folder

    @property
    def users(self) -> Users:
        return Users(self.store, self._home_clock)

    @property
    def links(self) -> Links:
        return Links(self.store, self._home_clock)

    @property
    def api_tokens(self) -> ApiTokens:
        return ApiTokens(self.store, self._home_clock)

    @property
    def audit(self) -> Audit:
        return Audit(self.store, self._home_clock)

    @property
    def store(self) -> Store:
        """The installation's store, its tables up to date."""
        return _opened(self._home)

    def session_key(self) -> str:
        """What cookies are signed with: made once, kept encrypted, the same for all processes."""
        with self._lock:
            if self._session_key is None:
                self._session_key = self._kept_session_key()
            return self._session_key

    def _kept_session_key(self) -> str:
        _ = self.store
        state = small_state(self._home.config, self._home.environment)
        with state.lock("secrets"):
            kept = state.secrets.read(SESSION_KEY)
            if kept is None:
                kept = secrets.token_urlsafe(48)
                state.secrets.write(SESSION_KEY, kept)
        return str(kept)

    @property
    def _home_clock(self) -> Clock:
        return self._clock or self._home.clock

    @property
    def _home(self) -> AccountRuntime:
        return next(iter(self._application.by_name().values()))


def _opened(bridge: AccountRuntime) -> Store:
    """A bridge's store with its tables up to date: a page may come before the bridge has met its account."""
    try:
        store = bridge.resources.store
        if bridge.is_opening:
            store.prepare()
    except OSError as error:
        raise StoreUnavailable(str(error)) from error
    return store
