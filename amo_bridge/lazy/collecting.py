"""Garbage collection put off while modules and a config are read: nothing of them is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# Once in a process: a test runs many commands in one, and what they leave behind is to be collected.
_keep = cache(gc.freeze)


@contextmanager
def no_garbage(*, is_kept: bool = True) -> Iterator[None]:
    """Nothing is collected within; looking through it again and again takes a tenth of a short command. ``is_kept``:
    what is there at the end stays, and is never looked through."""
    if not gc.isenabled():
        # Whoever has put it off ends that, too.
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if is_kept:
            _keep()
        gc.enable()
