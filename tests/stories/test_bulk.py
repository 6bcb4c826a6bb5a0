"""Many deals at once, and people quicker than the bridge."""

from __future__ import annotations

from typing import Any

import pytest
from support.local_crm import LocalCrm
from support.many_deals import ask_for_many, many_deals, move_many
from support.running_bridge import RunningBridge

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, HEAD, MANAGER

MANY = 60
BRIEF = "Продажи / Получение брифа"
MEETING = "Продажи / Встреча назначена"
GOT_BRIEF = "Продажи / Бриф получен"
OFFER = "Продажи / Согласование КП"
NEW = "Продажи / Новый клиент"
SECTION = "Заполнить раздел «Бриф»"
SEND_BRIEF = "Отправить клиенту бриф для заполнения"


def _tasks(office: CrmUser, deal: int) -> list[dict[str, Any]]:
    """But for those that ask for the brief (A24, A52)."""
    return [task for task in office.tasks(deal) if task["text"] not in (SECTION, SEND_BRIEF)]


def _many_deals(office: CrmUser) -> list[int]:
    return many_deals(office, MANAGER, BRIEF, MANY)


@pytest.mark.parametrize("filters", [True, False], ids=["with filters", "filters off"])
def test_a_mass_move_gives_each_deal_its_task_in_few_requests(
    filters: bool, sandbox: LocalCrm, request: pytest.FixtureRequest
) -> None:
    if not filters:
        sandbox.fault("filters_off")
    bridge, office = request.getfixturevalue("bridge"), request.getfixturevalue("office")
    deals = _many_deals(office)
    bridge.settle(sandbox)
    sandbox.later()
    sandbox.forget_requests()
    move_many(office, MANAGER, deals, OFFER)
    bridge.settle(sandbox)

    counts = sandbox.requests()
    assert counts.pop("POST /api/v4/tasks") == 1
    assert sum(counts.values()) <= 2, counts
    for deal in (deals[0], deals[-1]):
        assert [(task["text"], task["who"]) for task in _tasks(office, deal)] == [("Согласовать КП", HEAD)]
    tasks = sandbox.control("GET", "state?kind=tasks")["tables"]["tasks"].values()
    assert sorted(task["entity_id"] for task in tasks if task["text"] != SECTION) == sorted(deals)


def test_one_bad_deal_in_a_mass_move_does_not_take_the_others_with_it(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deals = _many_deals(office)
    bridge.settle(sandbox)
    sandbox.later()
    sandbox.fault("hook_delay", seconds=30)
    move_many(office, MANAGER, deals, OFFER)
    sandbox.control("POST", "ui/delete_lead", {"user_id": office.users[MANAGER], "lead_id": deals[7]})
    bridge.settle(sandbox)
    assert [deal for deal in deals if not office.tasks(deal)] == [deals[7]]


def test_a_person_who_moves_on_at_once_is_not_pulled_back(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = office.new_deal(MANAGER, "Быстрая", NEW, office.new_contact(MANAGER, "Анна"), 1000)
    for name, value in CLIENT.items():
        office.fill(MANAGER, deal, name, value)
    bridge.settle(sandbox)
    sandbox.later()
    sandbox.fault("hook_delay", seconds=30)
    for stage in (BRIEF, MEETING, GOT_BRIEF):
        sandbox.later(1)
        office.move(MANAGER, deal, stage)
    bridge.settle(sandbox)
    assert office.stage_of(deal) == GOT_BRIEF
    assert [task["text"] for task in _tasks(office, deal)] == ["Связаться и взять в работу"]


def test_a_deal_moved_to_and_fro_gets_its_task_once_while_it_is_open(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    """There and back before the bridge looks: the deal has not left, as far as it can see."""
    deal = office.new_deal(MANAGER, "Туда-сюда", BRIEF, office.new_contact(MANAGER, "Анна"), 1000)
    sandbox.later()
    office.move(MANAGER, deal, OFFER)
    bridge.settle(sandbox)
    sandbox.fault("hook_delay", seconds=30)
    for stage in (BRIEF, OFFER):
        sandbox.later(1)
        office.move(MANAGER, deal, stage)
    bridge.settle(sandbox)
    assert [(task["text"], task["is_completed"]) for task in _tasks(office, deal)] == [("Согласовать КП", False)]
    assert [entry.verdict for entry in bridge.journal(deal) if entry.clause == "A60"].count("acts") == 1


def test_a_deal_that_comes_back_gets_its_task_anew(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    """The task of the first time was closed when the deal left; so no two are open at any moment."""
    deal = office.new_deal(MANAGER, "Вернулась", BRIEF, office.new_contact(MANAGER, "Анна"), 1000)
    left, still_open = ("Согласовать КП", "Сделка ушла с этапа «Согласование КП»"), ("Согласовать КП", "")
    for stage, wanted in (
        (OFFER, [still_open]),
        (BRIEF, [left]),
        (OFFER, [left, still_open]),
        (BRIEF, [left, left]),
    ):
        sandbox.later()
        office.move(MANAGER, deal, stage)
        bridge.settle(sandbox)
        tasks = sorted(_tasks(office, deal), key=lambda task: task["id"])
        assert [(task["text"], (task["result"] or {}).get("text", "")) for task in tasks] == wanted
        assert [task["is_completed"] for task in tasks] == [bool(result) for _, result in wanted]


def test_the_tag_switches_all_rules_off(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    deal = office.new_deal(MANAGER, "Сама", BRIEF, office.new_contact(MANAGER, "Анна"), 1000)
    ask_for_many(office, "PATCH", [{"id": deal, "tags_to_add": [{"name": "Без робота"}]}], MANAGER)
    bridge.settle(sandbox)
    sandbox.later()
    office.move(MANAGER, deal, MEETING)
    sandbox.later()
    office.move(MANAGER, deal, OFFER)
    bridge.settle(sandbox)
    assert office.stage_of(deal) == OFFER
    assert office.tasks(deal) == []
    assert {entry.reason for entry in bridge.journal(deal) if entry.rule} == {"на сделке тег «без робота»"}
