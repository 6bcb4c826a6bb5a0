"""The inbox: nobody is told «taken» before the bytes are committed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import randbytes

import pytest
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import OperationalError
from support.fakes import ACCOUNT, NOON, clock
from support.running_bridge import wait_until

from amo_bridge.engine import inbox as inbox_module
from amo_bridge.engine.inbox import Inbox
from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import inbox


@pytest.fixture
def rung() -> list[str]:
    return []


@pytest.fixture
def door(store: Store, rung: list[str]) -> Iterator[Inbox]:
    opened = Inbox(AccountStore(store, ACCOUNT), clock(), lambda: rung.append("ding"))
    yield opened
    opened.close()


def bodies(store: Store) -> list[bytes]:
    """What another connection sees, so what is really committed."""
    with store.engine.connect() as connection:
        return [bytes(body) for body in connection.execute(select(inbox.c.body).order_by(inbox.c.id)).scalars()]


@contextmanager
def refusing_to_write(store: Store) -> Iterator[None]:
    """As a full disk or a database that became a read-only copy: reading goes on, writing fails."""

    def forbid(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            # The next page that the file would need is one too many: SQLite's own «database or disk is full».
            size = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count={size}"))
        else:
            # For the session: a transaction of one statement is over with this one.
            connection.exec_driver_sql("SET default_transaction_read_only = on")

    event.listen(store.engine, "begin", forbid)
    try:
        yield
    finally:
        event.remove(store.engine, "begin", forbid)
        store.engine.dispose()


@contextmanager
def sent_to(store: Store) -> Iterator[list[str]]:
    """What the database is sent, BEGIN and COMMIT included."""
    sent: list[str] = []

    def note(connection: Connection, cursor: object, statement: str, *more: object) -> None:
        sent.append(statement.split()[0])

    def note_end(connection: Connection) -> None:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        if not getattr(driver, "autocommit", False):
            sent.append("COMMIT")

    event.listen(store.engine, "before_cursor_execute", note)
    event.listen(store.engine, "commit", note_end)
    try:
        yield sent
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
        event.remove(store.engine, "commit", note_end)


def test_the_bytes_are_committed_when_put_returns(door: Inbox, store: Store, rung: list[str]) -> None:
    body = bytes(range(256))
    door.put(body)
    assert bodies(store) == [body]
    assert rung == ["ding"]
    with store.read() as connection:
        row = connection.execute(select(inbox)).one()
    assert (row.account, row.received_at, row.state) == (ACCOUNT, NOON.timestamp(), "new")


def test_a_burst_shares_few_commits(
    door: Inbox, store: Store, rung: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "PATIENCE", 60.0)
    with ThreadPoolExecutor(20) as pool:
        with store.write():
            put = [pool.submit(door.put, str(number).encode()) for number in range(20)]
            # The first waits for the store, the others for the first: what has gathered by then goes together.
            wait_until(lambda: len(door._waiting) >= 10, "the others gather")
        for one in put:
            one.result()
    assert sorted(map(int, bodies(store))) == list(range(20))
    assert len(rung) < 20 / 2


def test_those_just_answered_are_waited_for_while_many_come(
    door: Inbox, store: Store, rung: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "GATHER_SHARE", 1e9)
    monkeypatch.setattr(inbox_module, "LONGEST_GATHER", 60.0)
    told: list[int] = []

    def put(number: int) -> None:
        door.put_later(str(number).encode(), lambda result, error: told.append(number))

    with store.write():
        put(0)
        wait_until(lambda: not door._waiting, "the first is being written")
        put(1)
        put(2)
    wait_until(lambda: told == [0], "the first is answered")
    # It took the store with two more waiting: so three are expected.
    put(3)
    wait_until(lambda: told == [0, 1, 2, 3], "the others go together")
    assert len(rung) == 2
    assert bodies(store) == [b"0", b"1", b"2", b"3"]


def test_whoever_comes_alone_is_not_kept_waiting_for_others(
    door: Inbox, rung: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "GATHER_SHARE", 1e9)
    monkeypatch.setattr(inbox_module, "LONGEST_GATHER", 60.0)
    for number in range(3):
        door.put(str(number).encode())
    assert len(rung) == 3


def test_a_batch_is_one_way_to_postgresql_and_back(store: Store, rung: list[str]) -> None:
    door = Inbox(AccountStore(store, ACCOUNT), clock(), lambda: rung.append("ding"))
    with sent_to(store) as sent:
        door.put(b"one")
        door.put(b"two")
    door.close()
    assert bodies(store) == [b"one", b"two"]
    one = ["WITH"] if store.engine.dialect.name == "postgresql" else ["BEGIN", "INSERT", "COMMIT"]
    assert sent == one * 2


def test_a_store_that_can_not_write_accepts_nothing_and_says_so(door: Inbox, store: Store, rung: list[str]) -> None:
    door.put(b"before")
    with refusing_to_write(store):
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                # What can't be packed.
                door.put(randbytes(100_000))
    assert bodies(store) == [b"before"]
    door.put(b"after")
    assert bodies(store) == [b"before", b"after"]
    assert len(rung) == 2


def test_a_store_that_does_not_answer_in_time_is_as_bad(
    door: Inbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "PATIENCE", 0.05)
    with store.write(), pytest.raises(StoreUnavailable, match="не ответила"):
        door.put(b"slow")


def test_a_closed_inbox_accepts_nothing(door: Inbox, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    door.put(b"in time")
    door.close()
    monkeypatch.setattr(inbox_module, "PATIENCE", 0.05)
    with pytest.raises(StoreUnavailable):
        door.put(b"too late")
    assert bodies(store) == [b"in time"]


def test_the_store_tells_its_own_trouble_from_our_mistakes(store: Store) -> None:
    with pytest.raises(StoreUnavailable) as told, store.write():
        raise OperationalError("INSERT", {}, Exception("disk I/O error"))
    assert "disk I/O error" in str(told.value)


def test_a_transaction_that_breaks_off_leaves_nothing(store: Store) -> None:
    def break_off() -> None:
        with store.write() as connection:
            connection.execute(inbox.insert(), {"account": 1, "received_at": 0.0, "body": b"half", "state": "new"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert bodies(store) == []


def test_what_a_silent_database_keeps_waiting_has_a_limit(
    door: Inbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MOST_WAITING_BYTES", 3 * (inbox_module.ITEM_BYTES + 1))
    told: list[tuple[bytes, bool]] = []

    def put(body: bytes) -> None:
        door.put_later(body, lambda result, error: told.append((body, error is None)))

    with store.write():
        for body in (b"1", b"2", b"3", b"4"):
            put(body)
        assert told == [(b"4", False)]
    wait_until(lambda: len(told) == 4 and not door._waiting_bytes, "the others are on disk")
    put(b"5")
    wait_until(lambda: (b"5", True) in told, "there is room again")
    assert bodies(store) == [b"1", b"2", b"3", b"5"]


def test_what_could_not_be_written_makes_room_too(door: Inbox, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MOST_WAITING_BYTES", inbox_module.ITEM_BYTES + 1)

    def broken(*told: object) -> None:
        raise OSError("no disk")

    with monkeypatch.context() as patched:
        patched.setattr(door, "_write", broken)
        with pytest.raises(OSError, match="no disk"):
            door.put(b"x")
    wait_until(lambda: not door._waiting_bytes, "it is done with")
    door.put(b"y")
    assert bodies(store) == [b"y"]
