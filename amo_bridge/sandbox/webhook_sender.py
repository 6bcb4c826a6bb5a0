"""Delivery of webhooks over HTTP: a queue per address, retries, a log of every attempt.

Retries wait by the sandbox's clock, so moving the clock brings them due; everything else is real time.
"""

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
RETRY_AFTER_SECONDS: Mapping[int, int] = {1: 300, 2: 900, 3: 900, 4: 3600}
"""Seconds from the failed attempt of that number to the next one (amoCRM docs, webhooks-format)."""
LATE_RETRIES = frozenset({3, 4})
"""Attempts after which only 499 and 5xx are tried again."""
MAX_LOG_ENTRIES = 20_000


@dataclass(frozen=True)
class OutgoingWebhook:
    """One webhook to one address, with its attempt.

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

    def again(self, due_at: float) -> OutgoingWebhook:
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


def post(session: requests.Session, webhook: OutgoingWebhook, timeout: float) -> Outcome:
    """Sends the webhook once; follows no redirect."""
    headers = {**HEADERS, "X-Amocrm-Requestid": webhook.request_id}
    started = time.perf_counter()
    status, error = NO_ANSWER, None
    try:
        request = requests.Request("POST", webhook.destination, data=webhook.body, headers=headers).prepare()
        status = session.send(request, timeout=timeout, allow_redirects=False).status_code
    except requests.Timeout:
        status, error = TIMED_OUT, f"no answer within {timeout:g} s"
    except requests.RequestException as failure:
        error = f"{type(failure).__name__}: {failure}"
    return Outcome(status, error, round((time.perf_counter() - started) * 1000, 1))


def retry_delay(webhook: OutgoingWebhook, outcome: Outcome) -> int | None:
    """Seconds until the next attempt, None if there is none."""
    delay = RETRY_AFTER_SECONDS.get(webhook.attempt)
    if outcome.is_valid or webhook.is_once or delay is None:
        return None
    if webhook.attempt in LATE_RETRIES and not (outcome.status == TIMED_OUT or outcome.status >= 500):
        return None
    return delay


class HookLog:
    """Every attempt, newest last, and how many there were of each outcome."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._attempts: deque[dict[str, Any]] = deque(maxlen=MAX_LOG_ENTRIES)
        self._outcomes: Counter[str] = Counter()
        self._last = 0

    def add(self, webhook: OutgoingWebhook, at: int, outcome: str, **more: Any) -> None:
        entry = {
            "hook": webhook.hook,
            "webhook_id": webhook.webhook_id,
            "destination": webhook.destination,
            "setting": webhook.setting,
            "attempt": webhook.attempt,
            "request_id": webhook.request_id,
            "at": at,
            "outcome": outcome,
            **more,
            "body": webhook.body.decode("ascii"),
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


KEEP_ALIVE_SECONDS = 1.0
"""Real seconds without work after which the connection is closed: servers drop idle ones soon after."""
TIMEOUT_SECONDS = 2.0

Answered = Callable[[OutgoingWebhook, bool], None]
"""Called for every answer: the webhook, and whether the answer was valid."""


class DestinationQueue(threading.Thread):
    """The webhooks to one address: a thread with one kept-alive connection.

    Guarded by the sender's ``_ready``.
    """

    def __init__(self, destination: str, sender: WebhookSender) -> None:
        super().__init__(name=f"hooks to {destination}", daemon=True)
        self._sender = sender
        self.destination = destination
        self.due: deque[OutgoingWebhook] = deque()
        self.waiting: list[tuple[float, int, OutgoingWebhook]] = []
        self.is_busy = False

    def put(self, webhook: OutgoingWebhook, order: int) -> None:
        if webhook.due_at:
            heapq.heappush(self.waiting, (webhook.due_at, order, webhook))
        else:
            self.due.append(webhook)

    def release_held(self) -> None:
        """The webhooks a fault holds go next."""
        held = [item for item in self.waiting if item[2].is_held]
        if held:
            self.waiting = [item for item in self.waiting if not item[2].is_held]
            heapq.heapify(self.waiting)
            self.due.extendleft(webhook for _, _, webhook in reversed(held))

    def take_due(self, now: int) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            self.due.append(heapq.heappop(self.waiting)[2])

    def pause(self, now: int) -> float:
        """Real seconds after which it is worth looking again, if nothing else happens."""
        return min(KEEP_ALIVE_SECONDS, max(0.02, self.waiting[0][0] - now)) if self.waiting else KEEP_ALIVE_SECONDS

    def run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the machine has no business between sandbox and receiver
            while (webhook := self._sender.next_for(self, session)) is not None:
                try:
                    self._sender.attempt(webhook, session)
                except BaseException:
                    self._sender.remove(self)  # else the address would never get a webhook again
                    raise
                self._sender.done(self, webhook)


class WebhookSender:
    """Delivers webhooks, in order per address. ``is_wanted``: is it still subscribed, just before sending."""

    def __init__(self, clock: SandboxClock, is_wanted: Callable[[OutgoingWebhook], bool], answered: Answered) -> None:
        self.log = HookLog()
        self.timeout = TIMEOUT_SECONDS
        self.speed = 1.0
        self._clock = clock
        self._is_wanted = is_wanted
        self._answered = answered
        self._ready = threading.Condition()
        self._queues: dict[str, DestinationQueue] = {}
        self._orders = itertools.count()
        self._is_closed = False
        clock.subscribe(lambda _now: self._wake())

    def send(self, webhooks: Iterable[OutgoingWebhook]) -> None:
        """Queues the webhooks in this order."""
        with self._ready:
            for webhook in webhooks:
                queue = self._queues.get(webhook.destination)
                if queue is None:
                    queue = self._queues[webhook.destination] = DestinationQueue(webhook.destination, self)
                    queue.start()
                queue.put(webhook, next(self._orders))
            self._ready.notify_all()

    def next_for(self, queue: DestinationQueue, session: requests.Session) -> OutgoingWebhook | None:
        """The queue's next due webhook, waited for. None: the queue has nothing left and ends."""
        with self._ready:
            while not self._is_closed:
                now = self._clock.now()
                queue.take_due(now)
                if queue.due:
                    queue.is_busy = True
                    return queue.due.popleft()
                if self._ready.wait(queue.pause(now)):
                    continue
                session.close()
                if not queue.due and not queue.waiting:
                    break
            del self._queues[queue.destination]
            self._ready.notify_all()
            return None

    def attempt(self, webhook: OutgoingWebhook, session: requests.Session) -> None:
        """Sends the webhook once and decides what becomes of it."""
        if not self._is_wanted(webhook):
            self.log.add(webhook, self._clock.now(), "not_sent", error="the webhook is disabled or deleted")
            return
        outcome = post(session, webhook, self.timeout)
        now = self._clock.now()
        self._answered(webhook, outcome.is_valid)
        delay = retry_delay(webhook, outcome)
        answer = {"status": outcome.status, "error": outcome.error, "ms": outcome.ms}
        if delay is None:
            self.log.add(webhook, now, _end(outcome), **answer)
            return
        again = webhook.again(now + delay / self.speed)
        self.log.add(webhook, now, "will_retry", next_attempt_at=again.due_at, **answer)
        self.send([again])

    def done(self, queue: DestinationQueue, webhook: OutgoingWebhook) -> None:
        with self._ready:
            queue.is_busy = False
            if not webhook.is_held:
                queue.release_held()
            self._ready.notify_all()

    def remove(self, queue: DestinationQueue) -> None:
        """A queue that died of an error makes room for a new one."""
        with self._ready:
            del self._queues[queue.destination]
            self._ready.notify_all()

    def wait_idle(self, timeout: float) -> bool:
        """Waits until nothing is due or on its way. False: it took longer than ``timeout`` real seconds."""
        with self._ready:
            return self._ready.wait_for(self._is_idle, timeout)

    def waiting(self) -> list[OutgoingWebhook]:
        """What is to be sent later, soonest first."""
        with self._ready:
            items = [item for queue in self._queues.values() for item in queue.waiting]
        return [webhook for _, _, webhook in sorted(items, key=lambda item: item[:2])]

    def forget(self) -> None:
        """Delete everything that is still to be sent, and the log."""
        with self._ready:
            for queue in self._queues.values():
                queue.due.clear()
                queue.waiting.clear()
            self._ready.notify_all()
        self.log.clear()
        self.timeout, self.speed = TIMEOUT_SECONDS, 1.0

    def close(self) -> None:
        """Ends all queues; what is in flight is finished first."""
        with self._ready:
            self._is_closed = True
            queues = list(self._queues.values())
            self._ready.notify_all()
        for queue in queues:
            queue.join()

    def _is_idle(self) -> bool:
        now = self._clock.now()
        return not any(
            queue.is_busy or queue.due or (queue.waiting and queue.waiting[0][0] <= now)
            for queue in self._queues.values()
        )

    def _wake(self) -> None:
        with self._ready:
            self._ready.notify_all()


def _end(outcome: Outcome) -> str:
    return "delivered" if outcome.is_valid else "gave_up"
