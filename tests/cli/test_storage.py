"""``amo-bridge backup`` and ``restore``, typed: beside a running bridge, and against PostgreSQL."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import Result
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser

Run = Callable[..., Result]
IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"


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


@dataclass(frozen=True)
class Restored:
    """A deal that was made after the copy; how many tasks there were before the store was restored."""

    deal: int
    tasks: int


@pytest.fixture
def restored(
    connected: LocalCrm,
    office: CrmUser,
    bridge: RunningBridge,
    run: Run,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Restored:
    contact = office.new_contact(IVAN, "Ольга")
    office.new_deal(IVAN, "Ромашка", NEW, contact, 0)
    bridge.settle(connected)
    copy = tmp_path / "copy.tar"
    assert run("backup", str(copy)).exit_code == 0

    deal = office.new_deal(IVAN, "Лютик", NEW, contact, 0)
    bridge.settle(connected)
    bridge.stop()
    tasks = len(office.tasks(deal))
    assert tasks
    told = run("restore", str(copy), "--force", *request.param)
    assert told.exit_code == 0, told.output
    assert ("правила молчат" in told.stdout) == (not request.param)
    return Restored(deal, tasks)


@pytest.mark.parametrize("restored", [()], indirect=True, ids=["silent"])
def test_what_was_done_after_the_copy_is_not_done_again(
    restored: Restored,
    connected: LocalCrm,
    office: CrmUser,
    start_bridge: Callable[..., RunningBridge],
    config: Config,
) -> None:
    again = start_bridge(config).wait_ready()
    wait_until(lambda: again.journal(restored.deal), "the deal was found")
    again.settle(connected)
    assert len(office.tasks(restored.deal)) == restored.tasks
    told = [entry for entry in again.journal(restored.deal) if entry.rule]
    assert {entry.reason.partition(" от ")[0] for entry in told} == {"случилось до возврата данных из копии"}

    connected.later(3600)
    newest = office.new_deal(IVAN, "Василёк", NEW, office.new_contact(IVAN, "Пётр"), 0)
    again.settle(connected)
    assert office.tasks(newest), "rules go on with what happens now"


WON = "Продажи / Успешно реализовано"
GOES_ON = ("won_deal_goes_on", "lost_deal_is_routed")
LOST = "Продажи / Закрыто и не реализовано"


@pytest.mark.parametrize(
    ("end", "pipeline"), [(WON, "Реализация"), (LOST, "Работа с потерянными")], ids=["won", "lost"]
)
def test_a_deal_that_went_on_in_the_forgotten_time_goes_on_once(
    end: str,
    pipeline: str,
    connected: LocalCrm,
    office: CrmUser,
    start_bridge: Callable[..., RunningBridge],
    config: Config,
    run: Run,
    tmp_path: Path,
) -> None:
    """Its link is in amoCRM, on both deals: opened again and ended again, it is shown its continuation."""
    # No gate keeps the deal from its end.
    config = replace(config, rules=tuple(rule for rule in config.rules if rule.handler.name in GOES_ON))
    bridge = start_bridge(config).wait_ready()
    deal = office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle(connected)
    copy = tmp_path / "copy.tar"
    assert run("backup", str(copy)).exit_code == 0
    office.move(IVAN, deal, end, **reason_for(office, end))
    bridge.settle(connected)
    bridge.stop()
    assert len(continued(office, deal)) == 1
    assert run("restore", str(copy), "--force").exit_code == 0

    again = start_bridge(config).wait_ready()
    again.settle(connected)
    connected.later(3600)
    office.move(IVAN, deal, NEW)
    again.settle(connected)
    connected.later()
    office.move(IVAN, deal, end, **reason_for(office, end))
    again.settle(connected)
    (one,) = continued(office, deal)
    assert pipeline in office.stage_of(one)
    assert sum(str(one) in text for text in office.notes(deal)) == 2, "when it was made, and when it was shown"


def reason_for(office: CrmUser, stage: str) -> dict[str, int]:
    return {"loss_reason_id": office.reasons["Дорого"]} if stage == LOST else {}


def continued(office: CrmUser, deal: int) -> list[int]:
    """The deals that carry the address of this one."""
    rows = office._rows("/api/v4/leads", "leads")
    return [int(row["id"]) for row in rows if f"/leads/detail/{deal}" in str(row["custom_fields_values"])]


@pytest.mark.parametrize("restored", [("--catch-up",)], indirect=True, ids=["catches up"])
def test_whoever_wants_it_has_the_rules_act_on_what_happened_since(
    restored: Restored, office: CrmUser, start_bridge: Callable[..., RunningBridge], config: Config
) -> None:
    start_bridge(config).wait_ready()
    wait_until(lambda: len(office.tasks(restored.deal)) > restored.tasks, "the bridge has caught up")


def test_a_store_that_postgresql_has_put_back_is_marked(connected: LocalCrm, bridge: RunningBridge, run: Run) -> None:
    bridge.settle(connected)
    refused = run("restore", "--mark")
    assert refused.exit_code == 1
    assert "сначала остановите его" in refused.stderr
    bridge.stop()
    told = run("restore", "--mark")
    assert told.exit_code == 0, told.output
    assert "База помечена" in told.stdout


def test_a_restore_needs_a_file(run: Run) -> None:
    told = run("restore")
    assert told.exit_code == 2
    assert "назовите файл копии" in told.stderr


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
