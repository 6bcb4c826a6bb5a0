"""A working day ends with a report: made of what was done, confirmed by a button, shown in the chat (S2); over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, RunningBridge, wait_until
from support.shipped_examples import stopped_at

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD, MANAGER
from amo_bridge.intake.connections import IntakeConnections
from amo_bridge.sandbox.account_file import AGENCY
from amo_bridge.standins.bots import TelegramStandIn
from amo_bridge.standins.server import StandIns, serving
from bench.processes import free_port

CHAT, NUMBERS = "Мария Кузнецова", {HEAD: 11, MANAGER: 22, "Мария Кузнецова": 33}
DAY = "2026-11-23"
SECRETS = {
    "AMO_BRIDGE_TELEGRAM_TOKEN": "123456789:AAtest-token-of-thirty-five-characters",
    "AMO_BRIDGE_INTAKE_TELEGRAM_STAFF_SECRET": "tg-staff-s3cret",
}
SECTION = f"""
[daily_report]
people = ["{MANAGER}"]
plan = "Прозвонить более 70 лидов"
violation = "S2"
tell = ["{CHAT}"]
"""


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    with stopped_at(f"{DAY}T12:00", AGENCY) as crm:
        yield crm


class Team:
    def __init__(self, bridge: RunningBridge, telegram: TelegramStandIn) -> None:
        self.bridge, self.telegram = bridge, telegram

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
        yield Team(bridge, telegram)


def test_the_day_of_a_manager(team: Team, sandbox: LocalCrm, office: CrmUser) -> None:
    deal = office.new_deal(MANAGER, "Ромашка", "Продажи / Новый клиент", office.new_contact(MANAGER, "Анна"), 5000)
    sandbox.later()
    office.call(MANAGER, deal, seconds=95)
    team.bridge.settle_at(sandbox, set=f"{DAY}T17:59")
    assert team.sent_to(MANAGER) == []
    team.bridge.settle_at(sandbox, set=f"{DAY}T18:01")
    wait_until(lambda: team.sent_to(MANAGER), "the manager is sent the report")
    (report,) = team.sent_to(MANAGER)
    assert "23.11.2026\n✅ Сумма продаж – 0" in report
    assert "✅ Кол-во дозвонов – 1 шт\nПлан на завтра:\nПрозвонить более 70 лидов" in report
    assert "/reports/daily/1" in report

    team.telegram.press(NUMBERS[HEAD], "Подтвердить")
    wait_until(lambda: team.telegram.pressed, "another's press is answered")
    assert team.telegram.pressed[0][1] == f"Этот отчёт подтверждает {MANAGER}: ничего не изменено"
    team.telegram.reply(NUMBERS[MANAGER], "Прозвонить 80 лидов")
    wait_until(lambda: len(team.sent_to(MANAGER)) == 2, "the answer in words is answered")
    assert team.sent_to(MANAGER)[1].startswith("План на завтра записан")
    wait_until(lambda: "План на завтра:\nПрозвонить 80 лидов" in team.sent_to(MANAGER)[0], "the message follows")
    team.telegram.press(NUMBERS[MANAGER], "Подтвердить")
    wait_until(lambda: "Подтверждён" in team.sent_to(MANAGER)[0], "the message says that it is confirmed")
    team.bridge.settle_at(sandbox, set=f"{DAY}T18:05")
    wait_until(lambda: team.sent_to(CHAT), "the chat is shown the report")
    assert f"{MANAGER}, отчёт за 23.11.2026\n✅ Сумма продаж" in team.sent_to(CHAT)[0]
    for moment in ("19:05", "20:10"):
        team.bridge.settle_at(sandbox, set=f"{DAY}T{moment}")
    assert (len(team.sent_to(MANAGER)), team.sent_to(HEAD)) == (2, [])


def test_a_day_that_nobody_confirms(team: Team, sandbox: LocalCrm) -> None:
    team.bridge.settle_at(sandbox, set=f"{DAY}T18:01")
    wait_until(lambda: team.sent_to(MANAGER), "the manager is sent the report")
    team.bridge.settle_at(sandbox, set=f"{DAY}T19:02")
    wait_until(lambda: len(team.sent_to(MANAGER)) == 2, "the manager is reminded")
    assert "Отчёт за 23.11.2026 не подтверждён. Подтвердите до 20:02" in team.sent_to(MANAGER)[1]
    assert team.sent_to(HEAD) == []
    team.bridge.settle_at(sandbox, set=f"{DAY}T20:03")
    wait_until(lambda: team.sent_to(HEAD), "the head is told")
    team.bridge.settle_at(sandbox, set=f"{DAY}T21:00")
    (told,) = team.sent_to(HEAD)
    assert f"{MANAGER}: отчёт за 23.11.2026 не подтверждён" in told
    account = team.bridge.app.extensions["amo_bridge"].account_at(None)
    wait_until(account.violations.people, "it stands in the ledger")
    (violation,) = account.violations.between()
    assert (violation.person, violation.clause, violation.deal_id) == (MANAGER, "S2", 0)
    assert len(team.sent_to(MANAGER)) == 2
