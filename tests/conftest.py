"""What tests of several folders share: a local amoCRM, its people, a config, a running bridge, a store of each kind."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from pydantic import TypeAdapter
from support.local_crm import LocalCrm, served
from support.made_once import (
    addresses,
    commits_without_a_disk,
    revisions,
    statements,
    tables,
    templates,
    texts_of_configs,
)
from support.running_bridge import RunningBridge, config_for

from amo_bridge import logs, retry
from amo_bridge.advertising import exports
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime import worker
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.database import Store
from amo_bridge.webinars.formats import reading_process

# A table that has grown beyond it begins anew as a file: what was deleted stays there, and every read passes it.
MOST_BYTES = 256 * 1024
# Collecting makes a million things that all stay: without a pause the garbage collector passes them again and again.
gc.disable()
# Of objects that may be garbage, before a round over the youngest; Python's own is 700.
MOST_YOUNG = 10_000
POSTGRES = "postgresql://postgres@127.0.0.1:5432/test"


def pytest_collection_finish() -> None:
    """Leave tests and modules to the end: a full round over them takes longer than most tests, and finds nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(MOST_YOUNG, 10, 10)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def what_all_tests_make_is_made_once() -> Iterator[None]:
    """See ``support/made_once.py``."""
    with ExitStack() as stack:
        for made_once in (
            addresses,
            templates,
            statements,
            tables,
            revisions,
            texts_of_configs,
            commits_without_a_disk,
        ):
            stack.enter_context(made_once())
        yield


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that a test types in this process sets the logs up; the next test has its own wishes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # structlog's own renderer draws the locals of every frame: a test whose bridge meets an error took minutes.
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=repr),
        ]
    )
    yield
    structlog.reset_defaults()
    logs.postponed_level = None
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def no_event_loop_left() -> Iterator[None]:
    """A loop left running in this thread would fail every later test that runs one; so the one that left it fails."""
    yield
    left = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    assert left is None, "the test leaves an event loop running in this thread"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """A local amoCRM with a new account of the agency."""
    with served(load_world()) as crm:
        yield crm


@pytest.fixture
def office(sandbox: LocalCrm) -> CrmUser:
    """The people of the sandbox's account."""
    return CrmUser(sandbox.url)


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The shipped example, for the sandbox."""
    return config_for(sandbox.url, tmp_path / "data")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridge looks and tries again after hundredths of a second: its pauses are for people and vendors."""
    monkeypatch.setattr(worker, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(retry, "FIRST", 0.02)


@pytest.fixture
def start_bridge(request: pytest.FixtureRequest, impatient: None) -> Callable[..., RunningBridge]:
    """Start bridges: ``start_bridge(config, port=…, settle=…)``; whatever still runs at the end is stopped."""

    def start(config: Config, **how: Any) -> RunningBridge:
        running = RunningBridge(config, **how)
        request.addfinalizer(running.stop)
        return running

    return start


@pytest.fixture
def bridge(config: Config, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    """A bridge at work on the sandbox, its hook subscribed."""
    return start_bridge(config).wait_ready()


@pytest.fixture
def files_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports are read in this process, by the same words: starting one for each costs a hundred times the reading."""

    def read(name: str, request: Mapping[str, Any], content: bytes, answer: TypeAdapter[Any], **_: Any) -> Any:
        told = json.loads(json.dumps(request))
        if "service" in told:
            return answer.validate_json(answer.dump_json(exports._read(told, content)))
        export = reading_process.read_content(name, content, reading_process._options(told))
        return answer.validate_json(answer.dump_json(export))

    monkeypatch.setattr(reading_process, "_say", lambda answer: None)
    for module in (reading_process, exports):
        monkeypatch.setattr(module, "read_in_child", read)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "postgresql":
        schema, connection = request.getfixturevalue("prepared_schema")
        opened = Store(_address(schema))
        yield opened
        opened.close()
        _empty(connection, schema)
    else:
        opened = Store.in_folder(tmp_path)
        opened.prepare()
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def prepared_schema() -> Iterator[tuple[str, psycopg.Connection]]:
    """An empty store in a schema of PostgreSQL, which every test leaves empty, and a connection that empties it."""
    with _schema() as schema:
        store = Store(_address(schema))
        store.prepare()
        store.close()
        with psycopg.connect(POSTGRES, connect_timeout=3, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '20s'")
            connection.execute("SET synchronous_commit = off")
            yield schema, connection


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of this machine, a schema of its own in it; skipped where there is none."""
    with _schema() as schema:
        yield _address(schema)


@pytest.fixture(scope="module")
def busy_postgres_url() -> Iterator[str]:
    """The same for all tests of a module together: it takes long to fill."""
    with _schema() as schema:
        yield _address(schema)


@pytest.fixture(scope="session")
def lasting_postgres_url() -> Iterator[str]:
    """The same for all tests of the session together: what one leaves, the next one finds."""
    with _schema() as schema:
        yield _address(schema)


@contextmanager
def _schema() -> Iterator[str]:
    if why := _no_postgres():
        pytest.skip(f"no PostgreSQL at {POSTGRES}: {why}")
    schema = f"amo_bridge_{uuid.uuid4().hex}"
    _postgres(f'CREATE SCHEMA "{schema}"')
    yield schema
    _postgres(f'DROP SCHEMA "{schema}" CASCADE')


def _address(schema: str) -> str:
    """Nothing here outlives a crash of the database, so no commit waits for its disk."""
    settings = f"-csearch_path%3D{schema}%20-csynchronous_commit%3Doff"
    return f"{POSTGRES.replace('postgresql:', 'postgresql+psycopg:')}?options={settings}"


def _empty(connection: psycopg.Connection, schema: str) -> None:
    """Every table but the one that says which revision this is, and those that never held anything; numbers begin at 1
    again."""
    sized = (
        "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relnamespace = %s::regnamespace"
        " AND relkind = 'r' AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0"
    )
    found = connection.execute(sized, [schema]).fetchall()
    statements = [
        f'TRUNCATE "{schema}"."{name}"' if size > MOST_BYTES else f'DELETE FROM "{schema}"."{name}"'
        for name, size in found
    ]
    begun = "SELECT sequencename FROM pg_sequences WHERE schemaname = %s AND last_value IS NOT NULL"
    names = [name for (name,) in connection.execute(begun, [schema])]
    connection.execute(";".join(statements + [f'ALTER SEQUENCE "{schema}"."{name}" RESTART' for name in names]))


def _postgres(statement: Any) -> None:
    with psycopg.connect(POSTGRES, connect_timeout=3, autocommit=True) as connection:
        connection.execute(statement)


@cache
def _no_postgres() -> str:
    """Why it can't be used; empty if it can."""
    try:
        _postgres("SELECT 1")
    except psycopg.Error as error:
        return str(error).splitlines()[0]
    return ""
