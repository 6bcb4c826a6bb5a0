"""Private files and folders: made for their owner alone, those of older versions closed at the start.

What is made is made so; what an older version left open to others is closed at the start.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
UMASK = 0o077
# What the bridge makes in a data folder, which may be a folder with other things in it as well.
OURS = ("*.db", "*.db-wal", "*.db-shm", "*.db-journal", "*.db.filled", "*.key", "*.lock", "pages-address")
OUR_FOLDERS = ("config-backups", "text-backups", "before-restore-*")


def make_folder(folder: Path) -> None:
    """Make it, for its owner alone, if it is not there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)


def make_file(path: Path) -> None:
    """Make an empty file for its owner alone, if it is not there: what writes into it later leaves its mode. Raises
    OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), FILE_MODE))


def close_to_others(folder: Path, more: Iterable[Path] = ()) -> list[Path]:
    """Take from everybody but the owner what he may do with the folder, with what the bridge made in it, and with
    ``more`` files; which of them were open. What belongs to somebody else is told in the log and left."""
    closed, refused = [], []
    for path, mode in _ours(folder, more):
        if path.is_symlink() or not path.exists() or not stat.S_IMODE(path.stat().st_mode) & UMASK:
            continue
        try:
            path.chmod(mode)
        except OSError:
            refused.append(path)
        else:
            closed.append(path)
    # Only here: the process that waits holds nothing for logs.
    from amo_bridge.logs import log

    if closed:
        log.warning("data was open to other users of this machine, now it is not", paths=[str(path) for path in closed])
    if refused:
        log.warning(
            "data is open to other users of this machine and belongs to somebody else: chmod it yourself",
            paths=[str(path) for path in refused],
        )
    return closed


def _ours(folder: Path, more: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    yield folder, FOLDER_MODE
    for pattern in OURS:
        for path in sorted(folder.glob(pattern)):
            yield path, FILE_MODE
    for pattern in OUR_FOLDERS:
        for inner in sorted(folder.glob(pattern)):
            yield inner, FOLDER_MODE
            for path in sorted(inner.glob("*")):
                yield path, FILE_MODE
    for path in more:
        yield path, FILE_MODE
