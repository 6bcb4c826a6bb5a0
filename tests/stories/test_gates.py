"""Gates over HTTP: everything missing is told at once, nobody is fought endlessly, a mass move costs little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.local_crm import LocalCrm
from support.many_deals import many_deals, move_many
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, HEAD, MANAGER

NEW = "Продажи / Новый клиент"
AWAITED = "Продажи / Получение брифа"
MEETING = "Продажи / Встреча назначена"
PROJECT = "Продажи / Утвержденный проект"
LOST = "Продажи / Закрыто и не реализовано"
TIMING = "Реализация / Тайминг"
CONTENT = "Реализация / Подготовка контента"
DOING = "Реализация / Исполнение"
WON = "Реализация / Успешно реализовано"
MANY = 250


def new_deal(office: CrmUser, stage: str, **fields: Any) -> int:
    deal = office.new_deal(MANAGER, "Ромашка", stage, office.new_contact(MANAGER, "Анна"), 1000)
    for name, value in fields.items():
        office.fill(MANAGER, deal, name, value)
    return deal


def move(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int, stage: str, **who: Any) -> None:
    """Somebody moves the deal, and everything that follows is done."""
    bridge.settle(sandbox)
    sandbox.later()
    office.move(who.pop("person", MANAGER), deal, stage, **who)
    bridge.settle(sandbox)


def explanations(office: CrmUser, deal: int) -> list[tuple[str, str]]:
    return [
        (task["text"], task["who"]) for task in office.tasks(deal) if task["text"].startswith(("Сделка ", "Сделку "))
    ]


def unread(office: CrmUser, deal: int) -> int:
    """How many explanations are still open."""
    return sum(not row["is_completed"] for row in office.tasks(deal) if row["text"].startswith("Сделка "))


def test_two_gates_on_several_stages_give_one_roll_back_that_names_everything(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office, NEW, **{"Клиент (бренд)": "Ромашка", "Тип клиента": "Рекламное агентство"})
    move(bridge, sandbox, office, deal, PROJECT)
    assert office.stage_of(deal) == NEW
    ((text, who),) = explanations(office, deal)
    assert who == MANAGER
    missing = ["Основной продукт", "Рекламное агентство", "Контактные лица РА"]
    missing += ["Реквизиты клиента", "Реквизиты подрядчика"]
    assert [name for name in missing if f"«{name}»" not in text] == []
    # The deal's own contact is the contact person, and the brand is there.
    assert "Контактное лицо" not in text
    assert "Клиент (бренд)" not in text


def test_a_deal_that_is_made_and_moved_within_one_breath_is_put_back_too(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    contact = office.new_contact(MANAGER, "Анна")
    bridge.settle(sandbox)
    sandbox.fault("hook_delay", seconds=30)
    deal = office.new_deal(MANAGER, "Ромашка", AWAITED, contact, 1000)
    office.move(MANAGER, deal, MEETING)
    sandbox.good_weather()
    sandbox.later(60)
    bridge.settle(sandbox)
    assert office.stage_of(deal) == AWAITED
    ((text, who),) = explanations(office, deal)
    assert "«Дата первой встречи»" in text
    assert who == MANAGER


@pytest.mark.parametrize("passes", [0, 60], ids=["within one second", "a minute later"])
def test_a_deal_that_was_made_and_moved_while_the_bridge_was_down_is_put_back_too(
    passes: int, start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    contact = office.new_contact(MANAGER, "Анна")
    bridge = start_bridge(config).wait_ready()
    bridge.settle(sandbox)
    bridge.stop()
    sandbox.fault("hook_drop")
    sandbox.later()
    deal = office.new_deal(MANAGER, "Ромашка", AWAITED, contact, 1000)
    sandbox.later(passes)
    office.move(MANAGER, deal, MEETING)
    sandbox.good_weather()
    bridge = start_bridge(config, port=bridge.port).wait_ready()
    wait_until(lambda: office.stage_of(deal) == AWAITED, "the deal is put back")
    bridge.settle(sandbox)
    ((text, who),) = explanations(office, deal)
    assert "«Дата первой встречи»" in text
    assert who == MANAGER


def test_with_everything_filled_the_deal_goes_where_it_was_moved(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office, NEW, **CLIENT, **{"Реквизиты клиента": "ИНН 1", "Реквизиты подрядчика": "ИНН 2"})
    move(bridge, sandbox, office, deal, PROJECT)
    assert office.stage_of(deal) == PROJECT
    assert explanations(office, deal) == []


def test_whoever_insists_gets_his_way_and_the_head_is_told(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office, AWAITED)
    for _ in range(3):
        move(bridge, sandbox, office, deal, MEETING)
        assert office.stage_of(deal) == AWAITED
    move(bridge, sandbox, office, deal, MEETING)
    assert office.stage_of(deal) == MEETING
    told = explanations(office, deal)
    assert [who for _, who in told] == [MANAGER, HEAD], "the same is not told twice while its task is open"
    assert "возвращали 3 раза" in told[-1][0]
    assert "«Дата первой встречи»" in told[-1][0]


def test_a_lost_deal_that_is_put_back_keeps_its_reason(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office, AWAITED)
    move(bridge, sandbox, office, deal, LOST, loss_reason_id=office.reasons["Дорого"])
    move(bridge, sandbox, office, deal, MEETING)
    assert office.stage_of(deal) == LOST
    assert office.deal(deal)["loss_reason_id"] == office.reasons["Дорого"]
    ((text, _),) = explanations(office, deal)
    assert "«Дата первой встречи»" in text


def test_a_mass_move_is_put_back_with_an_explanation_each_in_few_requests(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deals = many_deals(office, MANAGER, AWAITED, MANY)
    bridge.settle(sandbox)
    sandbox.later()
    sandbox.forget_requests()
    move_many(office, MANAGER, deals, MEETING)
    bridge.settle(sandbox)
    # The look for missed changes goes by the clock, however many deals there are.
    looks = ("GET /api/v4/events", "GET /api/v4/webhooks")
    counts = {asked: count for asked, count in sandbox.requests().items() if asked not in looks}
    assert set(map(office.stage_of, (deals[0], deals[-1]))) == {AWAITED}
    tasks = sandbox.control("GET", "state?kind=tasks")["tables"]["tasks"].values()
    # The task of the stage where they stay (A24) may fall due meanwhile.
    explaining = [task for task in tasks if task["text"] != "Отправить клиенту бриф для заполнения"]
    assert sorted(task["entity_id"] for task in explaining) == sorted(deals)
    assert sum(counts.values()) <= 12, counts


@pytest.mark.parametrize(("person", "lands_on"), [(MANAGER, TIMING), (HEAD, CONTENT)])
def test_a_project_with_open_tasks_is_moved_by_the_head_alone(
    person: str, lands_on: str, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office, TIMING)
    office.new_task(MANAGER, deal, "Согласовать тайминг: Бузова")
    move(bridge, sandbox, office, deal, CONTENT, person=person)
    assert office.stage_of(deal) == lands_on
    told = explanations(office, deal)
    assert [who for _, who in told] == ([MANAGER] if person == MANAGER else [])
    assert all("«Согласовать тайминг: Бузова»" in text for text, _ in told)


def test_an_explanation_is_closed_when_the_deal_is_through_and_moves_nothing_itself(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    """Closing the last open task of a stage moves the deal on; what the bridge closes itself must not."""
    deal = new_deal(office, TIMING)
    office.new_task(MANAGER, deal, "Согласовать тайминг: Бузова")
    move(bridge, sandbox, office, deal, CONTENT)
    assert unread(office, deal) == 1
    sandbox.later()
    for row in office.tasks(deal):
        if not row["text"].startswith("Сделка "):
            office.finish(MANAGER, deal, row["text"])
    bridge.settle(sandbox)
    assert (office.stage_of(deal), unread(office, deal)) == (CONTENT, 0)
    sandbox.later()
    bridge.settle(sandbox)
    assert office.stage_of(deal) == CONTENT


def test_an_explanation_about_another_stage_stays_until_the_deal_is_closed(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = new_deal(office, AWAITED)
    move(bridge, sandbox, office, deal, MEETING)
    move(bridge, sandbox, office, deal, "Продажи / Отложенные")
    assert unread(office, deal) == 1
    move(bridge, sandbox, office, deal, LOST, loss_reason_id=office.reasons["Дорого"])
    assert (office.stage_of(deal), unread(office, deal)) == (LOST, 0)


def test_a_project_is_not_won_without_its_report(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    deal = new_deal(office, DOING, **{"Дедлайн проекта": 1_800_000_000})
    move(bridge, sandbox, office, deal, WON, person=HEAD)
    assert office.stage_of(deal) == DOING
    ((text, who),) = explanations(office, deal)
    assert (who, '«Отчет по проекту "Ромашка"»' in text) == (HEAD, True)
    office.attach(MANAGER, deal, "Отчёт по проекту «Ромашка».pdf")
    move(bridge, sandbox, office, deal, WON, person=HEAD)
    assert office.stage_of(deal) == WON
