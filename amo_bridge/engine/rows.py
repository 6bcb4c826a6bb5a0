"""Many rows at once, on both databases: inserting those that may be there already, naming many in one statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

# Both databases limit the parameters of one statement (SQLite: 32,766); well below that.
CHUNK = 500
One = TypeVar("One")


def chunks(many: Sequence[One]) -> Iterator[Sequence[One]]:
    """Pieces that one statement can name."""
    for start in range(0, len(many), CHUNK):
        yield many[start : start + CHUNK]


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
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
