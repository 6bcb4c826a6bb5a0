"""One webhook on its way, the rules of trying again, and the log of every attempt."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import requests

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
