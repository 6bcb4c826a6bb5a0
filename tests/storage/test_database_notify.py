"""The worker on another machine hears of a hook when it is committed, not when it next looks."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.fakes import ACCOUNT, clock
from support.running_bridge import wait_until

from amo_bridge.engine.inbox import Inbox
from amo_bridge.storage import database
from amo_bridge.storage.database import AccountStore, Notifier, Store, notify

HANG_UP = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE query = :listen AND application_name = current_setting('application_name')"
)


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    # So that a test can tell its own connections from others'.
    opened = Store(f"{postgres_url}&application_name=bells-{uuid.uuid4().hex}")
    opened.prepare()
    yield opened
    opened.close()


class Rings:
    """Counts how often an account was rung for."""

    def __init__(self) -> None:
        self.count = 0
        self._guard = threading.Lock()

    def __call__(self) -> None:
        with self._guard:
            self.count += 1


@pytest.fixture
def heard_by(store: Store) -> Iterator[Callable[[int], Rings]]:
    """``heard_by(account)``: the rings that another machine hears for it, once it is listening."""
    bells = Notifier(store.engine)

    def listen(account: int) -> Rings:
        rings = Rings()
        bells.subscribe(account, rings)
        return rings

    yield listen
    bells.close()


def listening(rings: Rings) -> int:
    """Everybody is rung for once when the listening begins; how often that was."""
    wait_until(lambda: rings.count, "it listens")
    return rings.count


def test_a_hook_that_one_process_takes_in_rings_in_another(store: Store, heard_by: Callable[[int], Rings]) -> None:
    rings = heard_by(ACCOUNT)
    before = listening(rings)
    door = Inbox(AccountStore(store, ACCOUNT), clock())
    door.put(b"a hook")
    wait_until(lambda: rings.count > before, "the other process hears it")
    door.close()


def test_only_what_is_committed_rings_and_only_for_its_account(store: Store, heard_by: Callable[[int], Rings]) -> None:
    mine = heard_by(ACCOUNT)
    before = listening(mine)
    with store.write() as connection:
        notify(connection, ACCOUNT)
        connection.rollback()
    with store.write() as connection:
        notify(connection, ACCOUNT + 1)
    with store.write() as connection:
        notify(connection, ACCOUNT)
    wait_until(lambda: mine.count > before, "the committed one rings")
    assert mine.count == before + 1


def test_a_broken_connection_is_made_again(
    store: Store, heard_by: Callable[[int], Rings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LISTEN_PAUSE", 0.02)
    rings = heard_by(ACCOUNT)
    before = listening(rings)
    with store.write() as connection:
        hung_up = connection.execute(text(HANG_UP), {"listen": f"LISTEN {database.NOTIFY_CHANNEL}"}).scalars().all()
    assert hung_up == [True]
    wait_until(lambda: rings.count > before, "it listens again, and rings for what it may have missed")


def test_on_sqlite_nobody_listens_and_nothing_fails(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/bridge.db")
    store.prepare()
    bells = Notifier(store.engine)
    bells.subscribe(ACCOUNT, lambda: None)
    with store.write() as connection:
        notify(connection, ACCOUNT)
    bells.close()
    store.close()
