"""Outcome of a run of chaos, as data and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from bench.account import Verdict


@dataclass
class Outcome:
    """``verdict`` says whether the account is right; the rest says how hard it was made.

    ``unanswered``: deals that the bridge had not answered in three minutes before that happening. When a copy was taken
    then, the store that is put back knows nothing of what follows for them, and they are told as lost.
    """

    verdict: Verdict
    deals: int = 0
    acts: int = 0
    kills: int = 0
    seconds: float = 0.0
    hooks: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    left_open: dict[str, int] = field(default_factory=dict)
    edits: dict[str, int] = field(default_factory=dict)
    happened: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    histories: dict[int, list[str]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return self.verdict.is_good and not self.left_open and not self.unanswered


def show(outcome: Outcome, console: Console) -> None:
    verdict = outcome.verdict
    table = Table("what", "how much", title="chaos")
    table.add_row("deals, acts of people", f"{outcome.deals}, {outcome.acts}")
    table.add_row("kill -9 of the bridge", str(outcome.kills))
    table.add_row("requests of the bridge", str(outcome.requests))
    table.add_row("faults that struck", ", ".join(f"{name} {count}" for name, count in outcome.faults.items()))
    table.add_row("webhooks", ", ".join(f"{name} {count}" for name, count in outcome.hooks.items()))
    table.add_row("edits of fresh cards", ", ".join(f"{name} {count}" for name, count in outcome.edits.items()))
    table.add_row("what else happened", ", ".join(outcome.happened))
    table.add_row("not answered in time", ", ".join(outcome.unanswered) or "0")
    table.add_row("effects awaited", str(verdict.effects))
    for name in ("lost", "doubled", "wrong", "out_of_order"):
        found: list[str] = getattr(verdict, name)
        table.add_row(name.replace("_", " "), f"[{'red' if found else 'green'}]{len(found)}[/]")
    table.add_row("left undone", str(outcome.left_open or 0))
    table.add_row("seconds", f"{outcome.seconds:.0f}")
    console.print(table)
    for name in ("lost", "doubled", "wrong", "out_of_order"):
        for words in getattr(verdict, name):
            console.print(f"{name}: {words}")
            console.print("    " + "\n    ".join(outcome.histories[int(words.split(":")[0])]))
