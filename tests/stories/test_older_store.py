"""A store that an earlier version has filled and left in the middle of its work is taken over by this one.

The archives are made by tests/samples/stores/make_store.py with the code of the commit that they are named after.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from support.doc_files import ROOT
from support.local_crm import TOKEN, LocalCrm, served
from support.running_bridge import UNHURRIED, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage import migrate
from amo_bridge.storage.database import Store
from bench.processes import free_port

STORES = sorted((ROOT / "tests" / "samples" / "stores").glob("*.tar.gz"))
DAY = 86_400
FIRST, THINKING = "Вебинары / Проявил активность на вебинаре", "Вебинары / Думает (поговорили)"
LONG, SHORT = "Вебинары / Был на вебинаре более часа", "Вебинары / Был на вебинаре менее часа"
AGREED, REMINDER, WHY, MOVED = (
    "Связаться с клиентом, как договорились",
    "Напомнить о повторе вебинара",
    "Спросить, почему не пришёл",
    "Предупредить клиента о переносе",
)
DONE, DRAFT, RUNNING = 1, 2, 3


class ClockSince:
    """The bridge's own clock: an hour after the store was left, whatever the machine's says."""

    def __init__(self, left_at: float) -> None:
        self._ahead = datetime.fromtimestamp(left_at, UTC) + timedelta(hours=1) - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@dataclass(frozen=True)
class Left:
    """What the earlier version has left in ``folder``. ``made``: what make_store.py told of it."""

    folder: Path
    made: dict[str, Any]
    crm_port: int
    bridge_port: int

    @classmethod
    def unpacked(cls, archive: Path, folder: Path) -> Left:
        """In a folder, at addresses that are free on this machine."""
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        made = json.loads((folder / "made.json").read_text("utf-8"))
        left = cls(folder, made, free_port(), free_port())
        moved = {made["crm"]: left.crm_port, made["bridge"]: left.bridge_port}
        moves = {old.partition("//")[2]: f"127.0.0.1:{port}" for old, port in moved.items()}
        for path in folder.rglob("*.db"):
            move_addresses(path, moves)
        config = folder / "config.toml"
        config.write_text(config.read_text("utf-8").replace(made["crm"], f"http://127.0.0.1:{left.crm_port}"), "utf-8")
        return left

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        """Without the hooks' secret: it is in the small state, encrypted by the key."""
        return {"AMO_BRIDGE_TOKEN": TOKEN, "AMO_BRIDGE_KEY": self.made["key"]}

    @property
    def config(self) -> Config:
        config = load(self.folder / "config.toml", {"AMO_BRIDGE_DATA": str(self.data)})
        return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))

    def deal(self, case: str) -> int:
        return int(self.made["deals"][case])


def move_addresses(path: Path, moves: dict[str, str]) -> None:
    """In all texts of a database; what is encrypted holds none."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for name, columns in tables(connection).items():
            for column in columns:
                for old, new in moves.items():
                    connection.execute(
                        f'UPDATE "{name}" SET "{column}" = replace("{column}", ?, ?)'
                        f' WHERE typeof("{column}") = \'text\' AND instr("{column}", ?)',
                        (old, new, old),
                    )


def tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')] for name in names}


def rows(path: Path) -> dict[str, int]:
    """How many each table has."""
    with closing(sqlite3.connect(path)) as connection:
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables(connection)}


class Program:
    """A program with the token that the earlier version gave it."""

    def __init__(self, bridge: RunningBridge, token: str) -> None:
        self._url = f"{bridge.url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, self._url + path, json=body, headers=self._headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def becomes(self, number: int, state: str) -> None:
        wait_until(lambda: self.ask("GET", f"/webinars/{number}")["state"] == state, f"import {number} is {state}")


@pytest.fixture(params=STORES, ids=lambda path: path.name.partition(".")[0])
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Left:
    return Left.unpacked(request.param, tmp_path)


@pytest.fixture
def sandbox(left: Left) -> Iterator[LocalCrm]:
    """amoCRM as the earlier version saw it last; its clock stands still."""
    world = load_world(state_file=left.folder / "sandbox.db")
    with served(world, left.crm_port) as crm:
        yield crm
    world.close()


@pytest.fixture
def bridge(left: Left, sandbox: LocalCrm, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    """This version at work on the store, with all done that can be."""
    clock = ClockSince(left.made["made_at"])
    running = start_bridge(left.config, environment=left.environment, port=left.bridge_port, clock=clock).wait_ready()
    running.settle(sandbox)
    return running


@pytest.fixture
def program(bridge: RunningBridge, left: Left) -> Program:
    return Program(bridge, left.made["program"])


def tasks(sandbox: LocalCrm) -> Counter[tuple[int, str]]:
    """All tasks in amoCRM: deal and first line → how many."""
    found = sandbox.world.table("tasks").values()
    return Counter((task["entity_id"], task["text"].partition("\n")[0]) for task in found)


def names_on(office: CrmUser, stage: str) -> list[str]:
    return sorted(deal["name"] for deal in office.deals_on(stage))


def test_it_is_brought_up_to_date_with_every_row(left: Left) -> None:
    before = rows(left.data / "amo-bridge.db")
    assert before["users"] == 2
    with closing(Store.in_folder(left.data)) as store:
        store.prepare()
        with store.read() as connection:
            assert migrate.version_of(connection) == migrate.HEAD
    after = rows(left.data / "amo-bridge.db")
    assert {name: after.get(name) for name in before} == before


def test_there_is_work_of_each_kind_to_go_on_with(left: Left) -> None:
    with closing(sqlite3.connect(left.data / "amo-bridge.db")) as connection:

        def states(table: str) -> set[str]:
            return {state for (state,) in connection.execute(f"SELECT DISTINCT state FROM {table}")}

        assert states("inbox") == {"new", "decoded"}
        assert states("events") >= {"open", "done"}
        assert states("outbox") == {"done", "failed", "doubt", "ready", "waiting"}
        assert states("timers") == {"open", "fired"}
        assert states("imports") == {"done", "draft", "running"}
        assert states("import_rows") >= {"done", "doubt", "planned"}


def test_open_work_is_done_once(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, left: Left) -> None:
    once = {
        (left.deal(case), AGREED)
        for case in ("done", "made, in doubt", "not made, in doubt", "waits", "not judged", "told of to nobody")
    }
    once.add((left.deal("ladder"), REMINDER))
    found = tasks(sandbox)
    explained = {key for key in found if key not in once}
    assert {deal for deal, _text in explained} == {left.deal("put back"), left.deal("waits to be put back")}
    assert set(found) == once | explained
    assert set(found.values()) == {1}, found
    for case in ("put back", "waits to be put back"):
        assert office.stage_of(left.deal(case)) == FIRST, case
    for case in ("made, in doubt", "waits", "not judged", "told of to nobody"):
        acted = [entry for entry in bridge.journal(left.deal(case)) if entry.verdict == "acts"]
        assert [entry.clause for entry in acted] == ["S1"], case


def test_a_running_import_is_finished_and_makes_nobody_twice(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, program: Program
) -> None:
    program.becomes(RUNNING, "done")
    bridge.settle(sandbox)
    assert names_on(office, LONG) == [
        "n.elkina@example.ru, Наталья Ёлкина", "petr@example.ru, Пётр", "semyon@example.ru, Семён",
    ]  # fmt: skip
    assert names_on(office, SHORT) == ["raisa@example.ru, Раиса"]
    people = Counter(contact["name"] for contact in sandbox.world.table("contacts").values())
    assert {name: people[name] for name in ("Пётр", "Семён", "Раиса", "Тарас")} == {
        "Пётр": 1, "Семён": 1, "Раиса": 1, "Тарас": 0,
    }  # fmt: skip
    assert program.ask("GET", f"/webinars/{DONE}")["state"] == "done"


def test_a_draft_waits_for_its_person(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, program: Program
) -> None:
    program.becomes(RUNNING, "done")
    assert program.ask("GET", f"/webinars/{DRAFT}")["state"] == "draft"
    program.ask("POST", f"/webinars/{DRAFT}/start")
    program.becomes(DRAFT, "done")
    assert "taras@example.ru, Тарас" in names_on(office, LONG)


def test_steps_fall_due_when_they_were_promised(bridge: RunningBridge, sandbox: LocalCrm, left: Left) -> None:
    ladder, later = left.deal("ladder"), left.deal("new ladder")

    def done() -> dict[tuple[int, str], int]:
        found = tasks(sandbox)
        return {(deal, text): found[deal, text] for deal in (ladder, later) for text in (REMINDER, WHY)}

    assert done() == {(ladder, REMINDER): 1, (ladder, WHY): 0, (later, REMINDER): 0, (later, WHY): 0}
    bridge.settle_at(sandbox, advance=3 * DAY)
    assert done() == {(ladder, REMINDER): 1, (ladder, WHY): 0, (later, REMINDER): 1, (later, WHY): 0}
    bridge.settle_at(sandbox, advance=DAY)
    assert done() == {(ladder, REMINDER): 1, (ladder, WHY): 1, (later, REMINDER): 1, (later, WHY): 0}
    bridge.settle_at(sandbox, advance=3 * DAY)
    assert done() == {(ladder, REMINDER): 1, (ladder, WHY): 1, (later, REMINDER): 1, (later, WHY): 1}


def test_what_was_given_up_waits_for_a_person(
    bridge: RunningBridge, sandbox: LocalCrm, left: Left, program: Program
) -> None:
    (failure,) = program.ask("GET", "/failures")["failures"]
    assert failure["deal_id"] == left.deal("failed")
    assert "NotSupportedChoice" in failure["error"]
    assert tasks(sandbox)[left.deal("failed"), MOVED] == 0
    program.ask("POST", "/failures/retry", {"names": [failure["name"]]})
    bridge.settle(sandbox)
    assert tasks(sandbox)[left.deal("failed"), MOVED] == 1
    assert program.ask("GET", "/failures")["failures"] == []


def test_amocrm_s_hooks_and_the_users_are_let_in(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, left: Left, program: Program
) -> None:
    (webhook,) = sandbox.world.table("webhooks").values()
    assert webhook["destination"].startswith(f"{bridge.url}/hooks/"), "the secret is the same"
    sandbox.later()
    office.move("Марина Котова", left.deal("ladder"), THINKING)
    bridge.settle(sandbox)
    last = sandbox.control("GET", "hooks")["attempts"][-1]
    assert (last["destination"], last["status"]) == (webhook["destination"], 204)
    assert tasks(sandbox)[left.deal("ladder"), AGREED] == 1
    with requests.Session() as visitor:
        form = visitor.get(f"{bridge.url}/login", timeout=60).text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
        assert token is not None
        told = {"csrf_token": token[1], "login": left.made["user"], "password": left.made["password"]}
        page = visitor.post(f"{bridge.url}/login", data=told, timeout=60)
        assert (page.status_code, page.url) == (200, f"{bridge.url}/")
    users = {user["login"]: user["role"] for user in program.ask("GET", "/users")["users"]}
    assert users == {left.made["user"]: "admin", "Вера Орлова": "viewer"}
