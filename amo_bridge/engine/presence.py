"""Is a bridge at work in a data folder? Each running one holds a share of a lock; whoever must be alone takes it all.

The kernel gives the lock back when a process dies, so a crash leaves nothing that has to be cleaned up.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from amo_bridge.errors import StoreUnavailable

NAME = "at-work.lock"

if sys.platform == "win32":

    def _share(descriptor: int) -> None:
        """Nothing: the bridge does not run there, only the commands do."""

    _own = _share
else:
    import fcntl

    def _share(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _own(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def enter(folder: Path) -> Callable[[], None]:
    """Say that a bridge works here; what is returned takes that back. Raises StoreUnavailable during a restore."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = _opened(folder)
    try:
        _share(descriptor)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreUnavailable(f"в папке {folder} идёт восстановление из копии") from error
    return lambda: os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep every bridge out meanwhile. Raises StoreUnavailable when one is at work."""
    descriptor = _opened(folder)
    try:
        _own(descriptor)
        yield
    except BlockingIOError as error:
        raise StoreUnavailable(f"в папке {folder} работает мост: сначала остановите его") from error
    finally:
        os.close(descriptor)


def _opened(folder: Path) -> int:
    return os.open(folder / NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
