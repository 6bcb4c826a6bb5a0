"""The data folder and what is in it are the owner's alone, whoever made them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from amo_bridge.config.files import FOLDER
from amo_bridge.crm.tokens import FileTokenStore, TokenPair
from amo_bridge.file_lock import enter, file_lock
from amo_bridge.keyvalue import JsonStore
from amo_bridge.private_files import close_to_others
from amo_bridge.server import options
from amo_bridge.storage.database import Store
from amo_bridge.storage.locks import FileLocks


@pytest.fixture(autouse=True)
def careless_umask() -> Iterator[None]:
    """Commands run with whatever the user's shell has."""
    before = os.umask(0o000)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def tree(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): mode(path) for path in sorted(folder.rglob("*"))}


def test_whatever_is_made_is_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with closing(Store.in_folder(data)) as store:
        store.prepare()
        JsonStore(data / "small-state.db", "values").write("name", 1)
        FileTokenStore(data / "tokens.db", {}).save("host", TokenPair("access", "refresh", 1.0, "https://x"))
        FileLocks(data).take("leader")
        options.leave(data, "http://127.0.0.1:1")
        enter(data)()
        with file_lock(data / "secrets.lock"):
            pass
        assert mode(data) == 0o700
        made = tree(data)
        assert {"amo-bridge.db", "amo-bridge.db-wal", "small-state.db", "tokens.db", "tokens.key"} <= set(made)
        assert {name for name, told in made.items() if told != 0o600} == set()


@pytest.mark.parametrize(
    "name",
    [
        "amo-bridge.db", "amo-bridge.db-wal", "amo-bridge.db-shm", "amo-bridge.db.filled", "small-state.db",
        "tokens.db", "tokens.key", "bridge.key", "at-work.lock", "pages-address", f"{FOLDER}/config.20260101.toml",
        "before-restore-20260101-000000/amo-bridge.db",
    ],
)  # fmt: skip
def test_what_an_older_version_left_open_is_closed_and_told(name: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / name).parent.mkdir(parents=True)
    (data / name).write_text("secret")
    with capture_logs() as told:
        closed = close_to_others(data)
    assert mode(data) == 0o700
    assert mode(data / name) == 0o600
    assert {data, data / name} <= set(closed)
    assert str(data / name) in told[0]["paths"]
    with capture_logs() as told:
        assert close_to_others(data) == []
    assert told == []


def test_a_database_elsewhere_is_closed_and_its_folder_left(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir(mode=0o755)
    (elsewhere / "bridge.sqlite").write_text("rows")
    assert elsewhere / "bridge.sqlite" in close_to_others(data, [elsewhere / "bridge.sqlite", elsewhere / "none"])
    assert (mode(elsewhere), mode(elsewhere / "bridge.sqlite")) == (0o755, 0o600)


def test_what_is_not_ours_is_left(tmp_path: Path) -> None:
    """The data folder may be one with other things in it; a link leads to somebody else's file."""
    other, outside = tmp_path / "data" / "notes.txt", tmp_path / "outside.db"
    other.parent.mkdir()
    for path in (other, outside):
        path.write_text("mine")
        path.chmod(0o644)
    (tmp_path / "data" / "link.db").symlink_to(outside)
    close_to_others(tmp_path / "data")
    assert (mode(other), mode(outside)) == (0o644, 0o644)


def test_what_belongs_to_somebody_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    with capture_logs() as told:
        assert close_to_others(data) == []
    assert "chmod it yourself" in told[0]["event"]
