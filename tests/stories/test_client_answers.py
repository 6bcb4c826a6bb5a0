"""A client writes to the bot, a manager answers by a note on the deal: over HTTP, with the messengers' stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from amo_bridge.intake.connections import IntakeConnections
from amo_bridge.standins.bots import TelegramStandIn
from amo_bridge.standins.server import StandIns, serving
from bench.processes import free_port

NINA = 7001
NEW = "Продажи / Новый клиент"
SECRETS = {
    "AMO_BRIDGE_INTAKE_TELEGRAM_TOKEN": "123456789:AAtest-token-of-thirty-five-characters",
    "AMO_BRIDGE_INTAKE_TELEGRAM_SECRET": "tg-s3cret",
}


class Agency:
    """A running bridge with a bot for clients; Нина has written to it, and her deal is there."""

    def __init__(self, bridge: RunningBridge, telegram: TelegramStandIn, crm: LocalCrm, office: CrmUser) -> None:
        self.bridge, self.telegram, self.crm, self.office = bridge, telegram, crm, office

    def nina_writes(self, text: str) -> int:
        self.telegram.people[NINA] = "Нина Тестова"
        self.telegram.write(NINA, text)
        wait_until(lambda: any("Нина" in one["name"] for one in self.office.deals_on(NEW)), "her deal is there")
        self.bridge.settle(self.crm)
        return next(int(one["id"]) for one in self.office.deals_on(NEW) if "Нина" in one["name"])

    def says(self, deal: int, note: str) -> None:
        self.office.write_note(MANAGER, deal, note)
        self.bridge.settle(self.crm)

    def answers_on(self, deal: int) -> list[str]:
        return [note for note in self.office.notes(deal) if "твет клиенту" in note]

    @property
    def sent(self) -> list[str]:
        return [one["text"] for one in self.telegram.sent]


@pytest.fixture
def agency(
    sandbox: LocalCrm, tmp_path: Path, start_bridge: Callable[..., RunningBridge], office: CrmUser
) -> Iterator[Agency]:
    stand_ins = StandIns(["telegram"], live=True)
    with serving(stand_ins) as url:
        text = EXAMPLE.read_text("utf-8").replace("[intake.telegram]\n", f'[intake.telegram]\napi = "{url}/telegram"\n')
        path = tmp_path / "config.toml"
        path.write_text(text, "utf-8")
        port = free_port()
        environment = {
            **ENVIRONMENT,
            **SECRETS,
            "AMO_BRIDGE_ACCOUNT_URL": sandbox.url,
            "AMO_BRIDGE_DATA": str(tmp_path / "data"),
            "AMO_BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        config = load(path, environment)
        bridge = start_bridge(config, environment=environment, port=port).wait_ready()
        connection = IntakeConnections(config, environment).of("telegram")
        assert not isinstance(connection, str), connection
        assert list(connection.connect())
        telegram = stand_ins["telegram"]
        assert isinstance(telegram, TelegramStandIn)
        yield Agency(bridge, telegram, sandbox, office)


def test_a_manager_answers_from_the_deal_and_sees_what_came_of_it(agency: Agency) -> None:
    deal = agency.nina_writes("Нужна реклама")
    agency.office.every_hook_twice()
    agency.says(deal, "Клиент интересуется рекламой")
    agency.says(deal, "/клиенту Здравствуйте, Нина! Позвоним в 15:00")
    wait_until(lambda: agency.answers_on(deal), "the card says what came of it")
    agency.bridge.settle(agency.crm)
    assert agency.sent == ["Здравствуйте, Нина! Позвоним в 15:00"]
    assert agency.answers_on(deal) == ["Ответ клиенту ушёл в Telegram: «Здравствуйте, Нина! Позвоним в 15:00»"]
    # She has blocked the bot: nothing goes out, and the card says why.
    agency.telegram.blocked.add(NINA)
    agency.says(deal, "/клиенту Ещё раз здравствуйте")
    wait_until(lambda: len(agency.answers_on(deal)) == 2, "the card says what came of it")
    assert agency.sent == ["Здравствуйте, Нина! Позвоним в 15:00"]
    assert "НЕ ушёл" in agency.answers_on(deal)[1]
    assert "клиент остановил бота: свяжитесь с ним иначе" in agency.answers_on(deal)[1]
