"""The weekly letter: the week's figures go once to whoever is named, by his own channel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.shipped_examples import example, stopped_at
from support.telegram_server import TOKEN, Telegram, telegram_server

from amo_bridge.config.channels import PersonSection, TelegramSection
from amo_bridge.config.model import Config, WeeklyLetterSection
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.history import Count
from amo_bridge.reports.week import Week, in_html, in_words
from amo_bridge.rules.option_types import UserName
from amo_bridge.runtime.worker import NAMES
from amo_bridge.sandbox.account_file import CLIENTS

ANTON, OLGA = "Антон Зуев", "Ольга Крылова"
RUNNING = "Клиенты / Запущен"
CHAT = 42
HOUR = 3600
WEDNESDAY = "2026-03-11T12:00"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    with stopped_at(WEDNESDAY, CLIENTS) as crm:
        yield crm


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with telegram_server() as server:
        yield server


@pytest.fixture
def config(sandbox: LocalCrm, telegram: Telegram, tmp_path: Path) -> Config:
    config = example("client_department", sandbox, tmp_path)
    people = {UserName(ANTON): PersonSection(telegram=CHAT)}
    channels = replace(config.channels, telegram=TelegramSection(api=telegram.url), people=people)
    letter = WeeklyLetterSection.model_validate({"people": [ANTON, OLGA]})
    bridge = config.bridge.model_copy(update={"public_url": "https://bridge.example"})
    return replace(config, channels=channels, weekly_letter=letter, bridge=bridge, evening_list=None)


@pytest.fixture
def bridge(config: Config, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    return start_bridge(config, environment={**ENVIRONMENT, "AMO_BRIDGE_TELEGRAM_TOKEN": TOKEN}).wait_ready()


def letters(telegram: Telegram) -> list[str]:
    return [words.replace("&amp;", "&") for _, words in telegram.sent if "Неделя" in words]


def test_on_monday_the_week_is_told_once(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, telegram: Telegram
) -> None:
    deal = office.new_deal(ANTON, "Ромашка", RUNNING, office.new_contact(ANTON, "Мария"), 1000)
    office.new_task(OLGA, deal, "Проверить смету", seconds=HOUR)
    bridge.settle_at(sandbox, set="2026-03-15T23:00")
    bridge.settle_at(sandbox, set="2026-03-16T08:59")
    assert letters(telegram) == []
    for minute in ("01", "30"):
        bridge.settle_at(sandbox, set=f"2026-03-16T09:{minute}")
    wait_until(lambda: letters(telegram), "the head is told")
    (words,) = letters(telegram)
    assert "Неделя 09.03–15.03.2026" in words
    assert f"— {OLGA}: 1" in words
    assert "Не сделано в срок за неделю: 1" in words
    assert "Нарушения: нарушений нет" in words
    assert "https://bridge.example/done?from=2026-03-09&to=2026-03-15" in words
    tasks = sandbox.control("GET", "state?kind=tasks")["tables"]["tasks"].values()
    (task,) = [one for one in tasks if one["text"].startswith("Неделя")]
    assert task["responsible_user_id"] == office.users[OLGA], "no notice reaches her"
    bridge.settle_at(sandbox, set="2026-03-17T09:30")
    assert len(letters(telegram)) == 1
    bridge.settle_at(sandbox, set="2026-03-23T09:30")
    wait_until(lambda: len(letters(telegram)) == 2, "and the next Monday again")


def test_for_whoever_is_switched_off_the_letter_goes_to_who_works_for_him(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, telegram: Telegram
) -> None:
    sandbox.control("POST", "ui/deactivate_user", {"user_id": office.users[OLGA], "target_id": office.users[ANTON]})
    bridge.bridge.request_job(NAMES)
    bridge.settle(sandbox)
    bridge.settle_at(sandbox, set="2026-03-16T09:01")

    def told() -> list[int]:
        tasks = sandbox.control("GET", "state?kind=tasks")["tables"]["tasks"].values()
        return [one["responsible_user_id"] for one in tasks if one["text"].startswith("Неделя")]

    wait_until(told, "somebody is told")
    assert office.users[ANTON] not in told()
    assert letters(telegram) == []


def week(**changed: object) -> Week:
    facts = {
        "monday": date(2026, 3, 9), "late": {}, "missed": {}, "violations": {}, "days": [Count() for _ in range(7)],
        "failures": 0, "broken": [],
    }  # fmt: skip
    return Week(**(facts | changed))  # type: ignore[arg-type]


def test_a_quiet_week_says_so() -> None:
    words = in_words(week(), "")
    assert "Мост знает о задачах" not in words
    assert "Мост знает о задачах с 11.03.2026" in in_words(week(known_from=date(2026, 3, 11)), "")
    assert "просроченных задач к концу недели нет" in words
    assert "Решать нечего: всё выполнено, правила работают." in words
    assert "http" not in words


def test_bars_and_decisions() -> None:
    days = [Count(acted=12), Count(acted=6, failed=2), *(Count() for _ in range(4)), Count(would_act=3, unsent=1)]
    late = {f"Человек {number}": 1 for number in range(17)}
    words = in_words(week(days=days, failures=2, broken=["a.b"], late=late), "https://x")
    assert "пн ████████████ 12\nвт ██████ 6 (не вышло 2)" in words
    assert "вс  0 (не отправлено 1, вхолостую 3)" in words
    assert "— не выполнено, ждёт решения: 2\n— правило не работает: a.b" in words
    assert "… и ещё человек: 2" in words


def test_the_letter_is_drawn_for_mail_programs_and_nothing_in_it_is_code() -> None:
    days = [Count(acted=10), Count(acted=5, failed=2), *(Count() for _ in range(5))]
    told = week(days=days, late={"<b>Анна</b>": 4, "Олег": 1}, failures=1, broken=["a.b<script>"])
    html = in_html(told, "https://x")
    assert "&lt;b&gt;Анна&lt;/b&gt;" in html
    assert "<script>" not in html
    assert re.findall(r'bgcolor="#c0392b" width="(\d+)"', html) == ["240", "60"]
    assert re.findall(r'bgcolor="#2e7d52" width="(\d+)"', html) == ["240", "120"]
    assert "5 (не вышло 2)" in html
    assert "Нарушения: нарушений нет" in html
    assert 'href="https://x/done?from=2026-03-09&amp;to=2026-03-15"' in html
    assert "href" not in in_html(week(), "")
