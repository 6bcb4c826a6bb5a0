"""``amo-bridge snapshot``, ``rehearse``, ``shadow``: what would come of it, asked from the command line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from support.command_line import spoilt
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, config_for

from amo_bridge.demo.crm_user import CrmUser

Run = Callable[..., Result]
IVAN = "Иван Петров"
BRIEF = "Продажи / Получение брифа"
LADDER = "stage_ladder.brief_awaited"


@pytest.fixture
def deal(connected: LocalCrm, office: CrmUser) -> int:
    made = office.new_deal(IVAN, "=Ромашка", BRIEF, office.new_contact(IVAN, "Анна Каренина"), 0)
    connected.later()
    return made


def test_the_example_needs_no_account(run: Run) -> None:
    told = run("rehearse", "--example", "--days", "12")
    assert told.exit_code == 0, told.stderr
    shown = " ".join(told.stdout.replace("│", " ").split())
    assert "Репетиция: 12 дн." in shown
    assert LADDER in shown
    assert "Что люди передвинут, закроют и заполнят, репетиция не знает" in shown


def test_a_snapshot_is_taken_and_rehearsed(run: Run, deal: int, tmp_path: Path) -> None:
    file = tmp_path / "account.snapshot"
    told = run("snapshot", str(file), "--masked")
    assert (told.exit_code, "Снимок готов" in told.stdout) == (0, True), told.stderr
    assert "данные клиентов" not in told.stdout
    told = run("rehearse", "--snapshot", str(file), "--since", "2026-01-01", "--days", "14", "--json")
    assert told.exit_code == 0, told.stderr
    steps = [one for one in json.loads(told.stdout) if (one["rule"], one["deal"]) == (LADDER, deal)]
    assert [one["clause"] for one in steps] == ["A20–A23"] * 4
    assert all(one["deal_name"].startswith("Сделка ") for one in steps)


def test_a_snapshot_with_people_in_it_says_so_and_is_never_overwritten(run: Run, deal: int, tmp_path: Path) -> None:
    file = tmp_path / "account.snapshot"
    assert "данные клиентов: берегите его" in run("snapshot", str(file)).stdout
    again = run("snapshot", str(file))
    assert (again.exit_code, "уже есть" in again.stderr) == (1, True)


def test_the_account_itself_one_deal_as_a_sheet(run: Run, deal: int, connected: LocalCrm, tmp_path: Path) -> None:
    connected.forget_requests()
    told = run("rehearse", "--deal", str(deal), "--since", "2026-01-01", "--days", "14", "--csv", "-")
    assert told.exit_code == 0, told.stderr
    rows = list(csv.DictReader(io.StringIO(told.stdout.removeprefix("\ufeff")), delimiter=";"))
    assert {row["Номер сделки"] for row in rows} == {str(deal)}
    assert {row["Сделка"] for row in rows} == {"'=Ромашка"}, "a spreadsheet must not run it"
    file = tmp_path / "репетиция.csv"
    as_file = run("rehearse", "--deal", str(deal), "--since", "2026-01-01", "--days", "14", "--csv", str(file))
    assert as_file.stdout == f"Записано в {file}, действий: {len(rows)}\n"
    assert len(file.read_text("utf-8-sig").splitlines()) == len(rows) + 1
    assert not [one for one in connected.requests() if not one.startswith("GET ")], "nothing is written"


def test_rules_that_never_come_to_act(run: Run, deal: int) -> None:
    told = run("rehearse", "--deal", str(deal), "--days", "1")
    assert told.exit_code == 0, told.stderr
    assert "правила ничего не сделают" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--deal", "999"), "сделки 999 в аккаунте нет"),
        (("--snapshot", "no-such-file"), "файла no-such-file нет"),
    ],
)
def test_what_can_not_be_rehearsed_is_told(
    arguments: tuple[str, ...], words: str, run: Run, connected: LocalCrm
) -> None:
    told = run("rehearse", *arguments)
    assert (told.exit_code, words in told.stderr) == (1, True), told.stderr


def test_without_a_token(run: Run) -> None:
    told = run("rehearse")
    assert (told.exit_code, "AMO_BRIDGE_TOKEN" in told.stderr) == (2, True)


# --- shadow --------------------------------------------------------------------------------------------------------


def test_what_a_dry_bridge_would_have_done(
    run: Run, connected: LocalCrm, office: CrmUser, tmp_path: Path, start_bridge: Callable[..., RunningBridge]
) -> None:
    config = config_for(connected.url, tmp_path / "data")
    dry = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    bridge = start_bridge(dry).wait_ready()
    made = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", office.new_contact(IVAN, "Анна"), 0)
    bridge.settle(connected)
    told = run("shadow", "--json")
    assert told.exit_code == 0, told.stderr
    (one,) = [one for one in json.loads(told.stdout) if one["rule"] == "stage_creates_tasks.new_client"]
    assert (one["deal"], one["clause"]) == (made, "A10")
    assert one["does"][0].startswith("задача «Связаться и взять в работу»")
    assert not office.tasks(made)
    shown = run("shadow", "--rule", "stage_creates_tasks.new_client").stdout
    assert "stage_creates_tasks.new_client: раз 1, сделок 1" in shown


def test_nothing_in_dry_run_and_how_to_change_that(run: Run, bridge: RunningBridge, connected: LocalCrm) -> None:
    told = run("shadow")
    assert told.exit_code == 0, told.stderr
    assert "Вхолостую не работает ни одно: dry_run = true" in told.stdout


def test_a_rule_nobody_knows(run: Run, tmp_path: Path) -> None:
    config = spoilt(tmp_path, ("dry_run = false", "dry_run = true"))
    told = run("shadow", "--rule", "stage_creates_task.new_client", config=config)
    assert told.exit_code == 1
    assert "может быть, «stage_creates_tasks.new_client»?" in told.stderr
