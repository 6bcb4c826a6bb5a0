"""The bridge with little to do: how soon it is there, how soon it answers a lone event, what it costs when idle."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import requests

from bench import load
from bench.load import Delivered
from bench.machine import watched
from bench.processes import BridgeProcess, NotRunning
from bench.storm import House, house, wait_idle, wait_quiet

STARTS, LONE_EVENTS = 5, 21
PATIENCE = 30.0
NOBODYS_HOOK = b"talk%5Bupdate%5D%5B0%5D%5Btalk_id%5D=1"


@dataclass(frozen=True)
class Idle:
    """So many seconds without any event. ``cpu``: per cent of one core; ``memory``: megabytes."""

    deals: int
    seconds: float
    requests: int
    cpu: float
    memory: float

    @property
    def requests_a_minute(self) -> float:
        return self.requests * 60 / self.seconds


@dataclass(frozen=True)
class Lone:
    """Seconds from the post of a hook to the bridge's first request and to the request that sets the task."""

    to_first_request: list[float]
    to_effect: list[float]


def rest(one: House, seconds: float) -> Idle:
    """Start the bridge again on its filled store, and when it has looked around let it be for so long: what a storm
    before left behind (memory, a look that reads it all again) is the storm's."""
    one.bridge.stop()
    one.started_again().wait_ready()
    wait_quiet(one)
    one.sandbox.control("DELETE", "requests")
    with watched(one.bridge.pid) as cost:
        time.sleep(seconds)
    return Idle(
        deals=one.view.deals(),
        seconds=cost.wall,
        requests=one.sandbox.requests_made(),
        cpu=cost.cpu / cost.wall * 100,
        memory=cost.peak,
    )


def answer_lone_events(one: House, deals: range) -> Lone:
    """Move one deal after the other, each when the bridge has nothing else to do."""
    told = Lone([], [])
    body = load.move_to_new(one.sandbox, deals)
    session = requests.Session()
    for hook in load.hooks_about(body, deals):
        one.sandbox.control("DELETE", "requests")
        begun = time.perf_counter()
        one.bridge.hook(hook, session)
        told.to_first_request.append(_until(one, "GET /api/v4/leads", begun))
        told.to_effect.append(_until(one, "POST /api/v4/tasks", begun))
        wait_idle(one)
    return told


def _until(one: House, path: str, begun: float) -> float:
    while time.perf_counter() < begun + PATIENCE:
        if any(asked.startswith(path) for asked in one.sandbox.requests_by_path()):
            return time.perf_counter() - begun
        time.sleep(0.002)
    raise TimeoutError(f"no {path} within {PATIENCE} s\n{one.bridge.last_words()}")


def receive(folder: Path, hooks: int) -> Delivered:
    """So many hooks at full speed, to a bridge that has nothing to do about them but keep them."""
    with house(folder, 0) as (one, _, _):
        return load.deliver(one.bridge, [NOBODYS_HOOK + b"&n=%d" % number for number in range(hooks)])


def start(folder: Path, times: int = STARTS) -> list[float]:
    """Seconds from the command to the first hook that is accepted, with an account that is known already."""
    with house(folder, 0) as (one, _, _):
        found = []
        for _ in range(times):
            one.bridge.stop()
            begun = time.perf_counter()
            _accept_one(one.started_again())
            found.append(time.perf_counter() - begun)
            one.bridge.wait_ready()
        return found


def _accept_one(bridge: BridgeProcess) -> None:
    session = requests.Session()
    while bridge.is_running:
        try:
            if bridge.hook(NOBODYS_HOOK, session) == 204:
                return
        except requests.RequestException:
            # Nobody listens yet.
            pass
        time.sleep(0.005)
    raise NotRunning(bridge.last_words())
