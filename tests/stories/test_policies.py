"""Rules of working in the CRM change, everybody has to acknowledge them (S3): over HTTP, with a file that changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, RunningBridge, wait_until
from support.shipped_examples import stopped_at

from amo_bridge.config.loader import load
from amo_bridge.demo.stories import HEAD, MANAGER
from amo_bridge.intake.connections import IntakeConnections
from amo_bridge.runtime.worker import POLICIES
from amo_bridge.sandbox.account_file import AGENCY
from amo_bridge.standins.bots import TelegramStandIn
from amo_bridge.standins.server import StandIns, serving
from bench.processes import free_port

MARIA = "Мария Кузнецова"
NUMBERS = {HEAD: 11, MANAGER: 22, MARIA: 33}
SECRETS = {
    "AMO_BRIDGE_TELEGRAM_TOKEN": "123456789:AAtest-token-of-thirty-five-characters",
    "AMO_BRIDGE_INTAKE_TELEGRAM_STAFF_SECRET": "tg-staff-s3cret",
}
SECTION = f"""
[policies]
folder = "policies"
people = ["{MANAGER}", "{MARIA}"]
"""


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    with stopped_at("2026-11-23T12:00", AGENCY) as crm:
        yield crm


class Team:
    def __init__(self, bridge: RunningBridge, telegram: TelegramStandIn, folder: Path) -> None:
        self.bridge, self.telegram, self.folder = bridge, telegram, folder

    def write(self, text: str) -> None:
        """The file, as it was left an hour ago."""
        path = self.folder / "сделки.md"
        path.write_text(text, "utf-8")
        hour_ago = datetime.now(UTC).timestamp() - 3600
        os.utime(path, (hour_ago, hour_ago))
        self.bridge.bridge.request_job(POLICIES)

    def at(self, sandbox: LocalCrm, moment: str) -> None:
        self.bridge.settle_at(sandbox, set=f"2026-11-{moment}")
        self.bridge.bridge.request_job(POLICIES)

    def newest(self, who: str) -> str:
        """The number of the last message to this person."""
        return str([one["id"] for one in self.telegram.sent if one["chat_id"] == NUMBERS[who]][-1])

    def sent_to(self, who: str) -> list[str]:
        return [one["text"] for one in self.telegram.sent if one["chat_id"] == NUMBERS[who]]


@pytest.fixture
def team(
    sandbox: LocalCrm, tmp_path: Path, start_bridge: Callable[..., RunningBridge], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Team]:
    stand_ins = StandIns(["telegram"], live=True)
    with serving(stand_ins) as url:
        people = "".join(f'\n[people."{name}"]\ntelegram = {number}\n' for name, number in NUMBERS.items())
        text = EXAMPLE.read_text("utf-8").replace("# [intake.telegram_staff]", "[intake.telegram_staff]")
        path = tmp_path / "config.toml"
        path.write_text(f'{text}\n[telegram]\napi = "{url}/telegram"\n{SECTION}{people}', "utf-8")
        (tmp_path / "policies").mkdir()
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
        yield Team(bridge, telegram, tmp_path / "policies")


def test_the_rules_change_twice(team: Team, sandbox: LocalCrm) -> None:
    team.write("# Сделки\n\n- Звонить в день заявки")
    wait_until(lambda: team.sent_to(MANAGER) and team.sent_to(MARIA), "everybody named is told")
    assert "«Сделки»: новые правила. Прочитайте и подтвердите до 26.11.2026." in team.sent_to(MANAGER)[0]
    team.telegram.press(NUMBERS[MANAGER], "Прочитано", team.newest(MANAGER))
    wait_until(lambda: "Прочитано 23.11" in team.sent_to(MANAGER)[0], "the message says that it was read")

    team.write("# Сделки\n\n- Звонить в течение часа")
    wait_until(lambda: len(team.sent_to(MANAGER)) == len(team.sent_to(MARIA)) == 2, "the change is told")
    assert "Что изменилось:\n-- Звонить в день заявки\n+- Звонить в течение часа" in team.sent_to(MANAGER)[1]
    wait_until(lambda: "Вышла новая версия" in team.sent_to(MARIA)[0], "the older message asks no more")
    for whose in (MARIA, MANAGER):
        team.telegram.press(NUMBERS[MANAGER], "Прочитано", team.newest(whose))
    wait_until(lambda: len(team.telegram.pressed) == 3, "both presses are answered")
    assert team.telegram.pressed[1][1] == f"Это сообщение — для {MARIA}: ничего не изменено"

    team.at(sandbox, "25T10:05")
    wait_until(lambda: len(team.sent_to(MARIA)) == 3, "who has not read it is reminded")
    assert "Вы ещё не ознакомились с правилами «Сделки»" in team.sent_to(MARIA)[2]
    team.at(sandbox, "26T19:05")
    wait_until(lambda: team.sent_to(HEAD), "the head is told")
    assert f"{MARIA}: нет отметки, что правила «Сделки» прочитаны" in team.sent_to(HEAD)[0]
    assert (len(team.sent_to(MANAGER)), len(team.sent_to(HEAD))) == (2, 1)
