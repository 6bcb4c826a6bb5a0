"""Plays the story: acts, waits until the CRM holds what was promised, reads it back, prints the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from amo_bridge.demo.office import Office
from amo_bridge.demo.processes import Running
from amo_bridge.demo.story import ACTS, Act, Missing, Scene
from amo_bridge.engine.journal import Entry, Journal
from amo_bridge.engine.store import Store, accounts, events, in_open_state, inbox, outbox

PATIENCE = 30.0
LOOK = 0.1


@dataclass
class Played:
    """One act as it went. ``wrong`` is what the CRM does not hold though the story promises it."""

    act: Act
    decided: list[str]
    holds: list[str]
    wrong: str = ""


class Bridge:
    """The bridge seen from outside: its store, read only, to show what it decided and to know when it is done."""

    def __init__(self, data: Path) -> None:
        self._store = Store.in_folder(data)

    def entries(self, deal: int) -> list[Entry]:
        with self._store.read() as connection:
            key = connection.execute(select(accounts.c.id)).scalar_one()
        return Journal(self._store, key).of_deal(deal)

    def is_idle(self) -> bool:
        open_rows = (
            select(func.count()).select_from(inbox).where(inbox.c.state == "new"),
            select(func.count()).select_from(events).where(events.c.state == "open"),
            select(func.count()).select_from(outbox).where(in_open_state(outbox)),
        )
        with self._store.read() as connection:
            return not any(connection.execute(query).scalar_one() for query in open_rows)

    def close(self) -> None:
        self._store.close()


def play(running: Running, console: Console) -> bool:
    """True if the CRM holds all that the story promises, and nothing twice."""
    office = Office(running.sandbox)
    office.every_hook_twice()
    bridge = Bridge(running.logs / "data")
    scene = Scene(office)
    played: list[Played] = []
    try:
        with console.status("") as status:
            for number, act in enumerate(ACTS, start=1):
                status.update(f"{number} из {len(ACTS)}: {act.title}")
                seen = len(bridge.entries(scene.deal)) if scene.deal else 0
                act.happens(scene)
                played.append(_watch(act, scene, bridge, seen))
    finally:
        bridge.close()
    console.print(_table(played))
    console.print(
        f"Хуков отправлено: {office.hooks_sent()} (каждый дважды). Запросов к API amoCRM: {office.requests_made()}."
    )
    return not any(one.wrong for one in played)


def _watch(act: Act, scene: Scene, bridge: Bridge, seen: int) -> Played:
    one = Played(act, [], [])

    def settled() -> bool:
        scene.office.wait_for_hooks()
        if not bridge.is_idle():
            return False
        try:
            one.holds = list(act.sees(scene))
        except Missing as missing:
            one.wrong = f"нет: {missing}"
            return False
        count = len(scene.office.tasks(scene.deal))
        one.wrong = "" if count == act.tasks else f"задач на сделке {count}, а должно быть {act.tasks}"
        return not one.wrong

    _wait(settled)
    one.decided = _decisions(bridge.entries(scene.deal)[seen:])
    missed = [clause for clause in act.rules if not any(line.startswith(clause) for line in one.decided)]
    if missed and not one.wrong:
        one.wrong = f"не сработало правило {', '.join(missed)}"
    return one


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(LOOK)


def _decisions(entries: Sequence[Entry]) -> list[str]:
    lines = []
    for entry in entries:
        if entry.verdict in ("acts", "failed"):
            done = "; ".join(words + (f" ({error})" if error else "") for words, _, error in entry.effects)
            lines.append(f"{entry.clause} {entry.rule}\n  {done or entry.reason}")
    return lines


def _table(played: Sequence[Played]) -> Table:
    table = Table("Что произошло в amoCRM", "Какое правило что решило", "Что теперь в amoCRM", show_lines=True)
    for one in played:
        holds = "\n".join(f"✓ {words}" for words in one.holds)
        wrong = f"[red]✗ {one.wrong}[/red]" if one.wrong else ""
        table.add_row(one.act.title, "\n".join(one.decided), "\n".join(filter(None, [holds, wrong])))
    return table
