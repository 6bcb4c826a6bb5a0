"""Letters and notices, from the stage to the mailbox: a local amoCRM, a running bridge, a real mail server, a stand-in
of Telegram's (A11, A21, A40)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
from support.local_crm import LocalCrm
from support.mail_server import Post, post_office
from support.running_bridge import ENVIRONMENT, EXAMPLE, UNHURRIED, RunningBridge, wait_until
from support.telegram_server import TOKEN, Telegram, telegram_server

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, MANAGER
from bench.processes import free_port

NEW = "Продажи / Новый клиент"
BRIEF = "Продажи / Получение брифа"
MEETING = "Продажи / Встреча назначена"
DAY = 86_400
# A Wednesday noon in Moscow: five days later it is a working day too (what the client sees waits for one).
WEDNESDAY = "2026-09-09T12:00"
CHAT = 42


@dataclass
class Agency:
    """Everything that a letter passes on its way."""

    bridge: RunningBridge
    crm: LocalCrm
    office: CrmUser
    post: Post
    telegram: Telegram

    def new_deal(self, stage: str = NEW) -> int:
        contact = self.office.new_contact(MANAGER, "Ольга Смирнова", "olga@client.example")
        deal = self.office.new_deal(MANAGER, "Ромашка", NEW, contact, 1000)
        if stage != NEW:
            for name, value in CLIENT.items():
                # Else the deal must not leave its first stage.
                self.office.fill(MANAGER, deal, name, value)
            self.crm.later()
            self.office.move(MANAGER, deal, stage)
        self.bridge.settle(self.crm)
        return deal

    def days_pass(self, days: float) -> None:
        self.bridge.settle_at(self.crm, advance=days * DAY)

    def subjects(self, at_least: int) -> list[str]:
        wait_until(lambda: len(self.post.taken) >= at_least, f"{at_least} letters have arrived")
        self.bridge.settle(self.crm)
        return [str(letter["Subject"]) for letter in self.post.letters]


def config_with(crm: LocalCrm, folder: Path, own_port: int, mail_port: int, telegram: Telegram) -> Config:
    sections = f"""
[mail]
host = "127.0.0.1"
port = {mail_port}
tls = "none"
from = "Агентство <info@agency.example>"
templates = "{EXAMPLE.parent / "letters"}"

[telegram]
api = "{telegram.url}"

[people."{MANAGER}"]
telegram = {CHAT}
"""
    path = folder / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8") + sections, "utf-8")
    where = {
        "AMO_BRIDGE_ACCOUNT_URL": crm.url,
        "AMO_BRIDGE_DATA": str(folder / "data"),
        "AMO_BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{own_port}",
    }
    config = load(path, where)
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with telegram_server() as server:
        yield server


@pytest.fixture
def start(
    sandbox: LocalCrm,
    office: CrmUser,
    tmp_path: Path,
    post: Post,
    telegram: Telegram,
    start_bridge: Callable[..., RunningBridge],
) -> Callable[..., Agency]:
    def open_agency(mail_port: int | None = None) -> Agency:
        sandbox.control("POST", "clock", {"set": WEDNESDAY, "freeze": True})
        port = free_port()
        config = config_with(sandbox, tmp_path, port, mail_port or post.port, telegram)
        environment = {**ENVIRONMENT, "AMO_BRIDGE_TELEGRAM_TOKEN": TOKEN}
        bridge = start_bridge(config, environment=environment, port=port).wait_ready()
        return Agency(bridge, sandbox, office, post, telegram)

    return open_agency


def test_the_brief_is_awaited_and_the_client_is_reminded(start: Callable[..., Agency]) -> None:
    agency = start()
    deal = agency.new_deal(BRIEF)
    agency.days_pass(4)
    assert agency.post.taken == []
    agency.days_pass(1.1)
    assert agency.subjects(1) == ["Ромашка: ждём бриф"]
    assert agency.post.to == ["olga@client.example"]
    assert "Клиенту отправлено письмо «Ромашка: ждём бриф»" in agency.office.notes(deal)
    agency.days_pass(20)
    assert len(agency.subjects(1)) == 1


def test_a_series_goes_on_in_one_thread_until_the_client_unsubscribes(start: Callable[..., Agency]) -> None:
    agency = start()
    deal = agency.new_deal()
    agency.days_pass(7.1)
    agency.days_pass(0.1)
    assert agency.subjects(1) == ["Как блогеры приводят покупателей: три наших проекта"]
    agency.days_pass(4.5)
    assert len(agency.subjects(2)) == 2
    first, second = agency.post.letters
    assert second["In-Reply-To"] == first["Message-ID"]

    link = re.sub(r"[<>]", "", str(second["List-Unsubscribe"]))
    assert link.startswith(f"{agency.bridge.url}/u/")
    assert "Отписаться от рассылки?" in requests.get(link, timeout=30).text
    answer = requests.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=30)
    assert (answer.status_code, answer.history, answer.cookies.get_dict()) == (200, [], {})
    wait_until(lambda: "Отписан" in tags(agency.office, deal), "the deal is tagged")
    agency.days_pass(30)
    agency.days_pass(1)
    assert len(agency.post.taken) == 2, "no third letter"


def tags(office: CrmUser, deal: int) -> set[str]:
    return {tag["name"] for tag in office.deal(deal)["_embedded"]["tags"]}


def test_a_dead_mail_server_holds_up_nothing_else(start: Callable[..., Agency]) -> None:
    agency = start(mail_port=1)
    deal = agency.new_deal(BRIEF)
    agency.crm.control("POST", "clock", {"advance": 5.1 * DAY})
    agency.bridge.look_at_the_clock()
    wait_until(lambda: agency.bridge.health().json()["channels"].get("mail"), "the trouble is shown")
    agency.crm.control("POST", "clock", {"advance": DAY})
    agency.bridge.look_at_the_clock()
    # Day 6 of the same deal comes although its letter of day 5 can't be sent.
    wait_until(lambda: any("Позвонить" in task["text"] for task in agency.office.tasks(deal)), "the task is set")
    assert agency.bridge.health().json()["status"] == "ready"


def test_who_moves_a_deal_too_early_is_told_in_telegram_too(start: Callable[..., Agency]) -> None:
    agency = start()
    deal = agency.new_deal(BRIEF)
    agency.crm.later()
    agency.office.move(MANAGER, deal, MEETING)
    agency.bridge.settle(agency.crm)
    assert agency.office.stage_of(deal) == BRIEF
    (task,) = [one for one in agency.office.tasks(deal) if "Дата первой встречи" in one["text"]]
    ((chat, told),) = agency.telegram.sent
    assert chat == CHAT
    assert task["text"].split("»")[0] in told
    assert f"/leads/detail/{deal}" in told
