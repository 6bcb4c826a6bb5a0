"""Retry policy: backoff between tries, a job that waits after errors, a start that is tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception, sleep_using_event, stop_when_event_set

from amo_bridge.clock import Clock
from amo_bridge.errors import BridgeError, ConfigError, LeadLost, NotConnected, StoreUnavailable
from amo_bridge.logs import log

FIRST, MOST = 2.0, 3600.0
# A write that amoCRM is still working on may land after we gave up waiting: seconds until it must have landed.
SETTLE = 15.0


def delay(attempt: int) -> float:
    """Seconds before try number ``attempt`` + 1: 2, 4, 8 … an hour at most."""
    return float(min(FIRST * 2 ** (max(attempt, 1) - 1), MOST))


class Backoff:
    """How long a job that runs by itself is left alone: after an error longer each time, after a round as long as it
    says. ``patience``: how many steps of ``delay`` the first error skips, so that the first wait is not two seconds."""

    def __init__(self, clock: Clock, patience: int) -> None:
        self._clock = clock
        self._patience = patience
        self._until = 0.0
        self.failures = 0
        """In a row."""

    @property
    def lasts(self) -> bool:
        return self._clock.now().timestamp() < self._until

    def fail(self, error: BridgeError) -> None:
        """After an error; at least as long as whoever answered asked for (``retry_after``, seconds)."""
        self.failures += 1
        self.put_off(max(getattr(error, "retry_after", None) or 0.0, delay(self.failures + self._patience)))

    def rest(self, seconds: float = 0.0) -> None:
        """After a round that went through."""
        self.failures = 0
        self.put_off(seconds)

    def put_off(self, seconds: float) -> None:
        """Not before so many seconds from now."""
        self._until = self._clock.now().timestamp() + seconds


# A step of the start: amoCRM, the database or an administrator may keep us waiting.

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
        attempts = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_when_event_set(self._stopping),
            wait=_pause_seconds,
            sleep=sleep_using_event(self._wake),
            after=self._show_failure,
        )
        try:
            for attempt in attempts:
                # Before the step: whoever calls ``wake`` during it must not wait out the pause after it.
                self._wake.clear()
                if self._stopping.is_set():
                    return False
                with attempt:
                    step()
        except (LeadLost, RetryError):
            return False
        except ConfigError as error:
            log.critical("config does not fit the account", problems=error.problems)
            self._misfit(error.problems)
            self._stopping.set()
            return False
        self._show(then)
        return True

    def wake(self) -> None:
        """Don't wait any longer; also after ``stopping`` was set."""
        self._wake.set()

    def _show_failure(self, state: RetryCallState) -> None:
        error = _error_of(state)
        self._show(f"waiting: {error}")
        log.error("can't start yet", error=str(error), kind=type(error).__name__)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, BridgeError | OSError) and not isinstance(error, LeadLost | ConfigError)


def _pause_seconds(state: RetryCallState) -> float:
    return min(delay(state.attempt_number), SOON if isinstance(_error_of(state), CHEAP_TO_ASK) else LATEST)


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
