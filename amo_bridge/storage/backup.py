"""Backup and restore of the bridge's files: taken while it works, put back while it does not.

The archive is a plain tar: ``about.json``, the databases, the keys. Whoever has it has the account's tokens, so nobody
but its owner may read it.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, make_url, select, update

from amo_bridge import file_lock
from amo_bridge.config.model import Config
from amo_bridge.errors import BridgeError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.private_files import make_folder
from amo_bridge.storage.accounts import CLOCK_AHEAD, RESTORED_AT, RESTORED_COPY_OF, Cursors
from amo_bridge.storage.database import DATABASE, AccountStore, Store
from amo_bridge.storage.secrets import KEY_FILE, SMALL_STATE
from amo_bridge.storage.tables import accounts, cursors, events, imports, outbox

SMALL_DATABASES = (SMALL_STATE, "tokens.db")
KEYS = (KEY_FILE, "tokens.key")
ABOUT = "about.json"
FORMAT = 1
# What SQLite keeps beside a database; of another database it would be poison.
BESIDE = ("-wal", "-shm", "-journal")


class CopyRefused(BridgeError):
    """A copy can't be made or put back; the text says why (Russian)."""


@dataclass(frozen=True)
class Copy:
    """``has_keys``: false when the key comes from the environment and has to be kept elsewhere.

    ``aside``: the folder with what was there before a restore."""

    path: Path
    made_at: datetime
    has_keys: bool
    aside: Path | None = None


def files_of(config: Config) -> dict[str, Path]:
    """Name in the archive → where it belongs."""
    url = config.bridge.database
    database = Path(make_url(url).database or "") if url else config.data_folder / DATABASE
    return {DATABASE: database, **{name: config.data_folder / name for name in (*SMALL_DATABASES, *KEYS)}}


def back_up(config: Config, target: Path, now: datetime, note: str = "") -> Copy:
    """Write the archive, a new file. A bridge may be at work meanwhile. ``note``: what it was made for. Raises
    CopyRefused, OSError."""
    files = files_of(config)
    if not files[DATABASE].exists():
        raise CopyRefused(f"копировать нечего: базы {files[DATABASE]} нет")
    has_keys = any(files[name].exists() for name in KEYS)
    about = {"format": FORMAT, "account": config.account.url, "made_at": now.isoformat(), "has_keys": has_keys}
    about |= {"note": note} if note else {}
    with _new_file(target) as archive, tempfile.TemporaryDirectory(dir=target.parent, prefix=".amo-bridge-") as scratch:
        _add(archive, ABOUT, json.dumps(about, ensure_ascii=False, indent=2).encode())
        for name in (DATABASE, *SMALL_DATABASES):
            if files[name].exists():
                archive.add(_copy_of(files[name], Path(scratch) / name), name)
        for name in KEYS:
            if files[name].exists():
                _add(archive, name, files[name].read_bytes())
    return Copy(target, now, has_keys)


def about_copy(source: Path) -> dict[str, Any]:
    """What the archive says of itself: account, made_at, has_keys, note. Raises CopyRefused."""
    try:
        with tarfile.open(source) as archive:
            # It stands first, so that nobody reads the rest.
            first = archive.next()
            content = archive.extractfile(first) if first is not None and first.name == ABOUT else None
            about = json.loads(content.read()) if content else None
    except (tarfile.TarError, OSError, ValueError) as error:
        raise CopyRefused(f"{source.name} не читается: {error}") from error
    if not isinstance(about, dict):
        raise CopyRefused(f"{source.name} — не копия amo-bridge")
    return about


def size_of(config: Config) -> int:
    """How many bytes the files of a copy take, about."""
    return sum(path.stat().st_size for path in files_of(config).values() if path.exists())


def restore(config: Config, source: Path, now: datetime, *, force: bool, catch_up: bool = False) -> Copy:
    """Put the archive's files where the config wants them; ``force``: what is there is moved aside; ``catch_up``: rules
    act on what happened since the copy was made.

    Raises CopyRefused, StoreUnavailable (a bridge is at work; the copy is newer than the code), OSError."""
    files = files_of(config)
    for folder in {path.parent for path in files.values()}:
        make_folder(folder)
    with file_lock.alone(config.data_folder):
        there = [path for path in files.values() if path.exists()]
        if there and not force:
            raise CopyRefused(f"здесь уже есть данные: {there[0]}; заменить их — ключ --force, прежние уйдут в сторону")
        with tempfile.TemporaryDirectory(dir=files[DATABASE].parent, prefix=".amo-bridge-") as scratch:
            about = _unpacked(source, Path(scratch))
            made_at = datetime.fromisoformat(about["made_at"])
            _made_ready(Path(scratch) / DATABASE, None if catch_up else made_at, now)
            aside = _moved_aside(there, config.data_folder / f"before-restore-{now:%Y%m%d-%H%M%S}") if there else None
            for name, path in files.items():
                if (unpacked := Path(scratch) / name).exists():
                    _without_company(path)
                    _moved(unpacked, path)
    return Copy(source, made_at, bool(about["has_keys"]), aside)


def mark(config: Config, now: datetime) -> datetime:
    """Mark the config's store, put back by other means, as restored; returns when the last event in it was received.

    Raises StoreUnavailable."""
    with file_lock.alone(config.data_folder):
        store = Store.at(config.bridge.database, config.data_folder)
        return _marked(store, now)


def _marked(store: Store, now: datetime) -> datetime:
    try:
        store.prepare()
        with store.read() as connection:
            last = connection.execute(select(func.max(events.c.received_at))).scalar()
        made_at = datetime.fromtimestamp(float(last), UTC) if last else now
        mark_restored(store, made_at, now)
        return made_at
    finally:
        store.close()


@contextmanager
def _new_file(target: Path) -> Iterator[tarfile.TarFile]:
    """Whole and on the disk, or not there at all."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise CopyRefused(f"файл {target} уже есть: назовите новый") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        target.unlink()
        raise


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def _copy_of(database: Path, target: Path) -> Path:
    """One moment of a database that somebody may be writing to."""
    try:
        with (
            closing(sqlite3.connect(database, timeout=15)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy)
    except sqlite3.Error as error:
        raise CopyRefused(f"база {database} не читается: {error}") from error
    target.chmod(0o600)
    return target


def _unpacked(source: Path, folder: Path) -> dict[str, str]:
    """The archive's files in the folder, readable for the owner only; only names that we know are taken."""
    known = (ABOUT, DATABASE, *SMALL_DATABASES, *KEYS)
    try:
        with tarfile.open(source) as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() and entry.name in known else None
                if content is None:
                    raise CopyRefused(f"{source} — не копия amo-bridge: в ней «{entry.name}»")
                descriptor = os.open(folder / entry.name, os.O_WRONLY | os.O_CREAT, 0o600)
                with content, os.fdopen(descriptor, "wb") as file:
                    while chunk := content.read(1 << 20):
                        file.write(chunk)
                    os.fsync(file.fileno())
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        if about["format"] != FORMAT or not (folder / DATABASE).exists():
            raise CopyRefused(f"{source} — копия другого вида: обновите amo-bridge")
        return dict(about)
    except (tarfile.TarError, FileNotFoundError, KeyError, ValueError) as error:
        raise CopyRefused(f"{source} — не копия amo-bridge: {error}") from error


def _made_ready(database: Path, made_at: datetime | None, now: datetime) -> None:
    """Sound, of the present shape, and careful (``mark_restored``)."""
    _must_be_sound(database)
    store = Store(f"sqlite:///{database}")
    try:
        store.prepare()
        mark_restored(store, made_at, now)
    finally:
        store.close()


def mark_restored(store: Store, made_at: datetime | None, now: datetime) -> None:
    """Make a store that was just put back careful about what it may have done after the copy was made.

    What was waiting to be sent then has perhaps been sent since: the bridge will look in amoCRM first. Imports under
    way wait for a person. ``made_at``: rules do not act on what happened before now; None: they catch up on it.
    """
    moment = now.timestamp()
    with store.write() as connection:
        waiting = outbox.c.state.in_(("ready", "sending"))
        connection.execute(update(outbox).where(waiting).values(state="doubt", due_at=moment))
        connection.execute(update(imports).where(imports.c.state == "running").values(state="paused"))
        for account_id in list(connection.execute(select(accounts.c.id)).scalars()):
            known = Cursors(AccountStore(store, account_id))
            known.forget(connection, RESTORED_COPY_OF, RESTORED_AT)
            if made_at is not None:
                ahead = connection.execute(
                    select(cursors.c.value).where(cursors.c.account == account_id, cursors.c.name == CLOCK_AHEAD)
                ).scalar()
                known.write(connection, RESTORED_COPY_OF, made_at.timestamp())
                known.write(connection, RESTORED_AT, moment + float(ahead or 0))


def _must_be_sound(database: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            told = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        told = error
    if told != "ok":
        raise CopyRefused(f"база в копии повреждена: {told}")


def _moved_aside(files: list[Path], aside: Path) -> Path:
    aside.mkdir(mode=0o700)
    for path in files:
        for name in (path.name, *(path.name + ending for ending in BESIDE)):
            if path.with_name(name).exists():
                _moved(path.with_name(name), aside / name)
    return aside


def _without_company(path: Path) -> None:
    for ending in BESIDE:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _moved(source: Path, target: Path) -> None:
    """Also onto another disk, where a rename is not possible."""
    try:
        source.replace(target)
    except OSError:
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
        source.unlink()
