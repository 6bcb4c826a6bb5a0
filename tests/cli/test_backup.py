"""``amo-bridge backup`` and ``restore``, typed: beside a running bridge, and against PostgreSQL."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser

Run = Callable[..., Result]
IVAN = "Иван Петров"


def test_a_bridge_goes_on_from_its_copy(
    connected: LocalCrm,
    office: CrmUser,
    bridge: RunningBridge,
    start_bridge: Callable[..., RunningBridge],
    config: Config,
    run: Run,
    tmp_path: Path,
) -> None:
    contact = office.new_contact(IVAN, "Ольга")
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 0)
    bridge.settle(connected)
    copy = tmp_path / "copy.tar"
    told = run("backup", str(copy))
    assert told.exit_code == 0, told.output
    assert "В ней токены: берегите её" in told.stdout

    told = run("restore", str(copy), "--force")
    assert told.exit_code == 1
    assert "работает мост: сначала остановите его" in told.stderr

    bridge.stop()
    told = run("restore", str(copy))
    assert told.exit_code == 1
    assert "здесь уже есть данные" in told.stderr
    told = run("restore", str(copy), "--force")
    assert told.exit_code == 0, told.output
    assert "Прежние данные:" in told.stdout

    again = start_bridge(config).wait_ready()
    again.settle(connected)
    assert len(office.tasks(deal)) == 1, "what was done before the copy is known"
    assert again.journal(deal)


def test_the_copy_is_a_new_file(connected: LocalCrm, bridge: RunningBridge, run: Run, tmp_path: Path) -> None:
    (tmp_path / "copy.tar").touch()
    told = run("backup", str(tmp_path / "copy.tar"))
    assert told.exit_code == 1
    assert "уже есть: назовите новый" in told.stderr


@pytest.mark.parametrize(
    ("command", "tool"),
    [("backup", "pg_dump --format=custom --file=copy.tar"), ("restore", "pg_restore --clean --if-exists copy.tar")],
)
def test_postgresql_has_its_own_tools(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, tool: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy.tar").touch()
    monkeypatch.setenv("AMO_BRIDGE_DATABASE", "postgresql://bridge:verysecret@db.example:5433/amo")
    told = run(command, "copy.tar")
    assert told.exit_code == 2
    line = next(line for line in told.stderr.splitlines() if line.strip().startswith("pg_"))
    assert shlex.split(line) == [*tool.split(), "--dbname=postgresql://bridge@db.example:5433/amo"]
    assert "verysecret" not in told.output
    assert "AMO_BRIDGE_KEY" in told.stderr
