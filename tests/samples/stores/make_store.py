"""Make a filled store with whatever version of amo-bridge is installed, for tests/stories/test_older_store.py.

    cd a-checkout-of-that-version
    .venv/bin/python …/tests/samples/stores/make_store.py 24ea73d.tar.gz

It speaks to the program as people and amoCRM do, by commands and over HTTP, so that it needs no module of it. The
bridge is killed in the middle of its work. In the archive: the data folder, the state of the local amoCRM, the config,
and ``made.json``: the key, the addresses to be replaced, and which deal is in which case.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).parent
CRM, BRIDGE = "http://127.0.0.1:18090", "http://127.0.0.1:18091"
KEY = "c3RvcmUtb2YtYW4tb2xkZXItdmVyc2lvbi1vZi1pdCE="
MONDAY = "2026-03-02T12:00"
DAY = 86_400
PATIENCE = 120.0
# So long the bridge waits before it looks for what an answer was lost of: it is killed before.
SETTLE = "300"
TOKEN = "sandbox-token"
MANAGER, HEAD, SUPPORT = "Наталья Белова", "Марина Котова", "Дарья Зимина"
USER, PASSWORD, SECOND = "Анна Смирнова", "правильный пароль", "Вера Орлова"
FIRST, THINKING, CALL_MOVED, REPEAT, LOST = (
    f"Вебинары / {name}"
    for name in (
        "Проявил активность на вебинаре",
        "Думает (поговорили)",
        "Перенос звонка",
        "Отправлен на повтор вебинара",
        "Закрыто и не реализовано",
    )
)
HEADER = "Имя;Почта;Телефон;Минут;Кнопки;Дата"
DONE = (
    "Наталья Ёлкина;n.elkina@example.ru;;70;;02.03.2026",
    "Пётр;petr@example.ru;+79160000001;20;;02.03.2026",
)
RUNNING = (
    "Пётр;petr@example.ru;;90;;05.03.2026",
    "Раиса;raisa@example.ru;+79160000002;10;;05.03.2026",
    "Семён;semyon@example.ru;+79160000003;65;;05.03.2026",
)
DRAFT = ("Тарас;taras@example.ru;+79160000004;61;;09.03.2026",)


class Crm:
    """The local amoCRM: what people do there."""

    def __init__(self) -> None:
        users = self.ask("GET", "/sandbox/state?kind=users")["tables"]["users"].values()
        self.users = {row["name"]: row["id"] for row in users}
        pipelines = self.ask("GET", "/api/v4/leads/pipelines", person=HEAD)["_embedded"]["pipelines"]
        self.stages = {
            f"{pipeline['name']} / {status['name']}": {"pipeline_id": pipeline["id"], "status_id": status["id"]}
            for pipeline in pipelines
            for status in pipeline["_embedded"]["statuses"]
        }

    def ask(self, method: str, path: str, body: Any = None, person: str = "") -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if person:
            headers["X-Sandbox-Person"] = str(self.__dict__.get("users", {}).get(person, 10_000_001))
        answer = requests.request(method, CRM + path, json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def new_deal(self, name: str) -> int:
        deal = {"name": name, "price": 1000, "responsible_user_id": self.users[MANAGER], **self.stages[FIRST]}
        made = self.ask("POST", "/api/v4/leads", [deal], MANAGER)
        return int(made["_embedded"]["leads"][0]["id"])

    def move(self, deal: int, stage: str) -> None:
        self.ask("PATCH", f"/api/v4/leads/{deal}", self.stages[stage], MANAGER)

    def pass_time(self, seconds: int = 60) -> None:
        self.ask("POST", "/sandbox/clock", {"advance": seconds})

    def fault(self, kind: str, **more: Any) -> None:
        self.ask("POST", "/sandbox/faults", {"kind": kind, **more})

    def hooks_are_out(self) -> bool:
        self.ask("POST", "/sandbox/hooks/flush", {"timeout": 30})
        waiting = self.ask("GET", "/sandbox/hooks/waiting")["waiting"]
        if waiting:
            self.pass_time(max(1, int(waiting[0]["due_at"] - self.ask("GET", "/sandbox/clock")["now"]) + 1))
        return not waiting


class Visitor:
    """Somebody at the bridge's pages, and his program."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self.token = ""

    def post(self, path: str, page: str = "", **form: str) -> str:
        """As the form on ``page`` is sent; the answer's page."""
        shown = self._session.get(BRIDGE + (page or path), timeout=60).text
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', shown)
        assert found, f"no form at {page or path}: {shown[:500]}"
        answer = self._session.post(BRIDGE + path, data={"csrf_token": found[1], **form}, timeout=60)
        answer.raise_for_status()
        return html.unescape(answer.text)

    def api(self, method: str, path: str, **how: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"{BRIDGE}/api/v1{path}", headers=headers, timeout=60, **how)
        assert answer.ok, answer.text
        return answer.json()

    def upload(self, name: str, *lines: str) -> int:
        table = "\n".join((HEADER, *lines)).encode()
        return int(self.api("POST", "/webinars", files={"files": (name, table)})["numbers"][0])


def counted(data: Path, query: str) -> int:
    with closing(sqlite3.connect(f"file:{data / 'amo-bridge.db'}?mode=ro", uri=True)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {query}").fetchone()[0])


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain: {what}")
        time.sleep(0.05)


@contextmanager
def running(log: Path, url: str, *arguments: str, by: signal.Signals = signal.SIGTERM, **more: str) -> Iterator[None]:
    """A command of amo-bridge, ended by the signal ``by``."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "amo_bridge", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **more},
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or answers(url), f"{arguments} answers")
        assert process.poll() is None, log.read_text("utf-8")
        yield
    finally:
        os.killpg(process.pid, by)
        process.wait()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def main(archive: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(HERE / "school.toml", folder / "config.toml")
        state = ("sandbox", "--account", "school", "--state", str(folder / "sandbox.db"), "--port", "18090")
        with running(folder / "sandbox.log", f"{CRM}/sandbox/clock", *state):
            deals, program = fill(folder)
        made = {
            "made_at": int(time.time()), "key": KEY, "crm": CRM, "bridge": BRIDGE,
            "user": USER, "password": PASSWORD, "program": program, "deals": deals,
        }  # fmt: skip
        (folder / "made.json").write_text(json.dumps(made, ensure_ascii=False, indent=2), "utf-8")
        databases = [folder / "sandbox.db", *sorted((folder / "data").glob("*.db"))]
        for path in databases:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with tarfile.open(archive, "w:gz") as packed:
            for path in (folder / "config.toml", folder / "made.json", *databases):
                packed.add(path, path.relative_to(folder), filter=anonymous)


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def fill(folder: Path) -> tuple[dict[str, int], str]:
    """All the work; returns case → deal, and a program's token."""
    data, log = folder / "data", folder / "bridge.log"
    serve = ("serve", "--config", str(folder / "config.toml"), "--port", "18091")
    environment = {"AMO_BRIDGE_DATA": str(data), "AMO_BRIDGE_KEY": KEY, "AMO_BRIDGE_SETTLE": SETTLE}
    crm = Crm()
    crm.ask("POST", "/sandbox/clock", {"set": MONDAY, "freeze": True})
    crm.ask("POST", "/sandbox/limits", {"enabled": False})
    ready = f"{BRIDGE}/health"
    with running(log, ready, *serve, by=signal.SIGKILL, AMO_BRIDGE_TOKEN=TOKEN, **environment):
        team = come_in(log)
        deals = quiet_days(crm, team, data)
        deals |= storm(crm, team, data)
    # Without a worker: what amoCRM tells of stays as it came.
    crm.ask("DELETE", "/sandbox/faults")
    with running(log, ready, *serve, "--role", "web", **environment):
        deals["told of to nobody"] = crm.new_deal("Хук никем не прочитан")
        crm.pass_time()
        crm.move(deals["told of to nobody"], THINKING)
        wait_until(crm.hooks_are_out, "hooks are out")
        wait_until(lambda: counted(data, "inbox WHERE state = 'new'"), "hooks are kept")
    crm.ask("POST", "/sandbox/ui/activate_user", {"user_id": crm.users[HEAD], "target_id": crm.users[SUPPORT]}, HEAD)
    return deals, team.token


def come_in(log: Path) -> Visitor:
    """The first admin sets a password, invites somebody, and gives a program a token."""
    wait_until(lambda: "/setup/" in log.read_text("utf-8"), "the first admin's link")
    link = re.search(r"(/setup/\S+)", log.read_text("utf-8"))
    assert link
    visitor = Visitor()
    visitor.post(link[1], login=USER, password=PASSWORD, again=PASSWORD)
    visitor.post("/users", login=SECOND, role="viewer")
    shown = visitor.post("/api/tokens", "/api", name="загрузки", role="admin")
    token = re.search(r'data-copy="([^"]+)"', shown)
    assert token, shown
    visitor.token = token[1]
    return visitor


def quiet_days(crm: Crm, team: Visitor, data: Path) -> dict[str, int]:
    """Work that is done to its end, and steps that are not due yet."""

    def settle() -> None:
        open_work = (
            "inbox WHERE state = 'new'",
            "events WHERE state = 'open'",
            "outbox WHERE state IN ('waiting', 'ready', 'sending', 'doubt')",
        )
        wait_until(lambda: crm.hooks_are_out() and not any(counted(data, one) for one in open_work), "all is done")

    deals = {case: crm.new_deal(name) for case, name in (
        ("done", "Всё сделано"), ("put back", "Возвращена"), ("ladder", "Лестница"), ("new ladder", "Новая лестница"),
        ("failed", "Отказ"),
    )}  # fmt: skip
    settle()
    crm.pass_time()
    crm.move(deals["done"], THINKING)
    crm.move(deals["put back"], LOST)
    crm.move(deals["ladder"], REPEAT)
    settle()
    number = team.upload("первый.csv", *DONE)
    team.api("POST", f"/webinars/{number}/start")
    wait_until(lambda: counted(data, "imports WHERE state = 'done'"), "the first import is done")
    settle()
    # A hook lets the bridge hear how late it is.
    crm.pass_time(3 * DAY + 60)
    crm.move(deals["new ladder"], REPEAT)
    wait_until(lambda: counted(data, "timers WHERE state = 'fired'"), "the first step of the ladder")
    settle()
    crm.ask("POST", "/sandbox/ui/deactivate_user", {"user_id": crm.users[HEAD], "target_id": crm.users[SUPPORT]}, HEAD)
    crm.pass_time()
    crm.move(deals["failed"], CALL_MOVED)
    wait_until(lambda: counted(data, "outbox WHERE state = 'failed'"), "a task is refused")
    settle()
    return deals


def storm(crm: Crm, team: Visitor, data: Path) -> dict[str, int]:
    """Work that is broken off: a draft, an import and writes with lost answers, writes and events that wait."""
    deals = {case: crm.new_deal(name) for case, name in (
        ("made, in doubt", "Ответ потерян"), ("not made, in doubt", "Ответ 503"), ("waits", "Задача ждёт"), 
        ("waits to be put back", "Возврат ждёт"), ("not judged", "Событие ждёт"),
    )}  # fmt: skip
    wait_until(crm.hooks_are_out, "hooks are out")
    crm.pass_time()
    team.upload("черновик.csv", *DRAFT)
    crm.fault("lost_answer", method="POST", path="/api/v4/contacts", count=1)
    number = team.upload("второй.csv", *RUNNING)
    team.api("POST", f"/webinars/{number}/start")
    wait_until(lambda: counted(data, "import_rows WHERE state = 'doubt'"), "an import with a lost answer")
    outbox = "outbox WHERE state = '{}' AND deal_id = {}"

    def breaks_off(case: str, stage: str, state: str) -> None:
        crm.move(deals[case], stage)
        wait_until(lambda: counted(data, outbox.format(state, deals[case])), f"{case}: {state}")

    crm.fault("lost_answer", method="POST", path="/api/v4/tasks", count=1)
    breaks_off("made, in doubt", THINKING, "doubt")
    crm.fault("status", method="POST", path="/api/v4/tasks", status=503, count=1)
    breaks_off("not made, in doubt", THINKING, "doubt")
    crm.fault("status", method="P*", status=429)
    breaks_off("waits", THINKING, "ready")
    breaks_off("waits to be put back", LOST, "ready")
    crm.fault("status", method="GET", status=503)
    crm.move(deals["not judged"], THINKING)
    wait_until(
        lambda: counted(data, f"events WHERE state = 'open' AND deal_id = {deals['not judged']}"), "an event waits"
    )
    return deals


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
