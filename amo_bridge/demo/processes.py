"""The sandbox and the bridge as two real processes on free loopback ports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.enquiries import SECRETS

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
