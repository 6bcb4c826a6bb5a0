"""The trial and the commands of docs/webinar.md run one after the other, as they are written."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.doc_files import ROOT, fences
from support.local_crm import LocalCrm, served
from support.running_bridge import RunningBridge
from support.webinar_samples import ACCOUNT, fill_contacts

from amo_bridge.cli import main
from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world

PAGE = ROOT / "docs" / "webinar.md"
SANDBOX = "http://127.0.0.1:8090"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """What the page starts first."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


def lines() -> list[list[str]]:
    """The page's commands; what programs ask is not among them."""
    shell = "\n".join(block for block in fences(PAGE, "sh") if "curl" not in block)
    return [words for line in shell.splitlines() if (words := shlex.split(line, comments=True))]


def test_the_page_s_commands_run_as_they_are_written(
    start_bridge: Callable[..., RunningBridge],
    sandbox: LocalCrm,
    office: CrmUser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for folder in ("examples", "tests"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    ran = []
    for name, *words in lines():
        if name == "export":
            for variable, _, value in (word.partition("=") for word in words):
                monkeypatch.setenv(variable, value.replace(SANDBOX, sandbox.url))
        elif name == "cp":
            shutil.copy(*words)
        elif words == ["serve"]:
            fill_contacts(start_bridge(load(Path(os.environ["AMO_BRIDGE_CONFIG"]), os.environ)).wait_ready(), sandbox)
        elif words[0] != "sandbox":
            assert name == "amo-bridge"
            told = CliRunner().invoke(main, words, input="да\n", catch_exceptions=False)
            assert told.exit_code == 0, (words, told.output)
            ran.append(words[1])
    assert ran == ["preview", "import", "list", "report", "report", "decide", "undo"]
    assert len(office.deals_on("Вебинары / Закрыто и не реализовано")) == 5
