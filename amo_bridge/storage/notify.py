"""Notification between processes by the database: the receiver of a webhook wakes the worker.

PostgreSQL delivers it by NOTIFY, together with the commit. With SQLite there is one machine, and the worker of another
process polls every second; so does every worker whose notification got lost with a broken connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, func, literal, select, text
from sqlalchemy.exc import DBAPIError

from amo_bridge.errors import StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.storage.locks import own_session

CHANNEL = "amo_bridge_inbox"
# So long a closing process waits for the listener, and so long it takes to try again after a broken connection.
LISTEN_FOR = 0.5
PAUSE = 2.0


def notify(connection: Connection, account: int) -> None:
    """Within the transaction that brings something for the account in: heard when it is committed."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(CHANNEL, _whose(account))))


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
                self._closing.wait(PAUSE)

    def _listen(self) -> None:
        with own_session(self._engine) as session:
            schema = session.execute(select(func.current_schema())).scalar_one()
            session.execute(text(f"LISTEN {CHANNEL}"))
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
