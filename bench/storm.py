"""N deals move at once and each needs a task: a sandbox, a bridge, N hooks; what it took until the last was set."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from amo_bridge.storage.database import Store
from bench import load
from bench.account import StoreView
from bench.load import Delivered
from bench.machine import watched
from bench.processes import BridgeProcess, Sandbox, bridge_environment, free_port

LONGEST = 1500.0
Tell = Callable[[str], None]
"""Hears what is being done, in words, again and again while it takes long."""


def silent(words: str) -> None:
    """Nobody listens."""


@dataclass
class House:
    """A sandbox and a bridge with their folder."""

    folder: Path
    sandbox: Sandbox
    environment: dict[str, str]
    port: int
    bridge: BridgeProcess

    @property
    def view(self) -> StoreView:
        return StoreView(Store.in_folder(self.folder / "data"))

    def started_again(self) -> BridgeProcess:
        self.bridge = BridgeProcess(self.port, self.folder, self.environment)
        return self.bridge


@dataclass(frozen=True)
class Filled:
    """The first fill of the mirror: lists of deals asked for, seconds, megabytes at most."""

    deals: int
    requests: int
    seconds: float
    memory: float


@dataclass(frozen=True)
class Storm:
    """``seconds``: from the first hook to the last task. ``tasks``: in the account, ``doubled``: deals with two."""

    events: int
    requests: int
    by_path: dict[str, int]
    seconds: float
    cpu: float
    memory: float
    tasks: int
    doubled: int
    received: Delivered


@contextmanager
def house(folder: Path, deals: int, tell: Tell = silent) -> Iterator[tuple[House, range, Filled]]:
    """A running sandbox with so many deals, a running bridge that has read them all, and what that took."""
    folder.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox(folder)
    try:
        tell(f"{deals:,} deals are made in the sandbox")
        ids = load.seed(sandbox, deals) if deals else range(0)
        environment = bridge_environment(sandbox.url, folder)
        port = free_port()
        bridge = BridgeProcess(port, folder, environment)
        one = House(folder, sandbox, environment, port, bridge)
        try:
            yield one, ids, _fill(one, deals, tell)
        finally:
            one.bridge.stop()
    finally:
        sandbox.stop()


def _fill(one: House, deals: int, tell: Tell) -> Filled:
    while not _pages(one) and one.bridge.is_running:
        time.sleep(0.02)
    begun = time.perf_counter()
    with watched(one.bridge.pid) as cost:
        one.bridge.wait_ready(
            LONGEST, lambda: tell(f"the mirror of {deals:,} deals is being filled: {_pages(one)} pages")
        )
        seconds = time.perf_counter() - begun
        pages = _pages(one)
        wait_quiet(one)
    return Filled(deals, pages, seconds, cost.peak)


def _pages(one: House) -> int:
    return one.sandbox.requests_by_path().get("GET /api/v4/leads", 0)


def blow(one: House, deals: range, tell: Tell = silent) -> Storm:
    """Move the deals, deliver their hooks, wait until everything is done."""
    tell(f"{len(deals):,} deals are moved")
    body = load.move_to_new(one.sandbox, deals)
    one.sandbox.control("DELETE", "requests")
    tell(f"{len(deals):,} hooks are delivered")
    begun = time.perf_counter()
    with watched(one.bridge.pid) as cost:
        received = load.deliver(one.bridge, load.hooks_about(body, deals))
        wait_idle(one, tell)
        seconds = time.perf_counter() - begun
    by_path = one.sandbox.requests_by_path()
    tasks = Counter(task["entity_id"] for task in one.sandbox.table("tasks"))
    doubled = sum(count > 1 for count in tasks.values())
    requests = sum(by_path.values())
    return Storm(len(deals), requests, by_path, seconds, cost.cpu, cost.peak, sum(tasks.values()), doubled, received)


def wait_idle(one: House, tell: Tell = silent) -> None:
    """Until the bridge has nothing left to do."""
    view, deadline = one.view, time.monotonic() + LONGEST
    while left := view.open_work():
        if time.monotonic() > deadline or not one.bridge.is_running:
            raise TimeoutError(f"not done: {left}\n{one.bridge.last_words()}")
        tell("left to do: " + ", ".join(f"{name} {count:,}" for name, count in left.items()))
        time.sleep(0.1)


def wait_quiet(one: House) -> None:
    """Until the bridge asks amoCRM nothing more: the first reconciliation and the look at the webhook are over."""
    before = -1
    while (now := one.sandbox.requests_made()) != before:
        before = now
        time.sleep(2)
