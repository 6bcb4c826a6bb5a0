"""The bridge is to stop: whoever waits for amoCRM's patience is woken, and no new request leaves.

What is being sent just now is waited for, so nothing has to be looked for after the next start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from amo_bridge.errors import CrmTemporary

WORDS = "мост останавливается"


class Closing:
    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def sleep(self, seconds: float) -> None:
        """As ``time.sleep``. Raises CrmTemporary when the bridge is stopped meanwhile."""
        if self._stopping.wait(seconds):
            raise CrmTemporary(WORDS)

    def before(self, otherwise: Callable[[], None] | None = None) -> Callable[[], None]:
        """A ``before_send`` for clients: CrmTemporary when the bridge is to stop, else what ``otherwise`` says."""

        def check() -> None:
            if self._stopping.is_set():
                raise CrmTemporary(WORDS)
            if otherwise is not None:
                otherwise()

        return check
