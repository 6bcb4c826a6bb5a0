"""The shipped config, spoilt or not, and the bridge as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import requests

from support.local_crm import TOKEN
from support.running_bridge import wait_until

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def spoilt(folder: Path, *changes: tuple[str, str]) -> Path:
    """The example, changed, in a file of its own."""
    text = EXAMPLE.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return path


class Served:
    """``amo-bridge serve`` as a process of its own; ``told`` is what it has said so far."""

    ADDRESS = re.compile(r"amo-bridge: (http://127\.0\.0\.1:\d+)")

    def __init__(
        self, folder: Path, account_url: str, *arguments: str, config: Path | None = EXAMPLE, **more: str
    ) -> None:
        """``config``: None for none, in a folder that has none either; ``more``: variables, an empty one is unset."""
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        self._log = folder / "serve.log"
        environment = {
            "AMO_BRIDGE_ACCOUNT_URL": account_url,
            "AMO_BRIDGE_TOKEN": TOKEN,
            "AMO_BRIDGE_DATA": str(folder / "data"),
            "PYTHONUNBUFFERED": "1",
            **more,
        }
        named = ["--config", str(config)] if config else []
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "amo_bridge", "serve", "--port", "0", *named, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=elsewhere,
                env={name: told for name, told in {**os.environ, **environment}.items() if told},
            )

    @property
    def told(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def url(self) -> str:
        self.wait_for("amo-bridge: http")
        found = self.ADDRESS.search(self.told)
        assert found is not None
        return found[1]

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.told or self.process.poll() is not None, f"«{words}» is said")
        assert words in self.told, self.told

    def wait_ready(self) -> None:
        url = self.url
        wait_until(lambda: self.process.poll() is not None or requests.get(f"{url}/health", timeout=10).ok, "ready")
        assert self.process.poll() is None, self.told

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=90)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
