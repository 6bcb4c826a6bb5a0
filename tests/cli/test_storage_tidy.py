"""``amo-bridge tidy``: old rows go when somebody says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from click.testing import Result
from support.command_line import spoilt
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.demo.crm_user import CrmUser

Run = Callable[..., Result]
IVAN = "Иван Петров"


def test_what_was_there_half_a_year_ago_goes(
    connected: LocalCrm, office: CrmUser, bridge: RunningBridge, run: Run
) -> None:
    contact = office.new_contact(IVAN, "Ольга")
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 0)
    bridge.settle(connected)
    bridge.stop()
    assert run("tidy").stdout.startswith("Удалено: хуков 0, событий 0, сделанных действий 0, строк журнала 0.")
    with time_machine.travel(datetime.now(UTC) + timedelta(days=180), tick=False):
        told = run("tidy").stdout
    assert "сделанных действий 1" in told
    assert "Хранится: хуки — 14 д, журнал — 90 д" in told
    assert run("why", str(deal)).exit_code == 1


@pytest.mark.parametrize("key", ["keep_hooks", "keep_journal"])
def test_the_memory_can_not_be_shorter_than_three_days(run: Run, tmp_path: Path, key: str) -> None:
    """amoCRM repeats hooks, and what is forgotten would be done again."""
    config = spoilt(tmp_path, (f'{key} = "{"14" if key == "keep_hooks" else "90"} d"', f'{key} = "2 d"'))
    told = run("tidy", config=config)
    assert told.exit_code == 2
    assert f"[bridge] {key}: не меньше 3 д" in told.stderr
