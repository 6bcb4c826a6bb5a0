"""Open deals by a field: kept as the mirror changes, made anew for a field that is asked for, in both stores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import event, select, text
from support.fakes import ACCOUNT, BRIEF, LOST, NOON, record
from support.running_bridge import wait_until

from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.open_fields import follow, open_deals_with
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import open_deal_fields

FIELD, OTHER = 990, 991


@pytest.fixture
def own(store: Store) -> AccountStore:
    return AccountStore(store, ACCOUNT)


def put(own: AccountStore, deal_id: int, on: str = BRIEF, field: int = FIELD, value: str = "Ромашка") -> None:
    made = replace(record(on, deal_id), fields={field: (value,)} if value else {})
    with own.write() as connection:
        Mirror(own).put(connection, [MirroredDeal(made, NOON)], NOON)


def found(own: AccountStore, field: int = FIELD) -> list[int]:
    with own.read() as connection:
        return [number for number, _ in open_deals_with(connection, own, field)]


def kept(own: AccountStore) -> list[tuple[int, int]]:
    with own.read() as connection:
        rows = connection.execute(select(open_deal_fields).where(own.owns(open_deal_fields)))
        return sorted((row.field_id, row.deal_id) for row in rows)


@pytest.mark.parametrize("is_followed", [True, False])
def test_those_that_are_open_and_have_a_value(own: AccountStore, is_followed: bool) -> None:
    put(own, 7)
    if is_followed:
        follow(own, [FIELD])
    put(own, 8)
    put(own, 9, value="")
    put(own, 10, on=LOST)
    put(own, 11, field=OTHER)
    assert found(own) == [7, 8]
    assert kept(own) == ([(FIELD, 7), (FIELD, 8)] if is_followed else [])


@pytest.mark.parametrize("change", ["closed", "emptied", "amended", "forgotten"])
def test_it_is_none_of_them_any_more(own: AccountStore, change: str) -> None:
    follow(own, [FIELD])
    put(own, 7)
    with own.write() as connection:
        if change == "amended":
            Mirror(own).amend(connection, 7, lambda deal: replace(deal, fields={}))
        elif change == "forgotten":
            Mirror(own).forget(connection, 7)
    if change == "closed":
        put(own, 7, on=LOST)
    elif change == "emptied":
        put(own, 7, value="")
    assert (found(own), kept(own)) == ([], [])


def test_a_deal_that_is_opened_again_is_one_of_them(own: AccountStore) -> None:
    follow(own, [FIELD])
    put(own, 7, on=LOST)
    put(own, 7)
    assert found(own) == [7]


def test_another_field_takes_the_place_of_the_first(own: AccountStore) -> None:
    put(own, 7)
    put(own, 8, field=OTHER)
    follow(own, [FIELD])
    follow(own, [OTHER])
    assert kept(own) == [(OTHER, 8)]
    put(own, 9, field=OTHER)
    put(own, 10)
    assert (found(own), found(own, OTHER)) == ([7, 10], [8, 9])
    follow(own, [])
    assert (kept(own), found(own, OTHER)) == ([], [8, 9])


def test_another_account_has_its_own(own: AccountStore) -> None:
    other = AccountStore(own.store, ACCOUNT + 1)
    follow(own, [FIELD])
    put(other, 7)
    put(own, 8)
    assert (found(own), found(other), kept(own), kept(other)) == ([8], [7], [(FIELD, 8)], [])


def somebody_waits_for(store: Store, process: int) -> bool:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE :process = ANY(pg_blocking_pids(pid))")
    with store.read() as connection:
        return bool(connection.execute(query, {"process": process}).scalar_one())


@pytest.mark.parametrize("other", ["puts it too", "follows a field"])
def test_what_another_process_writes_meanwhile_is_kept(other: str, postgres_url: str) -> None:
    """Each is in its transaction when the other begins; only PostgreSQL lets them."""
    stores = [Store(postgres_url), Store(postgres_url)]
    stores[0].prepare()
    first, second = (AccountStore(store, ACCOUNT) for store in stores)
    made = replace(record(BRIEF, 7), fields={FIELD: ("Ромашка",)})
    if other == "puts it too":
        follow(first, [FIELD])
    with ThreadPoolExecutor() as pool:
        with first.write() as connection:
            process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            Mirror(first).put(connection, [MirroredDeal(made, NOON)], NOON)
            job = pool.submit(put, second, 7) if other == "puts it too" else pool.submit(follow, second, [FIELD])
            wait_until(lambda: somebody_waits_for(stores[0], process), "the other one waits")
        job.result()
    assert (found(first), kept(first)) == ([7], [(FIELD, 7)])
    for store in stores:
        store.close()


@pytest.mark.parametrize("change", ["put", "amended", "forgotten"])
def test_the_deal_is_written_first(own: AccountStore, change: str) -> None:
    """What is followed is looked up while ``follow`` has to wait, not before."""
    put(own, 7)
    follow(own, [FIELD])
    statements: list[str] = []
    with own.write() as connection:
        event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
        if change == "put":
            made = replace(record(BRIEF, 7), fields={FIELD: ("Лютик",)})
            Mirror(own).put(connection, [MirroredDeal(made, NOON)], NOON)
        elif change == "amended":
            Mirror(own).amend(connection, 7, lambda deal: replace(deal, fields={}))
        else:
            Mirror(own).forget(connection, 7)
    begins = ("INSERT INTO deals ", "UPDATE deals ", "DELETE FROM deals ")
    written = next(number for number, statement in enumerate(statements) if statement.startswith(begins))
    looked = max(number for number, statement in enumerate(statements) if "cursors.name LIKE" in statement)
    assert written < looked
