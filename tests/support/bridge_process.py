"""``amo-bridge serve`` as a process group of its own, which can be killed as a lost machine is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from support.running_bridge import wait_until

ADDRESS = re.compile(r"amo-bridge: (http://127\.0\.0\.1:\d+)")


class BridgeProcess:
    """``environment`` is all that it knows of the world besides PATH and the like."""

    def __init__(self, log: Path, environment: dict[str, str], *arguments: str) -> None:
        self._log = log
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AMO_BRIDGE_")}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "amo_bridge", "serve", "--port", "0", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**clean, "PYTHONUNBUFFERED": "1", **environment},
                start_new_session=True,
            )

    @property
    def told(self) -> str:
        """What it has said so far."""
        return self._log.read_text("utf-8", "replace")

    @property
    def url(self) -> str:
        wait_until(lambda: ADDRESS.search(self.told) or self._process.poll() is not None, "the process listens")
        found = ADDRESS.search(self.told)
        assert found is not None, self.told
        return found[1]

    def health(self) -> dict[str, Any]:
        """What its health page says; empty while it can't be asked."""
        try:
            told: dict[str, Any] = requests.get(f"{self.url}/health", timeout=10).json()
        except requests.ConnectionError:
            return {}
        return told

    def wait_ready(self) -> None:
        wait_until(lambda: self.health().get("status") == "ready" or self._process.poll() is not None, "it is ready")
        assert self._process.poll() is None, self.told

    @property
    def leads(self) -> bool:
        return self.health().get("leading") is True

    def hook(self, secret: str, body: bytes) -> int:
        return requests.post(f"{self.url}/hooks/amocrm/{secret}", data=body, timeout=30).status_code

    def kill(self) -> None:
        """Without a word: SIGKILL for the whole group."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)

    def exit_code(self) -> int:
        """Waits until it ends by itself."""
        return self._process.wait(timeout=60)

    def stop(self) -> int:
        """As an orderly shutdown; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)
