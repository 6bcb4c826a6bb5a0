"""All lanes of an account: those that wait for other people's servers have a thread each, the others go along with the
worker's rounds."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import structlog

from amo_bridge.engine.lanes.lane import Lane
from amo_bridge.errors import BridgeError, ChannelDown, LeadLost
from amo_bridge.retry import delay

log = structlog.get_logger()
# When nobody rings: what was postponed falls due.
LOOK_AGAIN = 2.0
LONGEST_PAUSE = 600.0


class FarLane:
    """One lane in a thread of its own. ``trouble``: what it is waiting out, if anything, in one line."""

    def __init__(self, lane: Lane) -> None:
        self.trouble = ""
        self._lane = lane
        self._is_recovered = False
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._pause_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lane {lane.port.lane}", daemon=True)

    @property
    def name(self) -> str:
        return self._lane.port.lane

    def start(self) -> None:
        self._thread.start()

    def ring(self) -> None:
        self._bell.set()

    def begin_to_stop(self) -> None:
        self._stopping.set()
        self._bell.set()
        self._pause_over.set()

    def wait_stopped(self, timeout: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._bell.clear()
            try:
                moved = self._round()
            except LeadLost:
                return
            except Exception as error:  # noqa: BLE001 - a dead thread would take letters and send none
                failures += 1
                self._is_recovered = False
                self._say(error)
                asked = error.retry_after if isinstance(error, ChannelDown) else None
                self._pause_over.wait(min(asked or delay(failures), LONGEST_PAUSE))
                continue
            failures, self.trouble = 0, ""
            if not moved:
                self._bell.wait(LOOK_AGAIN)

    def _round(self) -> int:
        if not self._is_recovered:
            # What was being sent when the process died, or a round broke off.
            self._lane.recover()
            self._is_recovered = True
        return self._lane.send()

    def _say(self, error: Exception) -> None:
        if str(error) != self.trouble:
            is_bug = not isinstance(error, BridgeError)
            log.error("lane waits", lane=self.name, error=str(error), kind=type(error).__name__, exc_info=is_bug)
        self.trouble = str(error) or type(error).__name__


class Traffic:
    def __init__(self, lanes: Iterable[Lane] = ()) -> None:
        lanes = list(lanes)
        self._near = [lane for lane in lanes if not lane.port.is_far]
        self._far = [FarLane(lane) for lane in lanes if lane.port.is_far]

    @property
    def trouble(self) -> dict[str, str]:
        """Lane → what it is waiting out; only those in trouble."""
        return {lane.name: lane.trouble for lane in self._far if lane.trouble}

    def start(self) -> None:
        for far in self._far:
            far.start()

    def recover(self) -> None:
        """Nobody sends just now: what is told to be under way is in doubt. (Far lanes see to that by themselves.)"""
        for lane in self._near:
            lane.recover()

    def send_near(self) -> int:
        """What waits for nobody; how many were settled."""
        return sum(lane.send() for lane in self._near)

    def ring(self) -> None:
        """There may be something new to send."""
        for lane in self._far:
            lane.ring()

    def stop(self, timeout: float = 30) -> None:
        """Finish what is in hand and leave."""
        for lane in self._far:
            lane.begin_to_stop()
        for lane in self._far:
            lane.wait_stopped(timeout)
