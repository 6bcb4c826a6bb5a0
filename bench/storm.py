"""N deals move at once and each needs a task: a sandbox, a bridge, N hooks; what it took until the last was set."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from amo_bridge.engine.store import Store
from bench import load
from bench.account import StoreView
from bench.load import Delivered
from bench.machine import MEGABYTE, memory, watched
from bench.processes import BridgeProcess, Sandbox, bridge_environment, free_port

LONGEST = 1500.0


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
    """The first fill of the mirror. Memory in megabytes: after the start, and at most."""

    deals: int
    requests: int
    seconds: float
    memory_before: float
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
def house(folder: Path, deals: int) -> Iterator[tuple[House, range, Filled]]:
    """A running sandbox with so many deals, a running bridge that has read them all, and what that took."""
    folder.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox(folder)
    try:
        ids = load.seed(sandbox, deals) if deals else range(0)
        environment = bridge_environment(sandbox.url, folder)
        port = free_port()
        bridge = BridgeProcess(port, folder, environment)
        one = House(folder, sandbox, environment, port, bridge)
        try:
            yield one, ids, _fill(one, deals)
        finally:
            one.bridge.stop()
    finally:
        sandbox.stop()


def _fill(one: House, deals: int) -> Filled:
    before = one.sandbox.requests_made()
    while one.sandbox.requests_made() == before and one.bridge.is_running:
        time.sleep(0.05)
    small, begun = memory(one.bridge.pid), time.perf_counter()
    with watched(one.bridge.pid) as cost:
        one.bridge.wait_ready(LONGEST)
        seconds = time.perf_counter() - begun
        wait_quiet(one)
    pages = _by_path(one.sandbox).get("GET /api/v4/leads", 0)
    return Filled(deals, pages, seconds, small / MEGABYTE, cost.peak)


def blow(one: House, deals: range) -> Storm:
    """Move the deals, deliver their hooks, wait until everything is done."""
    body = load.move_to_new(one.sandbox, deals)
    bodies = load.hooks_about(body, deals)
    one.sandbox.control("DELETE", "requests")
    begun = time.perf_counter()
    with watched(one.bridge.pid) as cost:
        received = load.deliver(one.bridge, bodies)
        wait_idle(one)
        seconds = time.perf_counter() - begun
    by_path = _by_path(one.sandbox)
    tasks = Counter(task["entity_id"] for task in one.sandbox.table("tasks"))
    doubled = sum(count > 1 for count in tasks.values())
    requests = sum(by_path.values())
    return Storm(len(deals), requests, by_path, seconds, cost.cpu, cost.peak, sum(tasks.values()), doubled, received)


def wait_idle(one: House) -> None:
    """Until the bridge has nothing left to do."""
    view, deadline = one.view, time.monotonic() + LONGEST
    while view.open_work():
        if time.monotonic() > deadline or not one.bridge.is_running:
            raise TimeoutError(f"not done: {view.open_work()}\n{one.bridge.last_words()}")
        time.sleep(0.1)


def wait_quiet(one: House) -> None:
    """Until the bridge asks amoCRM nothing more: the first reconciliation and the look at the webhook are over."""
    before = -1
    while (now := one.sandbox.requests_made()) != before:
        before = now
        time.sleep(2)


def _by_path(sandbox: Sandbox) -> dict[str, int]:
    found = sandbox.control("GET", "requests/count")["by_path"]
    assert isinstance(found, dict)
    return {str(path): int(count) for path, count in found.items()}
