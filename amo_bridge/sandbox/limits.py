"""Rate limits: 7 requests a second per token, 50 per account; then a block.

Documented: 7 requests/s per integration, 429 above it, 403 for the address of a client that keeps sending. The
counter's rules are published nowhere; assumed here: a sliding second, refused requests are not counted against it, the
block comes after ``block_after`` answers 429 within ``block_window`` seconds and lasts ``block_seconds``. Measured in
real time, because a client's pace is real whatever the sandbox's clock says. People's clicks and /sandbox/ are free.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from flask import Flask, Response, request

from amo_bridge.sandbox.faults import LATE, TOO_MANY
from amo_bridge.sandbox.http import problem
from amo_bridge.sandbox.middleware import bearer, is_outside, is_person, nginx_page
from amo_bridge.sandbox.world import World

EXTENSION = "sandbox.limits"


class BadLimits(ValueError):
    """The settings make no sense; the text says why."""


@dataclass(frozen=True)
class Settings:
    """What can be set through /sandbox/limits.

    Times are real seconds; ``retry_after`` is what a 429 tells.
    """

    enabled: bool = True
    per_second: int = 7
    account_per_second: int = 50
    retry_after: int = 1
    block_after: int = 100
    block_window: float = 60
    block_seconds: float = 60

    def changed(self, settings: Mapping[str, Any]) -> Settings:
        """These settings with some of them changed. Raises BadLimits."""
        known = {field.name for field in fields(self)}
        if set(settings) - known:
            raise BadLimits(f"unknown keys {sorted(set(settings) - known)}; known are {sorted(known)}")
        for name, value in settings.items():
            is_switch = name == "enabled"
            if isinstance(value, bool) != is_switch or not isinstance(value, int | float) or value < 0:
                raise BadLimits(f"{name}: {value!r} makes no sense")
        return replace(self, **settings)


class Limits:
    """Counts requests and says which are too many. ``now`` gives monotonic seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._guard = threading.Lock()
        self.settings = Settings()
        self.refused = 0
        self._forget()

    def _forget(self) -> None:
        self._served: defaultdict[str, deque[float]] = defaultdict(deque)
        self._warned: defaultdict[str, deque[float]] = defaultdict(deque)
        self._blocked_until: dict[str, float] = {}

    def set(self, settings: Mapping[str, Any]) -> Settings:
        """Changes settings and forgets all counts and blocks. Raises BadLimits."""
        with self._guard:
            self.settings = self.settings.changed(settings)
            self._forget()
            return self.settings

    def reset(self) -> None:
        with self._guard:
            self.settings = Settings()
            self.refused = 0
            self._forget()

    def shown(self) -> dict[str, Any]:
        with self._guard:
            now = self._now()
            left = {address: round(at - now, 1) for address, at in self._blocked_until.items() if at > now}
            return {**asdict(self.settings), "refused_so_far": self.refused, "blocked_seconds_left": left}

    def verdict(self, token: str, address: str) -> int:
        """200: let it through. 429: too fast. 403: the address is blocked."""
        with self._guard:
            now = self._now()
            if not self.settings.enabled:
                return 200
            if self._blocked_until.get(address, 0) > now:
                return 403
            token_times, account_times = self._served[f"token {token or address}"], self._served["account"]
            for times in (token_times, account_times):
                _drop_before(times, now - 1)
            if len(token_times) < self.settings.per_second and len(account_times) < self.settings.account_per_second:
                token_times.append(now)
                account_times.append(now)
                return 200
            self.refused += 1
            return self._refuse(address, now)

    def _refuse(self, address: str, now: float) -> int:
        warned = self._warned[address]
        _drop_before(warned, now - self.settings.block_window)
        warned.append(now)
        if len(warned) <= self.settings.block_after:
            return 429
        warned.clear()
        self._blocked_until[address] = now + self.settings.block_seconds
        return 403


def _drop_before(times: deque[float], limit: float) -> None:
    while times and times[0] <= limit:
        times.popleft()


def of(app: Flask) -> Limits:
    limits: Limits = app.extensions[EXTENSION]
    return limits


def register(app: Flask, world: World) -> None:
    limits = app.extensions[EXTENSION] = Limits()

    @app.before_request
    def limit_rate() -> Response | None:
        environ = request.environ
        if not is_outside(environ) or is_person(environ) or LATE in environ or request.path == "/oauth":
            return None
        verdict = limits.verdict(bearer(environ), request.remote_addr or "")
        if verdict == 429:
            return problem(429, TOO_MANY, retry_after=limits.settings.retry_after)
        if verdict == 403:
            page = nginx_page(403)
            return Response(page.body, status=403, content_type="text/html")
        return None
