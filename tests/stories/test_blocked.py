"""amoCRM blocks the machine's address (a page instead of JSON): nothing is sent, nothing is lost, somebody is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import requests
from sqlalchemy import select
from support.local_crm import TOKEN as CRM_TOKEN
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.telegram_server import TOKEN, telegram_server

from amo_bridge.config.channels import PersonSection, TelegramSection
from amo_bridge.config.model import Absences, Config
from amo_bridge.crm.rate_limiter import StoreRateLimiter
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD, MANAGER
from amo_bridge.rules.option_types import UserName
from amo_bridge.runtime import worker
from amo_bridge.storage.tables import outbox

NEW = "Продажи / Новый клиент"
CHAT = 42


@pytest.fixture
def blocked(sandbox: LocalCrm, bridge: RunningBridge, office: CrmUser) -> int:
    """A bridge that has just met the block; the fault's id."""
    contact = office.new_contact(MANAGER, "Ольга")
    bridge.settle(sandbox)
    block = sandbox.fault("html_403")
    sandbox.forget_requests()
    office.new_deal(MANAGER, "Ромашка", NEW, contact, 0)
    wait_until(lambda: bridge.health().status_code == 503, "the bridge has noticed")
    return block


def test_nothing_more_is_sent_and_hooks_are_still_taken_in(
    blocked: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
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
    office: CrmUser,
) -> None:
    config = replace(config, bridge=config.bridge.model_copy(update={"tell": UserName(HEAD)}))
    # A probe after hundredths of a second instead of two minutes.
    monkeypatch.setitem(StoreRateLimiter.__init__.__kwdefaults__, "probe_interval", 0.05)  # type: ignore[arg-type]
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
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    """amoCRM takes no task from a blocked address, so the news must not wait for it."""
    with telegram_server() as telegram:
        config, environment = told_by_telegram(config, telegram.url)
        bridge = start_bridge(config, environment=environment).wait_ready()
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


@pytest.mark.parametrize("stop", ["html_403", "unpaid_402", "blocked_page", "revoked"])
def test_a_bridge_that_is_started_into_a_stop_tells_once_a_day_and_takes_hooks_in(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser, stop: str
) -> None:
    with telegram_server() as telegram:
        config, environment = told_by_telegram(config, telegram.url)
        contact = office.new_contact(MANAGER, "Ольга")
        bridge = start_bridge(config, environment=environment).wait_ready()
        bridge.settle(sandbox)
        bridge.stop()
        if stop == "revoked":
            environment["AMO_BRIDGE_TOKEN"] = stop
        else:
            sandbox.fault(stop)
        office.new_deal(MANAGER, "Ромашка", NEW, contact, 0)
        for _ in range(2):
            bridge = into_a_stop(start_bridge(config, environment=environment, port=bridge.port))
            assert bridge.health().status_code == 503
            assert bridge.hook(b"leads%5Bupdate%5D%5B0%5D%5Bid%5D=30000001").status_code == 204
            wait_until(lambda: telegram.sent, "the head is told")
            assert len(notices(bridge)) == 1
            bridge.stop()
        ((chat, words),) = telegram.sent
        assert (chat, "amoCRM остановила мост" in words) == (CHAT, True)
        assert office_tasks(sandbox) == []


def test_a_bridge_that_was_started_into_a_stop_makes_up_for_it(
    monkeypatch: pytest.MonkeyPatch,
    start_bridge: Callable[..., RunningBridge],
    config: Config,
    sandbox: LocalCrm,
    office: CrmUser,
) -> None:
    monkeypatch.setitem(StoreRateLimiter.__init__.__kwdefaults__, "probe_interval", 0.05)  # type: ignore[arg-type]
    monkeypatch.setattr(worker, "LONGEST_PAUSE", 0.05)
    contact = office.new_contact(MANAGER, "Ольга")
    bridge = start_bridge(config).wait_ready()
    bridge.settle(sandbox)
    bridge.stop()
    block = sandbox.fault("html_403")
    deal = office.new_deal(MANAGER, "Ромашка", NEW, contact, 0)
    bridge = into_a_stop(start_bridge(config, port=bridge.port))
    sandbox.control("DELETE", f"faults/{block}")
    wait_until(lambda: bridge.health().status_code == 200, "it works again")
    wait_until(lambda: office.tasks(deal), "what it missed is done")
    bridge.settle(sandbox)
    assert [task["text"] for task in office.tasks(deal)] == ["Связаться и взять в работу"]


def test_names_of_the_last_time_do_not_accuse_the_config(
    monkeypatch: pytest.MonkeyPatch,
    start_bridge: Callable[..., RunningBridge],
    config: Config,
    sandbox: LocalCrm,
) -> None:
    """Somebody who came into the account during the stop is unknown only until amoCRM can be asked."""
    monkeypatch.setitem(StoreRateLimiter.__init__.__kwdefaults__, "probe_interval", 0.05)  # type: ignore[arg-type]
    monkeypatch.setattr(worker, "LONGEST_PAUSE", 0.05)
    config = replace(config, bridge=config.bridge.model_copy(update={"tell": UserName(HEAD)}))
    bridge = start_bridge(config).wait_ready()
    bridge.settle(sandbox)
    bridge.stop()
    new = {"name": "Новая Сотрудница", "email": "new@example.ru", "password": "secret-1"}
    headers = {"Authorization": f"Bearer {CRM_TOKEN}"}
    assert requests.post(f"{sandbox.url}/api/v4/users", json=[new], headers=headers, timeout=30).ok
    block = sandbox.fault("html_403")
    absences: Absences = {UserName(new["name"]): ()}
    bridge = into_a_stop(start_bridge(replace(config, absences=absences), port=bridge.port))
    assert bridge.bridge.problems == []
    assert told_of_names(bridge) == []
    sandbox.control("DELETE", f"faults/{block}")
    wait_until(lambda: bridge.health().status_code == 200, "it works again")
    wait_until(lambda: bridge.health().json()["issues"] == [], "it knows her")
    assert told_of_names(bridge) == []


def into_a_stop(bridge: RunningBridge) -> RunningBridge:
    wait_until(lambda: bridge.bridge.trouble, "it knows that it is stopped")
    return bridge


def notices(bridge: RunningBridge) -> Sequence[str]:
    """All that the bridge wants to tell people, done or not."""
    with bridge._store.read() as connection:
        return connection.execute(select(outbox.c.state).where(outbox.c.kind == "notify")).scalars().all()


def told_of_names(bridge: RunningBridge) -> Sequence[str]:
    """Tasks about names that the account does not know."""
    with bridge._store.read() as connection:
        return connection.execute(select(outbox.c.key).where(outbox.c.key.contains("|names:"))).scalars().all()


def told_by_telegram(config: Config, api: str) -> tuple[Config, dict[str, str]]:
    """The config by which the head is told by Telegram, and its environment."""
    people = {UserName(HEAD): PersonSection(telegram=CHAT)}
    channels = replace(config.channels, telegram=TelegramSection(api=api), people=people)
    bridge = config.bridge.model_copy(update={"tell": UserName(HEAD)})
    return replace(config, bridge=bridge, channels=channels), {**ENVIRONMENT, "AMO_BRIDGE_TELEGRAM_TOKEN": TOKEN}


def office_tasks(crm: LocalCrm) -> list[dict[str, object]]:
    return list(crm.control("GET", "state?kind=tasks")["tables"]["tasks"].values())
