"""``amo-bridge why``: a deal's history, for whoever asks why the robot did that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from support.command_line import EXAMPLE, spoilt
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser

Run = Callable[..., Result]
IVAN = "Иван Петров"


def test_before_the_bridge_has_run(run: Run, tmp_path: Path) -> None:
    told = run("why", "7")
    assert told.exit_code == 1
    assert "журнала ещё нет: его ведёт работающий мост (amo-bridge serve)" in told.stderr
    assert not (tmp_path / "data").exists(), "asking must not make a database"


def test_a_deal_nobody_told_of(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    told = run("why", "7")
    assert told.exit_code == 1
    assert "о сделке 7 в журнале ничего нет" in told.stderr


def test_the_history_of_a_deal(
    connected: LocalCrm, office: CrmUser, bridge: RunningBridge, config: Config, run: Run
) -> None:
    contact = office.new_contact(IVAN, "Ольга")
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 0)
    bridge.settle(connected)
    office.move(IVAN, deal, "Продажи / Встреча назначена")
    bridge.settle(connected)
    told = run("why", str(deal))
    assert told.exit_code == 0, told.stderr
    shown = " ".join(told.stdout.replace("│", " ").split())
    assert f"Сделка {deal}" in shown
    for words in ("stage_creates_tasks.new_client", "stage_needs_fields.meeting_date", "сделало", "готово:", "ничего"):
        assert words in shown
    lines = told.stdout.splitlines()
    new_client = next(number for number, line in enumerate(lines) if "stage_creates_tasks.new_client" in line)
    put_back = max(number for number, line in enumerate(lines) if "stage_needs_fields.meeting_date" in line)
    assert new_client < put_back, "oldest first"
    short = run("why", str(deal), "--acted").stdout
    assert "stage_creates_tasks.new_client" in short
    assert "ничего" not in short
    assert "мост это уже знал" not in short


def test_a_database_that_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "amo-bridge.db").write_text("this is not a database, but long enough to look like one" * 20)
    told = run("why", "7")
    assert told.exit_code == 1
    assert "журнал не читается" in told.stderr


@pytest.mark.parametrize("deal", ["ромашка", "-"])
def test_a_deal_is_a_number(deal: str, run: Run) -> None:
    assert run("why", deal).exit_code == 2


def test_a_wrong_config(run: Run, tmp_path: Path) -> None:
    assert run("why", "7", config=spoilt(tmp_path, ("[bridge]", "[brigde]"))).exit_code == 2


def test_a_mistake_in_a_rule_keeps_nobody_from_the_history(run: Run, tmp_path: Path) -> None:
    told = run("why", "7", config=spoilt(tmp_path, ("\nenabled = true", '\nenabled = "maybe"')))
    assert told.exit_code == 1
    assert "журнала ещё нет" in told.stderr


@pytest.mark.parametrize("wrong", ['database = "mysql://x"', 'datta = "elsewhere"'])
def test_where_the_data_is_must_be_right(wrong: str, run: Run, tmp_path: Path) -> None:
    """Nothing is looked for in another place."""
    key = "database" if "database" in wrong else "data"
    (line,) = [line for line in EXAMPLE.read_text("utf-8").splitlines() if line.startswith(f"{key} = ")]
    told = run("why", "7", config=spoilt(tmp_path, (f"\n{line}\n", f"\n{wrong}\n")))
    assert told.exit_code == 2
    assert wrong.partition(" ")[0] in told.stderr
