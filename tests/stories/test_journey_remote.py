"""A remote sale from the first question to the care department and back, by the shipped example alone: S4 to S7."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.office_day import OfficeDay
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.shipped_examples import example, stopped_at
from support.telegram_server import TOKEN, telegram_server

from amo_bridge.config.channels import PersonSection, TelegramSection
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.rules.option_types import UserName
from amo_bridge.sandbox.account_file import REMOTE_SALES

ROMAN, DENYS = "Роман Литвин", "Денис Кравец"
LEAD, ASKED, WAITS = (f"Продажи / {name}" for name in ("Новый лид", "Выясняем запрос", "Ждём оплату"))
WON, NO_SERVICE = "Продажи / Успешно реализовано", "Продажи / Услугу дать нельзя"
CARE, SERVED, NEED = (f"Отдел заботы / {name}" for name in ("Новый клиент", "Пользуется услугой", "Новая потребность"))
INVOICE, REMINDER = "Выставить клиенту счёт", "Позвонить клиенту, напомнить об оплате"
WELCOME = "Связаться с новым клиентом, помочь начать"
CHAT = -1001234567890
# A Monday noon in Kyiv.
MONDAY = "2026-10-05T12:00"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The remote team's amoCRM."""
    with stopped_at(MONDAY, REMOTE_SALES) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    return example("remote_sales", sandbox, tmp_path)


@pytest.fixture
def day(office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> OfficeDay:
    return OfficeDay(office, bridge, sandbox, "Europe/Kyiv")


def test_from_the_first_question_to_the_next_need(day: OfficeDay) -> None:
    deal = day.deal(ROMAN, "Марина", LEAD)
    assert day.move(ROMAN, deal, ASKED) == ASKED
    day.fill(ROMAN, deal, **{"Запрос клиента": "Курс для начинающих"})
    assert day.move(ROMAN, deal, WAITS) == ASKED
    assert "«Клиент оплатит»" in day.explained(deal)
    day.fill(ROMAN, deal, **{"Клиент оплатит": "2026-10-08"})
    assert day.move(ROMAN, deal, WAITS) == WAITS
    assert day.tasks(deal) == {INVOICE: (ROMAN, "05.10 14:05"), REMINDER: (ROMAN, "08.10 12:00")}
    day.finish(ROMAN, deal, INVOICE)
    day.attach(ROMAN, deal, "IMG_2031.HEIC")
    assert (day.stage(deal), day.tasks(deal)) == (WON, {}), "paid: nobody is reminded any more"
    (care,) = [row["id"] for row in day.office.deals_on(CARE)]
    assert (day.owner(care), list(day.tasks(care))) == (DENYS, [WELCOME])
    day.finish(DENYS, care, WELCOME)
    assert day.move(DENYS, care, SERVED) == SERVED
    day.fill(DENYS, care, Потребность="Курс для продолжающих")
    assert day.move(DENYS, care, NEED) == NEED
    (again,) = [row["id"] for row in day.office.deals_on(ASKED)]
    assert (day.owner(again), day.office.value(again, "Запрос клиента")) == (ROMAN, "Курс для продолжающих")


@pytest.mark.parametrize(
    ("promised", "due"),
    [("2026-10-09", "09.10 12:00"), ("2026-10-10", "09.10 12:00"), ("2026-10-11", "09.10 12:00")],
    ids=["Friday", "Saturday", "Sunday"],
)
def test_nobody_is_to_call_on_a_day_off(day: OfficeDay, promised: str, due: str) -> None:
    deal = day.deal(ROMAN, "Марина", ASKED)
    day.fill(ROMAN, deal, **{"Клиент оплатит": promised})
    day.move(ROMAN, deal, WAITS)
    assert day.tasks(deal)[REMINDER] == (ROMAN, due)


def test_the_shared_chat_is_told_who_has_paid(
    config: Config, start_bridge: Callable[..., RunningBridge], office: CrmUser, sandbox: LocalCrm
) -> None:
    """S5: the chat is a person with a group's number."""
    with telegram_server() as telegram:
        chat = {UserName("Интеграция amo-bridge"): PersonSection(telegram=CHAT)}
        channels = replace(config.channels, telegram=TelegramSection(api=telegram.url), people=chat)
        environment = {**ENVIRONMENT, "AMO_BRIDGE_TELEGRAM_TOKEN": TOKEN}
        bridge = start_bridge(replace(config, channels=channels), environment=environment).wait_ready()
        day = OfficeDay(office, bridge, sandbox, "Europe/Kyiv")
        deal = day.deal(ROMAN, "Марина", ASKED)
        (contact,) = office.deal(deal)["_embedded"]["contacts"]
        office.set_phone(ROMAN, contact["id"], "+38 050 123-45-67")
        day.fill(ROMAN, deal, **{"Клиент оплатит": "2026-10-09"})
        day.move(ROMAN, deal, WAITS)
        day.attach(ROMAN, deal, "photo_2026-10-05.jpg")
        wait_until(lambda: telegram.files, "the chat is told")
        ((number, kind, name, content, words),) = telegram.files
        bridge.stop()
    assert (number, kind, name, content) == (CHAT, "photo", "photo_2026-10-05.jpg", b"photo_2026-10-05.jpg")
    assert telegram.sent == [], "the picture and the words are one message"
    assert "Оплата: Марина, клиент — Марина, +38 050 123-45-67" in words
    assert f"/leads/detail/{deal}" in words


def test_a_document_is_no_payment(day: OfficeDay) -> None:
    deal = day.deal(ROMAN, "Марина", ASKED)
    day.fill(ROMAN, deal, **{"Клиент оплатит": "2026-10-09"})
    day.move(ROMAN, deal, WAITS)
    day.attach(ROMAN, deal, "Договор.pdf")
    assert day.move(ROMAN, deal, WON) == WAITS
    assert "любая картинка" in day.explained(deal)


def test_what_can_not_be_given_is_described(day: OfficeDay) -> None:
    deal = day.deal(ROMAN, "Марина", ASKED)
    assert day.move(ROMAN, deal, NO_SERVICE) == ASKED
    day.fill(ROMAN, deal, **{"Описание ситуации": "Нужны выходные", "Интерес в будущем": "Вернуться позже"})
    assert (day.move(ROMAN, deal, NO_SERVICE), day.tasks(deal)) == (NO_SERVICE, {})
