"""Auto-dial from the stage to the exchange: a local amoCRM, a running bridge, a stand-in of the exchange (A23)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import select
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, UNHURRIED, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, MANAGER
from amo_bridge.standins.calls import CallScript
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import dial_calls, dials

NEW = "Продажи / Новый клиент"
BRIEF = "Продажи / Получение брифа"
DAY = 86_400
TUESDAY = "2026-09-08T11:00"


@dataclass
class Agency:
    """Everything that a call passes on its way."""

    bridge: RunningBridge
    crm: LocalCrm
    office: CrmUser
    exchange: StandIns
    store: Store

    def waiting_deal(self) -> int:
        contact = self.office.new_contact(MANAGER, "Ольга Смирнова", "olga@client.example", "+7 916 123-45-67")
        deal = self.office.new_deal(MANAGER, "Ромашка", NEW, contact, 1000)
        for name, value in CLIENT.items():
            self.office.fill(MANAGER, deal, name, value)
        self.crm.later()
        self.office.move(MANAGER, deal, BRIEF)
        self.bridge.settle(self.crm)
        return deal

    def states(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(dial_calls.c.state).order_by(dial_calls.c.id)).scalars())

    def dial_state(self) -> str:
        with self.store.read() as connection:
            return str(connection.execute(select(dials.c.state).order_by(dials.c.id.desc())).scalar() or "")

    def pass_time(self, seconds: float) -> None:
        self.bridge.settle_at(self.crm, advance=seconds)
        self.exchange.timeline.advance(seconds)

    def calls(self) -> int:
        return len(self.exchange.board("onlinepbx").calls)


def config_with(crm: LocalCrm, folder: Path, exchange: StandIns, *, dry_run: bool = False) -> Config:
    sections = f"""
[onlinepbx]
api = "{exchange.url}/onlinepbx"
domain = "test.onpbx.ru"

[intake.onlinepbx]

[people."{MANAGER}"]
extension = "100"
"""
    path = folder / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8") + sections, "utf-8")
    config = load(path, {"AMO_BRIDGE_ACCOUNT_URL": crm.url, "AMO_BRIDGE_DATA": str(folder / "data")})
    bridge = config.bridge.model_copy(update={"dry_run": dry_run})
    account = config.account.model_copy(update={"requests_per_second": UNHURRIED})
    return replace(config, account=account, bridge=bridge)


@pytest.fixture
def exchange() -> Iterator[StandIns]:
    made = StandIns(live=False)
    with serving(made):
        yield made


@pytest.fixture
def start(
    sandbox: LocalCrm,
    office: CrmUser,
    tmp_path: Path,
    exchange: StandIns,
    start_bridge: Callable[..., RunningBridge],
) -> Callable[..., Agency]:
    def open_agency(**how: bool) -> Agency:
        sandbox.control("POST", "clock", {"set": TUESDAY, "freeze": True})
        config = config_with(sandbox, tmp_path, exchange, **how)
        environment = {**ENVIRONMENT, "AMO_BRIDGE_ONLINEPBX_KEY": "onlinepbx-test-key"}
        bridge = start_bridge(config, environment=environment).wait_ready()
        return Agency(bridge, sandbox, office, exchange, Store.at(config.bridge.database, config.data_folder))

    return open_agency


def test_ten_days_without_a_brief_bring_calls_until_they_talk(start: Callable[..., Agency]) -> None:
    agency = start()
    agency.exchange.board("onlinepbx").scripts += [CallScript("manager_rejects"), CallScript("talked", 60)]
    deal = agency.waiting_deal()
    agency.pass_time(9 * DAY)
    assert agency.calls() == 0
    agency.pass_time(DAY + 60)
    wait_until(lambda: agency.states() == ["placed"], "the exchange is asked for the call")
    agency.pass_time(120)
    wait_until(lambda: agency.states() == ["manager"], "the history tells that he rejected it")
    agency.pass_time(1800)
    wait_until(lambda: agency.states() == ["manager", "placed"], "he is called again")
    agency.pass_time(240)
    wait_until(lambda: agency.states() == ["manager", "talked"], "the history tells that they talked")
    wait_until(lambda: agency.dial_state() == "waiting", "it waits")
    reasons = [entry.reason for entry in agency.bridge.journal(deal) if entry.what == "автодозвон"]
    assert reasons[0] == f"звоним: «{MANAGER}», потом клиент Ольга Смирнова; звонок 1-й"
    assert any("поговорили, 60 с" in reason for reason in reasons)

    # Silent for two days; meanwhile the manager talks to the client himself.
    agency.pass_time(3600)
    agency.office.call(MANAGER, deal, seconds=90)
    agency.bridge.settle(agency.crm)
    agency.pass_time(4 * DAY)
    wait_until(lambda: agency.dial_state() == "ended", "it is over")
    assert agency.calls() == 2
    last = [entry.reason for entry in agency.bridge.journal(deal) if entry.what == "автодозвон"][-1]
    assert last.startswith("окончен: с клиентом поговорили")


def test_a_dry_run_calls_nobody(start: Callable[..., Agency]) -> None:
    agency = start(dry_run=True)
    agency.waiting_deal()
    agency.pass_time(10 * DAY + 3600)
    assert (agency.calls(), agency.states()) == (0, [])


def test_a_webhook_of_the_exchange_settles_the_call_before_its_history_does(start: Callable[..., Agency]) -> None:
    agency = start()
    agency.exchange.board("onlinepbx").scripts.append(CallScript("talked", 60))
    (address,) = [one for one in agency.bridge.bridge.intake_addresses.all() if one.vendor.name == "onlinepbx"]
    agency.exchange["onlinepbx"].configure({"webhook_url": f"{agency.bridge.url}{address.path}"})
    agency.waiting_deal()
    agency.pass_time(10 * DAY + 60)
    wait_until(lambda: agency.states() == ["placed"], "the exchange is asked for the call")
    # Only the exchange's time goes on: amoCRM's stands still, so the history is not asked.
    agency.exchange.timeline.advance(75)
    wait_until(lambda: agency.states() == ["talked"], "the webhook tells that they talked")
    with agency.store.read() as connection:
        assert connection.execute(select(dial_calls.c.told_by)).scalar() == "webhook"
