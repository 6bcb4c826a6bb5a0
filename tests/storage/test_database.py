"""The store: which database it is, and what it says when something is wrong with it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import DBAPIError
from support.fakes import URL
from support.made_once import SQLITE_SETTINGS
from support.running_bridge import EXAMPLE, config_for

from amo_bridge.config.loader import load
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.storage import database
from amo_bridge.storage.database import COUNTED_FOR_SECONDS, LARGE, LargeCounts, Store, values_of
from amo_bridge.storage.tables import audience_members, cursors


def test_without_a_word_about_it_the_database_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    config = config_for(URL, tmp_path / "new folder")
    store = Store.at(config.bridge.database, config.data_folder)
    store.prepare()
    store.close()
    assert (tmp_path / "new folder" / "amo-bridge.db").exists()


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("postgresql://bridge@db/amo", "postgresql+psycopg://bridge@db/amo"),
        ("postgres://bridge@db/amo?sslmode=require", "postgresql+psycopg://bridge@db/amo?sslmode=require"),
        (" postgresql+psycopg://bridge@db/amo ", "postgresql+psycopg://bridge@db/amo"),
        ("sqlite:////var/lib/amo.db", "sqlite:////var/lib/amo.db"),
    ],
)
def test_a_database_s_address_is_taken_as_people_paste_it(tmp_path: Path, told: str, meant: str) -> None:
    assert config_for(URL, tmp_path, AMO_BRIDGE_DATABASE=told).bridge.database == meant


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    words = EXAMPLE.read_text("utf-8").replace('database = ""', 'database = "postgresql://file@db/amo"')
    file.write_text(words, "utf-8")
    assert load(file, {}).bridge.database == "postgresql+psycopg://file@db/amo"
    assert load(file, {"AMO_BRIDGE_DATABASE": "sqlite:///x.db"}).bridge.database == "sqlite:///x.db"


def test_another_kind_of_database_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="postgresql://"):
        config_for(URL, tmp_path, AMO_BRIDGE_DATABASE="mysql://db/amo")


def test_a_password_is_told_to_nobody() -> None:
    store = Store("postgresql+psycopg://bridge:hunter2@127.0.0.1:1/amo?connect_timeout=2")
    assert "hunter2" not in store.address
    with pytest.raises(StoreUnavailable) as told, store.read():
        pass
    assert "hunter2" not in str(told.value)
    assert "127.0.0.1" in str(told.value)


def test_what_a_statement_carried_is_not_told_when_it_fails(store: Store) -> None:
    row = {"account": 1, "name": "anna@mail.example", "value": 1.0}
    with store.write() as connection:
        connection.execute(insert(cursors), row)
    with pytest.raises(DBAPIError) as told, store.write() as connection:
        connection.execute(insert(cursors), row)
    assert "[SQL: INSERT" in str(told.value)
    assert "parameters hidden" in str(told.value)


def test_each_value_of_a_column_is_found_in_order(store: Store) -> None:
    rows = [(2, "z"), (1, "b"), (1, "a"), (1, "b"), (1, "ж")]
    with store.write() as connection:
        for number, (account, name) in enumerate(rows):
            row = {"account": account, "audience": name, "contact_id": number, "state": "in", "since": 0.0}
            connection.execute(insert(audience_members), {**row, "checked_at": 0.0, "seen_at": 0.0})

    def named(account: int) -> list[str]:
        query = values_of(audience_members.c.audience, audience_members.c.account == account)
        with store.read() as connection:
            return list(connection.execute(query).scalars())

    assert [named(account) for account in (1, 2, 3)] == [["a", "b", "ж"], ["z"], []]


def test_what_is_large_is_counted_once_a_minute_and_what_is_small_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, now = LargeCounts(), 1000.0
    monkeypatch.setattr(database, "monotonic", lambda: now)
    told = iter([3, 4, LARGE + 1, LARGE + 2, 5, 6])

    def count() -> int:
        return counts.get("deals", lambda: next(told), int)

    assert [count(), count(), count(), count()] == [3, 4, LARGE + 1, LARGE + 1]
    assert counts.get("steps", lambda: 7, int) == 7
    now += COUNTED_FOR_SECONDS
    assert count() == LARGE + 2
    now += COUNTED_FOR_SECONDS
    assert [count(), count()] == [5, 6]


def test_writers_wait_for_each_other_and_readers_for_nobody(store: Store) -> None:
    inside, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with store.write() as connection:
            connection.execute(insert(cursors), {"account": 1, "name": "first", "value": 1.0})
            inside.set()
            assert leave.wait(30)
            order.append("first")

    def second() -> None:
        assert inside.wait(30)
        with store.write() as connection:
            connection.execute(insert(cursors), {"account": 1, "name": "second", "value": 1.0})
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    assert inside.wait(30)
    with store.read() as connection:
        assert connection.execute(select(cursors.c.name)).all() == []
    leave.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "second"]


def test_sqlite_keeps_what_it_has_confirmed_even_if_the_power_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_sqlite_settings", SQLITE_SETTINGS)
    store = Store.in_folder(tmp_path)
    store.prepare()
    with store.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        full = 2
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == full
    store.close()


def filled(folder: Path) -> Path:
    """A database that has held something, closed again."""
    store = Store.in_folder(folder)
    store.prepare()
    with store.write() as connection:
        connection.execute(insert(cursors), [{"account": 1, "name": "x", "value": 1.0}])
    store.close()
    return folder / "amo-bridge.db"


def use(store: Store) -> None:
    store.prepare()
    put(store, [{"account": 1, "name": "y", "value": 1.0}])
    with store.read() as connection:
        connection.execute(text("SELECT * FROM journal")).all()


def put(store: Store, rows: list[dict[str, object]], *, most_pages: int = 100_000) -> None:
    with store.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={most_pages}")
        connection.execute(insert(cursors), rows)


def test_an_emptied_database_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    file = filled(tmp_path)
    file.write_bytes(b"")
    store = Store.in_folder(tmp_path)
    with pytest.raises(StoreUnavailable, match="пуста, хотя была заполнена: верните копию"):
        store.prepare()
    assert "верните копию" in store.outage
    store.close()
    assert file.stat().st_size == 0


def test_an_empty_file_that_never_held_anything_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "amo-bridge.db").write_bytes(b"")
    filled(tmp_path)


@pytest.mark.parametrize("spoil", [lambda body: b"x" * len(body), lambda body: body[:4096] + b"\xff" * 16384])
def test_a_damaged_database_says_what_to_do(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    file = filled(tmp_path)
    file.write_bytes(spoil(file.read_bytes()))
    store = Store.in_folder(tmp_path)
    with pytest.raises(StoreUnavailable, match="повреждена, верните копию"):
        use(store)
    assert "верните копию" in store.outage
    store.close()


def test_a_full_disk_is_told_until_a_write_goes_through(tmp_path: Path) -> None:
    file = filled(tmp_path)
    store = Store.in_folder(tmp_path)
    with store.read() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    rows: list[dict[str, object]] = [{"account": n, "name": "x" * 40, "value": 1.0} for n in range(5000)]
    with pytest.raises(StoreUnavailable, match="на диске нет места"):
        put(store, rows, most_pages=pages)
    assert "на диске нет места" in store.outage
    put(store, rows, most_pages=100_000)
    assert store.outage == ""
    store.close()
    assert file.stat().st_size > 0


@pytest.mark.parametrize(("query", "wanted"), [("", 10), ("?connect_timeout=2", "2")])
def test_a_postgresql_that_says_nothing_is_not_waited_for_for_ever(query: str, wanted: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(f"postgresql+psycopg://bridge@127.0.0.1:{silent.getsockname()[1]}/test{query}")
        told: dict[str, Any] = {}

        def note(dialect: Any, record: Any, words: Any, parameters: dict[str, Any]) -> None:
            told.update(parameters)
            # The shortest that there is.
            parameters["connect_timeout"] = 2

        event.listen(store.engine, "do_connect", note)
        with pytest.raises(StoreUnavailable), store.read():
            pass
        store.close()
    assert told["connect_timeout"] == wanted
    assert told["tcp_user_timeout"] == 30_000
