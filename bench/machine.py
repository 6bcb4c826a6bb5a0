"""Processor time and memory of a process group, as Linux counts them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MEGABYTE = 1024 * 1024


def members(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) and int(fields[2]) == group:
            found.append(int(entry.name))
    return found


def cpu_seconds(group: int) -> float:
    """Processor time that the group has used so far."""
    return sum(
        (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND for pid in members(group) if (fields := _stat(pid))
    )


def memory(group: int) -> int:
    """Bytes of memory that the group holds, shared pages counted once (PSS)."""
    return sum(_pss(pid) for pid in members(group))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/…/stat after the name in brackets, from the state on."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pss(pid: int) -> int:
    try:
        text = (Path("/proc") / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


@dataclass
class Watched:
    """Memory over time while something ran, in bytes, and the processor time it took."""

    memory: list[int] = field(default_factory=list)
    cpu: float = 0.0
    wall: float = 0.0

    @property
    def peak(self) -> float:
        """Megabytes at most."""
        return max(self.memory, default=0) / MEGABYTE


@contextmanager
def watched(group: int, period_seconds: float = 0.5) -> Iterator[Watched]:
    """Watch a process group while the block runs."""
    watched_costs, stop = Watched(), threading.Event()
    cpu, begun = cpu_seconds(group), time.perf_counter()

    def sample() -> None:
        while not stop.wait(period_seconds):
            watched_costs.memory.append(memory(group))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield watched_costs
    finally:
        stop.set()
        thread.join()
        watched_costs.memory.append(memory(group))
        watched_costs.cpu, watched_costs.wall = cpu_seconds(group) - cpu, time.perf_counter() - begun
