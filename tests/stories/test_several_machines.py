"""Several processes for one account: one works, the others stand by, and whoever dies is replaced."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import requests
from support.bridge_process import BridgeProcess
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, SECRET, wait_until
from support.vendor_requests import FORM, form

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from amo_bridge.intake.repository import IntakeAddresses

NEW = "Продажи / Новый клиент"
Start = Callable[..., BridgeProcess]


@pytest.fixture(params=["sqlite", "postgresql"])
def start(request: pytest.FixtureRequest, sandbox: LocalCrm, tmp_path: Path) -> Start:
    """``start("worker")``: one more process of the same installation; all are killed at the end."""
    database = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    environment = {
        **ENVIRONMENT,
        "AMO_BRIDGE_ACCOUNT_URL": sandbox.url,
        "AMO_BRIDGE_DATA": str(tmp_path / "data"),
        "AMO_BRIDGE_DATABASE": database,
        "AMO_BRIDGE_SETTLE": "0.5",
    }
    started: list[BridgeProcess] = []

    def one_more(role: str, *arguments: str, **more: str) -> BridgeProcess:
        log = tmp_path / f"{len(started)}-{role}.log"
        told = ["--config", str(EXAMPLE), "--role", role, *arguments]
        process = BridgeProcess(log, {**environment, **more}, *told)
        started.append(process)
        request.addfinalizer(process.kill)
        return process

    return one_more


def only_leader(processes: list[BridgeProcess]) -> BridgeProcess:
    wait_until(lambda: any(process.leads for process in processes), "somebody leads")
    leaders = [process for process in processes if process.leads]
    assert len(leaders) == 1
    return leaders[0]


def new_deal(office: CrmUser, name: str) -> int:
    return office.new_deal(MANAGER, name, NEW, office.new_contact(MANAGER, f"Клиент {name}"), 1000)


def test_the_standby_takes_over_when_the_leader_is_killed(start: Start, sandbox: LocalCrm, office: CrmUser) -> None:
    first = start("all")
    first.wait_ready()
    # It stands by, and takes hooks in all the same; amoCRM sends them to the address that was subscribed first.
    second = start("all", AMO_BRIDGE_PUBLIC_URL=first.url)
    second.wait_ready()
    assert only_leader([first, second]) is first

    deal = new_deal(office, "Первая")
    wait_until(lambda: len(office.tasks(deal)) == 1, "the leader works")

    first.kill()
    missed = new_deal(office, "Пропущенная")
    wait_until(lambda: second.leads, "the standby has taken over", patience=20)
    wait_until(lambda: len(office.tasks(missed)) == 1, "what nobody heard of is found")
    assert len(office.tasks(deal)) == 1, "and nothing is done twice"

    third = start("all", AMO_BRIDGE_PUBLIC_URL=second.url)
    third.wait_ready()
    assert only_leader([second, third]) is second
    assert second.stop() == 0
    wait_until(lambda: third.leads, "an orderly stop hands the lead over", patience=20)


def test_a_web_process_takes_hooks_in_without_a_token_and_a_worker_does_the_rest(
    start: Start, sandbox: LocalCrm, office: CrmUser
) -> None:
    web = start("web", AMO_BRIDGE_TOKEN="", AMO_BRIDGE_HOOK_SECRET="")
    assert web.health()["status"] != "ready", "no worker has met the account yet"
    assert web.hook(SECRET, b"") == 503

    worker = start("worker", AMO_BRIDGE_PUBLIC_URL=web.url, AMO_BRIDGE_HOOK_SECRET="")
    worker.wait_ready()
    web.wait_ready()
    assert (web.leads, worker.leads) == (False, True)
    assert worker.hook(SECRET, b"") == 404, "a worker has no door"
    deal = new_deal(office, "По почте")
    wait_until(lambda: len(office.tasks(deal)) == 1, "amoCRM's hook came to the web process and the worker answered it")

    worker.kill()
    wait_until(lambda: web.health().get("status") == "ready", "hooks are still taken in")
    later = new_deal(office, "Пока никого нет")
    sandbox.hooks_delivered()
    replacement = start("worker", AMO_BRIDGE_PUBLIC_URL=web.url, AMO_BRIDGE_HOOK_SECRET="")
    wait_until(lambda: len(office.tasks(later)) == 1, "the next worker finds them")
    assert replacement.leads


def test_people_who_ask_two_machines_at_once_are_each_one_contact_and_one_deal(
    postgres_url: str, sandbox: LocalCrm, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each machine has a web process and a worker of its own, and the database in common; a worker dies meanwhile."""
    shared = {
        **ENVIRONMENT,
        "AMO_BRIDGE_ACCOUNT_URL": sandbox.url,
        "AMO_BRIDGE_DATABASE": postgres_url,
        "AMO_BRIDGE_SETTLE": "0.5",
        "AMO_BRIDGE_INTAKE_TILDA_KEY": "tilda-key",
        "AMO_BRIDGE_INTAKE_VK_SECRET": "vk-secret",
        "AMO_BRIDGE_INTAKE_VK_CONFIRMATION": "c0de",
    }

    def started(role: str, machine: str, **more: str) -> BridgeProcess:
        told = {**shared, "AMO_BRIDGE_DATA": str(tmp_path / machine), **more}
        process = BridgeProcess(tmp_path / f"{machine}-{role}.log", told, "--config", str(EXAMPLE), "--role", role)
        request.addfinalizer(process.kill)
        return process

    webs = [started("web", machine) for machine in ("first", "second")]
    workers = [started("worker", machine, AMO_BRIDGE_PUBLIC_URL=webs[0].url) for machine in ("first", "second")]
    for process in (*workers, *webs):
        process.wait_ready()
    addresses = IntakeAddresses(load(EXAMPLE, shared | {"AMO_BRIDGE_DATA": str(tmp_path / "asks")}), shared)
    paths = {one.vendor.name: one.path for one in addresses.all()}
    people = {"+79161234561": "Анна", "+79161234562": "Борис", "+79161234563": "Вера"}

    def asks(number: int) -> None:
        phone = list(people)[number % 3]
        if number % 2:
            fields = form(tranid=f"1:{number}", Name=people[phone], Phone=phone, Comments=f"вопрос {number}.")
            sent = {"data": fields, "headers": {"Content-Type": FORM, "X-Key": "tilda-key"}}
        else:
            message = {"from_id": number % 3 + 1, "text": f"{phone}: вопрос {number}.", "id": number, "peer_id": 1}
            event = {"type": "message_new", "event_id": f"e{number}", "group_id": 1, "secret": "vk-secret"}
            sent = {"json": {**event, "object": {"message": message}}}
        vendor = "tilda" if number % 2 else "vk"
        # As vendors do that got no answer in time: the same again, to the other machine, until both have thanked.
        for web in webs:
            posted = partial(requests.post, f"{web.url}{paths[vendor]}", **sent, timeout=30)
            wait_until(lambda post=posted: post().status_code == 200, "the request is taken")

    known = len(sandbox.table("contacts"))
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(asks, number) for number in range(24)]
        wait_until(lambda: sandbox.table("leads"), "the first deal is made")
        only_leader(workers).kill()
        for answer in answers:
            answer.result()

    def notes() -> str:
        return "\n".join(note["params"].get("text", "") for note in sandbox.table("notes"))

    wait_until(lambda: all(f"вопрос {number}." in notes() for number in range(24)), "every question is on a card")
    assert [notes().count(f"вопрос {number}.") for number in range(24)] == [1] * 24
    assert len(sandbox.table("leads")) == 3
    assert len(sandbox.table("contacts")) == known + 3
