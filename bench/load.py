"""Load for the bridge: moved deals, the webhooks about them, connections that deliver these at once."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from urllib.parse import urlsplit

import requests

from bench.expected import BRIEF_WANTED, NEW
from bench.people import People
from bench.processes import SECRET, TOKEN, BridgeProcess, Sandbox

BATCH_SIZE = 250
MANAGER, ADMINISTRATOR = "Иван Петров", "Елена Орлова"
DEAL_ID = re.compile(rb"(leads%5Bstatus%5D%5B0%5D%5Bid%5D=)\d+")


def seed(sandbox: Sandbox, deals: int) -> range:
    """So many old deals on a stage that no rule looks at; their ids."""
    answer = sandbox.control("POST", "seed", {"deals": deals, "stage": BRIEF_WANTED}, timeout=300)
    first, last = answer["first_id"], answer["last_id"]
    assert isinstance(first, int)
    assert isinstance(last, int)
    return range(first, last + 1)


def move_to_new(sandbox: Sandbox, deals: Sequence[int]) -> bytes:
    """A person moves them all to the stage where each needs a task; the body of the hook about one of them.

    The account's own hooks, each about 250 deals, don't reach the bridge: it gets one hook a deal, below.
    """
    people = People(sandbox.url)
    pipeline_id, status_id = people.stages[NEW]
    unsubscribe(sandbox)
    for start in range(0, len(deals), BATCH_SIZE):
        chunk = deals[start : start + BATCH_SIZE]
        moved = [{"id": deal, "pipeline_id": pipeline_id, "status_id": status_id} for deal in chunk]
        people.change_many(MANAGER, moved)
    return status_body(sandbox, people, deals[0])


def status_body(sandbox: Sandbox, people: People, deal: int) -> bytes:
    """Body that amoCRM would send about this deal's move, taken from a subscription of a dead address."""
    nowhere = "http://127.0.0.1:9/hooks"
    session = _as_administrator(people)
    made = session.post(f"{sandbox.url}/api/v4/webhooks", json={"destination": nowhere, "settings": ["status_lead"]})
    made.raise_for_status()
    new, before = people.stages[NEW], people.stages[BRIEF_WANTED]
    for pipeline_id, status_id in (before, new):
        people.change(MANAGER, deal, {"pipeline_id": pipeline_id, "status_id": status_id})
    sandbox.control("POST", "hooks/flush", {"timeout": 20})
    attempts = sandbox.control("GET", "hooks?setting=status_lead")["attempts"]
    assert isinstance(attempts, list)
    body = str([attempt for attempt in attempts if attempt["destination"] == nowhere][-1]["body"])
    session.delete(f"{sandbox.url}/api/v4/webhooks", json={"destination": nowhere}).raise_for_status()
    sandbox.control("DELETE", "hooks")
    return body.encode()


def unsubscribe(sandbox: Sandbox) -> None:
    """Delete every subscription of the account."""
    session = _as_administrator(People(sandbox.url))
    answer = session.get(f"{sandbox.url}/api/v4/webhooks")
    # amoCRM answers 204 without a body when a list is empty.
    for hook in answer.json()["_embedded"]["webhooks"] if answer.content else ():
        session.delete(f"{sandbox.url}/api/v4/webhooks", json={"destination": hook["destination"]}).raise_for_status()


def hooks_about(body: bytes, deals: Iterable[int]) -> Iterator[bytes]:
    """The hook's body once for each deal."""
    return (DEAL_ID.sub(rb"\g<1>%d" % deal, body) for deal in deals)


def _as_administrator(people: People) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    session.headers["X-Sandbox-Person"] = str(people.users[ADMINISTRATOR])
    return session


@dataclass
class Delivered:
    """``seconds``: how long each hook took; ``finished``: when each was answered; ``refused``: not answered 204."""

    seconds: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def median_per_second(self) -> float:
        """Hooks answered within a second: the median of the whole seconds, or the mean if it took less than two."""
        whole = self.per_second()
        return float(median(whole)) if len(whole) > 1 else len(self.finished) / max(self.wall, 0.001)

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 hooks took at most."""
        return quantiles(self.seconds, n=100)[98] if len(self.seconds) > 1 else sum(self.seconds)

    @property
    def wall(self) -> float:
        return self.finished[-1] - self.finished[0] if self.finished else 0.0

    def per_second(self) -> list[int]:
        """How many were answered in each whole second."""
        if not self.finished:
            return []
        counts = [0] * (int(self.wall) + 1)
        for at in self.finished:
            counts[int(at - self.finished[0])] += 1
        return counts[:-1] or counts


def deliver(bridge: BridgeProcess, bodies: Iterable[bytes], connections: int = 8) -> Delivered:
    """Post the hooks as fast as so many connections can; each waits for its answer before it sends the next."""
    delivered, guard, queue = Delivered(), threading.Lock(), iter(bodies)

    def work() -> None:
        connection = http.client.HTTPConnection(str(urlsplit(bridge.url).hostname), urlsplit(bridge.url).port or 80)
        for body in _shared(queue, guard):
            begun = time.perf_counter()
            status = _post(connection, body)
            now = time.perf_counter()
            with guard:
                delivered.seconds.append(now - begun)
                delivered.finished.append(now)
                delivered.refused += status != 204
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    delivered.finished.sort()
    return delivered


def _shared(queue: Iterator[bytes], guard: threading.Lock) -> Iterator[bytes]:
    while True:
        with guard:
            body = next(queue, None)
        if body is None:
            return
        yield body


def _post(connection: http.client.HTTPConnection, body: bytes) -> int:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "amoCRM-Webhooks/3.0"}
    connection.request("POST", f"/hooks/amocrm/{SECRET}", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
