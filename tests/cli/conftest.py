"""Commands as people type them: in this process where that shows all, as a process where signals matter."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.command_line import EXAMPLE
from support.local_crm import TOKEN, LocalCrm

from amo_bridge.cli import main
from amo_bridge.crm.rate_limiter import LocalRateLimiter

UNHURRIED = 5000.0


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine's own counts, and data goes into the test's folder."""
    for name in os.environ:
        if name.startswith("AMO_BRIDGE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AMO_BRIDGE_DATA", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands keep to 7 requests a second, as amoCRM wants it; here they would only be waiting."""
    for where in ("amo_bridge.cli.replay", "amo_bridge.runtime.connection"):
        monkeypatch.setattr(f"{where}.LocalRateLimiter", lambda rate, **more: LocalRateLimiter(UNHURRIED, **more))


@pytest.fixture
def connected(sandbox: LocalCrm, monkeypatch: pytest.MonkeyPatch) -> LocalCrm:
    """The local amoCRM, named by the environment."""
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", sandbox.url)
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", TOKEN)
    return sandbox


@pytest.fixture
def run() -> Callable[..., Result]:
    """``run("check", "--offline")``: the command with the shipped example, unless another --config is said."""

    def invoke(*arguments: str, config: Path | None = EXAMPLE) -> Result:
        told = ["--config", str(config)] if config else []
        return CliRunner().invoke(main, [*arguments, *told], catch_exceptions=False)

    return invoke
