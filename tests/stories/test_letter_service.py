"""A series goes out by Unisender Go until the client complains: a local amoCRM, a running bridge, the service's
stand-in that loses an answer and tells things twice (A11, A122)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, UNHURRIED, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.unisender_go import UnisenderGoStandIn
from bench.processes import free_port

NEW = "Продажи / Новый клиент"
DAY = 86_400
WEDNESDAY = "2026-09-09T12:00"


class Agency:
    """Everything that a letter passes on its way."""

    def __init__(self, bridge: RunningBridge, crm: LocalCrm, stand_ins: StandIns) -> None:
        self.bridge, self.crm, self.stand_ins = bridge, crm, stand_ins
        service = stand_ins["unisender_go"]
        assert isinstance(service, UnisenderGoStandIn)
        self.service = service
        (address,) = [one for one in bridge.bridge.intake_addresses.all() if one.vendor.name == "unisender_go"]
        service.configure({"webhook_url": f"{bridge.url}{address.path}"})

    def days_pass(self, days: float) -> None:
        self.bridge.settle_at(self.crm, advance=days * DAY)

    def letters(self, at_least: int) -> list[str]:
        wait_until(lambda: len(self.service.letters) >= at_least, f"{at_least} letters are with the service")
        self.bridge.settle(self.crm)
        return [str(one.message["subject"]) for one in self.service.letters]


@pytest.fixture
def agency(sandbox: LocalCrm, tmp_path: Path, start_bridge: Callable[..., RunningBridge]) -> Iterator[Agency]:
    sandbox.control("POST", "clock", {"set": WEDNESDAY, "freeze": True})
    stand_ins = StandIns(["unisender_go"], live=True)
    with serving(stand_ins) as url:
        sections = f"""
[mail]
from = "Агентство <info@agency.example>"
templates = "{EXAMPLE.parent / "letters"}"

[unisender_go]
api = "{url}/unisender_go"
"""
        path = tmp_path / "config.toml"
        text = EXAMPLE.read_text("utf-8").replace("# [intake.unisender_go]", "[intake.unisender_go]")
        path.write_text(text + sections, "utf-8")
        port = free_port()
        where = {
            "AMO_BRIDGE_ACCOUNT_URL": sandbox.url,
            "AMO_BRIDGE_DATA": str(tmp_path / "data"),
            "AMO_BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        config = load(path, where)
        config = replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))
        # One key for the letters and for what the webhook proves itself by.
        environment = {**ENVIRONMENT, "AMO_BRIDGE_UNISENDER_GO_KEY": "unisender-go-test-key"}
        bridge = start_bridge(config, environment=environment, port=port).wait_ready()
        yield Agency(bridge, sandbox, stand_ins)


def test_a_series_goes_on_until_the_client_complains(agency: Agency, office: CrmUser) -> None:
    contact = office.new_contact(MANAGER, "Ольга Смирнова", "olga@client.example")
    deal = office.new_deal(MANAGER, "Ромашка", NEW, contact, 1000)
    agency.bridge.settle(agency.crm)
    # The first letter is taken and its answer lost; everything that the service tells comes twice.
    agency.stand_ins.faults.add("lost_answer", vendor="unisender_go", path="*/email/send.json")
    agency.stand_ins.faults.add("hook_duplicate", vendor="unisender_go", count=None)
    agency.days_pass(7.1)
    agency.days_pass(0.1)
    assert agency.letters(1) == ["Как блогеры приводят покупателей: три наших проекта"]
    agency.stand_ins.timeline.advance(10)
    wait_until(
        lambda: any("Клиенту отправлено письмо" in note for note in office.notes(deal)),
        "the webhook has settled the doubt",
    )
    agency.days_pass(4.5)
    assert len(agency.letters(2)) == 2, "and nothing went out twice"

    complain = next(one for one in agency.service.actions() if one.name == "complain")
    complain.do({"email": "olga@client.example"})
    agency.stand_ins.timeline.advance(1)
    wait_until(lambda: "Отписан" in tags(office, deal), "the deal is tagged")
    agency.bridge.settle(agency.crm)
    assert [note for note in office.notes(deal) if "спам" in note] == [
        "Клиент пожаловался на письмо как на спам: рассылок ему больше нет"
    ]
    agency.days_pass(30)
    agency.days_pass(1)
    assert len(agency.service.letters) == 2, "no third letter"
    assert {one.status for one in agency.service.attempts} == {200}


def test_a_webhook_with_somebody_elses_proof_changes_nothing(agency: Agency, office: CrmUser) -> None:
    contact = office.new_contact(MANAGER, "Ольга Смирнова", "olga@client.example")
    deal = office.new_deal(MANAGER, "Ромашка", NEW, contact, 1000)
    agency.bridge.settle(agency.crm)
    agency.days_pass(7.1)
    agency.days_pass(0.1)
    agency.letters(1)
    agency.stand_ins.timeline.advance(10)
    wait_until(lambda: len(agency.service.attempts) >= 2, "sent and delivered are told")
    agency.stand_ins.faults.add("hook_wrong_proof", vendor="unisender_go", path="spam", count=None)
    agency.service.report(agency.service.letters[0], "spam")
    agency.stand_ins.timeline.advance(1)
    wait_until(lambda: agency.service.attempts[-1].event == "spam", "it was posted")
    assert agency.service.attempts[-1].status == 403
    agency.bridge.settle(agency.crm)
    assert "Отписан" not in tags(office, deal)


def tags(office: CrmUser, deal: int) -> set[str]:
    return {tag["name"] for tag in office.deal(deal)["_embedded"]["tags"] or ()}
