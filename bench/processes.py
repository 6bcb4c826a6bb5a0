"""Sandbox and bridge as processes of their own, so that the bridge can be killed without a warning."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import requests
from cryptography.fernet import Fernet

URL = re.compile(r"http://127\.0\.0\.1:\d+")
START_TIMEOUT_SECONDS = 180.0
TOKEN = "sandbox-token"
SECRET = "bench-secret"
OWN_PORTS = (15_000, 32_000)
# Not of random's own numbers: two test runs with the same seed at the same time would be given the same ports.
NUMBERS = random.SystemRandom()
REGULATION = Path(__file__).with_name("regulation.toml")
# The rules of chaos, 30 of them.
CHAOS_RULES = Path(__file__).with_name("chaos.toml")


class NotRunning(Exception):
    """A process did not come up; the text is the end of its log."""


def free_port() -> int:
    """A port that stays free while its process is killed and started again.

    None of those that the system gives to connections going out (Linux: from 32,768 on).
    """
    while True:
        port = NUMBERS.randrange(*OWN_PORTS)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            # It is taken.
            continue


class Process:
    """One command of amo-bridge with a log file of its own."""

    def __init__(
        self, arguments: list[str], log: Path, environment: Mapping[str, str], checkout: Path | None = None
    ) -> None:
        """``checkout``: whose code runs; without it the one at hand."""
        self.log = log
        code = {} if checkout is None else {"PYTHONPATH": str(checkout)}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "amo_bridge", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment, **code},
                cwd=checkout,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """kill -9 of the whole group: no handler, no flush, no goodbye."""
        if self.is_running:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """As an administrator does it."""
        self._process.terminate()
        try:
            self._process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        return self._process.wait()

    def last_log_lines(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]


def run_command(arguments: list[str], log: Path, environment: Mapping[str, str], checkout: Path | None = None) -> None:
    """A command of amo-bridge, to its end. Raises NotRunning if it fails."""
    process = Process(arguments, log, environment, checkout)
    if process.wait() != 0:
        raise NotRunning(process.last_log_lines())


class Sandbox(Process):
    """A local amoCRM on a free port. ``control`` speaks to its /sandbox/ pages."""

    def __init__(self, folder: Path) -> None:
        super().__init__(["sandbox", "--port", "0"], folder / "sandbox.log", {})
        self.url = self._address()
        self._session = requests.Session()
        self._session.trust_env = False

    def control(self, method: str, path: str, body: object = None, timeout: float = 150) -> dict[str, object]:
        answer = self._session.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=timeout)
        if answer.status_code != 504:
            answer.raise_for_status()
        body = answer.json() if answer.content else {}
        return dict(body)

    def table(self, kind: str) -> list[dict[str, object]]:
        """All records of a kind."""
        tables = self.control("GET", f"state?kind={kind}")["tables"]
        assert isinstance(tables, dict)
        return list(tables[kind].values())

    def requests_made(self) -> int:
        total = self.control("GET", "requests/count")["total"]
        assert isinstance(total, int)
        return total

    def requests_by_path(self) -> dict[str, int]:
        """«METHOD /path» → how many the bridge has sent since they were last forgotten."""
        by_path = self.control("GET", "requests/count")["by_path"]
        assert isinstance(by_path, dict)
        return {str(path): int(count) for path, count in by_path.items()}

    def _address(self) -> str:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self.is_running:
            if match := URL.search(self.log.read_text("utf-8", "replace")):
                return match[0]
            time.sleep(0.02)
        raise NotRunning(self.last_log_lines())


def bridge_environment(sandbox_url: str, folder: Path, database: str = "", settle: float = 15.0) -> dict[str, str]:
    return {
        "AMO_BRIDGE_ACCOUNT_URL": sandbox_url,
        "AMO_BRIDGE_TOKEN": TOKEN,
        "AMO_BRIDGE_DATA": str(folder / "data"),
        "AMO_BRIDGE_DATABASE": database,
        "AMO_BRIDGE_HOOK_SECRET": SECRET,
        "AMO_BRIDGE_SETTLE": str(settle),
        "AMO_BRIDGE_KEY": Fernet.generate_key().decode(),
    }


class BridgeProcess(Process):
    """``amo-bridge serve`` at a port of its own."""

    def __init__(
        self,
        port: int,
        folder: Path,
        environment: Mapping[str, str],
        config: Path = REGULATION,
        checkout: Path | None = None,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        arguments = ["serve", "--config", str(config), "--port", str(port)]
        super().__init__(arguments, folder / "bridge.log", environment, checkout)

    def wait_ready(self, timeout: float = START_TIMEOUT_SECONDS, meanwhile: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.is_running:
            if self.is_ready():
                return
            meanwhile()
            time.sleep(0.05)
        raise NotRunning(self.last_log_lines())

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=5).ok
        except requests.RequestException:
            return False

    def hook(self, body: bytes, session: requests.Session) -> int:
        """Post a hook as amoCRM does; the status."""
        return session.post(f"{self.url}/hooks/amocrm/{SECRET}", data=body, timeout=10).status_code


class KilledBridge:
    """A bridge that is killed again and again, at times that have nothing to do with what it does.

    ``most``: so many kills; ``uptime``: seconds that it lives at least and at most, counted from when it is ready.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        config: Path,
        *,
        most: int,
        uptime: tuple[float, float],
        chance: random.Random,
    ) -> None:
        self.kills = 0
        self._folder, self._environment, self._config = folder, environment, config
        self._most, self._uptime, self._chance = most, uptime, chance
        self._port = free_port()
        self._next_kill = 0.0
        self.process = self._started()

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def is_spared(self) -> bool:
        """Has it been killed as often as it was to be?"""
        return self.kills >= self._most

    def plan_kill(self) -> None:
        """Counted from when it is ready: else it would be killed before it has begun."""
        self.process.wait_ready()
        self._next_kill = time.monotonic() + self._chance.uniform(*self._uptime)

    def kill_if_due(self) -> None:
        if not self.is_spared and time.monotonic() >= self._next_kill:
            self.kills += 1
            self._start_again()
            self.plan_kill()

    def restart(self) -> None:
        """Killed once more, which does not count; it is ready when this returns."""
        self._start_again()
        self.process.wait_ready()

    def _start_again(self) -> None:
        self.process.kill()
        self.process = self._started()

    def _started(self) -> BridgeProcess:
        return BridgeProcess(self._port, self._folder, self._environment, self._config)
