"""«Согласовать КП» decided by a button in Telegram: over HTTP, from the file that asks for it to what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, RunningBridge, wait_until

from amo_bridge.cli import main
from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD, MANAGER, OFFER, PR
from amo_bridge.intake.connections import IntakeConnections
from amo_bridge.standins.bots import TelegramStandIn
from amo_bridge.standins.server import StandIns, serving
from bench.processes import free_port

BRIEF = "Продажи / Бриф получен"
APPROVE, SEND = "Согласовать КП", "Отправить КП клиенту и согласовать"
NUMBERS = {HEAD: 11, MANAGER: 22}
SECRETS = {
    "AMO_BRIDGE_TELEGRAM_TOKEN": "123456789:AAtest-token-of-thirty-five-characters",
    "AMO_BRIDGE_INTAKE_TELEGRAM_STAFF_SECRET": "tg-staff-s3cret",
}


class Agency:
    """A running bridge whose bot asks the head; ``telegram`` is the messenger."""

    def __init__(self, bridge: RunningBridge, telegram: TelegramStandIn, crm: LocalCrm, office: CrmUser) -> None:
        self.bridge, self.telegram, self.crm, self.office = bridge, telegram, crm, office

    def offers(self) -> int:
        """A deal whose offer waits for the head."""
        deal = self.office.new_deal(MANAGER, "Ромашка", BRIEF, self.office.new_contact(MANAGER, "Анна"), 1000)
        self.bridge.settle(self.crm)
        self.crm.later()
        self.office.attach(PR, deal, OFFER)
        self.bridge.settle(self.crm)
        wait_until(lambda: self.telegram.sent, "the head is asked")
        return deal

    def tasks(self, deal: int) -> list[tuple[str, str, bool]]:
        return [(task["text"], task["who"], task["is_completed"]) for task in self.office.tasks(deal)]

    @property
    def message(self) -> str:
        return str(self.telegram.sent[0]["text"])

    @property
    def answers(self) -> list[str]:
        return [words for _, words in self.telegram.pressed]


@pytest.fixture
def agency(
    sandbox: LocalCrm,
    tmp_path: Path,
    start_bridge: Callable[..., RunningBridge],
    office: CrmUser,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Agency]:
    stand_ins = StandIns(["telegram"], live=True)
    with serving(stand_ins) as url:
        people = "".join(f'\n[people."{name}"]\ntelegram = {number}\n' for name, number in NUMBERS.items())
        more = f'\n[telegram]\napi = "{url}/telegram"\n\n[approvals]\ntasks = ["{APPROVE}"]\n{people}'
        text = EXAMPLE.read_text("utf-8").replace("# [intake.telegram_staff]", "[intake.telegram_staff]")
        path = tmp_path / "config.toml"
        path.write_text(f"{text}{more}", "utf-8")
        port = free_port()
        environment = {
            **ENVIRONMENT,
            **SECRETS,
            "AMO_BRIDGE_ACCOUNT_URL": sandbox.url,
            "AMO_BRIDGE_DATA": str(tmp_path / "data"),
            "AMO_BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        config = load(path, environment)
        telegram = stand_ins["telegram"]
        assert isinstance(telegram, TelegramStandIn)
        telegram.people |= {number: name for name, number in NUMBERS.items()}
        bridge = start_bridge(config, environment=environment, port=port).wait_ready()
        connection = IntakeConnections(config, environment).of("telegram_staff")
        assert not isinstance(connection, str), connection
        assert list(connection.connect())
        yield Agency(bridge, telegram, sandbox, office)


def test_the_head_decides_by_a_button_and_the_rules_go_on(agency: Agency, tmp_path: Path) -> None:
    deal = agency.offers()
    assert agency.message.startswith("<b>Ромашка</b>\nСогласовать КП")
    agency.telegram.press(NUMBERS[MANAGER], "Согласовано")
    wait_until(lambda: agency.answers, "a stranger is answered")
    assert agency.answers == [f"Эту задачу решает {HEAD}: ничего не изменено"]
    assert (APPROVE, HEAD, False) in agency.tasks(deal)
    agency.crm.later()
    agency.telegram.press(NUMBERS[HEAD], "Согласовано")
    wait_until(lambda: (APPROVE, HEAD, True) in agency.tasks(deal), "the task is finished in amoCRM")
    agency.bridge.settle(agency.crm)
    wait_until(lambda: (SEND, MANAGER, False) in agency.tasks(deal), "what follows «Согласовано» is there")
    wait_until(lambda: "Записано в amoCRM" in agency.message, "the message says what became of it")
    assert f"Согласовано — {HEAD}" in agency.message
    (task,) = [one for one in agency.office.tasks(deal) if one["text"] == APPROVE]
    assert task["result"]["text"] == "Согласовано"
    # With the webhook set the messenger tells of nobody; the bridge knows who has written.
    agency.telegram.people[33] = "Пётр"
    agency.telegram.write(33, "/start")

    def who() -> str:
        return CliRunner().invoke(main, ["telegram", "who", "--config", str(tmp_path / "config.toml")]).output

    wait_until(lambda: "33 Пётр" in who(), "who has written is told")
