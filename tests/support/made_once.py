"""What thousands of tests make of the same parts, made once in a process.

Each is a copy or a thing that nobody changes, so no test sees what another one did.
"""

from __future__ import annotations

import pickle
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from copy import copy
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Connection, Engine, MetaData, create_mock_engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache
from werkzeug.routing import Map, Rule, RuleFactory
from werkzeug.routing.matcher import StateMachineMatcher

from amo_bridge.config import loader
from amo_bridge.config.toml_recovery import Recovered
from amo_bridge.storage import database, migrate
from amo_bridge.storage.tables import metadata

SQLITE_SETTINGS = database._sqlite_settings
"""As the product opens a file."""
# Statements of the whole product, with room for those of the tests.
MOST_STATEMENTS = 5000


@contextmanager
def addresses() -> Iterator[None]:
    """Flask compiles some hundred addresses for each app; an app of the same addresses gets those compiled before.

    A map of addresses collects them until it is asked for one; compiled ones, once sorted, are changed by nobody.
    """
    compiled: dict[tuple[object, ...], Map] = {}
    guard = threading.Lock()
    add, update = Map.add, Map.update

    def collect(self: Map, rulefactory: RuleFactory) -> None:
        self.__dict__.setdefault("_collected", []).extend(rulefactory.get_rules(self))
        self._remap = True

    def complete(self: Map) -> None:
        with guard:
            if not self._remap:
                return
            rules: list[Rule] = self.__dict__.get("_collected", [])
            key = (_settings(self), *map(_address, rules))
            if key not in compiled:
                made = copy(self)
                made._matcher, made._rules_by_endpoint = StateMachineMatcher(self.merge_slashes), {}
                made._remap_lock = Map.lock_class()
                for rule in rules:
                    add(made, _twin(rule))
                update(made)
                compiled[key] = made
            self._matcher, self._rules_by_endpoint = compiled[key]._matcher, compiled[key]._rules_by_endpoint
            self._remap = False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Map, "add", collect)
        patch.setattr(Map, "update", complete)
        yield


def _settings(addresses: Map) -> tuple[object, ...]:
    names = ("default_subdomain", "strict_slashes", "merge_slashes", "redirect_defaults", "host_matching")
    return (*(getattr(addresses, name) for name in names), *addresses.converters.items())


def _address(rule: Rule) -> tuple[object, ...]:
    names = ("rule", "endpoint", "subdomain", "host", "build_only", "alias", "websocket", "redirect_to")
    told = (getattr(rule, name) for name in (*names, "strict_slashes", "merge_slashes"))
    methods = frozenset(rule.methods) if rule.methods is not None else None
    return (*told, methods, str(rule.defaults), getattr(rule, "provide_automatic_options", None))


def _twin(rule: Rule) -> Rule:
    """The same address, bound to no map."""
    twin = rule.empty()
    # Flask's own mark.
    twin.provide_automatic_options = getattr(rule, "provide_automatic_options", None)  # type: ignore[attr-defined]
    return twin


@contextmanager
def templates() -> Iterator[None]:
    """Each app compiles the templates of the pages it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "jinja_options", {"bytecode_cache": _CompiledTemplates()})
        yield


class _CompiledTemplates(BytecodeCache):
    """``bucket.key`` tells the file, ``bucket.checksum`` its text."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._kept[bucket.key, bucket.checksum] = bucket.code


@contextmanager
def statements() -> Iterator[None]:
    """SQLAlchemy keeps compiled statements by engine; each test has a new one, and all speak the same two dialects."""
    kept: LRUCache[Any, Any] = LRUCache(MOST_STATEMENTS)
    types: dict[type, WeakKeyDictionary[Any, Any]] = {}
    opened = database.open_engine

    def open_engine(url: str) -> Engine:
        engine = opened(url)
        engine._compiled_cache = kept
        engine.dialect._type_memos = types.setdefault(type(engine.dialect), WeakKeyDictionary())
        return engine

    with pytest.MonkeyPatch.context() as patch:
        # The key of a statement begins with its dialect.
        patch.setattr(DefaultDialect, "__hash__", lambda dialect: hash(type(dialect)))
        patch.setattr(DefaultDialect, "__eq__", lambda dialect, other: type(dialect) is type(other))
        patch.setattr(database, "open_engine", open_engine)
        yield


@contextmanager
def tables() -> Iterator[None]:
    """SQLAlchemy writes out some two hundred statements for each new store, and SQLite carries them out: an empty file
    becomes a copy of one that has the tables."""
    texts: dict[str, list[str]] = {}
    create, upgrade = metadata.create_all, migrate.upgrade

    def create_all(bind: Engine | Connection) -> None:
        if isinstance(bind, Engine):
            return create(bind)
        dialect = bind.dialect
        if dialect.name not in texts:
            found: list[str] = []
            written = create_mock_engine(
                f"{dialect.name}://", lambda statement, *_: found.append(str(statement.compile(dialect=dialect)))
            )
            create(written, checkfirst=False)
            texts[dialect.name] = found
        for statement in texts[dialect.name]:
            bind.exec_driver_sql(statement)

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        prepared, guard = Path(folder) / "prepared.db", threading.Lock()

        def copied(engine: Engine, wanted: MetaData) -> None:
            name = engine.url.database
            file = Path(name) if name and engine.dialect.name == "sqlite" else None
            with guard:
                # Without a byte: nobody has opened it yet.
                if file is not None and wanted is metadata and file.exists() and not file.stat().st_size:
                    if not prepared.exists():
                        made = database.open_engine(f"sqlite:///{prepared}")
                        upgrade(made, metadata)
                        made.dispose()
                    _copy(prepared, file)
            upgrade(engine, wanted)

        patch.setattr(metadata, "create_all", create_all)
        patch.setattr(migrate, "upgrade", copied)
        yield


def _copy(file: Path, into: Path) -> None:
    """By SQLite itself, which knows who else has it open."""
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(into)) as target:
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target)


@contextmanager
def revisions() -> Iterator[None]:
    """Alembic imports every revision for each store that it upgrades, and nobody changes one."""
    read, kept = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def read_once(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in kept:
            kept[location] = read(config)
        return kept[location]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", read_once)
        yield


@contextmanager
def texts_of_configs() -> Iterator[None]:
    """Most tests load the shipped example, of 1,200 lines; a change of one of its keys is another text."""
    anew = loader.recover

    @lru_cache(maxsize=64)
    def parsed(name: str, text: str) -> bytes:
        return pickle.dumps(anew(Path(name), text))

    def recover(path: Path, text: str) -> Recovered:
        # The tree is the loader's own to change.
        recovered: Recovered = pickle.loads(parsed(path.name, text))
        return recovered

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "recover", recover)
        yield


@contextmanager
def commits_without_a_disk() -> Iterator[None]:
    """Nothing here outlives a crash of the machine, so no commit of SQLite waits for its disk."""

    def fast(connection: Any, record: object) -> None:
        SQLITE_SETTINGS(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_sqlite_settings", fast)
        yield
