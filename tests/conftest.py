"""What tests of several folders share: a local amoCRM, its people, a config, a running bridge, a store of each kind."""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from sqlalchemy import Connection, Engine, create_mock_engine
from support.local_crm import LocalCrm, served
from support.running_bridge import RunningBridge, config_for
from werkzeug.routing import Rule

from amo_bridge import retry
from amo_bridge.config import loader
from amo_bridge.config.model import Config
from amo_bridge.config.toml_recovery import Recovered
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime import worker
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import metadata

POSTGRES = "postgresql://postgres@127.0.0.1:5432/test"


@pytest.fixture(scope="session", autouse=True)
def addresses_are_compiled_once() -> Iterator[None]:
    """Flask compiles two functions for each address of an app; every test makes apps, always of the same addresses."""
    compiled: dict[tuple[object, ...], Any] = {}
    made_anew = Rule._compile_builder

    def compile_builder(rule: Rule, append_unknown: bool = True) -> Any:
        key = (rule.rule, str(rule._trace), str(rule.defaults), append_unknown)
        if key not in compiled:
            compiled[key] = made_anew(rule, append_unknown)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_builder)
        yield


@pytest.fixture(scope="session", autouse=True)
def tables_are_compiled_once() -> Iterator[None]:
    """SQLAlchemy writes out some two hundred statements for each new store; thousands of tests make one."""
    statements: dict[str, list[str]] = {}
    made_anew = metadata.create_all

    def create_all(bind: Engine | Connection) -> None:
        if isinstance(bind, Engine):
            return made_anew(bind)
        dialect = bind.dialect
        if dialect.name not in statements:
            found: list[str] = []
            written = create_mock_engine(
                f"{dialect.name}://", lambda statement, *_: found.append(str(statement.compile(dialect=dialect)))
            )
            made_anew(written, checkfirst=False)
            statements[dialect.name] = found
        for statement in statements[dialect.name]:
            bind.exec_driver_sql(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "create_all", create_all)
        yield


@pytest.fixture(scope="session", autouse=True)
def texts_of_configs_are_parsed_once() -> Iterator[None]:
    """Most tests load the shipped example, of 1,200 lines; a change of one of its keys is another text."""
    parsed = lru_cache(maxsize=64)(loader.recover)

    def recover(path: Path, text: str) -> Recovered:
        # The tree is the loader's own to change.
        return deepcopy(parsed(Path(path.name), text))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "recover", recover)
        yield


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that a test types in this process sets the logs up; the next test has its own wishes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
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


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "postgresql":
        schema = request.getfixturevalue("prepared_schema")
        opened = Store(_address(schema))
        yield opened
        opened.close()
        _empty(schema)
    else:
        file = shutil.copy(request.getfixturevalue("prepared_file"), tmp_path / "bridge.db")
        opened = Store(f"sqlite:///{file}")
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def prepared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store as a file, to be copied: making its tables takes longer than most tests."""
    file = tmp_path_factory.mktemp("prepared") / "bridge.db"
    _prepare(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def prepared_schema() -> Iterator[str]:
    """An empty store in a schema of PostgreSQL, which every test leaves empty."""
    with _schema() as schema:
        _prepare(_address(schema))
        yield schema


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of this machine, a schema of its own in it; skipped where there is none."""
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


def _prepare(url: str) -> None:
    store = Store(url)
    store.prepare()
    store.close()


def _empty(schema: str) -> None:
    """Every table but the one that says which revision this is; numbers begin at 1 again."""
    with psycopg.connect(POSTGRES, connect_timeout=3, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '20s'")
        named = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'alembic_version'"
        tables = [name for (name,) in connection.execute(named, [schema])]
        counted = "SELECT sequencename FROM pg_sequences WHERE schemaname = %s AND last_value IS NOT NULL"
        sequences = [name for (name,) in connection.execute(counted, [schema])]
        emptied = [f'DELETE FROM "{schema}"."{name}"' for name in tables]
        begun = [f'ALTER SEQUENCE "{schema}"."{name}" RESTART' for name in sequences]
        connection.execute(";".join(emptied + begun))


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
