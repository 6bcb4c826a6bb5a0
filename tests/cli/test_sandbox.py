"""``amo-bridge sandbox`` and ``demo``: what they say when they can't start. How they run is told by other tests."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]


def test_an_account_file_that_is_not_json(run: Run, tmp_path: Path) -> None:
    account = tmp_path / "account.json"
    account.write_text('{"account": \n  oops}')
    told = run("sandbox", "--port", "0", "--account", str(account), config=None)
    assert told.exit_code == 1
    assert told.stderr.startswith(f"Ошибка: {account}:2: ")


def test_an_account_file_that_says_something_else(run: Run, tmp_path: Path) -> None:
    account = tmp_path / "account.json"
    account.write_text('{"acount": {}}')
    told = run("sandbox", "--port", "0", "--account", str(account), config=None)
    assert told.exit_code == 1
    assert "acount" in told.stderr


def test_no_account_file(run: Run, tmp_path: Path) -> None:
    told = run("sandbox", "--port", "0", "--account", str(tmp_path / "none.json"), config=None)
    assert told.exit_code == 1
    assert str(tmp_path / "none.json") in told.stderr


def test_a_port_that_is_taken(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("sandbox", "--port", str(port), config=None)
    assert told.exit_code == 1
    assert f"порт {port} занять не удалось" in told.stderr


def test_the_port_of_the_vendors_that_is_taken(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("sandbox", "--port", "0", "--with", "vk", "--vendors-port", str(port), config=None)
    assert told.exit_code == 1
    assert f"порт {port} занять не удалось" in told.stderr


def test_a_vendor_that_there_is_not(run: Run) -> None:
    told = run("sandbox", "--port", "0", "--with", "vkontakte", config=None)
    assert told.exit_code == 1
    assert "сервиса «vkontakte» нет; есть" in told.stderr


def test_the_demo_needs_a_config_that_is_there(run: Run, tmp_path: Path) -> None:
    told = run("demo", config=tmp_path / "none.toml")
    assert told.exit_code == 2
    assert "none.toml" in told.stderr
