"""Several accounts in one process: one port, and the secret in the hook's path says whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.bridge_process import BridgeProcess
from support.local_crm import TOKEN, LocalCrm, served
from support.running_bridge import ENVIRONMENT, EXAMPLE, wait_until

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from amo_bridge.sandbox.account_start import load_world

NEW = "Продажи / Новый клиент"
APPROVED = "Продажи / Утвержденный проект"
Start = Callable[..., BridgeProcess]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "accounts"
    made.mkdir()
    return made


@pytest.fixture
def another_crm() -> Iterator[LocalCrm]:
    with served(load_world()) as crm:
        yield crm


@pytest.fixture(params=["sqlite", "postgresql"])
def start(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Start:
    database = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    environment = {
        "AMO_BRIDGE_KEY": ENVIRONMENT["AMO_BRIDGE_KEY"],
        "AMO_BRIDGE_DATA": str(tmp_path / "data"),
        "AMO_BRIDGE_DATABASE": database,
        "AMO_BRIDGE_HOOK_SECRET__ACME": "secret-of-acme",
        "AMO_BRIDGE_HOOK_SECRET__BETA": "secret-of-beta",
        "AMO_BRIDGE_TOKEN__ACME": TOKEN,
        "AMO_BRIDGE_TOKEN__BETA": TOKEN,
    }

    def begin(**more: str) -> BridgeProcess:
        process = BridgeProcess(tmp_path / "serve.log", {**environment, **more}, "--configs", str(folder))
        request.addfinalizer(process.kill)
        return process

    return begin


def put(folder: Path, name: str, url: str) -> None:
    text = EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", url)
    (folder / f"{name}.toml").write_text(text, "utf-8")


def new_deal(office: CrmUser, name: str) -> int:
    return office.new_deal(MANAGER, name, NEW, office.new_contact(MANAGER, f"Клиент {name}"), 1000)


def test_each_account_has_its_own_worker_and_secret(
    start: Start, folder: Path, sandbox: LocalCrm, another_crm: LocalCrm
) -> None:
    put(folder, "acme", sandbox.url)
    put(folder, "beta", another_crm.url)
    bridge = start()
    bridge.wait_ready()
    assert {name: told["leading"] for name, told in bridge.health()["accounts"].items()} == {"acme": True, "beta": True}

    offices = CrmUser(sandbox.url), CrmUser(another_crm.url)
    deals = [new_deal(office, "Сделка") for office in offices]
    for office, deal in zip(offices, deals, strict=True):
        wait_until(lambda office=office, deal=deal: len(office.tasks(deal)) == 1, "the account's own worker works")
    destinations = [
        [hook["destination"] for hook in crm.world.table("webhooks").values()] for crm in (sandbox, another_crm)
    ]
    assert destinations == [
        [f"{bridge.url}/hooks/amocrm/secret-of-acme"],
        [f"{bridge.url}/hooks/amocrm/secret-of-beta"],
    ]
    for name, office in zip(("acme", "beta"), offices, strict=True):
        sold = office.new_deal(MANAGER, "Продажа", APPROVED, office.new_contact(MANAGER, "Анна"), 1000)
        page = f"{bridge.url}/accounts/{name}/deals/{sold}/services"
        wait_until(
            lambda o=office, d=sold, p=page: o.value(d, "Редактор услуг") == p, "the account's own page is linked"
        )
    assert bridge.hook("guess", b"") == 404
    assert bridge.stop() == 0


def test_a_broken_account_keeps_nobody_else_from_working(start: Start, folder: Path, sandbox: LocalCrm) -> None:
    put(folder, "acme", sandbox.url)
    (folder / "broken.toml").write_text(EXAMPLE.read_text("utf-8").replace("[account]", "[acount]"), "utf-8")
    put(folder, "gamma", "https://gamma.invalid")  # no token of its own
    bridge = start()
    office = CrmUser(sandbox.url)
    wait_until(lambda: bridge.health().get("accounts", {}).get("acme", {}).get("status") == "ready", "acme works")
    deal = new_deal(office, "Сделка")
    wait_until(lambda: len(office.tasks(deal)) == 1, "the good one works")

    told = bridge.health()
    assert told["status"] == "not all accounts work"
    assert any("acount" in words for words in told["accounts"]["broken"]["problems"])
    assert any("Нет токена amoCRM" in words for words in told["accounts"]["gamma"]["problems"])
    assert bridge.hook("secret-of-broken", b"") == 503, "perhaps it is mended before amoCRM gives up"


def test_a_mistake_in_one_file_while_all_run_and_at_the_next_start_keeps_nobody_else_from_working(
    start: Start, folder: Path, sandbox: LocalCrm, another_crm: LocalCrm
) -> None:
    """The file that no longer fits: its hooks are kept, its page tells why; mended, its work is done."""
    put(folder, "acme", sandbox.url)
    put(folder, "beta", another_crm.url)
    bridge = start()
    bridge.wait_ready()
    good = (folder / "beta.toml").read_text("utf-8")
    (folder / "beta.toml").write_text(good.replace("\nenabled = true", "\nenabled = Да", 1), "utf-8")
    acme, beta = CrmUser(sandbox.url), CrmUser(another_crm.url)
    deal = new_deal(acme, "Сделка")
    wait_until(lambda: len(acme.tasks(deal)) == 1, "the good one works on")
    assert bridge.stop() == 0

    bridge = start()
    wait_until(lambda: bridge.health().get("accounts", {}).get("acme", {}).get("status") == "ready", "acme works")
    told = bridge.health()["accounts"]["beta"]
    assert any("это не TOML" in words for words in told["issues"])
    second, kept = new_deal(acme, "Вторая"), new_deal(beta, "Ждёт")
    wait_until(lambda: len(acme.tasks(second)) == 1, "the good one works after the start too")
    wait_until(another_crm.hooks_delivered, "its webhooks are kept")
    assert beta.tasks(kept) == []

    (folder / "beta.toml").write_text(good, "utf-8")
    wait_until(lambda: len(beta.tasks(kept)) == 1, "what came meanwhile is worked on")


def test_nothing_but_broken_configs_is_no_bridge(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.toml").write_text("[acount]", "utf-8")
    bridge = BridgeProcess(tmp_path / "serve.log", {"AMO_BRIDGE_DATA": str(tmp_path)}, "--configs", str(folder))
    assert bridge.exit_code() == 2
    assert "acount" in bridge.told
