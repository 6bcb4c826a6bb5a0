"""«Получение брифа» by the clock, over HTTP: days 3, 5, 6 and 10, told from the agency's regulation (A20 to A23)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, MANAGER

NEW = "Продажи / Новый клиент"
BRIEF = "Продажи / Получение брифа"
MEETING = "Продажи / Встреча назначена"
POSTPONED = "Продажи / Отложенные"
DAY = 86_400
CALL = "Позвонить, напомнить про бриф или договориться о встрече"
# A Monday noon in Moscow.
MONDAY = "2026-03-02T12:00"


@pytest.fixture
def bridge(sandbox: LocalCrm, config: Config, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    sandbox.control("POST", "clock", {"set": MONDAY, "freeze": True})
    return start_bridge(config).wait_ready()


@pytest.fixture
def deal(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    """A deal whose brief is awaited since Monday noon."""
    made = office.new_deal(MANAGER, "Ромашка", NEW, office.new_contact(MANAGER, "Анна"), 1000)
    for name, value in CLIENT.items():
        # Else the deal must not leave its first stage.
        office.fill(MANAGER, made, name, value)
    sandbox.later()
    office.move(MANAGER, made, BRIEF)
    bridge.settle(sandbox)
    return made


def steps(bridge: RunningBridge, deal: int) -> list[str]:
    """The steps of the ladder that have been done, in order."""
    return [entry.what for entry in bridge.journal(deal) if entry.clause == "A20–A23" and entry.verdict == "acts"]


def calls(office: CrmUser, deal: int) -> int:
    return len([task for task in office.tasks(deal) if task["text"] == CALL])


def test_day_by_day_while_the_brief_is_awaited(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int
) -> None:
    done = []
    for _ in range(11):
        bridge.settle_at(sandbox, advance=DAY)
        done.append([step.partition("«")[2].rstrip("»") for step in steps(bridge, deal)])
    assert done[1] == []
    assert done[2] == ["3 дня"]
    # Day 5 is a Saturday, and the Monday after it a holiday: what the client sees waits, Sunday's task does not.
    assert done[4] == ["3 дня"]
    assert done[6] == done[5] == ["3 дня", "6 дней"]
    assert done[7] == ["3 дня", "6 дней", "5 дней"]
    assert done[9] == ["3 дня", "6 дней", "5 дней", "10 дней"]
    assert done[10] == done[9]
    assert calls(office, deal) == 1


def test_leaving_ends_it_and_coming_back_starts_it_anew(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int
) -> None:
    bridge.settle_at(sandbox, advance=4 * DAY)
    office.move(MANAGER, deal, POSTPONED)
    bridge.settle_at(sandbox, advance=10 * DAY)
    assert calls(office, deal) == 0
    office.move(MANAGER, deal, BRIEF)
    bridge.settle_at(sandbox, advance=5 * DAY)
    assert calls(office, deal) == 0
    bridge.settle_at(sandbox, advance=DAY)
    assert calls(office, deal) == 1


def test_a_move_that_the_bridge_takes_back_is_no_leaving(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int
) -> None:
    bridge.settle_at(sandbox, advance=3 * DAY)
    office.move(MANAGER, deal, MEETING)
    bridge.settle(sandbox)
    assert office.stage_of(deal) == BRIEF, "no date of the first meeting"
    bridge.settle_at(sandbox, advance=3 * DAY)
    assert calls(office, deal) == 1


def test_a_bridge_that_was_down_for_a_day_does_what_fell_due_and_one_down_for_a_week_says_it_is_too_late(
    config: Config, start_bridge: Callable[..., RunningBridge], bridge: RunningBridge,
    sandbox: LocalCrm, office: CrmUser, deal: int,
) -> None:  # fmt: skip
    late = office.new_deal(MANAGER, "Лютик", NEW, office.new_contact(MANAGER, "Борис"), 1000)
    sandbox.later()
    bridge.settle_at(sandbox, advance=5 * DAY)
    bridge.stop()
    sandbox.control("POST", "clock", {"advance": DAY + 3600})
    again = start_bridge(config).wait_ready()
    again.settle_at(sandbox, advance=1)
    assert calls(office, deal) == 1
    again.stop()
    sandbox.control("POST", "clock", {"advance": 7 * DAY})
    last = start_bridge(config).wait_ready()
    last.settle_at(sandbox, advance=1)
    told = [
        entry for entry in last.journal(deal) if "«10 дней»" in entry.what and entry.rule.startswith("stage_ladder")
    ]
    assert [entry.verdict for entry in told] == ["skipped"]
    assert "слишком поздно" in told[0].reason
    assert calls(office, deal) == 1
    assert calls(office, late) == 0
