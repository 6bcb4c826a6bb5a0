"""SIGTERM: what is on its way to amoCRM arrives and is known to have arrived; nothing new is begun."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from sqlalchemy import select
from support.command_line import Served
from support.local_crm import LocalCrm
from support.running_bridge import wait_until

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import outbox

IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"
SLOW = 3000


@pytest.fixture
def bridge(sandbox: LocalCrm, tmp_path: Path) -> Iterator[Served]:
    """The bridge as a process, ready."""
    process = Served(tmp_path, sandbox.url)
    try:
        process.wait_ready()
        yield process
    finally:
        process.end()


def states(folder: Path) -> list[str]:
    with closing(Store.in_folder(folder / "data")) as store, store.read() as connection:
        return list(connection.execute(select(outbox.c.state).order_by(outbox.c.id)).scalars())


def tasks_posted(crm: LocalCrm) -> int:
    return crm.requests().get("POST /api/v4/tasks", 0)


def new_deal(office: CrmUser) -> int:
    return office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)


def test_a_request_on_its_way_is_waited_for(bridge: Served, sandbox: LocalCrm, office: CrmUser, tmp_path: Path) -> None:
    slow = sandbox.fault("slow", ms=SLOW, method="POST", path="/api/v4/tasks")
    deal = new_deal(office)
    wait_until(lambda: sandbox.struck(slow), "the task is being written")
    assert states(tmp_path) == ["sending"]
    assert bridge.stop() == 0, bridge.told
    assert states(tmp_path) == ["done"]
    assert len(office.tasks(deal)) == 1
    assert tasks_posted(sandbox) == 1
    assert "Traceback" not in bridge.told


def test_hooks_are_refused_once_it_is_stopping(bridge: Served, sandbox: LocalCrm, office: CrmUser) -> None:
    slow = sandbox.fault("slow", ms=SLOW, method="POST", path="/api/v4/tasks")
    new_deal(office)
    wait_until(lambda: sandbox.struck(slow), "the task is being written")
    bridge.process.send_signal(signal.SIGTERM)

    def is_deaf() -> bool:
        try:
            requests.post(f"{bridge.url}/hooks/amocrm/x", timeout=2)
        except requests.RequestException:
            return True
        return False

    wait_until(is_deaf, "no hook is taken in")
    assert bridge.process.poll() is None, "it is still waiting for amoCRM's answer"
    assert bridge.process.wait(timeout=30) == 0


def test_what_waits_its_turn_stays_for_the_next_start(
    bridge: Served, sandbox: LocalCrm, office: CrmUser, tmp_path: Path
) -> None:
    """amoCRM says «later, in an hour»: stopping does not wait for that, and nothing is left half sent."""
    busy = sandbox.fault("status", status=429, path="/api/v4/tasks", method="POST")
    new_deal(office)
    wait_until(lambda: sandbox.struck(busy), "amoCRM has said 429")
    assert bridge.stop() == 0, bridge.told
    assert states(tmp_path) == ["ready"]
    assert office.tasks(30000001) == []


def test_a_bridge_that_waits_for_amocrm_at_the_start_stops_too(
    request: pytest.FixtureRequest, sandbox: LocalCrm, tmp_path: Path
) -> None:
    down = sandbox.fault("status", status=503)
    process = Served(tmp_path, sandbox.url)
    request.addfinalizer(process.end)
    assert process.url
    struck = sandbox.struck(down)
    wait_until(lambda: sandbox.struck(down) > struck, "the bridge itself asks, and waits between its tries")
    assert process.stop() == 0, process.told
