"""Dates by the clock, over HTTP: the postponed brief (A30, A31), the client's decision (A64–A66), payments (A73), the
project's deadline (A96), told from the agency's regulation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD, MANAGER

BRIEF = "Продажи / Получение брифа"
POSTPONED = "Продажи / Отложенные"
OFFER = "Продажи / Согласование КП"
APPROVED = "Продажи / Утвержденный проект"
TIMING = "Реализация / Тайминг"
DAY = 86_400
# A Monday noon in Moscow.
MONDAY = "2026-03-16T12:00"


@pytest.fixture
def bridge(sandbox: LocalCrm, config: Config, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    sandbox.control("POST", "clock", {"set": MONDAY, "freeze": True})
    return start_bridge(config).wait_ready()


Make = Callable[[str], int]


@pytest.fixture
def deal_on(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> Make:
    def make(stage: str) -> int:
        made = office.new_deal(MANAGER, "Ромашка", BRIEF, office.new_contact(MANAGER, "Анна"), 1000)
        for requisites in ("Реквизиты клиента", "Реквизиты подрядчика"):
            office.fill(MANAGER, made, requisites, "ИНН 7700000000")
        sandbox.later()
        if stage != BRIEF:
            office.move(MANAGER, made, stage)
        bridge.settle(sandbox)
        return made

    return make


def march(day: int) -> int:
    """Midnight of that day in Moscow, as amoCRM keeps a date."""
    return int(datetime(2026, 3, day, tzinfo=UTC).timestamp()) - 3 * 3600


def tasks(office: CrmUser, deal: int, text: str) -> list[tuple[str, str, bool]]:
    """The tasks of that text: whose, until when by Moscow's clocks, done or not."""
    return [
        (
            task["who"],
            datetime.fromtimestamp(task["complete_till"] + 3 * 3600, UTC).strftime("%d.%m %H:%M"),
            task["is_completed"],
        )
        for task in office.tasks(deal)
        if task["text"] == text
    ]


def test_a_postponed_deal_comes_back_when_its_date_has_passed(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal_on: Make
) -> None:
    deal = deal_on(POSTPONED)
    office.fill(MANAGER, deal, "Дата получения брифа", march(20))
    bridge.settle(sandbox)
    assert tasks(office, deal, "Получить бриф") == [(MANAGER, "20.03 23:59", False)]
    sandbox.later()
    office.fill(MANAGER, deal, "Дата получения брифа", march(24))
    bridge.settle_at(sandbox, set="2026-03-24T23:00")
    assert tasks(office, deal, "Получить бриф") == [(MANAGER, "24.03 23:59", False)]
    assert office.stage_of(deal) == POSTPONED
    bridge.settle_at(sandbox, set="2026-03-25T00:01")
    assert office.stage_of(deal) == BRIEF
    bridge.settle_at(sandbox, advance=6 * DAY)
    assert tasks(office, deal, "Позвонить, напомнить про бриф или договориться о встрече")


def test_an_emptied_date_brings_nothing_back(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal_on: Make
) -> None:
    deal = deal_on(POSTPONED)
    office.fill(MANAGER, deal, "Дата получения брифа", march(20))
    bridge.settle(sandbox)
    sandbox.later()
    office.empty(MANAGER, deal, "Дата получения брифа")
    bridge.settle_at(sandbox, advance=10 * DAY)
    assert office.stage_of(deal) == POSTPONED
    assert tasks(office, deal, "Получить бриф")[0][2], "closed"


ASK = "Связаться с клиентом, уточнить результат согласования"


def acted(bridge: RunningBridge, deal: int, clause: str) -> list[str]:
    """The steps of the rule that did something, in order."""
    done = [entry for entry in bridge.journal(deal) if entry.clause == clause and entry.verdict == "acts"]
    return [entry.what.partition("«")[2].rstrip("»") for entry in done]


def test_the_decision_is_asked_for_and_a_silent_manager_is_rung(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal_on: Make
) -> None:
    deal = deal_on(OFFER)
    office.fill(MANAGER, deal, "Дата принятия решения", march(19))
    bridge.settle_at(sandbox, set="2026-03-19T09:00")
    assert tasks(office, deal, ASK) == [(MANAGER, "19.03 19:00", False)]
    # Three days later is a Sunday, and nobody is rung up then.
    bridge.settle_at(sandbox, set="2026-03-22T12:00")
    assert acted(bridge, deal, "A64–A66") == ["наступила"]
    bridge.settle_at(sandbox, set="2026-03-23T10:01")
    assert acted(bridge, deal, "A64–A66") == ["наступила", "+ 3 дня"]
    bridge.settle_at(sandbox, set="2026-04-10T12:00")
    assert acted(bridge, deal, "A64–A66") == ["наступила", "+ 3 дня"], "nobody was in touch: no second way"


def test_a_changed_decision_date_moves_the_open_task(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal_on: Make
) -> None:
    deal = deal_on(OFFER)
    office.fill(MANAGER, deal, "Дата принятия решения", march(17))
    bridge.settle_at(sandbox, set="2026-03-17T09:00")
    sandbox.later()
    office.fill(MANAGER, deal, "Дата принятия решения", march(26))
    bridge.settle(sandbox)
    assert tasks(office, deal, ASK) == [(MANAGER, "26.03 19:00", False)]
    bridge.settle_at(sandbox, set="2026-03-26T12:00")
    assert len(tasks(office, deal, ASK)) == 1


def test_each_payment_date_has_its_task_on_its_day(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal_on: Make
) -> None:
    deal = deal_on(APPROVED)
    for number, day in ((1, 18), (3, 27)):
        office.fill(MANAGER, deal, f"Дата оплаты {number}", march(day))
    bridge.settle(sandbox)
    assert not [task for task in office.tasks(deal) if task["text"].startswith("Уточнить статус оплаты")]
    bridge.settle_at(sandbox, set="2026-03-18T10:00")
    # Paid in parts: the deal is won meanwhile.
    office.move(HEAD, deal, "Продажи / Успешно реализовано")
    bridge.settle_at(sandbox, set="2026-03-27T10:00")
    told = [tasks(office, deal, f"Уточнить статус оплаты («Дата оплаты {number}»)") for number in (1, 3)]
    assert [[due for _, due, _ in one] for one in told] == [["18.03 19:00"], ["27.03 19:00"]], "each says which payment"


def test_a_project_that_is_late_is_told_to_the_head_and_one_that_has_little_time_at_once(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal_on: Make
) -> None:
    text = "Близится дата сдачи, проект отстает от сроков"
    slow, short = deal_on(TIMING), deal_on(BRIEF)
    office.fill(MANAGER, slow, "Дедлайн проекта", march(25))
    office.fill(MANAGER, short, "Дедлайн проекта", march(18))
    bridge.settle_at(sandbox, advance=3600)
    office.move(MANAGER, short, TIMING)
    bridge.settle_at(sandbox, advance=60)
    assert len(tasks(office, short, text)) == 1
    assert tasks(office, slow, text) == []
    bridge.settle_at(sandbox, set="2026-03-20T00:01")
    assert tasks(office, slow, text) == [(HEAD, "20.03 19:00", False)]
