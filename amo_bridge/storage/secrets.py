"""Secret store: small values of the bridge (OAuth tokens, the webhook's secret) for all its processes.

With SQLite they are sqlitedict files in the data folder. With PostgreSQL they are rows of the table ``small_state``,
all of them encrypted, because a database's dumps go to more places than a folder does; and the key can't lie beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from sqlalchemy import Connection, create_engine, delete, inspect, select
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.tokens import KEY_FILE_VARIABLE, KEY_VARIABLE, FileTokenStore, StoredTokens, TokenStore, cipher
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.file_lock import file_lock
from amo_bridge.keyvalue import JsonStore, Values
from amo_bridge.logs import log
from amo_bridge.private_files import make_folder
from amo_bridge.storage.database import insert_or_replace
from amo_bridge.storage.locks import advisory_lock
from amo_bridge.storage.tables import small_state as table

if TYPE_CHECKING:
    # As crm/tokens.py.
    from cryptography.fernet import MultiFernet

SMALL_STATE, KEY_FILE = "small-state.db", "bridge.key"
ACCOUNTS, SECRETS, TOKENS = "accounts", "secrets", "tokens"
NO_KEY = (
    f"База — PostgreSQL, поэтому нужен ключ шифрования: передайте его в {KEY_VARIABLE} или {KEY_FILE_VARIABLE}, один и "
    'тот же всем процессам. Новый ключ: python -c "from cryptography.fernet import Fernet; '
    'print(Fernet.generate_key().decode())"'
)


class SecretStore(Protocol):
    """Where the small values of a bridge are. Everything raises StoreUnavailable, ConfigError for a wrong key."""

    @property
    def accounts(self) -> Values:
        """Copies of accounts' names, by the account's address."""

    @property
    def secrets(self) -> Values:
        """What nobody else may read."""

    @property
    def tokens(self) -> TokenStore:
        """OAuth pairs, by the account's host."""

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Keeps everybody out who shares these values: other threads, processes, machines."""


def small_state(config: Config, environment: Mapping[str, str]) -> SecretStore:
    """The place that goes with the database. Raises ConfigError (Russian) when the key is missing or no key."""
    if config.bridge.database.startswith("postgresql"):
        return TableState(config.bridge.database, environment)
    return FileSecretStore(config.data_folder, environment)


def account_name(config: Config) -> str:
    """Under what name an account's values are kept: several accounts may share a folder or a database."""
    return urlsplit(config.account.url).netloc.lower()


class FileSecretStore:
    """In the data folder. Files and keys are made when they are first needed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    @property
    def accounts(self) -> Values:
        return JsonStore(self._folder / SMALL_STATE, ACCOUNTS)

    @property
    def secrets(self) -> Values:
        key = cache(partial(cipher, self._folder / KEY_FILE, self._environment))
        encode, decode = _coding(key, f"{self._folder / SMALL_STATE}")
        return JsonStore(self._folder / SMALL_STATE, SECRETS, encode=encode, decode=decode)

    @property
    def tokens(self) -> TokenStore:
        return FileTokenStore(self._folder / "tokens.db", self._environment)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        try:
            make_folder(self._folder)
        except OSError as error:
            raise StoreUnavailable(f"{self._folder}: {error}") from error
        with file_lock(self._folder / f"{name}.lock"):
            yield


class TableState:
    """In PostgreSQL. Without a pool: the values are asked for once in a while, and commands end without a farewell."""

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        if not any(environment.get(name, "").strip() for name in (KEY_VARIABLE, KEY_FILE_VARIABLE)):
            raise ConfigError([NO_KEY])
        # The file is never made: its name is only what a wrong key would be told by.
        self._cipher = cipher(Path(KEY_FILE), environment)
        self._engine = create_engine(url, poolclass=NullPool)

    @property
    def accounts(self) -> Values:
        return self._section(ACCOUNTS)

    @property
    def secrets(self) -> Values:
        return self._section(SECRETS)

    @property
    def tokens(self) -> TokenStore:
        return StoredTokens(self._section(TOKENS))

    def lock(self, name: str) -> AbstractContextManager[None]:
        return advisory_lock(self._engine, name)

    def _section(self, name: str) -> TableValues:
        return TableValues(self._begin, name, *_coding(lambda: self._cipher, "базе (таблица small_state)"))

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except ProgrammingError as error:
            with self._engine.connect() as connection:
                if inspect(connection).has_table(table.name):
                    raise
            raise StoreUnavailable("база ещё не подготовлена: запустите amo-bridge serve") from error
        except DBAPIError as error:
            address = self._engine.url.render_as_string(hide_password=True)
            raise StoreUnavailable(f"база {address} не отвечает: {error.orig}") from error


class TableValues:
    """See Values: one section of the table."""

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[Connection]],
        section: str,
        encode: Callable[[Any], str],
        decode: Callable[[str], Any],
    ) -> None:
        self._begin = begin
        self._section = section
        self._encode = encode
        self._decode = decode

    def read(self, key: str) -> Any:
        with self._begin() as connection:
            kept = connection.execute(select(table.c.value).where(*self._at(key))).scalar()
        return None if kept is None else self._decode(kept)

    def mark(self) -> None:
        return None

    def write(self, key: str, value: Any) -> None:
        row = {"section": self._section, "name": key, "value": self._encode(value)}
        with self._begin() as connection:
            insert_or_replace(connection, table, ("section", "name"), [row])

    def remove(self, key: str) -> None:
        with self._begin() as connection:
            connection.execute(delete(table).where(*self._at(key)))

    def take(self, key: str) -> Any:
        with self._begin() as connection:
            kept = connection.execute(delete(table).where(*self._at(key)).returning(table.c.value)).scalar()
        return None if kept is None else self._decode(kept)

    def _at(self, key: str) -> tuple[Any, ...]:
        return (table.c.section == self._section, table.c.name == key)


def _coding(key: Callable[[], MultiFernet], where: str) -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    def encode(value: Any) -> str:
        return key().encrypt(json.dumps(value).encode()).decode()

    def decode(text: str) -> Any:
        from cryptography.fernet import InvalidToken

        try:
            return json.loads(key().decrypt(text))
        except InvalidToken as error:
            words = f"Секреты в {where} зашифрованы другим ключом: верните прежний {KEY_VARIABLE} (или файл ключа)"
            raise ConfigError([words]) from error

    return encode, decode


# Secrets of vendors that were typed on a page. They count below the environment's variables of the same names, so that
# whatever reads a variable finds them too.

OURS = "AMO_BRIDGE_"


class KeptSecrets(Mapping[str, str]):
    """The environment's variables, and below them the secrets that pages have kept for the config's account.

    They are read once, and anew by ``changed``. While they can't be read there are none, and the log says why.
    ``outside``: the environment alone.
    """

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self.outside = environment
        self._config = config
        self._kept: Mapping[str, str] | None = None
        self._in_force: Mapping[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        if name.startswith(OURS) and not self.is_set_outside(name) and (kept := self._secrets().get(name)):
            return kept
        return self.outside[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self.outside, **self._secrets()})

    def __len__(self) -> int:
        return len({**self.outside, **self._secrets()})

    def is_set_outside(self, name: str) -> bool:
        """Does a variable, or the file that it names, hold it? Then no page can change it."""
        return any(self.outside.get(one, "").strip() for one in (name, f"{name}_FILE"))

    def keep(self, name: str, value: str, *, instead_of: str | None = None) -> None:
        """Keep a secret, encrypted; an empty one is forgotten. ``instead_of``: only if that is what is kept. Raises
        StoreUnavailable, ConfigError."""
        # What is in force is known before it is another one.
        self._secrets()
        state, place = small_state(self._config, self.outside), self._place()
        with state.lock("secrets"):
            before = dict(state.secrets.read(place) or {})
            if instead_of is not None and before.get(name, "") != instead_of:
                return
            kept = {one: told for one, told in {**before, name: value}.items() if told}
            state.secrets.write(place, kept)
        self._kept = kept

    def changed(self) -> bool:
        """Read anew; are they others than those in force?"""
        self._secrets()
        self._kept = None
        return self._secrets() != (self._in_force or {})

    def take(self) -> None:
        """Those that are kept now are in force."""
        self._kept = None
        self._in_force = dict(self._secrets())

    def _secrets(self) -> Mapping[str, str]:
        if (known := self._kept) is not None:
            return known
        try:
            known = dict(small_state(self._config, self.outside).secrets.read(self._place()) or {})
        except (StoreUnavailable, ConfigError) as error:
            log.error("secrets that pages kept are not read", error=str(error))
            return {}
        self._kept = known
        if self._in_force is None:
            self._in_force = known
        return known

    def _place(self) -> str:
        return f"vendors {account_name(self._config)}"


def without_kept(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment alone, for a process that needs no vendor's secret."""
    return environment.outside if isinstance(environment, KeptSecrets) else environment


# What is known of the account without asking amoCRM.


def known_timezone(config: Config, environment: Mapping[str, str]) -> str:
    """The account's time zone as known last, for commands that work without amoCRM."""
    account = known_account(config, environment)
    return account.timezone if account else "UTC"


def known_account(config: Config, environment: Mapping[str, str]) -> Account | None:
    """The account's names as known last; None if nobody has met it yet. Every page asks: what was read last is given
    again until something is written."""
    values, url = small_state(config, environment).accounts, config.account.url
    # Taken before the reading: what is written in between is read once more, and never missed.
    mark = values.mark()
    last = _read_last.get(url)
    if mark is not None and last is not None and last[0] == mark:
        return last[1]
    kept = values.read(url)
    account = Account.from_json(kept["account"]) if kept else None
    if mark is not None:
        _read_last[url] = mark, account
    return account


_read_last: dict[str, tuple[tuple[int, ...], Account | None]] = {}
