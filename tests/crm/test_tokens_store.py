from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from amo_bridge.crm.tokens import FileTokenStore, TokenPair, cipher
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.file_lock import file_lock
from amo_bridge.keyvalue import JsonStore

PAIR = TokenPair("access-secret", "refresh-secret", 1.5, "https://example.amocrm.ru")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_pair_outlives_the_process_and_is_not_readable_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "data" / "tokens.db"
    FileTokenStore(path, {}).save("amocrm", PAIR)
    assert FileTokenStore(path, {}).load("amocrm") == PAIR
    content = path.read_bytes()
    assert b"secret" not in content
    assert b"amocrm.ru" not in content
    assert [mode(path), mode(path.with_suffix(".key"))] == [0o600, 0o600]
    assert sorted(os.listdir(path.parent)) == ["tokens.db", "tokens.key"]


def test_the_pair_before_is_kept_and_saving_twice_does_not_lose_it(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "tokens.db", {})
    assert store.load("amocrm") is None
    assert store.previous("amocrm") is None
    newer = TokenPair("access-2", "refresh-2", 2.5, PAIR.base_url)
    for pair in (PAIR, PAIR, newer, newer):
        store.save("amocrm", pair)
    assert store.load("amocrm") == newer
    assert store.previous("amocrm") == PAIR


def test_accounts_do_not_mix(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "tokens.db", {})
    store.save("one", PAIR)
    assert store.load("two") is None


def test_the_key_from_the_environment_or_a_file_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tokens.db"
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    FileTokenStore(path, {"AMO_BRIDGE_KEY": old}).save("amocrm", PAIR)
    key_file = tmp_path / "secret"
    key_file.write_text(f"{new}\n{old}\n")
    both = FileTokenStore(path, {"AMO_BRIDGE_KEY_FILE": str(key_file)})
    assert both.load("amocrm") == PAIR
    both.save("amocrm", PAIR)
    assert FileTokenStore(path, {"AMO_BRIDGE_KEY": new}).load("amocrm") == PAIR
    assert not path.with_suffix(".key").exists()


def test_another_key_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "tokens.db"
    FileTokenStore(path, {}).save("amocrm", PAIR)
    other = FileTokenStore(path, {"AMO_BRIDGE_KEY": Fernet.generate_key().decode()})
    with pytest.raises(ConfigError, match="другим ключом"):
        other.load("amocrm")


@pytest.mark.parametrize(
    "environment",
    [{"AMO_BRIDGE_KEY": "my password"}, {"AMO_BRIDGE_KEY": ","}, {"AMO_BRIDGE_KEY_FILE": "/no/such/file"}],
)
def test_a_key_that_is_none_is_said_so_without_showing_it(tmp_path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        FileTokenStore(tmp_path / "tokens.db", environment)
    assert "my password" not in str(caught.value)


def make_cipher(folder: str, together: Any, results: Any) -> None:
    together.wait(60)
    results.put(cipher(Path(folder) / "tokens.key", {}).encrypt(b"hello"))


def test_processes_that_start_at_once_make_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(3), context.Queue()
    workers = [context.Process(target=make_cipher, args=(str(tmp_path), together, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    texts = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    ours = cipher(tmp_path / "tokens.key", {})
    assert [ours.decrypt(text) for text in texts] == [b"hello"] * 3


def test_a_file_that_is_no_database_is_an_unavailable_store(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(StoreUnavailable):
        FileTokenStore(path, {}).save("amocrm", PAIR)


def test_a_broken_file_is_an_unavailable_store(tmp_path: Path) -> None:
    path = tmp_path / "values.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailable):
        JsonStore(path, "values").read("key")


def test_a_write_that_fails_is_told_and_does_not_hang(tmp_path: Path) -> None:
    """sqlitedict works in a thread of its own: an error there must reach the caller."""
    path = tmp_path / "values.db"
    JsonStore(path, "values").write("key", 1)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON 'values' BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    connection.close()
    with pytest.raises(StoreUnavailable, match="disk full"):
        JsonStore(path, "values").write("key", 2)
    assert JsonStore(path, "values").read("key") == 1


def hold_and_die(path: str, held: Any) -> None:
    with file_lock(Path(path)):
        held.set()
        os._exit(9)


def test_a_lock_is_freed_by_its_holders_death(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    worker = context.Process(target=hold_and_die, args=(str(tmp_path / "lock"), held))
    worker.start()
    assert held.wait(60)
    with file_lock(tmp_path / "lock"):
        worker.join()
    assert worker.exitcode == 9
