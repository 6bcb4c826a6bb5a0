"""A lost client comes back over HTTP: he is routed once, answers, and the deal is in «Продажи» again."""

from __future__ import annotations

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER

OFFER = "Продажи / Согласование КП"
LOST = "Продажи / Закрыто и не реализовано"
WAITING = "Работа с потерянными / Потерянные"
BACK = "Продажи / Получение брифа"


@pytest.mark.parametrize(("reason", "tag"), [("Дорого", "дорого"), ("Неактуально", "Неактуально")])
def test_the_reason_is_the_tag_and_the_answer_brings_the_deal_back(
    reason: str, tag: str, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    contact = office.new_contact(MANAGER, "Анна Соколова")
    deal = office.new_deal(MANAGER, "Ромашка", OFFER, contact, 1000)
    bridge.settle(sandbox)
    sandbox.later()
    office.move(MANAGER, deal, LOST, loss_reason_id=office.reasons[reason])
    bridge.settle(sandbox)
    (new,) = office.deals_on(WAITING)
    assert [one["name"] for one in new["_embedded"]["tags"]] == [tag]

    sandbox.later()
    office.call(MANAGER, new["id"], seconds=45, incoming=True)
    bridge.settle(sandbox)
    assert office.stage_of(new["id"]) == BACK
    answered = [task["who"] for task in office.tasks(new["id"]) if task["text"] == "Клиент откликнулся: связаться"]
    assert answered == [MANAGER]
    assert office.deals_on(WAITING) == []
