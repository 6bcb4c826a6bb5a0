"""Where OAuth tokens are kept: encrypted, the pair in use and the one before it.

The key comes from AMO_BRIDGE_KEY or the file AMO_BRIDGE_KEY_FILE (Fernet keys, several with commas between: the first
encrypts, all decrypt, so a key can be replaced). Without them a key is made beside the database, readable only by its
owner.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.keyvalue import JsonStore, Values

KEY_VARIABLE = "AMO_BRIDGE_KEY"
KEY_FILE_VARIABLE = "AMO_BRIDGE_KEY_FILE"


@dataclass(frozen=True)
class TokenPair:
    """Times are Unix seconds by our own clock. ``base_url``: the account's address, which a rename changes. ``got_at``:
    when amoCRM gave the pair (0: not known). ``revoked``: amoCRM has said that it works no more."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    base_url: str
    got_at: float = field(default=0.0, compare=False)
    revoked: bool = False


class TokenStore(Protocol):
    """Keeps the pair of an account over restarts. Both methods raise StoreUnavailable."""

    def load(self, name: str) -> TokenPair | None:
        """The pair in use, or None if the account was never connected."""

    def save(self, name: str, pair: TokenPair) -> None:
        """Keep the pair; committed when this returns. The pair before it stays for diagnosis."""


class KeptTokens:
    """A TokenStore over any place for small values; the place encrypts."""

    def __init__(self, kept: Values) -> None:
        self._store = kept

    def load(self, name: str) -> TokenPair | None:
        """The pair in use."""
        kept = self._store.read(name)
        return TokenPair(**kept["current"]) if kept else None

    def previous(self, name: str) -> TokenPair | None:
        """The pair before the one in use."""
        kept = self._store.read(name)
        return TokenPair(**kept["previous"]) if kept and kept["previous"] else None

    def save(self, name: str, pair: TokenPair) -> None:
        """Keep the pair."""
        kept = self._store.read(name)
        before = kept["current"] if kept else None
        if before == asdict(pair):
            before = kept["previous"]
        self._store.write(name, {"current": asdict(pair), "previous": before})


class FileTokenStore(KeptTokens):
    """A TokenStore in one sqlitedict file. Raises ConfigError when the key does not fit what is in the file."""

    def __init__(self, path: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._cipher = cipher(path.with_suffix(".key"), environment)
        self._path = path
        super().__init__(JsonStore(path, "tokens", encode=self._encrypted, decode=self._decrypted))

    def save(self, name: str, pair: TokenPair) -> None:
        """Keep the pair in a file that only its owner can read."""
        self._make_private()
        super().save(name, pair)

    def _make_private(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error

    def _encrypted(self, value: Any) -> str:
        return self._cipher.encrypt(json.dumps(value).encode()).decode()

    def _decrypted(self, text: str) -> Any:
        try:
            return json.loads(self._cipher.decrypt(text))
        except InvalidToken as error:
            advice = f"верните прежний {KEY_VARIABLE} (или файл ключа) либо подключите аккаунт заново"
            raise ConfigError([f"Токены в {self._path} зашифрованы другим ключом: {advice}"]) from error


def cipher(own_key_file: Path, environment: Mapping[str, str] = os.environ) -> MultiFernet:
    """What encrypts and decrypts; makes ``own_key_file`` if the environment names no key. Raises ConfigError."""
    keys = environment.get(KEY_VARIABLE, "").strip()
    source = KEY_VARIABLE
    if not keys:
        named = environment.get(KEY_FILE_VARIABLE, "").strip()
        path = Path(named) if named else own_key_file
        keys, source = _read_key(path, make=not named), str(path)
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
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(made, path)
    except FileExistsError:
        return
    finally:
        os.unlink(made)
