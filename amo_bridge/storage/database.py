"""Database: SQLite or PostgreSQL opened safely, the write queue, bulk helpers, notification."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import inf
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Select,
    Table,
    create_engine,
    event,
    func,
    literal,
    make_url,
    select,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from amo_bridge.errors import StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.private_files import make_file, make_folder
from amo_bridge.storage import migrate
from amo_bridge.storage.locks import own_session
from amo_bridge.storage.tables import metadata


def is_operational(error: DBAPIError) -> bool:
    """Disk full, database locked, gone, or become a read-only copy: its outage (an integrity error is ours)."""
    return isinstance(error, OperationalError | InterfaceError | InternalError)


LARGE = 10_000
"""Rows; what is more is counted once in COUNTED_FOR_SECONDS: see LargeCounts."""
COUNTED_FOR_SECONDS = 60.0
RESTORE = "верните копию: amo-bridge restore (docs/operations.md)"
DAMAGED = ("database disk image is malformed", "file is not a database", "file is encrypted or is not a database")
NO_ROOM = ("database or disk is full", "No space left on device")
# Seconds, and milliseconds for tcp_user_timeout (libpq): a server that has gone without a word is noticed in half a
# minute. The system's own patience is a quarter of an hour, and whoever writes would hang as long.
POSTGRES_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# Seconds. A connection that was used a moment ago is not asked whether it lives: that would be one way to the server
# more for each transaction. If it has died since then, the transaction fails as one does whose connection dies within.
ASK_AFTER, USED_AT = 1.0, "amo_bridge_used_at"
FILLED = ".filled"
"""Beside a database file: it has held the bridge's tables once."""


def is_damaged(error: DBAPIError) -> bool:
    """Is the file no database any more? SQLite calls that neither operational nor internal."""
    return any(words in str(error.orig) for words in DAMAGED)


def in_russian(error: DBAPIError) -> str:
    """What is wrong with the database, and what to do about it."""
    if is_damaged(error):
        return f"повреждена, {RESTORE}"
    if any(words in str(error.orig) for words in NO_ROOM):
        return "не записывает: на диске нет места, освободите его"
    return f"не отвечает: {error.orig}"


def open_engine(url: str) -> Engine:
    """The engine for this address; connects at the first use."""
    if not url.startswith("sqlite"):
        told = make_url(url).query
        patience = {name: value for name, value in POSTGRES_PATIENCE.items() if name not in told}
        engine = create_engine(url, hide_parameters=True, connect_args=patience)
        _ask_after_a_pause(engine)
        return engine
    engine = create_engine(url, connect_args={"timeout": 15}, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_settings)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _ask_after_a_pause(engine: Engine) -> None:
    """SQLAlchemy's own ``pool_pre_ping`` asks each time."""

    def note(connection: object, record: ConnectionPoolEntry) -> None:
        record.info[USED_AT] = monotonic()

    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: object) -> None:
        if monotonic() > record.info.get(USED_AT, inf) + ASK_AFTER:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                # The others have hardly fared better: each is opened anew before it is used.
                raise InvalidatePoolError from error

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)


def _sqlite_settings(connection: object, record: object) -> None:
    # SQLAlchemy, not the driver, says BEGIN: the driver's own begin comes too late (at the first write).
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    # NORMAL may lose the last commits when the power fails, and a hook answered 204 must not be lost.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    # A read that turns into a write gets "database is locked" at once, whatever the timeout: so say it at the start.
    reading = connection.get_execution_options().get("amo_bridge_read")
    connection.execute(text("BEGIN" if reading else "BEGIN IMMEDIATE"))


# Many rows at once, on both databases: inserting those that may be there already, naming many in one statement.

DATABASE = "amo-bridge.db"
# Both databases limit the parameters of one statement (SQLite: 32,766); well below that.
CHUNK = 500
One = TypeVar("One")


def chunks(many: Sequence[One], size: int = CHUNK) -> Iterator[Sequence[One]]:
    """Pieces that one statement can name, or one transaction should write."""
    for start in range(0, len(many), size):
        yield many[start : start + size]


def values_of(column: Column[str], *conditions: ColumnElement[bool]) -> Select[Any]:
    """Every value of the column in the rows of these conditions, in order: each is looked up behind the last one in an
    index of the conditions and the column, where DISTINCT reads all of that index."""
    found = select(func.min(column).label("value")).where(*conditions).cte("found", recursive=True)
    following = select(func.min(column)).where(*conditions, column > found.c.value).scalar_subquery()
    found = found.union_all(select(following).where(found.c.value.is_not(None)))
    return select(found.c.value).where(found.c.value.is_not(None))


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose unique key is not in the table yet; the others are left as they are. How many were new."""
    if not rows:
        return 0
    # Counted by what comes back: for several rows at once not every driver knows how many it wrote.
    statement = _insert(connection, table).on_conflict_do_nothing().returning(*table.primary_key)
    return len(connection.execute(statement, list(rows)).all())


def insert_or_replace(
    connection: Connection, table: Table, key: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert the rows, or overwrite those with the same key."""
    if rows:
        statement = _insert(connection, table)
        changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed), list(rows))


def _insert(connection: Connection, table: Table) -> Any:
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


# A lock whose waiters get it in the order in which they came.


class WriteQueue:
    """For ``with``. Python's own locks let whoever releases take again at once: a worker that writes one transaction
    after another would keep the hooks' writer waiting for seconds."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        # Whoever is done before us releases it, and the turn is ours.
        mine.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


# The durable store: how it is opened, read and written. SQLite embedded, PostgreSQL by the same code.


class LargeCounts:
    """How many rows there are, where counting them takes longer than drawing the page that tells it: what is large is
    counted anew once a minute, what is small each time. Safe for several threads: two may count at once."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[float, Any]] = {}

    def get(self, name: Hashable, count: Callable[[], One], rows: Callable[[One], int]) -> One:
        """``count``: what tells it; ``rows``: how many rows that was."""
        until, known = self._kept.get(name, (0.0, None))
        if monotonic() < until:
            return cast("One", known)
        counted = count()
        if rows(counted) > LARGE:
            self._kept[name] = (monotonic() + COUNTED_FOR_SECONDS, counted)
        return counted


class StoreState:
    """``outage``: why the database can't be written or read just now (Russian); empty while it can."""

    outage = ""


class Store:
    """The opened database. ``write()`` is a transaction that may write; ``read()`` one that only reads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_engine(url)
        self._reading: dict[str, Any] = {"amo_bridge_read": True}
        self._one_statement: dict[str, Any] = {}
        if self.engine.dialect.name == "postgresql":
            # By READ COMMITTED each statement sees what is there when it begins, in a transaction or not: BEGIN and
            # ROLLBACK would only be two more ways to the server and back.
            self._reading["isolation_level"] = "AUTOCOMMIT"
            self._one_statement["isolation_level"] = "AUTOCOMMIT"
        # Writers queue here rather than in SQLite's busy loop, which wakes them unfairly late.
        self._turn = WriteQueue()
        self._state = StoreState()
        self.large_counts = LargeCounts()

    @property
    def outage(self) -> str:
        """Why hooks can't be kept: the last write failed, and none has gone through since then."""
        return self._state.outage

    @classmethod
    def at(cls, url: str, folder: Path) -> Store:
        """The database at ``url``; empty: SQLite in the folder."""
        return cls(url) if url else cls.in_folder(folder)

    @classmethod
    def in_folder(cls, folder: Path) -> Store:
        make_folder(folder)
        # SQLite's files beside it get its mode.
        make_file(folder / DATABASE)
        return cls(f"sqlite:///{folder / DATABASE}")

    @property
    def address(self) -> str:
        """Where it is, for people: without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    def prepare(self) -> None:
        """Make the tables or bring them up to date. Raises StoreUnavailable, also for a store newer than the code."""
        self._refuse_emptied()
        with self._guarded():
            migrate.upgrade(self.engine, metadata)
        if self._file is not None:
            make_file(self._mark(self._file))

    @property
    def _file(self) -> Path | None:
        """Of SQLite: the database's file."""
        name = self.engine.url.database
        return Path(name) if name and name != ":memory:" and self.engine.dialect.name == "sqlite" else None

    @staticmethod
    def _mark(file: Path) -> Path:
        return file.with_name(file.name + FILLED)

    def _refuse_emptied(self) -> None:
        """A file without a byte is a new database, unless it held tables once: then all of them are lost."""
        file = self._file
        if file is not None and file.exists() and not file.stat().st_size and self._mark(file).exists():
            self._state.outage = f"база {self.address} пуста, хотя была заполнена: {RESTORE}"
            raise StoreUnavailable(self._state.outage)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._guarded(), self._turn, self.engine.begin() as connection:
            yield connection
        self._state.outage = ""

    @contextmanager
    def write_one_statement(self) -> Iterator[Connection]:
        """A transaction of a single statement: PostgreSQL is sent neither BEGIN nor COMMIT, and it is durable when the
        statement returns."""
        with (
            self._guarded(),
            self._turn,
            self.engine.connect().execution_options(**self._one_statement) as connection,
            connection.begin(),
        ):
            yield connection
        self._state.outage = ""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._guarded(), self.engine.connect().execution_options(**self._reading) as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            is_gone = isinstance(error.orig, Exception) and error.connection_invalidated
            if is_gone or is_operational(error) or is_damaged(error):
                self._state.outage = f"база {self.address} {in_russian(error)}"
                raise StoreUnavailable(self._state.outage) from error
            raise


class AccountStore:
    """One account's part of the store; several accounts live in one.

    ``account_id``: the store's own number of the account (``accounts.id``), not amoCRM's."""

    def __init__(self, store: Store, account_id: int) -> None:
        self.store = store
        self.account_id = account_id

    def owns(self, table: FromClause) -> ColumnElement[bool]:
        """Condition: the table's row is this account's."""
        return table.c.account == self.account_id

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write."""
        with self.store.write() as connection:
            yield connection

    @contextmanager
    def write_one_statement(self) -> Iterator[Connection]:
        """See Store."""
        with self.store.write_one_statement() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.store.read() as connection:
            yield connection


# --- notification between processes -----------------------------------------------------------------------------------
# The receiver of a webhook wakes the worker. PostgreSQL delivers it by NOTIFY, together with the commit. With SQLite
# there is one machine, and the worker of another process polls every second; so does every worker whose notification
# got lost with a broken connection.

NOTIFY_CHANNEL = "amo_bridge_inbox"
# So long a closing process waits for the listener, and so long it takes to try again after a broken connection.
LISTEN_FOR = 0.5
LISTEN_PAUSE = 2.0


def notify(connection: Connection, account: int) -> None:
    """Within the transaction that brings something for the account in: heard when it is committed."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(NOTIFY_CHANNEL, _whose(account))))


def _whose(account: int) -> object:
    # A channel belongs to the whole database; two bridges in two schemas of it must not wake each other.
    return func.current_schema().concat(literal(f" {account}"))


class Notifier:
    """One process's ears: one connection, whatever the number of accounts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._subscribers: dict[str, Callable[[], None]] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def subscribe(self, account: int, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever something came in for the account, here or on another machine."""
        self._subscribers[str(account)] = wake
        if self._thread is None and self._engine.dialect.name == "postgresql":
            self._thread = threading.Thread(target=self._listen_on, name="bells", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Hear nothing more."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(10)

    def _listen_on(self) -> None:
        from psycopg import Error

        while not self._closing.is_set():
            try:
                self._listen()
            except (StoreUnavailable, DBAPIError, Error) as error:
                log.warning("bells not heard", error=str(error))
                self._closing.wait(LISTEN_PAUSE)

    def _listen(self) -> None:
        with own_session(self._engine) as session:
            schema = session.execute(select(func.current_schema())).scalar_one()
            session.execute(text(f"LISTEN {NOTIFY_CHANNEL}"))
            # What came before anybody listened.
            for wake in list(self._subscribers.values()):
                wake()
            connection: Any = session.connection.dbapi_connection
            while not self._closing.is_set():
                for notice in connection.notifies(timeout=LISTEN_FOR):
                    self._dispatch(schema, notice.payload)

    def _dispatch(self, schema: str, payload: str) -> None:
        whose, _, account = payload.rpartition(" ")
        if whose == schema and (wake := self._subscribers.get(account)):
            wake()
