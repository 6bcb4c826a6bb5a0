"""Carries webhooks to their addresses: one thread and one kept-alive connection per address, so order is kept there.

Retries wait by the sandbox's clock, so moving the clock brings them due; everything else is real time.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable

import requests

from amo_bridge.sandbox.clock import SandboxClock
from amo_bridge.sandbox.hook_post import HookLog, Outcome, Parcel, post, retry_delay

KEEP_ALIVE = 1.0
"""Real seconds without work after which the connection is closed: servers drop idle ones soon after."""
TIMEOUT = 2.0

Answered = Callable[[Parcel, bool], None]
"""Told of every answer: the parcel and whether the answer was valid."""


class Lane(threading.Thread):
    """What goes to one address. Every field is guarded by the courier's ``ready``."""

    def __init__(self, destination: str, courier: Courier) -> None:
        super().__init__(name=f"hooks to {destination}", daemon=True)
        self._courier = courier
        self.destination = destination
        self.queue: deque[Parcel] = deque()
        self.waiting: list[tuple[float, int, Parcel]] = []
        self.is_busy = False

    def put(self, parcel: Parcel, turn: int) -> None:
        if parcel.due_at:
            heapq.heappush(self.waiting, (parcel.due_at, turn, parcel))
        else:
            self.queue.append(parcel)

    def release_held(self) -> None:
        """The parcels a fault holds go next."""
        held = [item for item in self.waiting if item[2].is_held]
        if held:
            self.waiting = [item for item in self.waiting if not item[2].is_held]
            heapq.heapify(self.waiting)
            self.queue.extendleft(parcel for _, _, parcel in reversed(held))

    def take_due(self, now: int) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            self.queue.append(heapq.heappop(self.waiting)[2])

    def pause(self, now: int) -> float:
        """Real seconds after which it is worth looking again, if nothing else happens."""
        return min(KEEP_ALIVE, max(0.02, self.waiting[0][0] - now)) if self.waiting else KEEP_ALIVE

    def run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the machine has no business between sandbox and receiver
            while (parcel := self._courier.next_for(self, session)) is not None:
                try:
                    self._courier.attempt(parcel, session)
                except BaseException:
                    self._courier.bury(self)  # else the address would be dumb for ever
                    raise
                self._courier.done(self, parcel)


class Courier:
    """Takes parcels and delivers them. ``is_wanted`` says just before sending whether the webhook is still on."""

    def __init__(self, clock: SandboxClock, is_wanted: Callable[[Parcel], bool], answered: Answered) -> None:
        self.log = HookLog()
        self.timeout = TIMEOUT
        self.speed = 1.0
        self._clock = clock
        self._is_wanted = is_wanted
        self._answered = answered
        self._ready = threading.Condition()
        self._lanes: dict[str, Lane] = {}
        self._turns = itertools.count()
        self._is_closed = False
        clock.subscribe(lambda _now: self._wake())

    def send(self, parcels: Iterable[Parcel]) -> None:
        """Queues the parcels in this order."""
        with self._ready:
            for parcel in parcels:
                lane = self._lanes.get(parcel.destination)
                if lane is None:
                    lane = self._lanes[parcel.destination] = Lane(parcel.destination, self)
                    lane.start()
                lane.put(parcel, next(self._turns))
            self._ready.notify_all()

    def next_for(self, lane: Lane, session: requests.Session) -> Parcel | None:
        """The lane's next due parcel, waited for. None: the lane has nothing left and ends."""
        with self._ready:
            while not self._is_closed:
                now = self._clock.now()
                lane.take_due(now)
                if lane.queue:
                    lane.is_busy = True
                    return lane.queue.popleft()
                if self._ready.wait(lane.pause(now)):
                    continue
                session.close()
                if not lane.queue and not lane.waiting:
                    break
            del self._lanes[lane.destination]
            self._ready.notify_all()
            return None

    def attempt(self, parcel: Parcel, session: requests.Session) -> None:
        """Sends the parcel once and decides what becomes of it."""
        if not self._is_wanted(parcel):
            self.log.add(parcel, self._clock.now(), "not_sent", error="the webhook is disabled or deleted")
            return
        outcome = post(session, parcel, self.timeout)
        now = self._clock.now()
        self._answered(parcel, outcome.is_valid)
        delay = retry_delay(parcel, outcome)
        told = {"status": outcome.status, "error": outcome.error, "ms": outcome.ms}
        if delay is None:
            self.log.add(parcel, now, _end(outcome), **told)
            return
        again = parcel.again(now + delay / self.speed)
        self.log.add(parcel, now, "will_retry", next_attempt_at=again.due_at, **told)
        self.send([again])

    def done(self, lane: Lane, parcel: Parcel) -> None:
        with self._ready:
            lane.is_busy = False
            if not parcel.is_held:
                lane.release_held()
            self._ready.notify_all()

    def bury(self, lane: Lane) -> None:
        """A lane that died of an error makes room for a new one."""
        with self._ready:
            del self._lanes[lane.destination]
            self._ready.notify_all()

    def wait_idle(self, timeout: float) -> bool:
        """Waits until nothing is due or on its way. False: it took longer than ``timeout`` real seconds."""
        with self._ready:
            return self._ready.wait_for(self._is_idle, timeout)

    def waiting(self) -> list[Parcel]:
        """What is to be sent later, soonest first."""
        with self._ready:
            items = [item for lane in self._lanes.values() for item in lane.waiting]
        return [parcel for _, _, parcel in sorted(items, key=lambda item: item[:2])]

    def forget(self) -> None:
        """Throws away everything that is still to be sent, and the log."""
        with self._ready:
            for lane in self._lanes.values():
                lane.queue.clear()
                lane.waiting.clear()
            self._ready.notify_all()
        self.log.clear()
        self.timeout, self.speed = TIMEOUT, 1.0

    def close(self) -> None:
        """Ends all lanes; what is in flight is finished first."""
        with self._ready:
            self._is_closed = True
            lanes = list(self._lanes.values())
            self._ready.notify_all()
        for lane in lanes:
            lane.join()

    def _is_idle(self) -> bool:
        now = self._clock.now()
        return not any(
            lane.is_busy or lane.queue or (lane.waiting and lane.waiting[0][0] <= now) for lane in self._lanes.values()
        )

    def _wake(self) -> None:
        with self._ready:
            self._ready.notify_all()


def _end(outcome: Outcome) -> str:
    return "delivered" if outcome.is_valid else "gave_up"
