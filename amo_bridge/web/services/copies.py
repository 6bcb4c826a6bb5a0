"""Copies of the bridge's data from a page: made, listed, deleted; put back by a command.

A copy has the tokens and mostly the key in it: whoever has the file has the account. So a program's token makes copies
and lists them, and never gets one.
"""

from __future__ import annotations

import re
import shlex
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

from flask_babel import gettext as _

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.private_files import make_folder
from amo_bridge.storage.backup import CopyRefused, about_copy, back_up, size_of
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.context import audit

FOLDER = "copies"
MOST_COPIES = 10
KEPT_FREE = 200 * 1024 * 1024
LONGEST_NOTE = 200
NAME = re.compile(r"amo-bridge-\d{8}T\d{6}\.tar")
_making = threading.Lock()


@dataclass(frozen=True)
class DataCopy:
    """``note``: what it was made for. ``trouble``: why it can't be read (Russian); empty if it can."""

    name: str
    path: Path
    size: int
    made_at: datetime | None = None
    has_keys: bool = False
    note: str = ""
    trouble: str = ""


def is_possible(here: AccountView) -> bool:
    """PostgreSQL is copied by its own tools."""
    return not here.config.bridge.database.startswith("postgresql")


def copies_of(here: AccountView) -> list[DataCopy]:
    """Newest first."""
    folder = here.config.data_folder / FOLDER
    found = sorted((path for path in folder.glob("*.tar") if NAME.fullmatch(path.name)), reverse=True)
    return [_copy(path) for path in found]


def copy_of(here: AccountView, name: str) -> DataCopy:
    """Raises LookupError. Only names that the bridge itself gives are looked for."""
    path = here.config.data_folder / FOLDER / name
    if not NAME.fullmatch(name) or not path.is_file() or path.is_symlink():
        raise LookupError(name)
    return _copy(path)


def make(here: AccountView, note: str) -> DataCopy:
    """Copy database, tokens and key as they are now; the bridge works on meanwhile. Raises CopyRefused, OSError."""
    if not is_possible(here):
        raise CopyRefused(str(_("база — PostgreSQL: её копирует pg_dump, см. docs/operations.md")))
    if not _making.acquire(blocking=False):
        raise CopyRefused(str(_("копия уже делается: подождите её")))
    try:
        return _made(here, " ".join(note.split())[:LONGEST_NOTE])
    finally:
        _making.release()


def _made(here: AccountView, note: str) -> DataCopy:
    folder = here.config.data_folder / FOLDER
    make_folder(folder)
    if len(copies_of(here)) >= MOST_COPIES:
        raise CopyRefused(str(_("копий уже %(n)s: скачайте и удалите лишнюю", n=MOST_COPIES)))
    # The databases are copied aside first, then into the archive.
    needed = 2 * size_of(here.config) + KEPT_FREE
    if shutil.disk_usage(folder).free < needed:
        raise CopyRefused(str(_("мало места на диске: нужно %(mb)s МБ", mb=needed // 1024**2)))
    now = datetime.now(UTC)
    copy = back_up(here.config, folder / f"amo-bridge-{now:%Y%m%dT%H%M%S}.tar", now, note)
    audit("copy.made", f"Сделана копия данных {copy.path.name}", details=note)
    return _copy(copy.path)


def delete(here: AccountView, name: str) -> None:
    """Raises LookupError, OSError."""
    copy_of(here, name).path.unlink()
    audit("copy.deleted", f"Удалена копия данных {name}")


def restore_command(here: AccountView, copy: DataCopy) -> str:
    """What to type on the server once the bridge is stopped."""
    # Whole paths: it is typed in any folder.
    copied, config = copy.path.resolve(), here.config.path.resolve()
    return shlex.join(["amo-bridge", "restore", str(copied), "--force", "--config", str(config)])


def _copy(path: Path) -> DataCopy:
    size = path.stat().st_size
    try:
        about = about_copy(path)
        made_at = datetime.fromisoformat(str(about["made_at"]))
    except (CopyRefused, KeyError, ValueError) as error:
        return DataCopy(path.name, path, size, trouble=str(error))
    note, has_keys = str(about.get("note", "")), bool(about.get("has_keys"))
    return DataCopy(path.name, path, size, made_at, has_keys, note)
