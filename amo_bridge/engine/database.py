"""How a database is opened: SQLite, so that what is committed stays and readers see one moment; or PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError


def is_operational(error: DBAPIError) -> bool:
    """Disk full, database locked, gone, or become a read-only copy: its trouble (an integrity error is ours)."""
    return isinstance(error, OperationalError | InterfaceError | InternalError)


def open_engine(url: str) -> Engine:
    """The engine for this address; connects at the first use."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": 15}, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_settings)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


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
