"""File locks between processes and threads of one machine, freed by the kernel at death."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from amo_bridge.errors import StoreUnavailable
from amo_bridge.private_files import make_folder

TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        # Windows has no flock; its own call gives up after ten seconds and has to be asked again.
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno != errno.EDEADLK:
                    raise
            else:
                return

    def _take_now(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _take_now(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock; waits for whoever has it. Not reentrant. The file stays: removing it would let two in."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor)
        yield
    finally:
        os.close(descriptor)


def try_file_lock(path: Path) -> Callable[[], None] | None:
    """Take the lock for as long as the process lives, if it is free: what gives it back, or None. Raises OSError when
    the file can't be made."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take_now(descriptor)
    except OSError as error:
        os.close(descriptor)
        if error.errno in TAKEN:
            return None
        raise
    return lambda: os.close(descriptor)


# Is a bridge at work in a data folder? Each running one holds a share of a lock; whoever must be alone takes it all.
#
# The kernel gives the lock back when a process dies, so a crash leaves nothing that has to be cleaned up.

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
    make_folder(folder)
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
