"""``amo-bridge upcoming`` and ``rules --existing``: what the clock is about to bring, told without asking amoCRM."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from support.local_crm import LocalCrm
from support.running_bridge import LONGEST_START, RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser

Run = Callable[..., Result]
IVAN = "Иван Петров"
BRIEF = "Продажи / Получение брифа"
DAY = 86_400
# A Monday noon in Moscow, some way off the machine's own clock.
MONDAY = "2026-03-16T12:00"


def flat(told: Result) -> str:
    return " ".join(told.stdout.replace("│", " ").split())


@pytest.fixture
def bridge(connected: LocalCrm, config: Config, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    connected.control("POST", "clock", {"set": MONDAY, "advance": -LONGEST_START, "freeze": True})
    return start_bridge(config).wait_ready()


@pytest.fixture
def deal(connected: LocalCrm, office: CrmUser, bridge: RunningBridge) -> int:
    made = office.new_deal(IVAN, "Ромашка", BRIEF, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle_at(connected, advance=60)
    return made


def test_what_comes_within_the_days_in_local_time_day_by_day(deal: int, run: Run) -> None:
    told = run("upcoming", "--days", "6")
    assert told.exit_code == 0
    shown = flat(told)
    assert f"чт 19.03.2026 12:00 A20–A23 stage_ladder.brief_awaited 3 дня {deal} Ромашка" in shown
    # Day 5 is a Saturday: the letter waits for Monday. Sunday's task does not.
    assert "вс 22.03.2026 12:00" in shown
    assert "23.03" not in shown


def test_as_json_by_rule_and_by_deal(deal: int, run: Run) -> None:
    told = json.loads(run("upcoming", "--days", "30", "--json").stdout)
    assert told["now"].startswith("2026-03-16T09:0")
    assert [(one["step"], one["due"]) for one in told["steps"]] == [
        ("тема запроса", "2026-03-17T09:00:00+00:00"),
        ("бриф не отправлен", "2026-03-17T09:00:00+00:00"),
        ("3 d", "2026-03-19T09:00:00+00:00"),
        ("6 d", "2026-03-22T09:00:00+00:00"),
        ("5 d", "2026-03-23T07:00:00+00:00"),
        ("10 d", "2026-03-26T09:00:00+00:00"),
    ]
    by_rule = json.loads(run("upcoming", "--rule", "stage_ladder.warming", "--json").stdout)
    by_deal = json.loads(run("upcoming", "--deal", "1", "--json").stdout)
    assert by_rule["steps"] == by_deal["steps"] == []


def test_nothing_is_coming(bridge: RunningBridge, run: Run) -> None:
    assert run("upcoming").stdout == "В ближайшие дни (7) по часам ничего не подойдёт.\n"


def test_a_rule_that_is_none_of_the_clock_s_is_named_with_the_nearest_that_is(bridge: RunningBridge, run: Run) -> None:
    told = run("upcoming", "--rule", "stage_ladder.brief_awaitet")
    assert told.exit_code == 1
    assert "может быть, stage_ladder.brief_awaited?" in told.stderr


def test_before_the_bridge_has_run(run: Run) -> None:
    assert run("upcoming").exit_code == 3
    told = run("rules", "--existing", "stage_ladder.brief_awaited")
    assert told.exit_code == 1
    assert "ещё не знает аккаунта" in told.stderr


def test_what_a_rule_would_do_about_the_deals_that_were_there_before_it(
    connected: LocalCrm, office: CrmUser, config: Config, start_bridge: Callable[..., RunningBridge], run: Run,
    tmp_path: Path,
) -> None:  # fmt: skip
    connected.control("POST", "clock", {"set": MONDAY, "freeze": True})
    before = office.new_deal(IVAN, "Давняя", BRIEF, office.new_contact(IVAN, "Ольга"), 0)
    connected.later(4 * DAY)
    bridge = start_bridge(config).wait_ready()
    bridge.settle_at(connected, advance=60)
    told = run("rules", "--existing", "stage_ladder.brief_awaited")
    assert told.exit_code == 0
    shown = flat(told)
    assert 'Считает с 20.03.2026 12:00; в настройке existing = "skip".' in shown
    assert f"{before} Давняя" in shown
    assert "ничего" in shown
    assert "«3 дня» 23.03.2026 12:00" in shown, "counted from when the rule began"
    assert "«3 дня» сразу" in shown, "counted from when it came"
    assert "Таких сделок: 1." in shown
    assert "нет" in flat(run("rules", "--existing", "date_ladder.payments"))
    assert run("rules", "--existing", "stage_creates_tasks.new_client").exit_code == 1
