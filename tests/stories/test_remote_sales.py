"""A remote sales team and its care department, over HTTP, by examples/remote_sales.toml: S4, S5, S6, S7."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge
from support.shipped_examples import example, stopped_at

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_file import REMOTE_SALES

ROMAN, DENYS = "Роман Литвин", "Денис Кравец"
KYIV = ZoneInfo("Europe/Kyiv")
ASKED, WAITS = "Продажи / Выясняем запрос", "Продажи / Ждём оплату"
WON, NO_SERVICE = "Продажи / Успешно реализовано", "Продажи / Услугу дать нельзя"
CARE, SERVED, NEED = (
    f"Отдел заботы / {stage}" for stage in ("Новый клиент", "Пользуется услугой", "Новая потребность")
)
REMINDER = "Позвонить клиенту, напомнить об оплате"
# A Monday noon in Kyiv.
MONDAY = "2026-10-05T12:00"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The remote team's amoCRM."""
    with stopped_at(MONDAY, REMOTE_SALES) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The shipped example, for the sandbox."""
    return example("remote_sales", sandbox, tmp_path)


class Team:
    """The team's people; after each deed the bridge is let finish what follows from it."""

    def __init__(self, office: CrmUser, bridge: RunningBridge, crm: LocalCrm) -> None:
        self.office = office
        self._bridge = bridge
        self._crm = crm

    def settle(self) -> None:
        self._bridge.settle(self._crm)
        self._crm.later()

    def client(self) -> int:
        made = self.office.new_deal(ROMAN, "Курс: Марина", ASKED, self.office.new_contact(ROMAN, "Марина"), 9_000)
        self.office.fill(ROMAN, made, "Запрос клиента", "Курс для начинающих")
        self.settle()
        return made

    def move(self, deal: int, stage: str, person: str = ROMAN) -> str:
        """Where the deal is after the bridge has looked at the move."""
        self.office.move(person, deal, stage)
        self.settle()
        return self.office.stage_of(deal)

    def fill(self, deal: int, field: str, value: object, person: str = ROMAN) -> None:
        self.office.fill(person, deal, field, value)
        self.settle()

    def attach(self, deal: int, name: str) -> None:
        self.office.attach(ROMAN, deal, name)
        self.settle()

    def tasks(self, deal: int) -> dict[str, tuple[str, str]]:
        """Open tasks: whose they are, and when they are due by the clocks of Kyiv."""
        return {
            row["text"]: (row["who"], f"{datetime.fromtimestamp(row['complete_till'], KYIV):%d.%m %H:%M}")
            for row in self.office.tasks(deal)
            if not row["is_completed"]
        }

    def owner(self, deal: int) -> str:
        names = {user: name for name, user in self.office.users.items()}
        return names[self.office.deal(deal)["responsible_user_id"]]

    def contacts(self, deal: int) -> list[int]:
        return [row["id"] for row in self.office.deal(deal)["_embedded"]["contacts"]]

    def paid(self) -> tuple[int, int]:
        """A client who has paid: his deal in sales, and the one of the care department."""
        sold = self.client()
        self.fill(sold, "Клиент оплатит", date_of("2026-10-09"))
        self.move(sold, WAITS)
        self.attach(sold, "Скрин оплаты 9000 грн.png")
        (care,) = self.office.deals_on(CARE)
        return sold, care["id"]


def date_of(day: str) -> int:
    """«2026-10-05» as amoCRM keeps a date."""
    return int(datetime.fromisoformat(day).replace(tzinfo=KYIV).timestamp())


@pytest.fixture
def team(office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> Team:
    return Team(office, bridge, sandbox)


def test_who_will_pay_gets_an_invoice_and_a_reminder_on_the_day_he_named(team: Team) -> None:
    deal = team.client()
    assert team.move(deal, WAITS) == ASKED, "the day is not known"
    team.fill(deal, "Клиент оплатит", date_of("2026-10-09"))
    assert team.move(deal, WAITS) == WAITS
    assert team.tasks(deal)["Выставить клиенту счёт"][0] == ROMAN
    assert team.tasks(deal)[REMINDER] == (ROMAN, "09.10 12:00")
    team.fill(deal, "Клиент оплатит", date_of("2026-10-12"))
    assert team.tasks(deal)[REMINDER] == (ROMAN, "12.10 12:00")


def test_who_has_paid_or_thinks_again_is_not_reminded(team: Team) -> None:
    paid, _ = team.paid()
    assert REMINDER not in team.tasks(paid)
    doubts = team.client()
    team.fill(doubts, "Клиент оплатит", date_of("2026-10-09"))
    team.move(doubts, WAITS)
    assert REMINDER in team.tasks(doubts)
    team.move(doubts, ASKED)
    assert team.tasks(doubts) == {}
    results = {row["text"]: row["result"]["text"] for row in team.office.tasks(doubts)}
    assert results[REMINDER] == "Сделка ушла с этапа «Ждём оплату»"


def test_what_is_paid_goes_to_the_care_department_once(team: Team) -> None:
    deal = team.client()
    team.fill(deal, "Клиент оплатит", date_of("2026-10-09"))
    team.move(deal, WAITS)
    assert team.move(deal, WON) == WAITS, "the payment is not shown"
    team.attach(deal, "Договор.pdf")
    assert team.office.stage_of(deal) == WAITS
    team.attach(deal, "Скрин оплаты 9000 грн.png")
    assert team.office.stage_of(deal) == WON
    (care,) = team.office.deals_on(CARE)
    assert (team.owner(care["id"]), team.contacts(care["id"])) == (DENYS, team.contacts(deal))
    assert team.office.value(care["id"], "Запрос клиента") == "Курс для начинающих"
    assert str(deal) in team.office.value(care["id"], "Связанная сделка")
    assert list(team.tasks(care["id"])) == ["Связаться с новым клиентом, помочь начать"]


def test_a_service_that_can_not_be_given_is_described(team: Team) -> None:
    deal = team.client()
    assert team.move(deal, NO_SERVICE) == ASKED
    assert any("«Описание ситуации», «Интерес в будущем»" in text for text in team.tasks(deal))
    team.fill(deal, "Описание ситуации", "Нужна группа по выходным, у нас таких нет")
    assert team.move(deal, NO_SERVICE) == ASKED, "one of the two is not enough"
    team.fill(deal, "Интерес в будущем", "Вернуться позже")
    assert team.move(deal, NO_SERVICE) == NO_SERVICE


def test_each_new_need_goes_back_to_whoever_sold(team: Team) -> None:
    _, care = team.paid()
    team.move(care, SERVED, DENYS)
    assert team.move(care, NEED, DENYS) == SERVED, "nobody said what the need is"
    team.fill(care, "Потребность", "Курс для продолжающих", DENYS)
    assert team.move(care, NEED, DENYS) == NEED
    (sale,) = team.office.deals_on(ASKED)
    assert (team.owner(sale["id"]), team.contacts(sale["id"])) == (ROMAN, team.contacts(care))
    assert team.office.value(sale["id"], "Запрос клиента") == "Курс для продолжающих"
    assert str(care) in team.office.value(sale["id"], "Связанная сделка")
    assert str(sale["id"]) in team.office.value(care, "Связанная сделка")
    team.move(care, SERVED, DENYS)
    team.fill(care, "Потребность", "Разговорный клуб", DENYS)
    team.move(care, NEED, DENYS)
    assert [team.office.value(one["id"], "Запрос клиента") for one in team.office.deals_on(ASKED)] == [
        "Курс для продолжающих",
        "Разговорный клуб",
    ]
