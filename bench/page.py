"""Figures of the last whole run in docs/bench.md, between two marks."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figures, Row

MARKS = {True: "✓", False: "**missed**", None: "–"}


def write(figures: Figures, rows: list[Row], path: Path) -> Path:
    """Put the figures between the marks of the page; returns the page."""
    return put(path, "bench", [machine(), _goals(rows), _sizes(figures)])


def put(path: Path, mark: str, parts: Sequence[str]) -> Path:
    """Put the parts between two marks of the page; returns the page."""
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    before, _, rest = path.read_text("utf-8").partition(begin)
    after = rest.partition(end)[2]
    text = "\n\n".join(parts)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")
    return path


def machine() -> str:
    day = datetime.now(UTC).date().isoformat()
    load = os.getloadavg()[0]
    return (
        f"{day}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}; "
        f"load of the machine at the end: {load:.1f}."
    )


def _goals(rows: list[Row]) -> str:
    lines = ["| work | goal | measured | |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.work} | {row.goal} | {row.measured} | {MARKS[row.is_met]} |" for row in rows)])


def _sizes(figures: Figures) -> str:
    lines = ["| events | requests | naive | seconds | CPU seconds | memory, MB | load: requests | load: memory, MB |"]
    lines.append("|---" * 8 + "|")
    for storm, fill in zip(figures.storms, figures.fills, strict=True):
        cells = [
            f"{storm.events:,}",
            f"{storm.requests:,}",
            f"{figures.naive.requests_for(storm.events):,}",
            f"{storm.seconds:.1f}",
            f"{storm.cpu:.1f}",
            f"{storm.memory:.0f}",
            f"{fill.requests:,}",
            f"{fill.memory:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
