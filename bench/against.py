"""``python -m bench --against REF``: the code at hand beside an older commit's, in one run, one after the other again
and again. What counts is the ratio: the machine and whatever else it does are the same for both."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench import alone, load
from bench.machine import cpu_seconds, memory
from bench.processes import run_command
from bench.storm import Progress, run_storm, running_setup

ROOT = Path(__file__).parent.parent
ROUNDS, EVENTS, HOOKS, CONNECTIONS = 3, 1_000, 3_000, 8
MEGABYTE = 1024 * 1024


@dataclass
class Side:
    """What was measured of one commit: name of a figure → a value for each round."""

    name: str
    checkout: Path | None
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, figure: str, value: float) -> None:
        self.figures.setdefault(figure, []).append(value)


@contextmanager
def worktree(reference: str, folder: Path) -> Iterator[Path]:
    """The commit's files in a folder of their own. Raises CalledProcessError for one that is not there."""
    checkout = folder / "older"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", str(checkout), reference], check=True, capture_output=True)
    try:
        yield checkout
    finally:
        subprocess.run([*git, "remove", "--force", str(checkout)], check=True, capture_output=True)


def compare(reference: str, folder: Path, progress: Progress) -> tuple[Side, Side]:
    """The older commit and the code at hand, measured by turns."""
    with worktree(reference, folder) as checkout:
        sides = Side(reference, checkout), Side("now", None)
        for number in range(1, ROUNDS + 1):
            for side in sides:
                progress(f"round {number} of {ROUNDS}: {side.name}")
                _measure(side, folder / f"{side.name.replace('/', '-')}-{number}")
    return sides


def _measure(side: Side, folder: Path) -> None:
    with running_setup(folder, EVENTS, checkout=side.checkout) as (setup, deals, _):
        storm = run_storm(setup, deals)
        side.note("a stage move to its task, processor ms", storm.cpu / storm.events * 1000)
        side.note("store, KB an event", (folder / "data" / "amo-bridge.db").stat().st_size / storm.events / 1024)
        cpu = cpu_seconds(setup.bridge.pid)
        bodies = [alone.IRRELEVANT_HOOK + b"&n=%d" % number for number in range(HOOKS)]
        received = load.deliver(setup.bridge, bodies, CONNECTIONS)
        side.note("webhooks received a second", received.median_per_second)
        side.note("p99 of a webhook, ms", received.p99 * 1000)
        side.note("a webhook received and decoded, processor µs", (cpu_seconds(setup.bridge.pid) - cpu) / HOOKS * 1e6)
        setup.bridge.stop()
        begun = time.perf_counter()
        bridge = setup.started_again()
        alone.post_until_accepted(bridge)
        side.note("start to the first accepted webhook, s", time.perf_counter() - begun)
        side.note("the same, processor s", cpu_seconds(bridge.pid))
        bridge.wait_ready()
        side.note("start until it is ready, s", time.perf_counter() - begun)
        side.note("memory then, MB", memory(bridge.pid) / MEGABYTE)
    _measure_commands(side, folder)


def _measure_commands(side: Side, folder: Path) -> None:
    """Short commands, which people wait for and programs run once for each file."""
    table, body, request = folder / "people.csv", folder / "one.body.json", folder / "one.meta.json"
    table.write_text("Имя;Почта;Минут;Дата\nАнна;a@example.ru;65;13.09.2021\n", "utf-8")
    body.write_text(json.dumps({"your-name": "Анна", "your-tel": "+7 916 123-45-67"}), "utf-8")
    headers = {"Content-Type": "application/json"}
    saved = {"vendor": "cf7", "method": "POST", "headers": headers, "body_file": body.name, "secrets": {}}
    request.write_text(json.dumps(saved), "utf-8")
    example = ["--config", str(ROOT / "config.example.toml")]
    commands = {
        "webinar preview --offline": ["--json", "--config", str(ROOT / "examples" / "webinar.toml"), str(table)],
        "intake replay": ["--json", *example, str(request)],
        "rules": example,
        "check --offline": example,
    }
    for name, arguments in commands.items():
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        run_command([*name.split(), *arguments], folder / "command.log", {}, side.checkout)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
        side.note(f"amo-bridge {name}, processor s", used)


def show(older: Side, now: Side, console: Console) -> None:
    """Medians of both, and how many times as much it is now."""
    table = Table("", older.name, "now", "ratio", title=f"medians of {ROUNDS} rounds, by turns")
    for figure, before in older.figures.items():
        was, is_now = median(before), median(now.figures[figure])
        table.add_row(figure, f"{was:,.2f}", f"{is_now:,.2f}", f"× {is_now / was:.2f}")
    console.print(table)
