"""Storm: N deals move at once and each needs a task; what it takes until the last task is set."""

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

TIMEOUT_SECONDS = 1500.0
Progress = Callable[[str], None]
"""Called with what is being done, in words, again and again while it takes long."""


def silent(words: str) -> None:
    """Report nothing."""


@dataclass
class Setup:
    """A running sandbox and a running bridge with their folder."""

    folder: Path
    sandbox: Sandbox
    environment: dict[str, str]
    port: int
    bridge: BridgeProcess
    checkout: Path | None = None

    @property
    def view(self) -> StoreView:
        return StoreView(Store.in_folder(self.folder / "data"))

    def started_again(self) -> BridgeProcess:
        self.bridge = BridgeProcess(self.port, self.folder, self.environment, checkout=self.checkout)
        return self.bridge


@dataclass(frozen=True)
class Filled:
    """The initial load of the mirror: pages of deals requested, seconds, megabytes at most."""

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
def running_setup(
    folder: Path, deals: int, progress: Progress = silent, checkout: Path | None = None
) -> Iterator[tuple[Setup, range, Filled]]:
    """A running sandbox with so many deals, a running bridge that has read them all, and what that took. ``checkout``:
    whose bridge, if not the one at hand."""
    folder.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox(folder)
    try:
        progress(f"{deals:,} deals are made in the sandbox")
        ids = load.seed(sandbox, deals) if deals else range(0)
        environment = bridge_environment(sandbox.url, folder)
        port = free_port()
        bridge = BridgeProcess(port, folder, environment, checkout=checkout)
        setup = Setup(folder, sandbox, environment, port, bridge, checkout)
        try:
            yield setup, ids, _wait_filled(setup, deals, progress)
        finally:
            setup.bridge.stop()
    finally:
        sandbox.stop()


def _wait_filled(setup: Setup, deals: int, progress: Progress) -> Filled:
    while not _pages(setup) and setup.bridge.is_running:
        time.sleep(0.02)
    begun = time.perf_counter()
    with watched(setup.bridge.pid) as cost:
        setup.bridge.wait_ready(
            TIMEOUT_SECONDS, lambda: progress(f"the mirror of {deals:,} deals is being filled: {_pages(setup)} pages")
        )
        seconds = time.perf_counter() - begun
        pages = _pages(setup)
        wait_quiet(setup.sandbox)
    return Filled(deals, pages, seconds, cost.peak)


def _pages(setup: Setup) -> int:
    return setup.sandbox.requests_by_path().get("GET /api/v4/leads", 0)


def run_storm(setup: Setup, deals: range, progress: Progress = silent) -> Storm:
    """Move the deals, deliver their hooks, wait until everything is done."""
    progress(f"{len(deals):,} deals are moved")
    body = load.move_to_new(setup.sandbox, deals)
    setup.sandbox.control("DELETE", "requests")
    progress(f"{len(deals):,} hooks are delivered")
    begun = time.perf_counter()
    with watched(setup.bridge.pid) as cost:
        received = load.deliver(setup.bridge, load.hooks_about(body, deals))
        wait_idle(setup, progress)
        seconds = time.perf_counter() - begun
    by_path = setup.sandbox.requests_by_path()
    tasks = Counter(task["entity_id"] for task in setup.sandbox.table("tasks"))
    doubled = sum(count > 1 for count in tasks.values())
    requests = sum(by_path.values())
    return Storm(len(deals), requests, by_path, seconds, cost.cpu, cost.peak, sum(tasks.values()), doubled, received)


def wait_idle(setup: Setup, progress: Progress = silent) -> None:
    """Until the bridge has nothing open_work to do."""
    view, deadline = setup.view, time.monotonic() + TIMEOUT_SECONDS
    while open_work := view.open_work():
        if time.monotonic() > deadline or not setup.bridge.is_running:
            raise TimeoutError(f"not done: {open_work}\n{setup.bridge.last_log_lines()}")
        progress("open_work to do: " + ", ".join(f"{name} {count:,}" for name, count in open_work.items()))
        time.sleep(0.1)


def wait_quiet(sandbox: Sandbox) -> None:
    """Wait until the bridge sends no more requests: reconciliation and check of the subscription are over."""
    before = -1
    while (now := sandbox.requests_made()) != before:
        before = now
        time.sleep(2)
