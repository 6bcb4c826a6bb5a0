"""What a process counts while it works: requests, waits, hooks, and how long it takes from a hook to its effect."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests
from prometheus_client import CollectorRegistry, Counter, Histogram

from amo_bridge.crm.rate_limiter import Budget
from amo_bridge.errors import CrmStopped

# amoCRM gives up on a hook after 2 s; an effect has seconds when all is well and hours when amoCRM is away.
HOOK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
LAG_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 86400)
WAIT_BUCKETS = (0.001, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
NO_ANSWER = "none"


class Meters:
    """One per process; ``of(account)`` is what the parts of one account's bridge count with."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.hook_seconds = self._histogram("hook_seconds", "From a hook's arrival to our answer", HOOK_BUCKETS)
        self.hooks = self._counter("hooks", "Hooks answered", "status")
        self.lag_seconds = self._histogram("lag_seconds", "From a hook's arrival to its effect in amoCRM", LAG_BUCKETS)
        self.effects = self._counter("effects", "Effects that are in amoCRM now", "kind")
        self.crm_requests = self._counter("crm_requests", "Requests; status none: no answer", "method", "status")
        self.crm_waits = self._histogram("crm_wait_seconds", "Waiting for the budget before a request", WAIT_BUCKETS)
        self.crm_push_backs = self._counter("crm_push_backs", "How often amoCRM said 429")

    def of(self, account: str) -> AccountMeters:
        return AccountMeters(self, account)

    def _histogram(self, name: str, words: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"amo_bridge_{name}", words, ["account"], buckets=buckets, registry=self.registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"amo_bridge_{name}", words, ["account", *labels], registry=self.registry)


class AccountMeters:
    def __init__(self, meters: Meters, account: str) -> None:
        self.process = meters
        self.account = account

    def hook_answered(self, status: int, seconds: float) -> None:
        self.process.hooks.labels(self.account, str(status)).inc()
        self.process.hook_seconds.labels(self.account).observe(seconds)

    def effect_done(self, kind: str) -> None:
        self.process.effects.labels(self.account, kind).inc()

    def lagged(self, seconds: float) -> None:
        self.process.lag_seconds.labels(self.account).observe(seconds)

    def requested(self, method: str, status: str) -> None:
        self.process.crm_requests.labels(self.account, method, status).inc()

    def waited(self, seconds: float) -> None:
        self.process.crm_waits.labels(self.account).observe(seconds)

    def pushed_back(self) -> None:
        self.process.crm_push_backs.labels(self.account).inc()


class MeteredSession(requests.Session):
    """Counts each request by method and status."""

    def __init__(self, meters: AccountMeters) -> None:
        super().__init__()
        self._meters = meters

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        status = NO_ANSWER
        try:
            answer = super().send(request, **kwargs)
            status = str(answer.status_code)
        finally:
            self._meters.requested(request.method or "", status)
        return answer


class MeteredBudget:
    """A Budget whose waits and 429s are counted."""

    def __init__(self, budget: Budget, meters: AccountMeters, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget = budget
        self._meters = meters
        self._clock = clock

    @property
    def probing(self) -> bool:
        return self._budget.probing

    def acquire(self) -> None:
        started = self._clock()
        try:
            self._budget.acquire()
        finally:
            self._meters.waited(self._clock() - started)

    def push_back(self, seconds: float) -> None:
        self._meters.pushed_back()
        self._budget.push_back(seconds)

    def stop(self, error: CrmStopped) -> None:
        self._budget.stop(error)

    def resume(self) -> None:
        self._budget.resume()

    def stopped(self) -> CrmStopped | None:
        return self._budget.stopped()
