"""Measurements of a bridge with little to do: start, receiving, lone events, idle cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import requests

from bench import load
from bench.load import Delivered
from bench.machine import watched
from bench.processes import BridgeProcess, NotRunning
from bench.storm import Setup, running_setup, wait_idle, wait_quiet

STARTS, LONE_EVENTS = 5, 21
TIMEOUT_SECONDS = 30.0
# Two requests after a pause go at once; so long the rate limiter must have been left alone.
PAUSE_SECONDS = 0.7
IRRELEVANT_HOOK = b"talk%5Bupdate%5D%5B0%5D%5Btalk_id%5D=1"


@dataclass(frozen=True)
class Idle:
    """So many seconds without any event. ``cpu``: per cent of one core; ``memory``: megabytes."""

    deals: int
    seconds: float
    requests: int
    cpu: float
    memory: float

    @property
    def requests_per_minute(self) -> float:
        return self.requests * 60 / self.seconds


@dataclass(frozen=True)
class Lone:
    """Seconds from the post of a hook to the bridge's first request and to the request that sets the task."""

    to_first_request: list[float]
    to_effect: list[float]


def measure_idle(setup: Setup, seconds: float) -> Idle:
    """Restart the bridge on its filled store, wait until it is quiet, and measure it for so long.

    What a storm before left behind (memory, a reconciliation that reads it all again) is the storm's.
    """
    setup.bridge.stop()
    setup.started_again().wait_ready()
    wait_quiet(setup.sandbox)
    setup.sandbox.control("DELETE", "requests")
    with watched(setup.bridge.pid) as cost:
        time.sleep(seconds)
    return Idle(
        deals=setup.view.deals(),
        seconds=cost.wall,
        requests=setup.sandbox.requests_made(),
        cpu=cost.cpu / cost.wall * 100,
        memory=cost.peak,
    )


def measure_lone_events(setup: Setup, deals: range) -> Lone:
    """Move one deal after the other, each when the bridge has nothing else to do."""
    lone = Lone([], [])
    body = load.move_to_new(setup.sandbox, deals)
    session = requests.Session()
    for hook in load.hooks_about(body, deals):
        setup.sandbox.control("DELETE", "requests")
        begun = time.perf_counter()
        setup.bridge.hook(hook, session)
        lone.to_first_request.append(_until(setup, "GET /api/v4/leads", begun))
        lone.to_effect.append(_until(setup, "POST /api/v4/tasks", begun))
        wait_idle(setup)
        time.sleep(PAUSE_SECONDS)
    return lone


def _until(setup: Setup, path: str, begun: float) -> float:
    while time.perf_counter() < begun + TIMEOUT_SECONDS:
        if any(requested.startswith(path) for requested in setup.sandbox.requests_by_path()):
            return time.perf_counter() - begun
        time.sleep(0.002)
    raise TimeoutError(f"no {path} within {TIMEOUT_SECONDS} s\n{setup.bridge.last_log_lines()}")


def receive(folder: Path, hooks: int) -> Delivered:
    """So many hooks at full speed, to a bridge whose rules have nothing to do about them."""
    with running_setup(folder, 0) as (setup, _, _):
        return load.deliver(setup.bridge, [IRRELEVANT_HOOK + b"&n=%d" % number for number in range(hooks)])


def start(folder: Path, times: int = STARTS) -> list[float]:
    """Seconds from the command to the first hook that is accepted, with an account that is known already."""
    with running_setup(folder, 0) as (setup, _, _):
        seconds = []
        for _ in range(times):
            setup.bridge.stop()
            begun = time.perf_counter()
            post_until_accepted(setup.started_again())
            seconds.append(time.perf_counter() - begun)
            setup.bridge.wait_ready()
        return seconds


def post_until_accepted(bridge: BridgeProcess) -> None:
    session = requests.Session()
    while bridge.is_running:
        try:
            if bridge.hook(IRRELEVANT_HOOK, session) == 204:
                return
        except requests.RequestException:
            # It does not listen yet.
            pass
        time.sleep(0.005)
    raise NotRunning(bridge.last_log_lines())
