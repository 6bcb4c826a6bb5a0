"""How much work a call is, counted in interpreter steps: the same on every machine and under any load."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(work: Callable[[], Any]) -> int:
    """The number of bytecode instructions that the call runs."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def assert_linear(work: Callable[[int], Callable[[], Any]], size: int = 400) -> None:
    """Four times the size may cost four times the steps, and a little for warming up, but not sixteen times."""
    small, large = steps(work(size)), steps(work(4 * size))
    assert large < 5 * small + 2000, f"{size}: {small} steps, {4 * size}: {large} steps"
