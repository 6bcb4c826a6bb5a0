"""What the tests of the client share: a rate limiter that only records, a clock, answers as amoCRM words them."""

from __future__ import annotations

from typing import Any

import requests

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.tokens import LongLivedToken, Tokens
from amo_bridge.errors import CrmStopped

BASE = "https://example.amocrm.ru"

UNAUTHORIZED = {
    "title": "Unauthorized",
    "type": "https://httpstatus.es/401",
    "status": 401,
    "detail": "Invalid user name or password",
}
TOO_MANY = {
    "title": "Too Many Requests",
    "type": "https://httpstatus.es/429",
    "status": 429,
    "detail": "You have sent too many requests in a given amount of time. Please try again later.",
    "retry_after": 300,
}
NGINX_403 = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n"
    "<center><h1>403 Forbidden</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


class RecordingRateLimiter:
    """Lets everything through and remembers what it was told."""

    def __init__(self) -> None:
        self.acquired = 0
        self.pushed: list[float] = []
        self.opened_by: list[CrmStopped] = []
        self.resumed = 0
        self.probing = False

    def acquire(self) -> None:
        self.acquired += 1

    def push_back(self, seconds: float) -> None:
        self.pushed.append(seconds)

    def stop(self, error: CrmStopped) -> None:
        self.opened_by.append(error)

    def resume(self) -> None:
        self.resumed += 1

    def stopped(self) -> CrmStopped | None:
        return self.opened_by[-1] if self.opened_by else None


class Clock:
    """A clock that moves only when somebody sleeps. ``slept`` are the naps."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def client(limiter: Any = None, tokens: Tokens | None = None, clock: Clock | None = None, **more: Any) -> CrmClient:
    clock = clock or Clock()
    return CrmClient(
        more.pop("base_url", BASE),
        tokens or LongLivedToken("long-lived"),
        limiter or RecordingRateLimiter(),
        clock=clock,
        sleep=clock.sleep,
        **more,
    )


def answer(status: int, body: str | bytes = b"", **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = body.encode() if isinstance(body, str) else body
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return made
