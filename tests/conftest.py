"""What tests of several folders share: a local amoCRM, its people, a config, a running bridge, a store of each kind."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from local_crm import LocalCrm, served
from running_bridge import RunningBridge, config_for

from amo_bridge.config.model import Config
from amo_bridge.demo.office import Office
from amo_bridge.engine import delays, worker
from amo_bridge.engine.store import Store
from amo_bridge.sandbox.world import World

POSTGRES = "postgresql://postgres@127.0.0.1:5432/test"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """A local amoCRM with a new account of the agency."""
    with served(World.load()) as crm:
        yield crm


@pytest.fixture
def office(sandbox: LocalCrm) -> Office:
    """The people of the sandbox's account."""
    return Office(sandbox.url)


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The shipped example, for the sandbox."""
    return config_for(sandbox.url, tmp_path / "data")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridge looks and tries again after hundredths of a second: its pauses are for people and vendors."""
    monkeypatch.setattr(worker, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(delays, "FIRST", 0.02)


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
    url = f"sqlite:///{tmp_path / 'bridge.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    opened = Store(url)
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of this machine, a schema of its own in it; skipped where there is none."""
    if why := _no_postgres():
        pytest.skip(f"no PostgreSQL at {POSTGRES}: {why}")
    schema = f"amo_bridge_{uuid.uuid4().hex}"
    _postgres(f'CREATE SCHEMA "{schema}"')
    yield f"{POSTGRES.replace('postgresql:', 'postgresql+psycopg:')}?options=-csearch_path%3D{schema}"
    _postgres(f'DROP SCHEMA "{schema}" CASCADE')


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
