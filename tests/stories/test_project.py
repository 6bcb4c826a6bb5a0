"""A sale becomes a project in «Реализация», once, and what is done there comes back to who sold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser

IVAN, OLGA, HEAD = "Иван Петров", "Ольга Волкова", "Елена Орлова"
SERVICES = "Лисицына Екатерина:\n— Instagram: Размещение фото"
WON = "Продажи / Успешно реализовано"
TIMING = "Реализация / Тайминг"
DONE = "Реализация / Успешно реализовано"
DAY = 86_400
MONDAY = "2026-03-02T12:00"
NOON = 1_772_442_000
"""The same in Unix seconds; the account is in Moscow."""
FACTS: dict[str, Any] = {
    "PR-менеджер": OLGA,
    "Услуги": SERVICES,
    "Тип оплаты": "Предоплата",
    "Бриф": "Запуск линейки",
    "Ссылка на КП": "https://drive.example/kp",
    "Ссылка на договор": "https://drive.example/contract",
    "Источник": "Сайт",
    "roistat": "12345",
    "Реквизиты клиента": "ООО «Ромашка»",
    "Реквизиты подрядчика": "ИП Лисицына",
}


def sale(office: CrmUser) -> int:
    contact = office.new_contact(IVAN, "Анна Соколова")
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Утвержденный проект", contact, 90_000)
    for field, value in FACTS.items():
        office.fill(IVAN, deal, field, value)
    return deal


def files_of(sandbox: LocalCrm, deal: int) -> list[str]:
    """The uuids of the files on the deal's card."""
    answer = api(sandbox, "GET", f"leads/{deal}/files")
    return [row["file_uuid"] for row in answer["_embedded"]["files"]] if answer else []


def api(sandbox: LocalCrm, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.request(method, f"{sandbox.url}/api/v4/{path}", json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def win(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int) -> None:
    bridge.settle(sandbox)
    sandbox.later()
    office.move(HEAD, deal, WON)
    bridge.settle(sandbox)


def test_a_won_deal_goes_on_as_a_project(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    deal = sale(office)
    office.attach(IVAN, deal, "Договор с Ромашкой.pdf")
    win(bridge, sandbox, office, deal)
    (project,) = office.deals_on(TIMING)
    number = project["id"]
    assert files_of(sandbox, number) == files_of(sandbox, deal) != []
    assert (project["name"], project["price"]) == ("Ромашка", 90_000)
    assert project["responsible_user_id"] == office.users[OLGA]
    assert {field: office.value(number, field) for field in FACTS} == FACTS
    assert [one["id"] for one in project["_embedded"]["contacts"]] == [
        one["id"] for one in office.deal(deal)["_embedded"]["contacts"]
    ]
    assert office.value(deal, "Связанная сделка").endswith(f"/leads/detail/{number}")
    assert office.value(number, "Связанная сделка").endswith(f"/leads/detail/{deal}")
    assert [row["text"] for row in office.tasks(number)] == [
        "Согласовать тайминг: Лисицына Екатерина, Instagram, Размещение фото",
        "Согласовать и подписать документы: Лисицына Екатерина",
    ]


def test_won_again_the_project_is_shown_and_no_other_one_made(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = sale(office)
    win(bridge, sandbox, office, deal)
    sandbox.later()
    office.move(HEAD, deal, "Продажи / Утвержденный проект")
    win(bridge, sandbox, office, deal)
    (project,) = office.deals_on(TIMING)
    first, again = office.notes(deal)
    assert first == f"Продажа завершена. Проект ведётся здесь: {sandbox.url}/leads/detail/{project['id']}"
    assert again == f"Проект по этой сделке уже есть, второй не создан: {sandbox.url}/leads/detail/{project['id']}"


def test_a_lost_answer_makes_no_second_project(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    deal = sale(office)
    bridge.settle(sandbox)
    lost = sandbox.fault("lost_answer", method="POST", path="/api/v4/leads", count=1)
    win(bridge, sandbox, office, deal)
    assert sandbox.struck(lost) == 1
    assert len(office.deals_on(TIMING)) == 1


def test_a_project_that_is_done_comes_back_to_who_sold(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = sale(office)
    win(bridge, sandbox, office, deal)
    (project,) = office.deals_on(TIMING)
    sandbox.later()
    office.move(HEAD, project["id"], DONE)
    bridge.settle(sandbox)
    contact = next(one for one in project["_embedded"]["contacts"] if one["is_main"])
    rows = sandbox.control("GET", "state?kind=tasks")["tables"]["tasks"].values()
    ours = [row for row in rows if row["entity_type"] == "contacts" and row["entity_id"] == contact["id"]]
    assert [(row["text"], row["responsible_user_id"]) for row in ours] == [
        ("Спланировать дальнейшую работу по клиенту", office.users[IVAN])
    ]


def test_when_the_deadline_comes_everybody_is_asked_for_papers(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    sandbox.control("POST", "clock", {"set": MONDAY, "freeze": True})
    bridge = start_bridge(config).wait_ready()
    deal = sale(office)
    (contractor,) = api(sandbox, "GET", "contacts?query=Зайцев")["_embedded"]["contacts"]
    api(sandbox, "POST", f"leads/{deal}/link", [{"to_entity_id": contractor["id"], "to_entity_type": "contacts"}])
    win(bridge, sandbox, office, deal)
    (project,) = office.deals_on(TIMING)
    sandbox.later()
    office.fill(OLGA, project["id"], "Дедлайн проекта", NOON + 5 * DAY)
    office.move(HEAD, project["id"], "Реализация / Исполнение")
    bridge.settle(sandbox)
    assert papers(office, project["id"]) == []
    bridge.settle_at(sandbox, advance=5 * DAY)
    asked = ["Получить закрывающие документы: Лисицына Екатерина", "Получить закрывающие документы: Олег Зайцев"]
    assert papers(office, project["id"]) == asked
    bridge.settle_at(sandbox, advance=DAY)
    assert papers(office, project["id"]) == asked


def papers(office: CrmUser, deal: int) -> list[str]:
    return sorted(row["text"] for row in office.tasks(deal) if "закрывающие" in row["text"])
