"""What the bridge is compared with: a loop that reads each deal and sets its task, one request each, as most scripts
for amoCRM do; polite, with the same 7 requests a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import requests

from bench.processes import TOKEN

RATE = 7
# amoCRM counts a sliding second; the same reserve as the bridge's own budget keeps.
SPACING = 1.1 / RATE


@dataclass(frozen=True)
class Naive:
    """What a sample of deals cost. Every deal costs the same, so the rest can be counted exactly."""

    deals: int
    requests: int
    seconds: float

    def requests_for(self, deals: int) -> int:
        return deals * self.requests // self.deals

    def seconds_for(self, deals: int) -> float:
        return self.requests_for(deals) * SPACING


def run(url: str, deals: Sequence[int]) -> Naive:
    """Read each deal, set its task."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    begun, sent = time.perf_counter(), 0
    for deal in deals:
        _pause(begun, sent)
        found = session.get(f"{url}/api/v4/leads/{deal}")
        found.raise_for_status()
        _pause(begun, sent + 1)
        task = {
            "text": "Связаться и взять в работу",
            "complete_till": int(time.time()) + 3600,
            "entity_id": deal,
            "entity_type": "leads",
            "responsible_user_id": found.json()["responsible_user_id"],
        }
        session.post(f"{url}/api/v4/tasks", json=[task]).raise_for_status()
        sent += 2
    return Naive(len(deals), sent, time.perf_counter() - begun)


def _pause(begun: float, sent: int) -> None:
    time.sleep(max(0.0, begun + sent * SPACING - time.perf_counter()))
