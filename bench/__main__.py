"""``make bench``: measures what the bridge costs against its goals, prints a table, draws the charts in ``docs/``.

The whole run takes about a quarter of an hour; ``--quick`` takes about two minutes, and draws nothing.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.status import Status
from rich.table import Table

from amo_bridge import logs
from bench import alone, chart, naive, page
from bench.against import compare
from bench.against import show as show_sides
from bench.figures import Figures, Row, rows
from bench.storm import run_storm, running_setup
from bench.ticks import tick
from bench.webinar import import_attendees

DOCS = Path(__file__).parent.parent / "docs"
LONE = alone.LONE_EVENTS


@dataclass(frozen=True)
class Plan:
    """How much is done. ``idle_at``: the size of the account that the bridge is idle with."""

    sizes: tuple[int, ...]
    idle_at: int
    idle_seconds: float
    hooks: int
    naive_sample: int
    ticked: int
    attendees: int
    contacts: int


WHOLE = Plan(
    sizes=(1_000, 10_000, 100_000),
    idle_at=10_000,
    idle_seconds=310,
    hooks=10_000,
    naive_sample=50,
    ticked=100_000,
    attendees=10_000,
    contacts=100_000,
)
QUICK = Plan(
    sizes=(1_000, 2_000),
    idle_at=2_000,
    idle_seconds=20,
    hooks=3_000,
    naive_sample=20,
    ticked=10_000,
    attendees=1_000,
    contacts=5_000,
)


class Run:
    def __init__(self, plan: Plan, folder: Path, console: Console, status: Status) -> None:
        self._plan = plan
        self._folder = folder
        self._console = console
        self._status = status
        self._begun = time.monotonic()

    def figures(self) -> Figures:
        """Measure everything, one after the other."""
        self._begin_part("receiving")
        received = alone.receive(self._folder / "receiving", self._plan.hooks)
        self._begin_part("starting")
        starts = alone.start(self._folder / "starting")
        self._begin_part(f"ticking over {self._plan.ticked:,} deals")
        ticks = tick(self._folder / "ticking", self._plan.ticked)
        self._begin_part(f"{self._plan.attendees:,} attendees into {self._plan.contacts:,} contacts")
        webinar = import_attendees(self._folder / "webinar", self._plan.attendees, self._plan.contacts, self._progress)
        fills, storms, idle, compared, lone = [], [], None, None, None
        for size in self._plan.sizes:
            self._begin_part(f"{size:,} deals")
            # The last of them are for the lone events, which need deals without a task.
            with running_setup(self._folder / str(size), size + LONE + self._plan.naive_sample, self._progress) as (
                setup,
                ids,
                filled,
            ):
                fills.append(filled)
                storms.append(run_storm(setup, ids[:size], self._progress))
                if lone is None:
                    self._progress("lone events")
                    lone = alone.measure_lone_events(setup, ids[size : size + LONE])
                    self._progress("a naive loop over a sample")
                    compared = naive.run(setup.sandbox.url, ids[size + LONE :])
                if size == self._plan.idle_at:
                    self._progress(f"idle for {self._plan.idle_seconds:.0f} s")
                    idle = alone.measure_idle(setup, self._plan.idle_seconds)
        assert idle is not None
        assert lone is not None
        assert compared is not None
        return Figures(compared, received, starts, lone, idle, ticks, webinar, fills, storms)

    def _begin_part(self, what: str) -> None:
        """Print that a new part begins."""
        self._console.print(f"{time.monotonic() - self._begun:5.0f} s  {what}")
        self._progress(what)

    def _progress(self, words: str) -> None:
        self._status.update(words)


def show(goals: list[Row], console: Console) -> None:
    table = Table("work", "goal", "measured", "", title="make bench", show_lines=True)
    for row in goals:
        mark = {True: "[green]✓[/]", False: "[red]missed[/]", None: "–"}[row.is_met]
        table.add_row(row.work, row.goal, row.measured, mark)
    console.print(table)


def _plan(quick: bool, largest: int | None, idle: float | None) -> Plan:
    plan = QUICK if quick else WHOLE
    sizes = tuple(size for size in plan.sizes if largest is None or size <= largest)
    return replace(plan, sizes=sizes, idle_seconds=idle or plan.idle_seconds)


@click.command()
@click.option("--quick", is_flag=True, help="Smaller sizes, two minutes; draws nothing.")
@click.option("--largest", type=int, help="Leave larger sizes out: 100,000 events take long on a busy machine.")
@click.option("--idle", type=float, help="So many idle seconds; 310 hold one reconciliation.")
@click.option("--against", metavar="REF", help="Beside an older commit's code, as ratios; nothing else is measured.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for logs and databases, which then stays.")
def main(quick: bool, largest: int | None, idle: float | None, against: str | None, keep: Path | None) -> None:
    """Measure, print the table, draw the charts. Times depend on the machine: a missed goal is no failure."""
    # What runs in this process logs each request.
    logs.set_up(logging.WARNING)
    console = Console(highlight=False, width=150 if not sys.stdout.isatty() else None)
    if against:
        with tempfile.TemporaryDirectory(prefix="amo-bridge-bench-") as name, console.status("") as status:
            sides = compare(against, keep or Path(name), status.update)
        show_sides(*sides, console)
        return
    console.print("about two minutes" if quick else "about a quarter of an hour; --quick takes two minutes")
    with tempfile.TemporaryDirectory(prefix="amo-bridge-bench-") as name, console.status("") as status:
        figures = Run(_plan(quick, largest, idle), keep or Path(name), console, status).figures()
    table_rows = rows(figures)
    show(table_rows, console)
    if not quick:
        for path in [*chart.draw(figures, DOCS / "bench"), page.write(figures, table_rows, DOCS / "bench.md")]:
            console.print(f"written: {path}")


if __name__ == "__main__":
    main()
