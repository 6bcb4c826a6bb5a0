"""Player of a story: acts, waits until the CRM holds what was promised, and reads it back.

The sandbox and the bridge are two real processes on free loopback ports.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.enquiries import ENQUIRY_STORY, SECRETS, VENDORS, Client
from amo_bridge.demo.stories import Act, Missing, Scene, Story
from amo_bridge.engine.journal import Entry, Journal
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import accounts, enquiries, events, in_open_state, inbox, intake_requests, outbox

URL = re.compile(r"http://127\.0\.0\.1:\d+")
PATIENCE = 60.0
# A Monday noon with four working weeks after it: what the stories tell of weekends holds whenever they are told.
BEGINS = "2027-04-05T12:00"


class DemoFailed(Exception):
    """The demo can't go on; the text says why and where to look."""


@dataclass(frozen=True)
class Running:
    """Addresses of the two, and the folder with their logs. ``settings``: what the bridge's environment was told."""

    sandbox: str
    bridge: str
    logs: Path
    config: Path
    settings: Mapping[str, str]


@contextmanager
def running(config: Path, account: str = "agency") -> Iterator[Running]:
    """Start the sandbox with this account and the bridge; both are ended when the block is left, the folder stays only
    on failure."""
    with tempfile.TemporaryDirectory(prefix="amo-bridge-demo-") as name:
        folder = Path(name)
        with _process("sandbox", ["sandbox", "--port", "0", "--account", account], folder, {}) as sandbox:
            CrmUser(sandbox).begin_at(BEGINS)
            settings = {
                "AMO_BRIDGE_ACCOUNT_URL": sandbox,
                "AMO_BRIDGE_TOKEN": "sandbox-token",
                "AMO_BRIDGE_DATA": str(folder / "data"),
                # Nothing lands late in this amoCRM, so there is nothing to wait for.
                "AMO_BRIDGE_SETTLE": "1",
                **SECRETS,
            }
            arguments = ["serve", "--config", str(config), "--port", "0"]
            with _process("bridge", arguments, folder, settings) as bridge:
                _wait_ready(bridge, folder)
                yield Running(sandbox, bridge, folder, config, settings)


@contextmanager
def _process(name: str, arguments: list[str], folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "amo_bridge", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **settings},
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """What the process printed as its own address."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for line in log.read_text("utf-8", "replace").splitlines():
            if (found := URL.search(line)) and line.startswith(("amoCRM", "amo-bridge:")):
                return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise DemoFailed(f"процесс не запустился:\n{log.read_text('utf-8', 'replace')}")


def _wait_ready(bridge: str, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    state = ""
    while time.monotonic() < deadline:
        try:
            answer = requests.get(f"{bridge}/health", timeout=5)
            state = answer.text
            if answer.ok:
                return
        except requests.ConnectionError as error:
            state = str(error)
        time.sleep(0.05)
    raise DemoFailed(f"мост не готов ({state}):\n{(folder / 'bridge.log').read_text('utf-8', 'replace')}")


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
        return Journal(AccountStore(self._store, key)).of_deal(deal)

    def is_idle(self) -> bool:
        open_rows = (
            select(func.count()).select_from(inbox).where(inbox.c.state == "new"),
            select(func.count()).select_from(events).where(events.c.state == "open"),
            select(func.count()).select_from(outbox).where(in_open_state(outbox)),
            select(func.count()).select_from(intake_requests).where(intake_requests.c.state == "new"),
            select(func.count()).select_from(enquiries).where(enquiries.c.state.in_(("new", "sent"))),
        )
        with self._store.read() as connection:
            return not any(connection.execute(query).scalar_one() for query in open_rows)

    def close(self) -> None:
        self._store.close()


def play(running: Running, stories: Sequence[Story], console: Console) -> bool:
    """True if the CRM holds all that the stories promise, and nothing twice."""
    office = CrmUser(running.sandbox)
    office.every_hook_twice()
    bridge = Bridge(running.logs / "data")
    client = _client_of(running)
    good = True
    try:
        for story in stories:
            if story is ENQUIRY_STORY and client is None:
                console.print(f"«{story.title}» не сыграно: в [intake] включены не все из {', '.join(VENDORS)}.")
                continue
            scene = Scene(office, client=client)
            with console.status("") as status:
                played = [_played(act, scene, bridge, status.update) for act in story.acts]
            console.print(_table(story.title, played))
            good = good and not any(one.wrong for one in played)
    finally:
        bridge.close()
    console.print(
        f"Хуков отправлено: {office.hooks_sent()} (каждый дважды). Запросов к API amoCRM: {office.requests_made()}."
    )
    return good


def _client_of(running: Running) -> Client | None:
    """Who asks by the vendors of the config; None if it has not all of those that the story needs."""
    return Client.of(load(running.config, running.settings), running.settings, running.bridge)


def _played(act: Act, scene: Scene, bridge: Bridge, tell: Callable[[str], None]) -> Played:
    tell(act.title)
    begun_with = scene.deal
    seen = {begun_with: len(bridge.entries(begun_with))} if begun_with else {}
    act.happens(scene)
    one = _watch(act, scene, bridge)
    # An act may end with another deal than it began with; what was decided about both is shown.
    for deal in dict.fromkeys([begun_with or scene.deal, scene.deal]):
        one.decided += _decisions(bridge.entries(deal)[seen.get(deal, 0) :])
    missed = [clause for clause in act.rules if not any(line.startswith(clause) for line in one.decided)]
    if missed and not one.wrong:
        one.wrong = f"не сработало правило {', '.join(missed)}"
    return one


def _watch(act: Act, scene: Scene, bridge: Bridge) -> Played:
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


def _table(title: str, played: Sequence[Played]) -> Table:
    columns = ("Что произошло в amoCRM", "Какое правило что решило", "Что теперь в amoCRM")
    table = Table(*columns, title=title, show_lines=True)
    for one in played:
        holds = "\n".join(f"✓ {words}" for words in one.holds)
        wrong = f"✗ {one.wrong}" if one.wrong else ""
        table.add_row(one.act.title, "\n".join(one.decided), "\n".join(filter(None, [holds, wrong])))
    return table
