"""A copy taken while the store is being written to is one moment of it; put back, the bridge goes on from there."""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from support.fakes import URL, clock, effect, queue
from support.running_bridge import config_for

from amo_bridge import file_lock
from amo_bridge.config.model import Config
from amo_bridge.crm.tokens import FileTokenStore, TokenPair
from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.accounts import CLOCK_AHEAD, Cursors, RestoredCopy
from amo_bridge.storage.backup import CopyRefused, back_up, restore
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.secrets import small_state
from amo_bridge.storage.tables import accounts, cursors, outbox

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PAIR = TokenPair("access", "refresh", 5000.0, URL)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A bridge with a store, a secret and a token in its folder."""
    config = config_for(URL, tmp_path / "data")
    store = Store.in_folder(config.data_folder)
    store.prepare()
    queue(store, effect("create_task"))
    store.close()
    small_state(config, {}).secrets.write("hook_secret", "unguessable")
    FileTokenStore(config.data_folder / "tokens.db", {}).save("amocrm", PAIR)
    return config


@pytest.fixture
def other(tmp_path: Path) -> Config:
    """The same account on a new machine."""
    return config_for(URL, tmp_path / "elsewhere" / "data")


def opened(config: Config) -> Store:
    return Store.in_folder(config.data_folder)


def outbox_states(config: Config) -> list[str]:
    with closing(opened(config)) as store, store.read() as connection:
        return list(connection.execute(select(outbox.c.state)).scalars())


def test_rows_token_and_secret_are_there_on_another_machine(config: Config, other: Config, tmp_path: Path) -> None:
    copy = back_up(config, tmp_path / "copy.tar", NOW)
    assert copy.has_keys
    back = restore(other, tmp_path / "copy.tar", NOW, force=False)
    assert (back.made_at, back.aside) == (NOW, None)
    assert len(outbox_states(other)) == 1
    assert small_state(other, {}).secrets.read("hook_secret") == "unguessable"
    assert FileTokenStore(other.data_folder / "tokens.db", {}).load("amocrm") == PAIR


def test_a_writer_at_work_is_neither_stopped_nor_torn(config: Config, other: Config, tmp_path: Path) -> None:
    """Two rows are always written together: a copy that holds one of them without the other is torn."""
    store = opened(config)
    enough, written = threading.Event(), itertools.count()
    begun = threading.Event()

    def write() -> None:
        for number in written:
            with store.write() as connection:
                connection.execute(insert(cursors).values(account=number, name="left", value=1))
                connection.execute(insert(cursors).values(account=number, name="right", value=1))
            if number > 20:
                begun.set()
            if enough.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(30)
    for number in range(3):
        back_up(config, tmp_path / f"copy-{number}.tar", NOW)
    enough.set()
    writer.join()
    store.close()
    restore(other, tmp_path / "copy-2.tar", NOW, force=False)
    with closing(opened(other)) as copied, copied.read() as connection:
        rows = connection.execute(select(cursors.c.account, cursors.c.name)).all()
    left = {row.account for row in rows if row.name == "left"}
    assert left == {row.account for row in rows if row.name == "right"}
    assert len(left) > 20
    assert max(left) < next(written), "the copy is of a moment before the end"


def test_only_its_owner_may_read_it(config: Config, tmp_path: Path) -> None:
    back_up(config, tmp_path / "copy.tar", NOW)
    assert stat.S_IMODE((tmp_path / "copy.tar").stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"data", "copy.tar"}, "no plain copies are left lying about"


def test_restored_files_are_their_owners_too(config: Config, other: Config, tmp_path: Path) -> None:
    back_up(config, tmp_path / "copy.tar", NOW)
    restore(other, tmp_path / "copy.tar", NOW, force=False)
    for name in ("amo-bridge.db", "bridge.key", "tokens.key", "tokens.db"):
        assert stat.S_IMODE((other.data_folder / name).stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_overwritten(config: Config, tmp_path: Path) -> None:
    (tmp_path / "copy.tar").write_text("yesterday's")
    with pytest.raises(CopyRefused, match="уже есть"):
        back_up(config, tmp_path / "copy.tar", NOW)
    assert (tmp_path / "copy.tar").read_text() == "yesterday's"


def test_a_copy_that_breaks_off_leaves_no_half_a_file(config: Config, tmp_path: Path) -> None:
    (config.data_folder / "small-state.db").write_bytes(b"no database at all, but of some length" * 50)
    with pytest.raises(CopyRefused, match="не читается"):
        back_up(config, tmp_path / "copy.tar", NOW)
    assert not (tmp_path / "copy.tar").exists()


def test_nothing_to_copy(other: Config, tmp_path: Path) -> None:
    with pytest.raises(CopyRefused, match="копировать нечего"):
        back_up(other, tmp_path / "copy.tar", NOW)


def test_a_key_from_the_environment_is_not_in_the_copy(config: Config, tmp_path: Path) -> None:
    for name in ("bridge.key", "tokens.key"):
        (config.data_folder / name).unlink()
    assert not back_up(config, tmp_path / "copy.tar", NOW).has_keys


def test_a_database_elsewhere_is_copied_and_put_back_there(config: Config, other: Config, tmp_path: Path) -> None:
    def at(folder: str, whose: Config) -> Config:
        url = f"sqlite:///{tmp_path / folder / 'mine.db'}"
        return replace(whose, bridge=whose.bridge.model_copy(update={"database": url}))

    (tmp_path / "db").mkdir()
    os.replace(config.data_folder / "amo-bridge.db", tmp_path / "db" / "mine.db")
    back_up(at("db", config), tmp_path / "copy.tar", NOW)
    restore(at("new", other), tmp_path / "copy.tar", NOW, force=False)
    assert (tmp_path / "new" / "mine.db").exists()


def test_not_while_a_bridge_works_there(config: Config, tmp_path: Path) -> None:
    back_up(config, tmp_path / "copy.tar", NOW)
    leave = file_lock.enter(config.data_folder)
    another_leaves = file_lock.enter(config.data_folder)
    leave()
    with pytest.raises(StoreUnavailable, match="работает мост"):
        restore(config, tmp_path / "copy.tar", NOW, force=True)
    another_leaves()
    restore(config, tmp_path / "copy.tar", NOW, force=True)


def test_no_bridge_starts_during_a_restore(config: Config) -> None:
    with file_lock.alone(config.data_folder), pytest.raises(StoreUnavailable, match="восстановление"):
        file_lock.enter(config.data_folder)
    file_lock.enter(config.data_folder)()


def test_what_is_there_is_replaced_only_by_force_and_kept_aside(config: Config, tmp_path: Path) -> None:
    back_up(config, tmp_path / "copy.tar", NOW)
    with closing(opened(config)) as store:
        queue(store, effect("add_note"), event_key="since then")
    with pytest.raises(CopyRefused, match="--force"):
        restore(config, tmp_path / "copy.tar", NOW, force=False)
    assert len(outbox_states(config)) == 2
    back = restore(config, tmp_path / "copy.tar", NOW, force=True)
    assert len(outbox_states(config)) == 1
    assert back.aside is not None
    with closing(Store(f"sqlite:///{back.aside / 'amo-bridge.db'}")) as before, before.read() as connection:
        assert len(connection.execute(select(outbox.c.id)).all()) == 2


def test_the_log_of_another_database_does_not_get_into_the_restored_one(config: Config, tmp_path: Path) -> None:
    """A bridge that was killed leaves a -wal beside its database; SQLite would play it into whatever has that name."""
    back_up(config, tmp_path / "copy.tar", NOW)
    store = opened(config)
    queue(store, effect("add_note"), event_key="since then")
    logged = {name: (config.data_folder / name).read_bytes() for name in ("amo-bridge.db-wal", "amo-bridge.db-shm")}
    store.close()
    for name, content in logged.items():
        (config.data_folder / name).write_bytes(content)
    restore(config, tmp_path / "copy.tar", NOW, force=True)
    assert not (config.data_folder / "amo-bridge.db-wal").exists()
    assert len(outbox_states(config)) == 1


def test_what_was_waiting_then_is_looked_for_before_it_is_sent(config: Config, other: Config, tmp_path: Path) -> None:
    """It may have been sent after the copy was taken."""
    with closing(opened(config)) as store:
        queue(store, effect("add_note"), event_key="one")
        queue(store, effect("add_note"), event_key="two")
        with store.write() as connection:
            connection.execute(update(outbox).where(outbox.c.id == 2).values(state="sending"))
            connection.execute(update(outbox).where(outbox.c.id == 3).values(state="done"))
    back_up(config, tmp_path / "copy.tar", NOW)
    restore(other, tmp_path / "copy.tar", NOW, force=False)
    assert outbox_states(other) == ["doubt", "doubt", "done"]
    assert outbox_states(config) == ["ready", "sending", "done"], "the original is not touched"


@pytest.mark.parametrize("catch_up", [False, True])
def test_a_restored_store_knows_from_when_to_when_it_knows_nothing(
    config: Config, other: Config, tmp_path: Path, catch_up: bool
) -> None:
    with closing(opened(config)) as store, store.write() as connection:
        connection.execute(insert(accounts).values(amo_id=1, url=URL))
        Cursors(AccountStore(store, 1)).write(connection, CLOCK_AHEAD, 60.0)
    back_up(config, tmp_path / "copy.tar", NOW)
    restore(other, tmp_path / "copy.tar", NOW + timedelta(days=1), force=False, catch_up=catch_up)
    with closing(opened(other)) as store:
        found = RestoredCopy.read(Cursors(AccountStore(store, 1)))
    assert found == (None if catch_up else RestoredCopy(NOW, NOW + timedelta(days=1, minutes=1)))


def test_a_copy_of_a_newer_bridge_is_refused(config: Config, other: Config, tmp_path: Path) -> None:
    with closing(sqlite3.connect(config.data_folder / "amo-bridge.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    back_up(config, tmp_path / "copy.tar", NOW)
    with pytest.raises(StoreUnavailable, match="обновите amo-bridge"):
        restore(other, tmp_path / "copy.tar", NOW, force=False)
    assert not (other.data_folder / "amo-bridge.db").exists()


def test_a_damaged_copy_changes_nothing(config: Config, tmp_path: Path) -> None:
    back_up(config, tmp_path / "copy.tar", NOW)
    with tarfile.open(tmp_path / "copy.tar") as archive:
        place = archive.getmember("amo-bridge.db").offset_data
    content = bytearray((tmp_path / "copy.tar").read_bytes())
    content[place + 4096 : place + 12288] = b"\xff" * 8192
    (tmp_path / "copy.tar").write_bytes(content)
    with pytest.raises(CopyRefused, match="повреждена"):
        restore(config, tmp_path / "copy.tar", NOW, force=True)
    assert len(outbox_states(config)) == 1


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "config.toml"])
def test_a_foreign_archive_is_refused(other: Config, tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "copy.tar", "w") as archive:
        archive.add(tmp_path / "x", name)
    with pytest.raises(CopyRefused, match="не копия amo-bridge"):
        restore(other, tmp_path / "copy.tar", NOW, force=False)
    assert not (other.data_folder.parent / "escaped").exists()


def test_no_archive_at_all(other: Config, tmp_path: Path) -> None:
    (tmp_path / "copy.tar").write_text("hello")
    with pytest.raises(CopyRefused, match="не копия amo-bridge"):
        restore(other, tmp_path / "copy.tar", NOW, force=False)


def test_a_store_of_an_older_revision_is_brought_up_to_date(config: Config, other: Config, tmp_path: Path) -> None:
    """Copies outlive releases."""
    first = Path(__file__).parent / "first_shape" / "sqlite.sql"
    (config.data_folder / "amo-bridge.db").unlink()
    with closing(sqlite3.connect(config.data_folder / "amo-bridge.db")) as connection:
        connection.executescript(first.read_text("utf-8"))
    back_up(config, tmp_path / "copy.tar", NOW)
    restore(other, tmp_path / "copy.tar", NOW, force=False)
    with closing(opened(other)) as store, store.write() as connection:
        connection.execute(insert(cursors).values(account=1, name="x", value=clock().now().timestamp()))
        assert connection.execute(select(accounts.c.id)).all() == []
