"""amoCRM blocks the machine's address (a page instead of JSON): nothing is sent, nothing is lost, somebody is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from local_crm import LocalCrm
from running_bridge import ENVIRONMENT, RunningBridge, wait_until
from telegram_kit import TOKEN, telegram_server

from amo_bridge.config.channels import PersonSection, TelegramSection
from amo_bridge.config.model import Config
from amo_bridge.config.names import UserName
from amo_bridge.crm.budget import StoreBudget
from amo_bridge.demo.office import Office
from amo_bridge.demo.story import HEAD, MANAGER
from amo_bridge.engine import worker

NEW = "Продажи / Новый клиент"
CHAT = 42


@pytest.fixture
def blocked(sandbox: LocalCrm, bridge: RunningBridge, office: Office) -> int:
    """A bridge that has just met the block; the fault's id."""
    contact = office.new_contact(MANAGER, "Ольга")
    bridge.settle(sandbox)
    block = sandbox.fault("html_403")
    sandbox.forget_requests()
    office.new_deal(MANAGER, "Ромашка", NEW, contact, 0)
    wait_until(lambda: bridge.health().status_code == 503, "the bridge has noticed")
    return block


def test_nothing_more_is_sent_and_hooks_are_still_taken_in(
    blocked: int, bridge: RunningBridge, sandbox: LocalCrm, office: Office
) -> None:
    assert sum(sandbox.requests().values()) == 1
    told = bridge.health().json()
    assert "403" in told["trouble"]
    assert told["counts"]["stopped"].startswith("CrmBlocked")
    for number in range(3):
        assert bridge.hook(b"leads%%5Bupdate%%5D%%5B0%%5D%%5Bid%%5D=%d" % (30_000_001 + number)).status_code == 204
    bridge.bridge.try_again()
    wait_until(lambda: bridge.health().json()["counts"]["inbox_new"] == 0, "it has tried again")
    assert sum(sandbox.requests().values()) == 1, "the next probe is minutes away"


def test_when_the_block_is_over_everything_is_done_once_and_the_head_learns_of_it(
    monkeypatch: pytest.MonkeyPatch,
    start_bridge: Callable[..., RunningBridge],
    config: Config,
    sandbox: LocalCrm,
    office: Office,
) -> None:
    config = replace(config, bridge=config.bridge.model_copy(update={"tell": UserName(HEAD)}))
    # A probe after hundredths of a second instead of two minutes.
    monkeypatch.setitem(StoreBudget.__init__.__kwdefaults__, "probe_every", 0.05)  # type: ignore[arg-type]
    monkeypatch.setattr(worker, "LONGEST_PAUSE", 0.05)
    bridge = start_bridge(config).wait_ready()
    contact = office.new_contact(MANAGER, "Ольга")
    bridge.settle(sandbox)
    block = sandbox.fault("html_403")
    deal = office.new_deal(MANAGER, "Ромашка", NEW, contact, 0)
    wait_until(lambda: sandbox.struck(block) > 2, "it probes")
    assert office_tasks(sandbox) == []
    sandbox.control("DELETE", f"faults/{block}")
    wait_until(lambda: len(office_tasks(sandbox)) == 2, "all is made up for")
    bridge.settle(sandbox)
    assert [task["text"] for task in office.tasks(deal)] == ["Связаться и взять в работу"]
    (alarm,) = [task for task in office_tasks(sandbox) if task["entity_id"] != deal]
    assert "amoCRM остановила мост" in alarm["text"]
    assert alarm["responsible_user_id"] == office.users[HEAD]
    assert bridge.health().status_code == 200


def test_the_head_learns_of_it_at_once_by_telegram(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: Office
) -> None:
    """amoCRM takes no task from a blocked address, so the news must not wait for it."""
    with telegram_server() as telegram:
        people = {UserName(HEAD): PersonSection(telegram=CHAT)}
        channels = replace(config.channels, telegram=TelegramSection(api=telegram.url), people=people)
        told = config.bridge.model_copy(update={"tell": UserName(HEAD)})
        environment = {**ENVIRONMENT, "AMO_BRIDGE_TELEGRAM_TOKEN": TOKEN}
        bridge = start_bridge(replace(config, bridge=told, channels=channels), environment=environment).wait_ready()
        contact = office.new_contact(MANAGER, "Ольга")
        bridge.settle(sandbox)
        sandbox.fault("html_403")
        office.new_deal(MANAGER, "Ромашка", NEW, contact, 0)
        wait_until(lambda: telegram.sent, "the head is told")
        bridge.bridge.try_again()
        wait_until(lambda: bridge.health().json()["counts"]["inbox_new"] == 0, "it has tried again")
        ((chat, words),) = telegram.sent
        assert (chat, office_tasks(sandbox)) == (CHAT, [])
        assert "amoCRM остановила мост" in words
        assert "403" in words


def office_tasks(crm: LocalCrm) -> list[dict[str, object]]:
    return list(crm.control("GET", "state?kind=tasks")["tables"]["tasks"].values())
