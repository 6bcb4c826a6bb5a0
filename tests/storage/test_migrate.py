"""The store's revisions: a new store, an old one with its rows, two processes at once, and one that is too new."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, insert, inspect, select, text

from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage import migrate
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import accounts, events, journal, metadata, outbox

FIRST_SHAPE = Path(__file__).parent / "first_shape"
EVENT = {
    "id": 11, "account": 1, "inbox_id": 5, "key": "k", "deal_id": 7, "received_at": 10.0, "body": "{}",
    "state": "failed", "attempts": 5, "due_at": 0.0, "error": "сломалось",
}  # fmt: skip
EFFECT = {
    "id": 21, "account": 1, "key": "r|k|0", "event_id": 11, "rule": "r", "deal_id": 7, "kind": "create_task",
    "payload": '{"words": "задача"}', "state": "ready", "after_id": None, "attempts": 0, "due_at": 0.0,
    "created_at": 10.0, "sent_at": None, "done_at": None, "result": None, "error": None,
}  # fmt: skip
TOLD = {
    "id": 31, "account": 1, "at": 10.0, "event_id": 11, "deal_id": 7, "what": "хук", "rule": None, "clause": "A10",
    "verdict": "came", "reason": "", "actions": "[]",
}  # fmt: skip
SINCE_THEN = {"source": None, "kind": None, "skip_count": None, "skips": None, "packed_skips": None}
"""Columns of the journal that the first release had not."""


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of each kind without a single table."""
    url = f"sqlite:///{tmp_path / 'bridge.db'}"
    store = Store(request.getfixturevalue("postgres_url") if request.param == "postgresql" else url)
    yield store
    store.close()


@pytest.fixture
def first(bare: Store) -> Store:
    """A store as the first release made it, with rows in it."""
    statements = (FIRST_SHAPE / f"{bare.engine.dialect.name}.sql").read_text("utf-8").split(";\n")
    with bare.engine.begin() as connection:
        for statement in filter(str.strip, statements):
            connection.execute(text(statement))
        connection.execute(insert(accounts).values(id=1, amo_id=99, amojo_id="u", url="https://agency.amocrm.ru"))
        connection.execute(insert(events).values(EVENT))
        connection.execute(insert(outbox).values(EFFECT))
        connection.execute(insert(journal).values(TOLD))
    return bare


def shape(engine: Engine) -> list[str]:
    """Every table, column and index as the database itself tells it."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name <> 'alembic_version'"
            return sorted(" ".join(row.sql.split()) for row in connection.execute(text(query)))
        columns = (
            "SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type, character_maximum_length,"
            " collation_name, is_nullable, column_default) FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name <> 'alembic_version'"
        )
        indexes = (
            "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename <> 'alembic_version'"
        )
        return sorted([*connection.execute(text(columns)).scalars(), *connection.execute(text(indexes)).scalars()])


def rows(connection: Connection, *tables: Any) -> list[dict[str, Any]]:
    return [dict(row._mapping) for table in tables for row in connection.execute(select(table))]


def test_the_revisions_build_what_the_code_says(bare: Store) -> None:
    with bare.engine.begin() as connection:
        migrate.migrate(connection)
    with bare.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    migrated = shape(bare.engine)
    metadata.drop_all(bare.engine)
    metadata.create_all(bare.engine)
    assert migrated == shape(bare.engine)


def test_a_new_store_is_of_the_newest_revision_and_needs_no_alembic(
    bare: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as absent:
        absent.setitem(sys.modules, "alembic", None)
        bare.prepare()
        bare.prepare()
    # Alembic takes it for its own.
    with bare.engine.begin() as connection:
        assert migrate.version_of(connection) == migrate.HEAD
        assert MigrationContext.configure(connection).get_current_revision() == migrate.HEAD
        migrate.migrate(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_store_of_the_first_release_keeps_its_rows(first: Store) -> None:
    first.prepare()
    with first.read() as connection:
        assert rows(connection, events, outbox, journal) == [EVENT, EFFECT, TOLD | SINCE_THEN]
        assert migrate.version_of(connection) == migrate.HEAD
    # What has been added since works beside the old rows.
    with first.write() as connection:
        Cursors(AccountStore(first, 1)).write(connection, "reconciled_until", 5.0)
    assert Cursors(AccountStore(first, 1)).read("reconciled_until") == 5.0


def test_a_store_of_the_first_release_gets_the_present_shape(first: Store) -> None:
    first.prepare()
    upgraded = shape(first.engine)
    metadata.drop_all(first.engine)
    metadata.create_all(first.engine)
    assert upgraded == shape(first.engine)


def test_a_store_made_between_the_revisions_is_brought_up_to_date_too(first: Store) -> None:
    metadata.tables["cursors"].create(first.engine)
    first.prepare()
    with first.read() as connection:
        assert migrate.version_of(connection) == migrate.HEAD


def test_preparing_twice_changes_nothing(bare: Store) -> None:
    bare.prepare()
    before = shape(bare.engine)
    bare.prepare()
    assert shape(bare.engine) == before


def test_a_store_newer_than_the_program_is_left_alone_and_says_what_to_do(bare: Store) -> None:
    bare.prepare()
    with bare.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    before = shape(bare.engine)
    with pytest.raises(StoreUnavailable, match=r"0999.*обновите amo-bridge"):
        bare.prepare()
    assert shape(bare.engine) == before


def test_a_migration_that_breaks_off_leaves_the_old_store(first: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: the last statement fails, and nothing of the rest is there either."""
    with first.engine.begin() as connection:
        connection.execute(text("CREATE INDEX outbox_failed ON outbox (id)"))
    before = shape(first.engine)
    with pytest.raises(Exception, match="outbox_failed"):
        first.prepare()
    assert shape(first.engine) == before
    assert not inspect(first.engine).has_table("cursors")


def test_processes_that_start_at_once_make_one_store(bare: Store) -> None:
    code = "import sys; from amo_bridge.storage.database import Store; Store(sys.argv[1]).prepare()"
    starting = [subprocess.Popen([sys.executable, "-c", code, bare.url], stderr=subprocess.PIPE) for _ in range(4)]
    told = [process.communicate(timeout=60)[1].decode() for process in starting]
    assert [process.returncode for process in starting] == [0] * 4, told
    with bare.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [migrate.HEAD]


def test_the_head_named_in_the_code_is_the_last_revision(tmp_path: Path) -> None:
    store = Store.in_folder(tmp_path)
    with store.read() as connection:
        assert ScriptDirectory.from_config(migrate._config(connection)).get_heads() == [migrate.HEAD]
    store.close()
