"""Tasks that have lost their reason are closed by the bridge, over HTTP: A10, A30, A50, and what it never touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER

NEW, BRIEF, POSTPONED = "Продажи / Новый клиент", "Продажи / Получение брифа", "Продажи / Отложенные"
READY, LOST = "Продажи / Бриф получен", "Продажи / Закрыто и не реализовано"
CALL, GET_BRIEF, OFFER = "Связаться и взять в работу", "Получить бриф", "Проверить бриф и составить КП"
KNOWN = {
    "Клиент (бренд)": "Ромашка",
    "Основной продукт": "Чай",
    "Тип клиента": "Прямой клиент",
    "Дата получения брифа": int(datetime(2030, 3, 20, tzinfo=UTC).timestamp()),
}


def new_deal(office: CrmUser, stage: str = NEW) -> int:
    made = office.new_deal(MANAGER, "Ромашка", stage, office.new_contact(MANAGER, "Анна"), 1000)
    for name, value in KNOWN.items():
        office.fill(MANAGER, made, name, value)
    return made


def task(office: CrmUser, deal: int, text: str) -> dict[str, Any]:
    (found,) = [row for row in office.tasks(deal) if row["text"] == text]
    return found


def result(office: CrmUser, deal: int, text: str) -> str | None:
    """Why the task was closed; None while it is open."""
    found = task(office, deal, text)
    return str(found["result"]["text"]) if found["is_completed"] else None


def moved(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int, stage: str) -> None:
    sandbox.later()
    office.move(MANAGER, deal, stage)
    bridge.settle(sandbox)


def test_who_was_taken_into_work_by_moving_the_deal_needs_not_be_called_any_more(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office)
    bridge.settle(sandbox)
    assert result(office, deal, CALL) is None
    moved(bridge, sandbox, office, deal, BRIEF)
    assert office.stage_of(deal) == BRIEF
    assert result(office, deal, CALL) == "Сделка ушла с этапа «Новый клиент»"
    (told,) = [
        entry for entry in bridge.journal(deal) if any("закрыта: Сделка ушла" in one[0] for one in entry.effects)
    ]
    assert (told.clause, told.outcome) == ("A10", "acts")


def test_the_brief_of_a_postponed_deal_is_not_awaited_once_it_goes_on(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office, BRIEF)
    bridge.settle(sandbox)
    moved(bridge, sandbox, office, deal, POSTPONED)
    assert result(office, deal, GET_BRIEF) is None
    moved(bridge, sandbox, office, deal, BRIEF)
    assert result(office, deal, GET_BRIEF) == "Сделка ушла с этапа «Отложенные»"
    moved(bridge, sandbox, office, deal, POSTPONED)
    assert sorted(row["is_completed"] for row in office.tasks(deal) if row["text"] == GET_BRIEF) == [False, True]


def test_a_lost_deal_leaves_nothing_to_do_but_what_people_set(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office, BRIEF)
    bridge.settle(sandbox)
    moved(bridge, sandbox, office, deal, READY)
    office.fill(MANAGER, deal, "Дата дедлайна", KNOWN["Дата получения брифа"])
    office.new_task(MANAGER, deal, "Поздравить с праздником")
    bridge.settle(sandbox)
    assert result(office, deal, OFFER) is None
    sandbox.later()
    office.move(MANAGER, deal, LOST, loss_reason_id=office.reasons["Дорого"])
    bridge.settle(sandbox)
    assert result(office, deal, OFFER) == "Сделка закрыта: «Закрыто и не реализовано»"
    assert result(office, deal, "Поздравить с праздником") is None


def test_a_move_while_the_bridge_was_down_ends_the_task_too_and_a_switched_off_rule_as_well(
    bridge: RunningBridge,
    sandbox: LocalCrm,
    office: CrmUser,
    config: Config,
    start_bridge: Callable[..., RunningBridge],
) -> None:
    deal = new_deal(office)
    bridge.settle(sandbox)
    bridge.stop()
    sandbox.fault("hook_drop")
    sandbox.later()
    office.move(MANAGER, deal, BRIEF)
    rules = tuple(replace(rule, enabled=rule.enabled and rule.clause != "A10") for rule in config.rules)
    start_bridge(replace(config, rules=rules), port=bridge.port).wait_ready()
    wait_until(lambda: result(office, deal, CALL), "reconciliation has found the move")
    assert result(office, deal, CALL) == "Сделка ушла с этапа «Новый клиент»"


def test_the_same_webhook_again_closes_nothing_twice(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    office.every_hook_twice()
    deal = new_deal(office)
    bridge.settle(sandbox)
    moved(bridge, sandbox, office, deal, BRIEF)
    done = [entry for entry in bridge.journal(deal) if any("закрыта: Сделка ушла" in one[0] for one in entry.effects)]
    assert len(done) == 1


def test_what_a_person_answered_stays_though_its_webhook_was_lost(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office)
    bridge.settle(sandbox)
    lost = sandbox.fault("hook_drop", setting="*task*")
    sandbox.later()
    office.finish(MANAGER, deal, CALL, "Договорились на среду")
    moved(bridge, sandbox, office, deal, BRIEF)
    assert sandbox.struck(lost) >= 1
    assert result(office, deal, CALL) == "Договорились на среду"
