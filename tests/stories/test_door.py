"""The door that amoCRM knocks at: who is let in, and what is said when the bridge can't keep what it is told."""

from __future__ import annotations

import http.client
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.local_crm import LocalCrm, served
from support.running_bridge import SECRET, RunningBridge, config_for, wait_until

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from amo_bridge.errors import NotConnected, StoreUnavailable
from amo_bridge.runtime import account as account_module
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.database import Store
from amo_bridge.web.receiver import MOST_BYTES

NEW = "Продажи / Новый клиент"
HOOK = b"leads%5Bstatus%5D%5B0%5D%5Bid%5D=30000001&account%5Bid%5D=31257294"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_while_amocrm_is_down_at_the_start_hooks_are_told_to_come_again(
    start_bridge: Callable[..., RunningBridge], tmp_path: Path
) -> None:
    port = _free_port()
    bridge = start_bridge(config_for(f"http://127.0.0.1:{port}", tmp_path / "data"))
    refused = bridge.hook(HOOK)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert bridge.health().status_code == 503

    with served(load_world(), port) as crm:
        bridge.wait_ready()
        assert bridge.health().status_code == 200
        assert bridge.hook(HOOK).status_code == 204
        office = CrmUser(crm.url)
        deal = office.new_deal(MANAGER, "Первая", NEW, office.new_contact(MANAGER, "Анна"), 1000)
        bridge.settle(crm)
        assert len(office.tasks(deal)) == 1
        bridge.stop()


@pytest.mark.parametrize("outages", [0, 2], ids=["amoCRM alone", "the store comes later, and amoCRM lets nobody in"])
def test_an_account_that_was_met_before_takes_webhooks_in_though_amocrm_is_down(
    outages: int, start_bridge: Callable[..., RunningBridge], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _free_port()
    config = config_for(f"http://127.0.0.1:{port}", tmp_path / "data")
    with served(load_world(), port):
        start_bridge(config).wait_ready().stop()
    prepare = Store.prepare

    def late(store: Store) -> None:
        nonlocal outages
        if outages and threading.current_thread().name == "bridge":
            outages -= 1
            raise StoreUnavailable("база не отвечает")
        prepare(store)

    def without_rights(*told: object, **more: object) -> None:
        raise NotConnected("доступ отозван")

    if outages:
        monkeypatch.setattr(Store, "prepare", late)
        monkeypatch.setattr(account_module, "by_asking", without_rights)
    bridge = start_bridge(config)
    wait_until(lambda: bridge.hook(HOOK).status_code == 204, "the webhook is taken in")
    assert (bridge.health().status_code, bridge.open_work()["inbox"]) == (503, 1)
    bridge.stop()


def test_a_stranger_learns_nothing(bridge: RunningBridge) -> None:
    for secret in ("guess", SECRET + "x", "%D1%81%D0%B5%D0%BA%D1%80%D0%B5%D1%82"):
        answer = bridge.hook(HOOK, secret=secret)
        assert (answer.status_code, answer.text) == (404, "")
    assert bridge.open_work() == {}


def test_a_body_that_no_hook_ever_has_is_not_even_read(bridge: RunningBridge) -> None:
    with closing(http.client.HTTPConnection(urlsplit(bridge.url).netloc, timeout=30)) as connection:
        connection.putrequest("POST", f"/hooks/amocrm/{SECRET}")
        connection.putheader("Content-Length", str(MOST_BYTES + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413
    assert bridge.open_work() == {}


def test_whatever_the_bytes_say_they_are_taken_and_the_bridge_goes_on(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    for body in (b"", b"\xff\xfe\x00", b"leads[status][0][id]=x", b"{}", b"leads[status]" * 1000, HOOK):
        assert bridge.hook(body).status_code == 204
    deal = office.new_deal(MANAGER, "Живая", NEW, office.new_contact(MANAGER, "Анна"), 1000)
    bridge.settle(sandbox)
    assert len(office.tasks(deal)) == 1


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    """Nobody else can write into the database meanwhile."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_hook_that_can_not_be_kept_is_not_accepted_and_loses_nothing(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, tmp_path: Path
) -> None:
    contact = office.new_contact(MANAGER, "Анна")
    bridge.settle(sandbox)
    sandbox.control("POST", "hooks/settings", {"timeout": 10})
    with _locked(tmp_path / "data" / "amo-bridge.db"):
        refused = bridge.hook(HOOK)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
        deal = office.new_deal(MANAGER, "Упорная", NEW, contact, 1000)
        wait_until(lambda: sandbox.control("GET", "hooks/waiting")["waiting"], "amoCRM is to try again")
    bridge.settle(sandbox)
    assert len(office.tasks(deal)) == 1
    assert bridge.health().status_code == 200
