"""One leads, the others stand by; a leader who was only asleep finds his pen taken away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from support.running_bridge import wait_until

from amo_bridge.clock import SystemClock
from amo_bridge.errors import LeadLost
from amo_bridge.runtime.leader_election import LeaderElection, LeaderStore, Lease
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.locks import AdvisoryLocks, Locks, locks_for
from amo_bridge.storage.tables import cursors, leaders

ACCOUNT = 7


class Process:
    """What one process has: its own locks on the common store."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.locks: Locks = locks_for(store.engine, folder)
        self.leadership = LeaderElection(AccountStore(store, ACCOUNT), self.locks, SystemClock())


@pytest.fixture
def processes(store: Store, tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    both = Process(store, tmp_path), Process(store, tmp_path)
    yield both
    for process in both:
        process.locks.close()


def write(store: Store | AccountStore, name: str) -> None:
    with store.write() as connection:
        connection.execute(insert(cursors), {"account": ACCOUNT, "name": name, "value": 1.0})


def written(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.execute(select(cursors.c.name)).scalars())


def die(process: Process) -> None:
    """What the kernel does for a killed process: its descriptors and connections are closed."""
    process.locks.close()


def takes_over(process: Process) -> Lease:
    """A standby tries again and again: a busy database hears a moment later that a session has ended."""
    leads: list[Lease] = []

    def takes() -> bool:
        lead = process.leadership.take()
        leads.extend([lead] if lead else [])
        return bool(leads)

    wait_until(takes, "the other takes over")
    return leads[0]


def test_one_leads_and_the_next_one_takes_over_when_it_is_gone(processes: tuple[Process, Process]) -> None:
    first, second = processes
    assert first.leadership.take() is not None
    assert first.leadership.is_held()
    assert second.leadership.take() is None
    assert first.leadership.take() is None, "not even the same process leads twice"

    die(first)
    assert not first.leadership.is_held()
    takes_over(second)


def test_the_lead_is_given_back(processes: tuple[Process, Process]) -> None:
    first, second = processes
    for process in (first, second, first):
        assert process.leadership.take() is not None
        process.leadership.give_back()


def test_accounts_are_led_apart(store: Store, processes: tuple[Process, Process]) -> None:
    first, second = processes
    another = LeaderElection(AccountStore(store, ACCOUNT + 1), second.locks, SystemClock())
    assert first.leadership.take() is not None
    assert another.take() is not None


def test_a_leader_who_was_replaced_in_his_sleep_writes_nothing_and_sends_nothing(
    store: Store, processes: tuple[Process, Process]
) -> None:
    sleeper, successor = processes
    old = sleeper.leadership.take()
    assert old is not None
    old_store = LeaderStore(AccountStore(store, ACCOUNT), old)
    write(old_store, "while leading")
    old.check()

    die(sleeper)
    new = takes_over(successor)
    with pytest.raises(LeadLost):
        write(old_store, "too late")
    with pytest.raises(LeadLost):
        old.check()
    write(LeaderStore(AccountStore(store, ACCOUNT), new), "by the successor")
    new.check()
    assert written(store) == {"while leading", "by the successor"}


def test_a_transaction_in_hand_is_finished_before_anybody_takes_over(
    store: Store, processes: tuple[Process, Process]
) -> None:
    first, second = processes
    lead = first.leadership.take()
    assert lead is not None
    taken = threading.Event()

    def take() -> None:
        takes_over(second)
        taken.set()

    successor = threading.Thread(target=take)
    with LeaderStore(AccountStore(store, ACCOUNT), lead).write() as connection:
        die(first)
        successor.start()
        connection.execute(insert(cursors), {"account": ACCOUNT, "name": "in hand", "value": 1.0})
        assert not taken.is_set()
    successor.join(30)
    assert taken.is_set()
    assert written(store) == {"in hand"}


def test_who_leads_is_written_down_for_people(store: Store, processes: tuple[Process, Process]) -> None:
    for _ in range(3):
        processes[0].leadership.take()
        processes[0].leadership.give_back()
    with store.read() as connection:
        row = connection.execute(select(leaders)).one()
    assert (row.account, row.epoch) == (ACCOUNT, 3)
    assert row.holder.rpartition(":")[2].isdigit()


# --- PostgreSQL's locks --------------------------------------------------------------------------------------------


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Store]:
    store = Store(postgres_url)
    store.prepare()
    yield store
    store.close()


# Other bridges may be at work in other schemas of the same database: only our own locks are looked at.
OURS = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND ((classid::bigint << 32) | objid::bigint) IN (
        SELECT hashtextextended('amo-bridge ' || current_schema() || ' leader-' || number, 0)
        FROM generate_series(0, 49) number
    )
"""


def cut(store: Store) -> None:
    """Cut the connections that hold our locks, as a lost network does."""
    with store.engine.connect() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM ({OURS}) holders"))


def test_a_cut_connection_is_noticed_and_the_lead_can_be_taken_again(
    postgres: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amo_bridge.storage.locks.TRUST", 0.0)
    locks = AdvisoryLocks(postgres.engine)
    other = AdvisoryLocks(postgres.engine)
    assert locks.take("leader-1")
    assert not other.take("leader-1")
    cut(postgres)
    wait_until(lambda: not locks.holds("leader-1"), "the loss is noticed")
    wait_until(lambda: other.take("leader-1"), "somebody else has the lock")
    locks.close()
    other.close()


def test_all_locks_of_a_process_cost_one_connection(postgres: Store) -> None:
    locks = AdvisoryLocks(postgres.engine)
    assert all(locks.take(f"leader-{account}") for account in range(50))
    with postgres.engine.connect() as connection:
        holders = list(connection.execute(text(OURS)).scalars())
    assert (len(holders), len(set(holders))) == (50, 1)
    locks.close()
