"""Growth: what is paid for more rules, for more events at once, a mirror of more deals, more accounts.

``python -m bench.growth`` writes the charts and the tables of docs/bench.md; each part can be left smaller, for a busy
machine: ``--events 1000 --events 10000 --deals 10000 --accounts 1``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pygal
from rich.console import Console

from amo_bridge.clock import SystemClock
from amo_bridge.config.loader import load
from amo_bridge.engine.dispatcher import Verdict
from amo_bridge.engine.history import History
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.recorder import CHUNK_SIZE
from amo_bridge.engine.scheduler import DueTimers
from amo_bridge.events import DealMoved, StageEntered
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage.database import DATABASE, AccountStore, Store
from bench import accounts, page
from bench.chart import PLAIN
from bench.storm import Progress, run_storm, running_setup
from bench.ticks import ACCOUNT, plan

DOCS = Path(__file__).parent.parent / "docs"
TIMES, DEALS_OF_A_BATCH, IDLE_SECONDS = 20, 250, 15.0
JOURNALED = 5_000
"""Events whose journal is written: enough for the empty tables to be nothing beside them."""
EXAMPLE = Path(__file__).parent.parent / "config.example.toml"
REASONS = (
    "этап «Продажи / Бриф» не из этого правила",
    "переход на «Продажи / Бриф» это правило не проверяет",
    "сделка не потеряна",
    "на этапе «Продажи / Бриф» дата не ставит задачу",
)
Row = dict[str, float]
"""What was measured at one size: name of a figure → value."""


def of_events(size: int, folder: Path, progress: Progress) -> Row:
    """So many deals move at once, and each needs a task."""
    database = folder / "data" / DATABASE
    with running_setup(folder, size, progress) as (setup, deals, _):
        before = database.stat().st_size
        storm = run_storm(setup, deals, progress)
    # Stopped: nothing is left beside the file.
    grown = database.stat().st_size - before
    return {
        "requests for 1,000": storm.requests / size * 1000,
        "processor, ms each": storm.cpu / size * 1000,
        "store, KB each": grown / size / 1024,
        "memory, MB": storm.memory,
    }


def of_deals(size: int, folder: Path, progress: Progress) -> Row:
    """Processor time of what is asked of a mirror of so many deals, each with a step to come."""
    progress(f"a mirror of {size:,} deals is put in")
    opened = Store.in_folder(folder)
    opened.prepare()
    store = AccountStore(opened, ACCOUNT)
    plan(store, size, datetime.now(UTC))
    due, mirror = DueTimers(store, SystemClock(), SystemClock()), Mirror(store)
    # The timetable is for what comes after a step that has fired; here none does.
    nothing: Any = None
    batch = range(size // 2, size // 2 + DEALS_OF_A_BATCH)
    row = {
        "a tick with nothing due, ms": _cpu(lambda: due.run(nothing, lambda: None)),
        f"{DEALS_OF_A_BATCH} deals of a batch, ms": _cpu(lambda: mirror.get(batch)),
        "deals counted by stage, ms": _cpu(History(store).deals_on_stages),
    }
    opened.close()
    # Closed: nothing is left beside the file.
    return row | {"store, KB a deal": (folder / DATABASE).stat().st_size / size / 1024}


def of_accounts(size: int, folder: Path, progress: Progress) -> Row:
    """One process for so many accounts, on PostgreSQL, with nothing to do."""
    progress(f"{size} accounts")
    cost = accounts.measure(size, folder, IDLE_SECONDS)
    answers = sorted(cost.answers)
    return {
        "memory, MB": cost.memory,
        "ready after, s": cost.ready_after,
        "processor, % of a core": cost.cpu,
        "a webhook answered, ms": answers[len(answers) // 2] * 1000,
    }


def of_rules(size: int, folder: Path, progress: Progress) -> Row:
    """The journal of events that so many of the example's rules hear; one of them acts."""
    progress(f"events that {size} rules hear")
    opened = Store.in_folder(folder)
    opened.prepare()
    store = AccountStore(opened, ACCOUNT)
    journal, at = Journal(store), datetime.now(UTC)
    came = DealMoved(at=at, deal_id=1)
    move = StageEntered(at=at, deal_id=1, stage="1.2", stage_name="Продажи / Бриф", from_stage="1.1")
    verdicts = [
        Verdict(rule, move, "key", "skipped", REASONS[number % len(REASONS)])
        for number, rule in enumerate(load(EXAMPLE, {}).rules[: size - 1])
    ]
    acting = Verdict(load(EXAMPLE, {}).rules[size - 1], move, "key", "acts")
    begun = time.process_time()
    for first in range(0, JOURNALED, CHUNK_SIZE):
        rows = [
            row
            for number in range(first, first + CHUNK_SIZE)
            for row in journal.rows_of(at, number, number, came, [*verdicts, acting])
        ]
        with store.write() as connection:
            journal.write(connection, rows)
    cpu = time.process_time() - begun
    opened.close()
    written = (folder / DATABASE).stat().st_size
    return {"journal, KB an event": written / JOURNALED / 1024, "processor, ms an event": cpu / JOURNALED * 1000}


def _cpu(work: Callable[[], object]) -> float:
    """Milliseconds of processor time, the mean of many after one that warms up."""
    work()
    begun = time.process_time()
    for _ in range(TIMES):
        work()
    return (time.process_time() - begun) / TIMES * 1000


PARTS: Mapping[str, Callable[[int, Path, Progress], Row]] = {
    "rules": of_rules,
    "events": of_events,
    "deals": of_deals,
    "accounts": of_accounts,
}


def draw(part: str, rows: Mapping[int, Row], folder: Path) -> Path:
    """The part's figures in times the first size's; returns where the picture is."""
    chart = pygal.Line(
        title=f"{part.capitalize()}: each figure in times that of the smallest size (logarithmic)",
        logarithmic=True,
        legend_at_bottom=True,
        truncate_legend=-1,
        **PLAIN,
    )
    chart.x_labels = [f"{size:,}" for size in rows]
    first = rows[min(rows)]
    for name in first:
        chart.add(name, [row[name] / first[name] if first[name] else None for row in rows.values()])
    path = folder / f"growth-{part}.svg"
    path.write_text(chart.render(is_unicode=True), "utf-8")
    return path


def table(part: str, rows: Mapping[int, Row]) -> str:
    names = list(rows[min(rows)])
    lines = [f"| {part} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for size, row in rows.items():
        lines.append(f"| {size:,} | {' | '.join(f'{row[name]:,.2f}' for name in names)} |")
    return "\n".join(lines)


@click.command()
@click.option("--rules", type=int, multiple=True, default=(7, 41), show_default=True)
@click.option("--events", type=int, multiple=True, default=(1_000, 10_000, 100_000), show_default=True)
@click.option("--deals", type=int, multiple=True, default=(10_000, 100_000, 1_000_000), show_default=True)
@click.option("--accounts", type=int, multiple=True, default=(1, 20, 200), show_default=True)
def main(**sizes: tuple[int, ...]) -> None:
    """Measure each part at its sizes, smallest first; write the charts and docs/bench.md."""
    console, written = Console(highlight=False, width=120), []
    with tempfile.TemporaryDirectory(prefix="amo-bridge-growth-") as name, console.status("") as status:
        for part, measure in PARTS.items():
            rows = {}
            for size in sorted(sizes[part]):
                console.print(f"{part}: {size:,}")
                rows[size] = measure(size, Path(name) / f"{part}-{size}", status.update)
                console.print(rows[size])
            picture = draw(part, rows, DOCS / "bench")
            written.append(f"![{part.capitalize()}]({picture.relative_to(DOCS)})\n\n{table(part, rows)}")
    page.put(DOCS / "bench.md", "growth", [page.machine(), *written])


if __name__ == "__main__":
    main()
