"""The end of a working day: who has tasks that are not done is told which, once (C13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.shipped_examples import example, stopped_at
from support.telegram_server import TOKEN, Telegram, telegram_server

from amo_bridge.config.channels import PersonSection, TelegramSection
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.rules.option_types import UserName
from amo_bridge.sandbox.account_file import CLIENTS

ANTON, OLGA = "Антон Зуев", "Ольга Крылова"
RUNNING = "Клиенты / Запущен"
CHAT = 42
HOUR, DAY = 3600, 86_400
MONDAY = "2026-03-16T12:00"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    with stopped_at(MONDAY, CLIENTS) as crm:
        yield crm


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with telegram_server() as server:
        yield server


@pytest.fixture
def config(sandbox: LocalCrm, telegram: Telegram, tmp_path: Path) -> Config:
    """The client department's example, Anton reachable by Telegram."""
    config = example("client_department", sandbox, tmp_path)
    people = {UserName(ANTON): PersonSection(telegram=CHAT)}
    channels = replace(config.channels, telegram=TelegramSection(api=telegram.url), people=people)
    return replace(config, channels=channels)


@pytest.fixture
def bridge(config: Config, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    return start_bridge(config, environment={**ENVIRONMENT, "AMO_BRIDGE_TELEGRAM_TOKEN": TOKEN}).wait_ready()


def test_whoever_has_something_undone_is_told_once_in_the_evening(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, telegram: Telegram
) -> None:
    deal = office.new_deal(ANTON, "Ромашка", RUNNING, office.new_contact(ANTON, "Мария"), 1000)
    office.new_task(ANTON, deal, "Отправить отчёт", seconds=HOUR)
    office.new_task(ANTON, deal, "Позвонить в июне", seconds=90 * DAY)
    office.new_task(OLGA, deal, "Проверить смету", seconds=HOUR)
    bridge.settle_at(sandbox, set="2026-03-16T18:29")
    assert telegram.sent == []
    for minute in (31, 45):
        bridge.settle_at(sandbox, set=f"2026-03-16T18:{minute}")
    wait_until(lambda: telegram.sent, "Anton is told")
    ((chat, words),) = telegram.sent
    assert chat == CHAT
    assert "Не закрыто задач: 1" in words
    assert "Отправить отчёт (сегодня до 13:00): Ромашка" in words
    assert "июне" not in words
    bridge.settle_at(sandbox, set="2026-03-17T18:31")
    wait_until(lambda: len(telegram.sent) == 2, "he is told again the next day")
    assert "Отправить отчёт (с 16.03): Ромашка" in telegram.sent[-1][1]


def test_not_at_night_nor_on_a_day_off(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, telegram: Telegram
) -> None:
    deal = office.new_deal(ANTON, "Ромашка", RUNNING, office.new_contact(ANTON, "Мария"), 1000)
    office.new_task(ANTON, deal, "Отправить отчёт", seconds=HOUR)
    for moment in ("2026-03-16T22:00", "2026-03-21T18:31", "2026-03-22T18:31"):
        bridge.settle_at(sandbox, set=moment)
    assert [words for _, words in telegram.sent if "Не закрыто" in words] == []
