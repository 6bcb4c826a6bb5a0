"""How long to wait before trying again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from amo_bridge.errors import BridgeError, ConfigError, LeadLost, NotConnected, StoreUnavailable

FIRST, MOST = 2.0, 3600.0


def delay(attempt: int) -> float:
    """Seconds before try number ``attempt`` + 1: 2, 4, 8 … an hour at most."""
    return float(min(FIRST * 2 ** (max(attempt, 1) - 1), MOST))


# Trying a step of the start until it works: amoCRM, the database or an administrator may keep us waiting.

log = structlog.get_logger()
# Another process or the page for connecting may change these at any moment, and to ask again costs amoCRM nothing.
CHEAP_TO_ASK = (StoreUnavailable, NotConnected)
SOON, LATEST = 5.0, 120.0


class StartupRetry:
    """``show`` hears the state, ``misfit`` all problems of a config that does not fit; that sets ``stopping`` too."""

    def __init__(
        self, stopping: threading.Event, show: Callable[[str], None], misfit: Callable[[list[str]], None]
    ) -> None:
        self._stopping = stopping
        self._show = show
        self._misfit = misfit
        self._wake = threading.Event()

    def __call__(self, step: Callable[[], None], then: str = "ready") -> bool:
        """Try until it works; ``then`` is the state after it.

        False: the bridge is to stop, the config is wrong, or somebody else leads."""
        failures = 0
        while not self._stopping.is_set():
            try:
                step()
            except LeadLost:
                return False
            except ConfigError as error:
                log.critical("config does not fit the account", problems=error.problems)
                self._misfit(error.problems)
                self._stopping.set()
                return False
            except (BridgeError, OSError) as error:
                failures += 1
                self._show(f"waiting: {error}")
                log.error("can't start yet", error=str(error), kind=type(error).__name__)
                self._pause(min(delay(failures), SOON if isinstance(error, CHEAP_TO_ASK) else LATEST))
            else:
                self._show(then)
                return True
        return False

    def request_job(self) -> None:
        """Don't wait any longer; also after ``stopping`` was set."""
        self._wake.set()

    def _pause(self, seconds: float) -> None:
        self._wake.clear()
        if not self._stopping.is_set():
            self._wake.wait(seconds)
