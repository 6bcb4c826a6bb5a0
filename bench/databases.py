"""Empty databases of each kind for a run, dropped afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/test"


@contextmanager
def database_of(kind: str) -> Iterator[str]:
    """The address of an empty database of that kind: SQLite in the bridge's own folder, or a schema of PostgreSQL that
    is dropped afterwards. Raises sqlalchemy.exc.OperationalError when PostgreSQL does not answer."""
    if kind == "sqlite":
        yield ""
        return
    schema = f"bench_{os.getpid()}_{time.time_ns() % 1_000_000}"
    engine = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield f"{POSTGRES}?options=-csearch_path%3D{schema}"
    finally:
        _drop(engine, schema)
        engine.dispose()


@retry(retry=retry_if_exception_type(OperationalError), wait=wait_fixed(1), stop=stop_after_attempt(20), reraise=True)
def _drop(engine: Engine, schema: str) -> None:
    """PostgreSQL needs a moment to notice that a killed process has gone, and till then holds its locks."""
    with engine.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
