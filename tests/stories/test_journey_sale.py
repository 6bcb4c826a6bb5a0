"""«Продажи» from its first stage to its last and back from «Работа с потерянными», by the shipped example alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, HEAD, MANAGER

PR, ACCOUNTANT = "Павел Смирнов", "Светлана Белова"
NEW = "Продажи / Новый клиент"
AWAITED = "Продажи / Получение брифа"
POSTPONED = "Продажи / Отложенные"
MEETING = "Продажи / Встреча назначена"
BRIEF = "Продажи / Бриф получен"
OFFER = "Продажи / Согласование КП"
APPROVED = "Продажи / Утвержденный проект"
WON = "Продажи / Успешно реализовано"
LOST = "Продажи / Закрыто и не реализовано"
TIMING = "Реализация / Тайминг"
WAITING = "Работа с потерянными / Потерянные"
SEND_BRIEF = "Отправить клиенту бриф для заполнения"
BRIEF_SECTION = "Заполнить раздел «Бриф»"
SEND_CONTRACT = "Отправить клиенту договор и согласовать"
ASKED_AGAIN = "Согласовать КП. Ответ напишите в результате задачи: «Согласовано» или «Не согласовано»"
# A Monday noon in Moscow.
MONDAY = "2026-03-16T12:00"


def march(day: int) -> int:
    """Midnight of that day in Moscow, as amoCRM keeps a date."""
    return int(datetime(2026, 3, day, tzinfo=UTC).timestamp()) - 3 * 3600


@dataclass
class Sale:
    """A deal in «Продажи», and what people do with it; everything that follows is done before they go on."""

    bridge: RunningBridge
    crm: LocalCrm
    office: CrmUser
    deal: int

    def settle(self) -> None:
        self.bridge.settle(self.crm)
        self.crm.later()

    def on(self, day: int) -> None:
        self.bridge.settle_at(self.crm, set=f"2026-03-{day}T12:00")

    @property
    def stage(self) -> str:
        return self.office.stage_of(self.deal)

    def open_tasks(self) -> dict[str, str]:
        """Text → whose."""
        return {task["text"]: task["who"] for task in self.office.tasks(self.deal) if not task["is_completed"]}

    def value(self, field: str) -> Any:
        return self.office.value(self.deal, field)

    def move(self, stage: str, **more: Any) -> None:
        self.office.move(MANAGER, self.deal, stage, **more)
        self.settle()

    def refused(self, stage: str, *missing: str) -> None:
        """Moved there, the deal is back, and one explanation names what is missing."""
        before = self.stage
        self.move(stage)
        assert self.stage == before
        (told,) = [text for text in self.open_tasks() if text.startswith(("Сделка ", "Сделку "))]
        assert [name for name in missing if f"«{name}»" not in told] == []
        self.finish(told)

    def finish(self, text: str, result: str = "", person: str = MANAGER) -> None:
        self.office.finish(person, self.deal, text, result)
        self.settle()

    def fill(self, **fields: Any) -> None:
        for name, value in fields.items():
            self.office.fill(MANAGER, self.deal, name, value)
        self.settle()

    def attach(self, name: str) -> None:
        self.office.attach(PR, self.deal, name)
        self.settle()


@pytest.fixture
def sale(sandbox: LocalCrm, office: CrmUser, config: Config, start_bridge: Callable[..., RunningBridge]) -> Sale:
    sandbox.control("POST", "clock", {"set": MONDAY, "freeze": True})
    bridge = start_bridge(config).wait_ready()
    deal = office.new_deal(MANAGER, "Ромашка", NEW, office.new_contact(MANAGER, "Анна Соколова"), 1000)
    made = Sale(bridge, sandbox, office, deal)
    made.settle()
    return made


def test_from_the_first_call_to_the_project(sale: Sale) -> None:
    assert sale.open_tasks() == {"Связаться и взять в работу": MANAGER}
    sale.refused(AWAITED, "Клиент (бренд)", "Основной продукт", "Тип клиента")
    sale.fill(**CLIENT)
    sale.move(AWAITED)
    # A24: the brief is sent once, however often the deal comes back.
    assert sale.open_tasks()[SEND_BRIEF] == MANAGER
    sale.finish(SEND_BRIEF)
    assert sale.value("Бриф отправлен") is True

    # A30, A31: the client asked for two weeks; nobody looked over the weekend, and still the deal comes back.
    sale.move(POSTPONED)
    sale.fill(**{"Дата получения брифа": march(20)})
    assert sale.open_tasks()["Получить бриф"] == MANAGER
    sale.on(23)
    assert sale.stage == AWAITED
    assert SEND_BRIEF not in sale.open_tasks()
    sale.on(29)
    assert sale.open_tasks()["Позвонить, напомнить про бриф или договориться о встрече"] == MANAGER

    sale.refused(MEETING, "Дата первой встречи")
    sale.move(BRIEF)
    # A52: the section is asked for, and holds nobody up.
    assert sale.open_tasks()[BRIEF_SECTION] == MANAGER
    sale.finish(BRIEF_SECTION)
    sale.fill(**{"Дата дедлайна": march(30)})
    assert sale.open_tasks()["Проверить бриф и составить КП"] == PR
    sale.attach("Смета.pdf")
    assert sale.stage == BRIEF
    sale.attach("Коммерческое предложение Ромашка.pdf")
    assert sale.stage == OFFER
    assert sale.open_tasks()[BRIEF_SECTION] == MANAGER, "the offer came without it"
    sale.fill(Бриф="Чай, зима")
    assert BRIEF_SECTION not in sale.open_tasks()

    # A60–A63: some answer, no, and yes to the next version.
    assert sale.open_tasks()["Согласовать КП"] == HEAD
    sale.finish("Согласовать КП", "посмотрю завтра", HEAD)
    sale.finish(ASKED_AGAIN, "Не согласовано", HEAD)
    again = {"Переделать КП": PR, "Описать правки в комментарии к сделке": HEAD}
    assert again.items() <= sale.open_tasks().items()
    sale.attach("Коммерческое предложение Ромашка 2.pdf")
    sale.finish("Согласовать КП", "согласовано!", HEAD)
    assert sale.open_tasks()["Отправить КП клиенту и согласовать"] == MANAGER
    asked = "Заполнить поле «Дата принятия решения»"
    assert sale.open_tasks()[asked] == MANAGER
    sale.fill(**{"Дата принятия решения": march(30)})
    assert asked not in sale.open_tasks()
    sale.on(30)
    assert sale.open_tasks()["Связаться с клиентом, уточнить результат согласования"] == MANAGER

    sale.refused(APPROVED, "Реквизиты клиента", "Реквизиты подрядчика")
    requisites = {"Реквизиты клиента": "ИНН 1", "Реквизиты подрядчика": "ИНН 2"}
    sale.fill(**requisites, **{"Тип оплаты": "Предоплата", "PR-менеджер": PR})
    sale.move(APPROVED)
    assert sale.open_tasks()["Подготовить документы"] == ACCOUNTANT
    assert sale.open_tasks()["Указать поле «Ответственный со стороны клиента»"] == MANAGER
    sale.attach("Договор 17.pdf")
    sale.attach("Счёт 17.pdf")
    for text in ("Отправить клиенту договор и согласовать", "Запросить подтверждение оплаты"):
        assert [task["text"] for task in sale.office.tasks(sale.deal)].count(text) == 1

    # A79: no signed contract, no payment; a contract that comes back signed is not to be sent again.
    sale.refused(WON, "Договор подписан", "Оплата получена")
    sale.attach("Договор 17 не подписан.pdf")
    sale.refused(WON, "Договор подписан")
    sale.attach("Договор 17 подписан.pdf")
    assert [task["text"] for task in sale.office.tasks(sale.deal)].count(SEND_CONTRACT) == 1

    # A80, and won again: one project.
    sale.move(WON)
    sale.move(APPROVED)
    sale.move(WON)
    (project,) = sale.office.deals_on(TIMING)
    assert project["responsible_user_id"] == sale.office.users[PR]


def test_an_agency_is_a_company_with_its_people_or_a_text(sale: Sale) -> None:
    """A12: what is linked to the deal does as well as what is written."""
    sale.fill(**{**CLIENT, "Тип клиента": "Рекламное агентство"})
    sale.refused(AWAITED, "Рекламное агентство", "Контактные лица РА")
    office = sale.office
    (company,) = office._ask("POST", "/api/v4/companies", [{"name": "Медиа"}], MANAGER)["_embedded"]["companies"]
    person = office.new_contact(MANAGER, "Олег Медийный")
    to_company = [{"to_entity_id": company["id"], "to_entity_type": "companies"}]
    office._ask("POST", f"/api/v4/leads/{sale.deal}/link", to_company, MANAGER)
    sale.settle()
    sale.refused(AWAITED, "Контактные лица РА")
    office._ask("POST", f"/api/v4/contacts/{person}/link", to_company, MANAGER)
    to_person = [{"to_entity_id": person, "to_entity_type": "contacts"}]
    office._ask("POST", f"/api/v4/leads/{sale.deal}/link", to_person, MANAGER)
    sale.settle()
    sale.move(AWAITED)
    assert sale.stage == AWAITED


def test_a_brief_that_is_not_sent_and_a_topic_that_is_not_asked_for_are_told_a_day_later(sale: Sale) -> None:
    sale.fill(**CLIENT)
    sale.move(AWAITED)
    late = "Бриф клиенту всё ещё не отправлен: отправить и отметить «Бриф отправлен»"
    topic = "Заполнить поле «Тема запроса»"
    assert not {late, topic} & set(sale.open_tasks())
    sale.on(18)
    assert {late, topic, SEND_BRIEF} <= set(sale.open_tasks())
    sale.fill(**{"Тема запроса": "Блогеры к 8 марта", "Бриф отправлен": True})
    assert not {late, topic, SEND_BRIEF} & set(sale.open_tasks())


def test_a_deal_is_not_postponed_for_ever(sale: Sale) -> None:
    """A32: the date is asked for, and the head hears of it a working day later."""
    asked = "Заполнить поле «Дата получения брифа»: до какого числа отложена сделка"
    told = "Сделка отложена, а «Дата получения брифа» не заполнена: Ромашка"
    sale.fill(**CLIENT)
    sale.move(POSTPONED)
    assert sale.open_tasks()[asked] == MANAGER
    sale.on(18)
    assert sale.open_tasks()[told] == HEAD
    sale.fill(**{"Дата получения брифа": march(25)})
    assert {asked, told} & set(sale.open_tasks()) == set()
    sale.office.empty(MANAGER, sale.deal, "Дата получения брифа")
    sale.settle()
    assert sale.open_tasks()[asked] == MANAGER, "emptied again"


@pytest.mark.parametrize("field", ["Договор подписан", "Оплата получена"])
def test_a_sale_is_won_with_a_signed_contract_or_a_payment_and_the_head_decides(sale: Sale, field: str) -> None:
    sale.fill(**CLIENT, **{"Реквизиты клиента": "ИНН 1", "Реквизиты подрядчика": "ИНН 2"})
    sale.fill(**{"Тип оплаты": "Постоплата"})
    sale.move(APPROVED)
    sale.refused(WON, field)
    sale.fill(**{field: True})
    sale.move(WON)
    assert sale.stage == WON
    other = sale.office.new_deal(MANAGER, "Лютик", APPROVED, sale.office.new_contact(MANAGER, "Олег"), 1000)
    sale.office.fill(MANAGER, other, "Тип оплаты", "Постоплата")
    sale.settle()
    sale.office.move(HEAD, other, WON)
    sale.settle()
    assert sale.office.stage_of(other) == WON


def test_a_sale_whose_payment_is_not_kept_in_amocrm_is_won_as_before(sale: Sale) -> None:
    """A79 asks for nothing while «Тип оплаты» is empty; A80 follows."""
    deal = sale.office.new_deal(MANAGER, "Лютик", APPROVED, sale.office.new_contact(MANAGER, "Олег"), 1000)
    sale.settle()
    sale.office.move(MANAGER, deal, WON)
    sale.settle()
    assert sale.office.stage_of(deal) == WON
    assert len(sale.office.deals_on(TIMING)) == 1


def test_the_payment_is_asked_for_whenever_it_turns_out_to_be_in_advance(sale: Sale) -> None:
    """A76: the contract comes first, the kind of payment is chosen later."""
    confirm = "Запросить подтверждение оплаты"
    sale.fill(**CLIENT, **{"Реквизиты клиента": "ИНН 1", "Реквизиты подрядчика": "ИНН 2"})
    sale.move(APPROVED)
    sale.attach("Договор 17.pdf")
    sale.fill(**{"Тип оплаты": "Постоплата"})
    assert confirm not in sale.open_tasks()
    sale.on(18)
    sale.fill(**{"Тип оплаты": "Предоплата"})
    assert sale.open_tasks()[confirm] == MANAGER


def test_each_payment_says_which_one_it_is(sale: Sale) -> None:
    sale.fill(**CLIENT, **{"Реквизиты клиента": "ИНН 1", "Реквизиты подрядчика": "ИНН 2"})
    sale.move(APPROVED)
    sale.fill(**{"Дата оплаты 1": march(18), "Дата оплаты 3": march(18)})
    sale.on(18)
    asked = {text for text in sale.open_tasks() if text.startswith("Уточнить статус оплаты")}
    assert asked == {f"Уточнить статус оплаты («Дата оплаты {number}»)" for number in (1, 3)}


def test_lost_and_won_back(sale: Sale) -> None:
    sale.refused(LOST, "Причина отказа")
    for _ in range(2):
        # Lost, taken up again and lost again: one deal to win him back by.
        sale.move(LOST, loss_reason_id=sale.office.reasons["Дорого"])
        assert sale.stage == LOST
        (other,) = sale.office.deals_on(WAITING)
        sale.fill(**CLIENT)
        sale.move(NEW)
    assert [tag["name"] for tag in other["_embedded"]["tags"]] == ["дорого"]
    answered = "Клиент откликнулся: связаться"

    # He calls while his sale goes on: it is about that one, and the lost deal stays where it is.
    sale.office.call(MANAGER, other["id"], seconds=45, incoming=True)
    sale.settle()
    assert sale.office.stage_of(other["id"]) == WAITING
    assert [whose for text, whose in sale.open_tasks().items() if text.startswith(answered)] == [MANAGER]

    # He calls once the sale is lost again: there is nothing else to win him back by.
    sale.move(LOST, loss_reason_id=sale.office.reasons["Дорого"])
    sale.office.call(MANAGER, other["id"], seconds=45, incoming=True)
    sale.settle()
    assert [text for text in sale.open_tasks() if text.startswith(answered)] == [], "it went with the sale"
    sale.deal = other["id"]
    assert (sale.stage, sale.open_tasks()[answered]) == (AWAITED, MANAGER)
