"""The durable store: how it is opened, read and written. SQLite embedded, PostgreSQL by the same code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from amo_bridge.engine import schema
from amo_bridge.engine.database import is_operational, open_engine
from amo_bridge.engine.tables import metadata
from amo_bridge.engine.turns import Turns
from amo_bridge.errors import StoreUnavailable


class Store:
    """The opened database. ``write()`` is a transaction that may write; ``read()`` one that only reads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_engine(url)
        # Writers queue here rather than in SQLite's busy loop, which wakes them unfairly late.
        self._turn = Turns()

    @classmethod
    def at(cls, url: str, folder: Path) -> Store:
        """The database at ``url``; empty: SQLite in the folder."""
        return cls(url) if url else cls.in_folder(folder)

    @classmethod
    def in_folder(cls, folder: Path) -> Store:
        folder.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{folder / 'amo-bridge.db'}")

    @property
    def address(self) -> str:
        """Where it is, for people: without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    def prepare(self) -> None:
        """Make the tables or bring them up to date. Raises StoreUnavailable, also for a store newer than the code."""
        with self._guarded():
            schema.upgrade(self.engine, metadata)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._guarded(), self._turn, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._guarded(), self.engine.connect().execution_options(amo_bridge_read=True) as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if (isinstance(error.orig, Exception) and error.connection_invalidated) or is_operational(error):
                raise StoreUnavailable(f"база {self.address} не отвечает: {error.orig}") from error
            raise
