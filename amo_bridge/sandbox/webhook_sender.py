"""One webhook on its way, the rules of trying again, and the log of every attempt."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import requests

from amo_bridge.sandbox.clock import SandboxClock

HEADERS: Mapping[str, str] = {
    "User-Agent": "amoCRM-Webhooks/3.0",
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept-Encoding": "gzip",
    "Accept": "*/*",
}
TIMED_OUT = 499
"""How an answer later than two seconds is booked."""
NO_ANSWER = 0
RETRY_AFTER: Mapping[int, int] = {1: 300, 2: 900, 3: 900, 4: 3600}
"""Seconds from the failed attempt of that number to the next one (amoCRM docs, webhooks-format)."""
LATE_RETRIES = frozenset({3, 4})
"""Attempts after which only 499 and 5xx are tried again."""
ATTEMPTS_KEPT = 20_000


@dataclass(frozen=True)
class Parcel:
    """One webhook for one address.

    ``due_at``: not before this second of the sandbox's clock. ``is_held``: a fault holds it until the next hook to
    the same address is sent. ``is_once``: a Digital Pipeline hook, which is never tried again.
    """

    hook: int
    webhook_id: int | None
    destination: str
    setting: str
    body: bytes
    request_id: str
    attempt: int = 1
    due_at: float = 0
    is_held: bool = False
    is_once: bool = False

    def again(self, due_at: float) -> Parcel:
        return replace(self, attempt=self.attempt + 1, due_at=due_at, is_held=False)


@dataclass(frozen=True)
class Outcome:
    """What the receiver answered: an HTTP status, TIMED_OUT or NO_ANSWER."""

    status: int
    error: str | None
    ms: float

    @property
    def is_valid(self) -> bool:
        return 100 <= self.status < 300


def post(session: requests.Session, parcel: Parcel, timeout: float) -> Outcome:
    """Sends the webhook once; follows no redirect."""
    headers = {**HEADERS, "X-Amocrm-Requestid": parcel.request_id}
    started = time.perf_counter()
    status, error = NO_ANSWER, None
    try:
        request = requests.Request("POST", parcel.destination, data=parcel.body, headers=headers).prepare()
        status = session.send(request, timeout=timeout, allow_redirects=False).status_code
    except requests.Timeout:
        status, error = TIMED_OUT, f"no answer within {timeout:g} s"
    except requests.RequestException as why:
        error = f"{type(why).__name__}: {why}"
    return Outcome(status, error, round((time.perf_counter() - started) * 1000, 1))


def retry_delay(parcel: Parcel, outcome: Outcome) -> int | None:
    """Seconds until the next attempt, None if there is none."""
    delay = RETRY_AFTER.get(parcel.attempt)
    if outcome.is_valid or parcel.is_once or delay is None:
        return None
    if parcel.attempt in LATE_RETRIES and not (outcome.status == TIMED_OUT or outcome.status >= 500):
        return None
    return delay


class HookLog:
    """Every attempt, newest last, and how many there were of each outcome."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._attempts: deque[dict[str, Any]] = deque(maxlen=ATTEMPTS_KEPT)
        self._outcomes: Counter[str] = Counter()
        self._last = 0

    def add(self, parcel: Parcel, at: int, outcome: str, **more: Any) -> None:
        entry = {
            "hook": parcel.hook,
            "webhook_id": parcel.webhook_id,
            "destination": parcel.destination,
            "setting": parcel.setting,
            "attempt": parcel.attempt,
            "request_id": parcel.request_id,
            "at": at,
            "outcome": outcome,
            **more,
            "body": parcel.body.decode("ascii"),
        }
        with self._guard:
            self._last += 1
            self._outcomes[outcome] += 1
            self._attempts.append({"number": self._last, **entry})

    def since(self, number: int) -> list[dict[str, Any]]:
        with self._guard:
            return [entry for entry in self._attempts if entry["number"] > number]

    def outcomes(self) -> dict[str, int]:
        with self._guard:
            return dict(self._outcomes)

    def clear(self) -> None:
        with self._guard:
            self._attempts.clear()
            self._outcomes.clear()


# Carries webhooks to their addresses: one thread and one kept-alive connection per address, so order is kept there.
#
# Retries wait by the sandbox's clock, so moving the clock brings them due; everything else is real time.

KEEP_ALIVE = 1.0
"""Real seconds without work after which the connection is closed: servers drop idle ones soon after."""
TIMEOUT = 2.0

Answered = Callable[[Parcel, bool], None]
"""Told of every answer: the parcel and whether the answer was valid."""


class DestinationQueue(threading.Thread):
    """What goes to one address. Every field is guarded by the courier's ``ready``."""

    def __init__(self, destination: str, courier: WebhookSender) -> None:
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


class WebhookSender:
    """Takes parcels and delivers them. ``is_wanted`` says just before sending whether the webhook is still on."""

    def __init__(self, clock: SandboxClock, is_wanted: Callable[[Parcel], bool], answered: Answered) -> None:
        self.log = HookLog()
        self.timeout = TIMEOUT
        self.speed = 1.0
        self._clock = clock
        self._is_wanted = is_wanted
        self._answered = answered
        self._ready = threading.Condition()
        self._lanes: dict[str, DestinationQueue] = {}
        self._turns = itertools.count()
        self._is_closed = False
        clock.subscribe(lambda _now: self._wake())

    def send(self, parcels: Iterable[Parcel]) -> None:
        """Queues the parcels in this order."""
        with self._ready:
            for parcel in parcels:
                lane = self._lanes.get(parcel.destination)
                if lane is None:
                    lane = self._lanes[parcel.destination] = DestinationQueue(parcel.destination, self)
                    lane.start()
                lane.put(parcel, next(self._turns))
            self._ready.notify_all()

    def next_for(self, lane: DestinationQueue, session: requests.Session) -> Parcel | None:
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

    def done(self, lane: DestinationQueue, parcel: Parcel) -> None:
        with self._ready:
            lane.is_busy = False
            if not parcel.is_held:
                lane.release_held()
            self._ready.notify_all()

    def bury(self, lane: DestinationQueue) -> None:
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
