"""The worker: it goes on whatever happens, and says what it is waiting out."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from support.fakes import ACCOUNT
from support.running_bridge import wait_until

from amo_bridge.errors import (
    CrmBlocked,
    CrmForbidden,
    CrmRefused,
    CrmUncertain,
    LeadLost,
    StoreUnavailable,
    UnknownName,
)
from amo_bridge.runtime import worker as worker_module
from amo_bridge.runtime.worker import Worker
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import inbox


class Part:
    """Stands for the planner and the sender: fails as told, then has nothing to do."""

    def __init__(self) -> None:
        self.troubles: queue.SimpleQueue[Exception] = queue.SimpleQueue()
        self.found_unknown_name = False
        self.rounds = 0
        self.recovered = 0

    def process(self) -> int:
        self.rounds += 1
        if not self.troubles.empty():
            raise self.troubles.get()
        return 0

    def send(self) -> int:
        return 0

    def recover(self) -> int:
        self.recovered += 1
        return 0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store.in_folder(tmp_path)
    opened.prepare()
    return opened


@pytest.fixture
def part() -> Part:
    return Part()


@pytest.fixture
def worker_with(store: Store, part: Part, impatient: None) -> Iterator[Callable[..., Worker]]:
    hired: list[Worker] = []

    def hire(chores: dict[str, Callable[[], object]] | None = None, refresh: Any = lambda: None) -> Worker:
        hired.append(Worker(AccountStore(store, ACCOUNT), part, part, refresh, chores))  # type: ignore[arg-type]
        return hired[-1]

    yield hire
    for worker in hired:
        worker.stop()


Hire = Callable[..., Worker]


@pytest.mark.parametrize(
    "trouble",
    [
        CrmUncertain("no answer"),
        CrmBlocked("nginx"),
        StoreUnavailable("disk full"),
        UnknownName("этапа", "?"),
        ZeroDivisionError("a bug of ours"),
    ],
)
def test_it_goes_on_after_any_trouble(worker_with: Hire, part: Part, trouble: Exception) -> None:
    part.troubles.put(trouble)
    worker = worker_with()
    worker.start()
    wait_until(lambda: part.rounds > 1, "another round")
    wait_until(lambda: not worker.trouble, "the trouble is over")
    # Once at the start, once after the round that broke off: something may have been on its way.
    assert part.recovered == 2


def test_it_says_what_it_is_waiting_out(worker_with: Hire, part: Part) -> None:
    for _ in range(200):
        part.troubles.put(StoreUnavailable("диск полон"))
    worker = worker_with()
    worker.start()
    wait_until(lambda: worker.trouble == "диск полон", "the trouble is shown")


def test_who_has_lost_the_lead_stops(worker_with: Hire, part: Part) -> None:
    part.troubles.put(LeadLost("другой процесс"))
    worker = worker_with()
    worker.start()
    wait_until(lambda: worker.has_lost_lead, "it stops")
    worker.stop()
    assert part.rounds == 1


def test_a_ring_wakes_it(worker_with: Hire, part: Part, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "LOOK_AGAIN", 3600.0)
    worker = worker_with()
    worker.start()
    wait_until(lambda: part.rounds, "the first round")
    with store.write() as connection:
        connection.execute(insert(inbox), {"account": ACCOUNT, "received_at": 0.0, "body": b"", "state": "new"})
    worker.wake()
    wait_until(lambda: part.rounds > 1, "the bell was heard")


class Rings:
    """A bell that is rung so many times, each time while the worker is waiting for quiet."""

    def __init__(self, rings: int) -> None:
        self.left = rings
        self.is_rung = True
        self.waited: list[float] = []

    def is_set(self) -> bool:
        return self.is_rung

    def clear(self) -> None:
        self.is_rung = False

    def set(self) -> None:
        self.is_rung = True

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        if self.left:
            self.left -= 1
            self.is_rung = True


def test_what_comes_together_is_waited_for(worker_with: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, bell = worker_with(), Rings(3)
    monkeypatch.setattr(worker, "_wake_up", bell)
    monkeypatch.setattr(worker_module, "monotonic", lambda: 0.0)
    worker._gather()
    assert bell.waited == [worker_module.LONE_QUIET, *[worker_module.QUIET] * 3]


@pytest.mark.parametrize(("since_work", "waited"), [(2.0, worker_module.LONE_QUIET), (0.5, worker_module.QUIET)])
def test_a_hook_after_a_pause_hardly_waits_for_others(
    since_work: float, waited: float, worker_with: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, bell = worker_with(), Rings(0)
    monkeypatch.setattr(worker, "_wake_up", bell)
    monkeypatch.setattr(worker, "_worked_at", 10.0)
    monkeypatch.setattr(worker_module, "monotonic", lambda: 10.0 + since_work)
    worker._gather()
    assert bell.waited == [waited]


def test_it_does_not_wait_for_quiet_for_ever(worker_with: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, bell, seconds = worker_with(), Rings(1000), itertools.count(0.0, worker_module.LONGEST_GATHERING / 4)
    monkeypatch.setattr(worker, "_wake_up", bell)
    monkeypatch.setattr(worker_module, "monotonic", lambda: next(seconds))
    worker._gather()
    assert (len(bell.waited), bell.left) == (3, 997)


def test_what_appeared_in_the_account_is_read_before_the_next_round(worker_with: Hire, part: Part) -> None:
    refreshed: list[int] = []
    worker = worker_with(refresh=lambda: refreshed.append(part.rounds))
    part.found_unknown_name = True
    worker.once()
    worker.once()
    assert refreshed == [1]


def test_chores_are_done_once_before_the_round(worker_with: Hire, part: Part) -> None:
    done: list[str] = []
    worker = worker_with({"b": lambda: done.append("b"), "a": lambda: done.append(f"a{part.rounds}")})
    for chore in ("a", "b", "a"):
        worker.request_job(chore)
    worker.once()
    worker.once()
    assert done == ["b", "a0"]


def test_a_chore_that_amocrm_s_silence_broke_off_is_done_later_with_those_behind_it(worker_with: Hire) -> None:
    done: list[str] = []
    troubles: list[Exception] = [CrmUncertain("no answer"), StoreUnavailable("disk full")]

    def reconcile() -> None:
        if troubles:
            raise troubles.pop()
        done.append("reconcile")

    worker = worker_with({"reconcile": reconcile, "tidy": lambda: done.append("tidy")})
    worker.request_job("reconcile")
    worker.request_job("tidy")
    for _ in range(2):
        with pytest.raises((CrmUncertain, StoreUnavailable)):
            worker.once()
    worker.once()
    assert done == ["reconcile", "tidy"]


@pytest.mark.parametrize("trouble", [CrmForbidden("нет прав", status=403), CrmRefused("?", status=400)])
def test_a_list_that_may_not_be_seen_does_not_keep_it_from_its_work(
    worker_with: Hire, part: Part, trouble: Exception
) -> None:
    def reconcile() -> None:
        raise trouble

    worker = worker_with({"reconcile": reconcile})
    worker.request_job("reconcile")
    worker.once()
    assert part.rounds == 1


def test_one_that_never_started_can_be_stopped(worker_with: Hire) -> None:
    worker_with().stop()
