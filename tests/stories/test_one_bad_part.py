"""A manager leaves, a field is deleted, while the bridge works: what can be done is done, and what can't is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD
from amo_bridge.engine.dead_letters import DeadLetters
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore

MARIA = "Мария Кузнецова"
SOLD, WON = "Продажи / Утвержденный проект", "Продажи / Успешно реализовано"
BRIEF, LOST = "Продажи / Бриф получен", "Продажи / Закрыто и не реализовано"
BACK = "Работа с потерянными / Потерянные"
Start = Callable[[Config], RunningBridge]


def switch_off(crm: LocalCrm, office: CrmUser, name: str) -> None:
    crm.control("POST", "ui/deactivate_user", {"user_id": office.users[HEAD], "target_id": office.users[name]})


def delete_field(crm: LocalCrm, office: CrmUser, name: str) -> None:
    url = f"{crm.url}/api/v4/leads/custom_fields/{office.fields[name]}"
    assert requests.delete(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30).ok


def lose(office: CrmUser, deal: int) -> None:
    office.move(HEAD, deal, LOST, loss_reason_id=office.reasons["Дорого"])


def failures(bridge: RunningBridge) -> list[str]:
    key = known_key(bridge.bridge.resources.store, bridge.config.account.url)
    assert key is not None
    return [
        one.error or ""
        for one in DeadLetters(AccountStore(bridge.bridge.resources.store, key), bridge.bridge.clock).all()
    ]


def test_what_a_manager_who_left_was_to_do_is_the_heads(
    bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm
) -> None:
    contact = office.new_contact(HEAD, "Ольга")
    waits = office.new_deal(MARIA, "Ждёт", "Продажи / Получение брифа", contact, 0)
    goes = office.new_deal(MARIA, "Уходит", BRIEF, contact, 0)
    bridge.settle(sandbox)
    switch_off(sandbox, office, MARIA)
    lose(office, goes)
    bridge.settle(sandbox)
    (back,) = office.deals_on(BACK)
    assert back["responsible_user_id"] == office.users[HEAD]
    bridge.settle_at(sandbox, advance=6 * 86400)
    asked = [task for task in office.tasks(waits) if "напомнить про бриф" in task["text"]]
    assert [task["who"] for task in asked] == [HEAD]
    assert failures(bridge) == []
    bridge.settle_at(sandbox, advance=86400)
    # That the config still names her among those who share enquiries is told beside it.
    told = [row["text"] for row in sandbox.table("tasks") if f"«{MARIA}» отключён" in row["text"]]
    assert sum(f"получает «{HEAD}»" in text for text in told) == 1, told
    assert sum("responsible" in text for text in told) == 1, told


@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "restarted"])
def test_a_field_that_was_deleted_keeps_no_client_from_being_won_back(
    is_restarted: bool, config: Config, start_bridge: Start, office: CrmUser, sandbox: LocalCrm
) -> None:
    bridge = start_bridge(config).wait_ready()
    deal = office.new_deal(HEAD, "Ромашка", BRIEF, office.new_contact(HEAD, "Ольга"), 100)
    office.fill(HEAD, deal, "Клиент (бренд)", "Ромашка")
    bridge.settle(sandbox)
    delete_field(sandbox, office, "Связанная сделка")
    if is_restarted:
        bridge.stop()
        bridge = start_bridge(config).wait_ready()
    lose(office, deal)
    bridge.settle(sandbox)
    (back,) = office.deals_on(BACK)
    assert office.value(back["id"], "Клиент (бренд)") == "Ромашка"
    assert any(f"/leads/detail/{back['id']}" in text for text in office.notes(deal)), "what follows it is done"
    assert "lost_deal_is_routed.win_back" not in bridge.bridge.fit.broken
    assert any("«Связанная сделка» нет" in words for words in bridge.bridge.fit.problems), "it is told"
    refused = failures(bridge)
    assert all("поле" in words and "больше нет" in words for words in refused)
    assert bool(refused) is not is_restarted, "what was left out can be tried again"


def test_the_new_deal_names_the_contact_not_its_number(
    bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm
) -> None:
    deal = office.new_deal(HEAD, "Ромашка", SOLD, office.new_contact(HEAD, "Ольга Петрова"), 100)
    bridge.settle(sandbox)
    office.move(HEAD, deal, WON)
    bridge.settle(sandbox)
    (project,) = office.deals_on("Реализация / Тайминг")
    assert office.value(project["id"], "Контактное лицо") in (None, "Ольга Петрова")
    assert failures(bridge) == []
