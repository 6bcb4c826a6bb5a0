"""The token a request is signed with: a long-lived one, or an OAuth pair that is renewed in time.

A refresh token works once, and a lost answer means lost access. So renewing happens under a lock between processes, on
the pair read again under that lock, and the new pair is on the disk before it is used (amoCRM docs, oauth/oauth).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

import structlog

from amo_bridge.crm.oauth import RECONNECT, OAuth, expiry
from amo_bridge.crm.token_store import TokenPair, TokenStore
from amo_bridge.errors import ConfigError, CrmStopped, CrmTemporary, CrmUncertain, NotConnected, StoreUnavailable

log = structlog.get_logger()

# Renewed by the clock so many seconds before the end; after a failed try, the next one is due so many seconds later.
EARLY = 600.0
TRY_AGAIN = 60.0
USUAL_LIFE = 86400.0
# Three months (amoCRM docs, oauth/oauth), of which the shortest have 89 days.
REFRESH_LIFE = 89 * 86400.0


class Tokens(Protocol):
    """Where the client gets its token from."""

    @property
    def base_url(self) -> str | None:
        """The account's address, when the tokens know it better than the config; else None."""

    @property
    def expires_at(self) -> float | None:
        """When access ends unless somebody does something (Unix seconds); None if that is not known."""

    def access_token(self) -> str:
        """A token to send with. Raises CrmUnauthorized when there is none, CrmTemporary when it can't be got now."""

    def renew(self, failed: str) -> str | None:
        """Another token after amoCRM refused ``failed`` (401), or None if this kind can't be renewed."""


class LongLivedToken:
    """A token made by hand in the integration's window, valid for up to five years; it can't be renewed."""

    base_url: str | None = None

    def __init__(self, value: str) -> None:
        token = value.strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigError(["Токен amoCRM пуст или скопирован с лишними знаками: скопируйте его ещё раз"])
        self._value = token

    def __repr__(self) -> str:
        return "LongLivedToken(…)"

    @property
    def expires_at(self) -> float | None:
        """When it ends (Unix seconds), if it says so."""
        return expiry(self._value)

    def access_token(self) -> str:
        """The token."""
        return self._value

    def renew(self, failed: str) -> str | None:
        """None: only a human can make another."""
        return None


class OAuthTokens:
    """``lock`` makes a lock that keeps everybody out who shares ``store``: other threads, processes, machines."""

    def __init__(
        self,
        store: TokenStore,
        oauth: OAuth,
        base_url: str,
        lock: Callable[[], AbstractContextManager[Any]],
        *,
        name: str = "amocrm",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._oauth = oauth
        self._base_url = base_url.rstrip("/")
        self._lock = lock
        self._name = name
        self._clock = clock
        self._pair: TokenPair | None = None
        self._unsaved: tuple[str, TokenPair] | None = None
        self._next_try = 0.0

    @property
    def base_url(self) -> str | None:
        """The account's present address."""
        return self._known().base_url

    def access_token(self) -> str:
        """The token, renewed when its end is near. See Tokens; raises StoreUnavailable too."""
        pair = self._known()
        now = self._clock()
        if now < pair.expires_at - EARLY or now < min(self._next_try, pair.expires_at):
            return pair.access_token
        try:
            return self._renewed(pair.access_token).access_token
        except CrmTemporary as error:
            if now >= pair.expires_at:
                raise
            # The old token still works for a while; amoCRM's bad minute is no reason to stop.
            self._next_try = now + TRY_AGAIN
            log.warning("token not renewed yet", error=str(error))
            return pair.access_token

    def renew(self, failed: str) -> str | None:
        """Another token: the one somebody else already got, or a new one."""
        return self._renewed(failed).access_token

    def exchange_code(self, code: str) -> None:
        """Connect the account: the code from the browser becomes the first pair. Raises CrmError with Russian words."""
        with self._lock():
            told = self._oauth.by_code(self._base_url, code)
            self._keep(self._store.load(self._name), self._pair_of(told, self._base_url))
        log.info("account connected", base_url=self._base_url)

    def revoke(self) -> None:
        """amoCRM says that the pair works no more: it is kept for diagnosis, and used by nobody."""
        with self._lock():
            pair = self._store.load(self._name)
            if pair is not None:
                self._store.save(self._name, replace(pair, revoked=True))
            self._pair = None
        log.warning("account disconnected")

    @property
    def expires_at(self) -> float | None:
        """When the refresh token ends, and all access with it, if it is not used before (Unix seconds)."""
        got_at = self._stored().got_at
        return got_at + REFRESH_LIFE if got_at else None

    def _known(self) -> TokenPair:
        if self._pair is None:
            self._pair = self._stored()
        return self._pair

    def _stored(self) -> TokenPair:
        pair = self._store.load(self._name)
        if pair is None:
            raise NotConnected("Аккаунт ещё не подключён: подключите его (amo-bridge connect)")
        if pair.revoked:
            raise NotConnected("Интеграция отключена в amoCRM: включите её и подключите аккаунт (amo-bridge connect)")
        return pair

    def _renewed(self, failed: str) -> TokenPair:
        with self._lock():
            self._save_unsaved()
            pair = self._stored()
            if pair.access_token == failed:
                # A full or read-only disk must show before the refresh token is spent.
                self._store.save(self._name, pair)
                self._keep(pair, self._refreshed(pair))
            else:
                self._pair = pair
        return self._known()

    def _refreshed(self, pair: TokenPair) -> TokenPair:
        try:
            return self._asked_twice(pair, pair.base_url)
        except CrmStopped as error:
            moved_to = self._moved_to(pair, error)
            if moved_to is None:
                raise
        log.warning("account renamed", before=pair.base_url, now=moved_to)
        return self._asked_twice(pair, moved_to)

    def _asked_twice(self, pair: TokenPair, base_url: str) -> TokenPair:
        """One lost answer is forgiven: perhaps amoCRM never saw the request, and the refresh token still works."""
        try:
            told = self._oauth.by_refresh_token(base_url, pair.refresh_token)
        except CrmUncertain as error:
            log.warning("answer to the token's renewal lost, asking once more", error=str(error))
            told = self._oauth.by_refresh_token(base_url, pair.refresh_token)
        return self._pair_of(told, base_url)

    def _moved_to(self, pair: TokenPair, error: CrmStopped) -> str | None:
        """The account's new address, if the refusal may come from its having been renamed, and it was."""
        wrong_place = error.status in (401, 404) or (error.hint or "").lower() == "invalid account"
        if not wrong_place:
            return None
        found = self._oauth.current_base_url(pair.base_url, pair.access_token, pair.refresh_token)
        return found if found != pair.base_url else None

    def _pair_of(self, told: dict[str, Any], base_url: str) -> TokenPair:
        token = str(told["access_token"])
        now = self._clock()
        try:
            ends = now + float(told["expires_in"])
        except (KeyError, TypeError, ValueError):
            ends = expiry(token) or now + USUAL_LIFE
        return TokenPair(token, str(told["refresh_token"]), ends, base_url, got_at=now)

    def _keep(self, before: TokenPair | None, pair: TokenPair) -> None:
        """Save, then use. If the store fails just now, the only copy waits in memory for the next try."""
        try:
            self._store.save(self._name, pair)
        except StoreUnavailable:
            self._unsaved = (before.access_token if before else "", pair)
            log.error("the new tokens could not be saved", advice=f"free the disk, or else: {RECONNECT}")
            raise
        self._unsaved = None
        self._pair = pair

    def _save_unsaved(self) -> None:
        if self._unsaved is None:
            return
        replaces, pair = self._unsaved
        stored = self._store.load(self._name)
        if (stored.access_token if stored else "") == replaces:
            self._keep(stored, pair)
        self._unsaved = None
