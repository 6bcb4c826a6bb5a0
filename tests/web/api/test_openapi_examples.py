"""The examples of docs/api.md are run as they stand there, by curl, against a bridge at work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.api_client import Program
from support.doc_files import ROOT, fences
from support.local_crm import LocalCrm, served
from support.running_bridge import UNHURRIED, RunningBridge, wait_until
from support.webinar_samples import ACCOUNT, SAMPLES, SCHOOL, fill_contacts

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.web.auth.users import Role
from amo_bridge.web.middleware import WHERE

DOCUMENT = ROOT / "docs" / "api.md"
WHERE_AND_WHO = 'H="Authorization: Bearer amb_…" API=https://bridge.example.ru/api/v1\n'


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The shipped example of the school, its own copy: an example switches a rule."""
    told = {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(tmp_path / "data")}
    config = load(Path(shutil.copy(SCHOOL, tmp_path)), told)
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))


def said(command: str, program: Program, url: str, folder: Path) -> dict[str, object]:
    """What one command of the document prints."""
    environment = {"H": f"Authorization: {program.headers['Authorization']}", "API": f"{url}/api/v1"}
    run = subprocess.run(
        ["bash", "-ec", command],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    told: dict[str, object] = json.loads(run.stdout)
    return told


def examples(language: int) -> list[str]:
    """The commands of the document's Russian (0) or English (1) half."""
    first, *blocks = fences(DOCUMENT, "sh")
    assert first == WHERE_AND_WHO
    half = len([first, *blocks]) // 2
    chosen = [first, *blocks][half * language :][1:half]
    return [one for block in chosen for one in block.replace("\\\n", " ").splitlines()]


def promised() -> list[dict[str, object]]:
    """The answers that the document shows, without what it leaves out."""
    lines = [line for block in fences(DOCUMENT, "json") for line in block.splitlines()]
    shown = [json.loads(line.replace(", …}", "}").replace("[…]", '"…"')) for line in lines]
    return [{name: value for name, value in told.items() if value != "…"} for told in shown]


def test_both_languages_show_the_same_examples() -> None:
    assert len(fences(DOCUMENT, "sh")) % 2 == 0
    bare = [[one.partition("  #")[0].rstrip() for one in examples(language)] for language in (0, 1)]
    assert bare[0] == bare[1]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_they_do_what_the_document_says(bridge: RunningBridge, sandbox: LocalCrm, tmp_path: Path) -> None:
    fill_contacts(bridge, sandbox)
    shutil.copy(SAMPLES / "bizon_report.xlsx", tmp_path / "attendees.xlsx")
    program = Program(bridge, Role.ADMIN)
    state, off, on, draft, plan, started, done = examples(0)

    def run(command: str) -> dict[str, object]:
        return said(command, program, bridge.url, tmp_path)

    answers = [run(state), run(off), run(on), run(draft), run(plan), run(started)]
    wait_until(lambda: program.get("/webinars/1")["state"] == "done", "the import is done")
    answers.append(run(done))
    del answers[2]
    for shown, answer in zip(promised(), answers, strict=True):
        assert {name: answer[name] for name in shown} == shown


def test_where_the_api_of_an_account_is_stands_in_the_document() -> None:
    assert f"`{WHERE}ИМЯ/api/v1`" in DOCUMENT.read_text("utf-8")
