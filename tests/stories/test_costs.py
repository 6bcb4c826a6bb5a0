"""What the work costs in requests to amoCRM, counted exactly. ``make bench`` prints the same beside the times."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from sqlalchemy import func, select
from support.local_crm import LocalCrm
from support.running_bridge import SECRET, UNHURRIED, RunningBridge

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.crm.reads import IDS_IN_ADDRESS
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from amo_bridge.engine import inbox
from amo_bridge.runtime import worker
from amo_bridge.runtime.worker import Worker
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import timers
from bench.load import hooks_about, move_to_new
from bench.processes import REGULATION
from bench.ticks import DAY_SECONDS, plan

MANY = 1000
PAGE = 250
# Adding the deals up to a bridge that has nothing to do: one read, one write.
LONE = {"GET /api/v4/leads/{id}": 1, "POST /api/v4/tasks": 1}


class Bell:
    """Stands for the ticker: rings when the test says so."""

    hired: Worker

    def start(self, hired: Worker) -> None:
        type(self).hired = hired

    def stop(self) -> None:
        """Nothing ticks."""

    def ring_everything(self) -> None:
        """Returns when all chores have been done once."""
        self.wake(*worker.EVERY_SECONDS)

    def wake(self, *chores: str) -> None:
        """Returns when these chores are done, with all that they have asked for themselves."""
        done = threading.Event()
        # What was learned last is done last in each round.
        self.hired.register_job("~", lambda: self.hired.request_job("~") if self.hired.is_asked else done.set())
        for chore in (*chores, "~"):
            self.hired.request_job(chore)
        assert done.wait(60), "the chores are done"

    @contextmanager
    def held(self) -> Iterator[None]:
        """The worker does nothing meanwhile; what comes in comes together, however busy the machine is."""
        stands, may_go = threading.Event(), threading.Event()

        def hold() -> None:
            stands.set()
            assert may_go.wait(120), "it may go on"

        self.hired.register_job("hold", hold)
        self.hired.request_job("hold")
        assert stands.wait(60), "the worker stands still"
        try:
            yield
        finally:
            may_go.set()


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The bench's own regulation: a change of the example must not change what is counted."""
    told = load(REGULATION, {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(tmp_path / "data")})
    return replace(told, account=told.account.model_copy(update={"requests_per_second": UNHURRIED}))


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Bell:
    monkeypatch.setattr("amo_bridge.runtime.leader.Ticker", Bell)
    return Bell()


@pytest.fixture
def filled(sandbox: LocalCrm, start_bridge: Callable[..., RunningBridge], config: Config) -> RunningBridge:
    """A bridge that has read an account with many deals."""
    sandbox.control("POST", "seed", {"deals": MANY, "stage": "Продажи / Получение брифа"})
    return start_bridge(config).wait_ready()


def test_the_first_fill_reads_whole_pages(sandbox: LocalCrm, filled: RunningBridge) -> None:
    asked = sandbox.control("GET", "requests")["requests"]
    pages = [
        parse_qs(row["query"]) for row in asked if row["path"] == "/api/v4/leads" and "order%5Bid%5D" in row["query"]
    ]
    told = [(page["page"], page["limit"]) for page in pages]
    assert told == [([str(number)], [str(PAGE)]) for number in range(1, MANY // PAGE + 2)]


def test_a_thousand_hooks_on_a_thousand_deals_cost_nine_requests(
    bell: Bell, sandbox: LocalCrm, filled: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may take longer for some of them, and answer 503 in time: that is another test's subject.
    monkeypatch.setattr(inbox, "PATIENCE", 60.0)
    bell.ring_everything()
    deals = range(30_000_001, 30_000_001 + MANY)
    bodies = hooks_about(move_to_new(sandbox, deals), deals)
    filled.settle(sandbox)
    sandbox.forget_requests()
    with bell.held(), ThreadPoolExecutor(8) as connections:
        answers = list(connections.map(lambda body: filled.hook(body, SECRET).status_code, bodies))
    assert answers == [204] * MANY
    filled.settle(sandbox)
    # A naive loop needs 2,000; the goal is 12.
    assert sandbox.requests() == {"GET /api/v4/leads": MANY // IDS_IN_ADDRESS, "POST /api/v4/tasks": MANY // 250}
    tasks = sandbox.control("GET", "state?kind=tasks")["tables"]["tasks"].values()
    assert sorted(task["entity_id"] for task in tasks) == list(deals)


def test_a_lone_event_costs_a_read_and_a_write(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    contact = office.new_contact(MANAGER, "Ольга")
    bridge.settle(sandbox)
    sandbox.forget_requests()
    office.new_deal(MANAGER, "Ромашка", "Продажи / Новый клиент", contact, 0)
    bridge.settle(sandbox)
    assert {path: count for path, count in sandbox.requests().items() if path in LONE} == LONE


def test_an_idle_bridge_asks_at_most_once_a_minute(bell: Bell, sandbox: LocalCrm, filled: RunningBridge) -> None:
    # What was changed within this very second is read once more; an idle bridge has nothing of the kind.
    sandbox.later(3600)
    bell.ring_everything()
    bell.ring_everything()
    filled.settle(sandbox)
    bell.ring_everything()
    a_day = 0.0
    for chore, seconds in worker.EVERY_SECONDS.items():
        sandbox.forget_requests()
        bell.wake(chore)
        a_day += sum(sandbox.requests().values()) * 86_400 / seconds
    assert 0 < a_day <= 24 * 60


def test_a_tick_over_a_hundred_thousand_deals_asks_nothing(
    bell: Bell, sandbox: LocalCrm, office: CrmUser, bridge: RunningBridge
) -> None:
    bell.ring_everything()
    key = known_key(bridge._store, sandbox.url)
    assert key is not None
    plan(AccountStore(bridge._store, key), 100_000, office.now())
    sandbox.forget_requests()
    bell.wake(worker.TIMERS)
    assert (sandbox.requests(), steps(bridge)) == ({}, {"open": 100_000})
    # The ticks do look: what has fallen due is found among all the others.
    sandbox.later(DAY_SECONDS + 2)
    bell.wake(worker.RECONCILE, worker.TIMERS)
    assert steps(bridge)["fired"] >= 3


def steps(bridge: RunningBridge) -> dict[str, int]:
    """How many steps are in which state."""
    with bridge._store.read() as connection:
        rows = connection.execute(select(timers.c.state, func.count()).group_by(timers.c.state)).all()
    return {row[0]: row[1] for row in rows}
