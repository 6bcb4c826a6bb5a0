"""Access tokens: a long-lived one, or an OAuth pair, stored encrypted and renewed in time.

A refresh token works once, and a lost answer means that it is spent for nothing (amoCRM docs, oauth/oauth). So renewing
happens under a lock between processes, on the pair read again under that lock, and the new pair is on the disk before
it is used. It happens at half of the access token's life: should the answer be lost all the same, the old access token
goes on to its end, and people have half a day to connect the account again.

The key of the encryption comes from AMO_BRIDGE_KEY or the file AMO_BRIDGE_KEY_FILE (Fernet keys, several with commas
between: the first encrypts, all decrypt, so a key can be replaced). Without them a key is made beside the database,
readable only by its owner.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from amo_bridge.crm.oauth import RECONNECT, SPENT_HINTS, OAuth, expiry
from amo_bridge.errors import (
    ConfigError,
    CrmRefused,
    CrmStopped,
    CrmTemporary,
    CrmUnauthorized,
    CrmUncertain,
    NotConnected,
    StoreUnavailable,
)
from amo_bridge.keyvalue import JsonStore, Values
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.private_files import make_file, make_folder

if TYPE_CHECKING:
    # Imported with the first secret that is read: commands and long-lived tokens need none.
    from cryptography.fernet import MultiFernet

DEFAULT_LIFETIME_SECONDS = 86400.0

KEY_VARIABLE = "AMO_BRIDGE_KEY"
KEY_FILE_VARIABLE = "AMO_BRIDGE_KEY_FILE"


@dataclass(frozen=True)
class TokenPair:
    """An access token with its refresh token. Times are Unix seconds of our own clock.

    ``base_url``: the account's address, which a rename changes. ``got_at``: when amoCRM gave the pair (0: not known).
    ``revoked``: amoCRM has reported that it works no more. ``spent``: the refresh token is used up, the access token
    works to its end."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    base_url: str
    got_at: float = field(default=0.0, compare=False)
    revoked: bool = False
    spent: bool = False

    @property
    def renew_at(self) -> float:
        """When it is to be renewed: at half of the access token's life."""
        lifetime = self.expires_at - self.got_at if self.got_at else DEFAULT_LIFETIME_SECONDS
        return self.expires_at - lifetime / 2


class TokenStore(Protocol):
    """Stores the pair of an account over restarts. Both methods raise StoreUnavailable."""

    def load(self, name: str) -> TokenPair | None:
        """The pair in use, or None if the account was never connected."""

    def save(self, name: str, pair: TokenPair) -> None:
        """Store the pair; committed when this returns. The pair before it stays for diagnosis."""


class StoredTokens:
    """A TokenStore over any place for small values; the place encrypts."""

    def __init__(self, store: Values) -> None:
        self._store = store

    def load(self, name: str) -> TokenPair | None:
        """The pair in use."""
        pairs = self._store.read(name)
        return TokenPair(**pairs["current"]) if pairs else None

    def previous(self, name: str) -> TokenPair | None:
        """The pair before the one in use."""
        pairs = self._store.read(name)
        return TokenPair(**pairs["previous"]) if pairs and pairs["previous"] else None

    def save(self, name: str, pair: TokenPair) -> None:
        """Store the pair."""
        pairs = self._store.read(name)
        before = pairs["current"] if pairs else None
        if before == asdict(pair):
            before = pairs["previous"]
        self._store.write(name, {"current": asdict(pair), "previous": before})


class FileTokenStore(StoredTokens):
    """A TokenStore in one sqlitedict file. Raises ConfigError when the key does not fit what is in the file."""

    def __init__(self, path: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._cipher = cipher(path.with_suffix(".key"), environment)
        self._path = path
        super().__init__(JsonStore(path, "tokens", encode=self._encrypt, decode=self._decrypt))

    def save(self, name: str, pair: TokenPair) -> None:
        """Store the pair in a file that only its owner can read."""
        self._make_private()
        super().save(name, pair)

    def _make_private(self) -> None:
        try:
            make_folder(self._path.parent)
            make_file(self._path)
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error

    def _encrypt(self, value: Any) -> str:
        return self._cipher.encrypt(json.dumps(value).encode()).decode()

    def _decrypt(self, text: str) -> Any:
        from cryptography.fernet import InvalidToken

        try:
            return json.loads(self._cipher.decrypt(text))
        except InvalidToken as error:
            advice = f"верните прежний {KEY_VARIABLE} (или файл ключа) либо подключите аккаунт заново"
            raise ConfigError([f"Токены в {self._path} зашифрованы другим ключом: {advice}"]) from error


def cipher(own_key_file: Path, environment: Mapping[str, str] = os.environ) -> MultiFernet:
    """The cipher of the key that the environment names, else of ``own_key_file``, which is made if it is missing.

    Raises ConfigError."""
    from cryptography.fernet import Fernet, MultiFernet

    keys = environment.get(KEY_VARIABLE, "").strip()
    source = KEY_VARIABLE
    if not keys:
        key_file = environment.get(KEY_FILE_VARIABLE, "").strip()
        path = Path(key_file) if key_file else own_key_file
        keys, source = _read_key(path, make=not key_file), str(path)
    try:
        return MultiFernet([Fernet(key.strip()) for key in keys.replace("\n", ",").split(",") if key.strip()])
    except ValueError as error:
        command = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        raise ConfigError([f"{source}: это не ключ Fernet. Новый ключ: {command}"]) from error


def _read_key(path: Path, *, make: bool) -> str:
    try:
        if make and not path.exists():
            _make_key(path)
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"Ключ шифрования не читается из {path}: {type(error).__name__}"]) from error


def _make_key(path: Path) -> None:
    """All or nothing, and the first one wins: two processes may start at once."""
    from cryptography.fernet import Fernet

    make_folder(path.parent)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        os.unlink(temporary)


# --- tokens of the client ---------------------------------------------------------------------------------------------


# After a failed renewal the next one is due so many seconds later.
RETRY_SECONDS = 60.0
# Three months (amoCRM docs, oauth/oauth), of which the shortest have 89 days.
REFRESH_LIFETIME_SECONDS = 89 * 86400.0


class Tokens(Protocol):
    """Tokens for the client."""

    @property
    def base_url(self) -> str | None:
        """The account's address, if the tokens know a newer one than the config; else None."""

    @property
    def expires_at(self) -> float | None:
        """When access ends unless somebody acts (Unix seconds); None if that is not known."""

    def access_token(self) -> str:
        """The token for a request. Raises CrmUnauthorized when there is none, CrmTemporary when not just now."""

    def renew(self, failed: str) -> str | None:
        """Another token after amoCRM refused ``failed`` (401), or None if this kind can't be renewed."""


class LongLivedToken:
    """A token that a person made in the integration's window, valid for up to five years; it can't be renewed."""

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
        """When it ends (Unix seconds), if the token says so."""
        return expiry(self._value)

    def access_token(self) -> str:
        """The token."""
        return self._value

    def renew(self, failed: str) -> str | None:
        """None: only a person can make another."""
        return None


class OAuthTokens:
    """Renews the OAuth pair of an account. ``lock`` makes a lock against all who share ``store``: threads, processes,
    machines."""

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
        return self._current().base_url

    def access_token(self) -> str:
        """See Tokens: renewed at half of its life. Raises StoreUnavailable too."""
        pair = self._current()
        now = self._clock()
        if now < pair.renew_at or now < min(self._next_try, pair.expires_at):
            return pair.access_token
        try:
            return self._renewed(pair.access_token).access_token
        except (CrmTemporary, CrmStopped, CrmRefused) as error:
            if now >= pair.expires_at:
                raise
            # The old token works for some hours yet: neither amoCRM's bad minute nor a refresh token that is spent is
            # a reason to stop.
            self._next_try = now + RETRY_SECONDS
            if not isinstance(error, NotConnected):
                log.warning("token not renewed yet", error=str(error))
            return pair.access_token

    def renew(self, failed: str) -> str | None:
        """See Tokens: the token that another process already got, or a new one."""
        return self._renewed(failed).access_token

    def exchange_code(self, code: str) -> None:
        """Connect the account: the code from the browser becomes the first pair. Raises CrmError with Russian words."""
        with self._lock():
            answer = self._oauth.by_code(self._base_url, code)
            self._put_in_use(self._store.load(self._name), self._pair_of(answer, self._base_url))
        log.info("account connected", base_url=self._base_url)

    def revoke(self) -> None:
        """Mark the pair as dead, as amoCRM has reported: it stays for diagnosis and is not used again."""
        with self._lock():
            pair = self._store.load(self._name)
            if pair is not None:
                self._store.save(self._name, replace(pair, revoked=True))
            self._pair = None
        log.warning("account disconnected")

    @property
    def expires_at(self) -> float | None:
        """When access ends unless somebody acts (Unix seconds): with the refresh token, or with the access token if
        the refresh token is spent."""
        pair = self._stored()
        if pair.spent:
            return pair.expires_at
        return pair.got_at + REFRESH_LIFETIME_SECONDS if pair.got_at else None

    def _current(self) -> TokenPair:
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
            if pair.access_token == failed and pair.spent:
                self._pair = pair
                raise NotConnected(f"Токен обновления уже использован, ответ amoCRM потерян: {RECONNECT}")
            if pair.access_token == failed:
                # A full or read-only disk must show before the refresh token is spent.
                self._store.save(self._name, pair)
                try:
                    renewed = self._refresh(pair)
                except CrmUnauthorized as error:
                    if (error.hint or "").lower() in SPENT_HINTS:
                        self._store.save(self._name, replace(pair, spent=True))
                        log.error("refresh token is spent", error=str(error), works_until=pair.expires_at)
                    raise
                self._put_in_use(pair, renewed)
            else:
                self._pair = pair
        return self._current()

    def _refresh(self, pair: TokenPair) -> TokenPair:
        try:
            return self._refresh_twice(pair, pair.base_url)
        except CrmStopped as error:
            moved_to = self._new_address(pair, error)
            if moved_to is None:
                raise
        log.warning("account renamed", before=pair.base_url, now=moved_to)
        return self._refresh_twice(pair, moved_to)

    def _refresh_twice(self, pair: TokenPair, base_url: str) -> TokenPair:
        """Try once more after a lost answer: perhaps amoCRM never saw the request, and the token still works."""
        try:
            answer = self._oauth.by_refresh_token(base_url, pair.refresh_token)
        except CrmUncertain as error:
            log.warning("answer to the token's renewal lost, asking once more", error=str(error))
            answer = self._oauth.by_refresh_token(base_url, pair.refresh_token)
        return self._pair_of(answer, base_url)

    def _new_address(self, pair: TokenPair, error: CrmStopped) -> str | None:
        """The account's new address, if the refusal may come from a rename, and it was renamed."""
        wrong_address = error.status in (401, 404) or (error.hint or "").lower() == "invalid account"
        if not wrong_address:
            return None
        found = self._oauth.current_base_url(pair.base_url, pair.access_token, pair.refresh_token)
        return found if found != pair.base_url else None

    def _pair_of(self, answer: dict[str, Any], base_url: str) -> TokenPair:
        token = str(answer["access_token"])
        now = self._clock()
        try:
            expires_at = now + float(answer["expires_in"])
        except (KeyError, TypeError, ValueError):
            expires_at = expiry(token) or now + DEFAULT_LIFETIME_SECONDS
        return TokenPair(token, str(answer["refresh_token"]), expires_at, base_url, got_at=now)

    def _put_in_use(self, before: TokenPair | None, pair: TokenPair) -> None:
        """Store, then use. If the store fails just now, the only copy waits in memory for the next try."""
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
            self._put_in_use(stored, pair)
        self._unsaved = None
