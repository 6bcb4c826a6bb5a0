"""Small lasting values as JSON in an sqlitedict file: tokens, a copy of the account's names."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlitedict import SqliteDict

from amo_bridge.errors import StoreUnavailable
from amo_bridge.file_lock import file_lock
from amo_bridge.private_files import make_file, make_folder


def to_text(value: Any) -> str:
    """JSON, readable for people who look into the file."""
    return json.dumps(value, ensure_ascii=False)


class Values(Protocol):
    """Small lasting values under names. Everything raises StoreUnavailable."""

    def read(self, key: str) -> Any:
        """The value, or None."""

    def mark(self) -> tuple[int, ...] | None:
        """The same as before only if nothing was written since then; None where that can't be told. Looking at it costs
        a hundredth of reading a value."""

    def write(self, key: str, value: Any) -> None:
        """Keep the value; it is kept when this returns."""

    def remove(self, key: str) -> None:
        """Forget the value, if there is one."""

    def take(self, key: str) -> Any:
        """The value, forgotten by this: of several who ask at once, one gets it and the others get None."""


SQLITE_HEADER = struct.Struct(">18sBB4sI")
"""Of a file: what stands before, the versions of its format for writing and reading (2: WAL), and the number that each
commit makes another (https://www.sqlite.org/fileformat.html#the_database_header)."""


class JsonStore:
    """One table of a file, opened only for as long as one value is read or written. Raises StoreUnavailable."""

    def __init__(
        self,
        path: Path,
        table: str,
        *,
        encode: Callable[[Any], str] = to_text,
        decode: Callable[[str], Any] = json.loads,
    ) -> None:
        self._path = path
        self._table = table
        self._encode = encode
        self._decode = decode

    def read(self, key: str) -> Any:
        """The value, or None."""
        if not self._path.exists():
            return None
        with self._open() as values:
            return values.get(key)

    def mark(self) -> tuple[int, ...] | None:
        """See Values: which file it is, and how often it was written."""
        try:
            with self._path.open("rb") as file:
                header, state = file.read(SQLITE_HEADER.size), os.fstat(file.fileno())
        except OSError:
            return None
        if len(header) < SQLITE_HEADER.size:
            return None
        _, writes, reads, _, commits = SQLITE_HEADER.unpack(header)
        is_counted = writes == reads == 1
        return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, commits) if is_counted else None

    def write(self, key: str, value: Any) -> None:
        """Keep the value; it is on the disk when this returns."""
        with self._open() as values:
            values[key] = value
            values.commit(blocking=True)

    def remove(self, key: str) -> None:
        """Forget the value, if there is one."""
        with self._open() as values:
            values.pop(key, None)
            values.commit(blocking=True)

    def take(self, key: str) -> Any:
        """The value, for one caller only."""
        if not self._path.exists():
            return None
        # sqlitedict reads and removes in two steps.
        with file_lock(self._path.with_suffix(".lock")):
            value = self.read(key)
            self.remove(key)
        return value

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            make_folder(self._path.parent)
            make_file(self._path)
            self._must_be_a_database()
            # Without autocommit a failing commit kills sqlitedict's thread, and whoever waits for it waits for ever.
            with SqliteDict(
                str(self._path),
                tablename=self._table,
                autocommit=True,
                outer_stack=False,
                encode=self._encode,
                decode=self._decode,
            ) as values:
                # sqlitedict's own setting is OFF: a power cut could take back what was reported as kept.
                values.conn.execute("PRAGMA synchronous=FULL")
                yield values
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path}: {type(error).__name__}: {error}") from error

    def _must_be_a_database(self) -> None:
        """A file that can't be opened fails here, in our thread, and not with a traceback in sqlitedict's."""
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
