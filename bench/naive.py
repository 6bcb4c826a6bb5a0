"""Naive loop that the bridge is compared with: it reads each deal and sets its task, one request each.

Most scripts for amoCRM do so. It keeps to the same 7 requests a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from bench.processes import TOKEN

REQUESTS_PER_SECOND = 7
# amoCRM counts a sliding second; the same reserve as the bridge's own rate limiter.
SPACING_SECONDS = 1.1 / REQUESTS_PER_SECOND


@dataclass(frozen=True)
class Naive:
    """What a sample of deals cost. Every deal costs the same, so the rest can be counted exactly."""

    deals: int
    requests: int
    seconds: float

    def requests_for(self, deals: int) -> int:
        return deals * self.requests // self.deals

    def seconds_for(self, deals: int) -> float:
        return self.requests_for(deals) * SPACING_SECONDS


def run(url: str, deals: Sequence[int]) -> Naive:
    """Read each deal, set its task."""
    begun, client = time.perf_counter(), RateLimitedClient(url)
    for deal in deals:
        found = client.request("GET", f"/api/v4/leads/{deal}")
        task = {
            "text": "Связаться и взять в работу",
            "complete_till": int(time.time()) + 3600,
            "entity_id": deal,
            "entity_type": "leads",
            "responsible_user_id": found["responsible_user_id"],
        }
        client.request("POST", "/api/v4/tasks", [task])
    return Naive(len(deals), client.sent, time.perf_counter() - begun)


class RateLimitedClient:
    """Sends one request after the other, never sooner than the limit allows."""

    def __init__(self, url: str) -> None:
        self.sent = 0
        self._url = url
        self._next = 0.0
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {TOKEN}"

    def request(self, method: str, path: str, body: object = None) -> Any:
        answer = self._send(method, path, body)
        while answer.status_code == 429:
            # On a busy machine requests may arrive closer together than they were sent.
            time.sleep(1)
            answer = self._send(method, path, body)
        answer.raise_for_status()
        return answer.json()

    def _send(self, method: str, path: str, body: object) -> requests.Response:
        time.sleep(max(0.0, self._next - time.perf_counter()))
        self._next = time.perf_counter() + SPACING_SECONDS
        answer = self._session.request(method, self._url + path, json=body)
        self.sent += answer.status_code != 429
        return answer
