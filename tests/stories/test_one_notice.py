"""A mass change of many deals: whoever has to be told is told once, with a list, over HTTP by the school's example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm, served
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.telegram_server import TOKEN, Telegram, telegram_server
from support.webinar_samples import ACCOUNT, LONG, school_config

from amo_bridge.config.channels import PersonSection, TelegramSection
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.rules.option_types import UserName
from amo_bridge.sandbox.account_start import load_world

HEAD, NATALIA = "Марина Котова", "Наталья Белова"
CHAT = 77
CLIENTS = 12


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with telegram_server() as server:
        yield server


@pytest.fixture
def config(sandbox: LocalCrm, telegram: Telegram, tmp_path: Path) -> Config:
    config = school_config(sandbox.url, tmp_path / "data")
    people = {UserName(NATALIA): PersonSection(telegram=CHAT)}
    return replace(config, channels=replace(config.channels, telegram=TelegramSection(api=telegram.url), people=people))


@pytest.fixture
def bridge(config: Config, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    return start_bridge(config, environment={**ENVIRONMENT, "AMO_BRIDGE_TELEGRAM_TOKEN": TOKEN}).wait_ready()


def test_a_manager_who_is_given_twelve_foreign_clients_is_told_once(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, telegram: Telegram
) -> None:
    """W8: clients of a webinar, given out by the head in one go."""
    deals = []
    for number in range(CLIENTS):
        phone = [{"field_code": "PHONE", "values": [{"value": f"+4930123456{number:02}"}]}]
        made = office._ask("POST", "/api/v4/contacts", [{"name": "Anna", "custom_fields_values": phone}], HEAD)
        contact = int(made["_embedded"]["contacts"][0]["id"])
        deals.append(office.new_deal(HEAD, f"Клиент {number}", LONG, contact, 10_000))
    bridge.settle(sandbox)
    telegram.sent.clear()

    natalia = office.users[NATALIA]
    office._ask("PATCH", "/api/v4/leads", [{"id": deal, "responsible_user_id": natalia} for deal in deals], HEAD)
    bridge.settle(sandbox)

    wait_until(lambda: telegram.sent, "Natalia is told")
    bridge.settle(sandbox)
    ((chat, text),) = telegram.sent
    assert chat == CHAT
    assert f"Сделок: {CLIENTS}" in text
    assert "Телефон клиента не российский. Не звоните" in text
    assert all(f"Клиент {number} — " in text for number in range(CLIENTS))
