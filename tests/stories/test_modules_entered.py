"""The way of a webhook through the code is short enough to be followed: so many modules, until the deal is moved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.crm.client import CrmClient
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, MANAGER

NEW, BRIEF, OFFER = (f"Продажи / {name}" for name in ("Новый клиент", "Бриф получен", "Согласование КП"))
# The thread that receives is another one in production (web/receiver.py), which enters fewer of ``web``.
THREADS = ("inbox-writer", "worker")
# 56, and what a round's other work (a look at the account, the leader's lease) may add.
MOST = 60


class Entered:
    """The modules of the package that these threads enter while ``is_on``."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.is_on = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if self.is_on and event == "call" and threading.current_thread().name in THREADS:
            name = str(frame.f_globals.get("__name__", ""))
            if name.startswith("amo_bridge."):
                self.modules.add(name)


@pytest.fixture
def entered() -> Iterator[Entered]:
    modules = Entered()
    threading.setprofile(modules)
    yield modules
    threading.setprofile(None)


def test_a_file_moves_its_deal_through_so_many_modules(
    entered: Entered,
    config: Config,
    start_bridge: Callable[..., RunningBridge],
    sandbox: LocalCrm,
    office: CrmUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bridge = start_bridge(config).wait_ready()
    deal = office.new_deal(MANAGER, "Ромашка", NEW, office.new_contact(MANAGER, "Ольга"), 1000)
    bridge.settle(sandbox)
    for name, value in CLIENT.items():
        office.fill(MANAGER, deal, name, value)
    office.fill(MANAGER, deal, "Дата первой встречи", int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()))
    office.move(MANAGER, deal, BRIEF)
    bridge.settle(sandbox)
    sandbox.later()
    send = CrmClient._try

    def until_the_move(client: CrmClient, method: str, *request: Any) -> Any:
        if method == "PATCH":
            entered.is_on = False
        return send(client, method, *request)

    monkeypatch.setattr(CrmClient, "_try", until_the_move)
    entered.is_on = True
    office.attach(MANAGER, deal, "Коммерческое предложение Ромашка.pdf")
    bridge.settle(sandbox)
    assert office.stage_of(deal) == OFFER
    assert {"amo_bridge.engine.inbox", "amo_bridge.engine.processor", "amo_bridge.crm.writes"} <= entered.modules
    assert len(entered.modules) <= MOST, sorted(entered.modules)
