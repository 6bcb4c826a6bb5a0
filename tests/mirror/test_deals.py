"""The mirror: what was known of deals, and what a hook can still tell beyond that."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from support.fakes import ACCOUNT, BRIEF, LOST, MEETING, NEW, NOON, agency, at, on_stage, record, user
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.crm.records import DealRecord
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.events import DealAdded, DealMoved, DealReported, DealUpdated, FieldValue, PipelineTriggerFired
from amo_bridge.mirror.deals import Mirror, MirroredDeal, follow_fields, open_deals_with
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import deals, open_deal_fields

DEADLINE = agency().field("Дата дедлайна").id


def told(of: DealRecord, kind: type[DealReported] = DealUpdated, **changed: Any) -> DealReported:
    """The full hook that amoCRM sends about a deal like this."""
    facts: dict[str, Any] = {
        "at": of.updated_at,
        "deal_id": of.id,
        "name": of.name,
        "pipeline_id": of.pipeline_id,
        "status_id": of.status_id,
        "responsible_user_id": of.responsible_user_id,
        "price": of.price or None,
        "tags": of.tags,
        "fields": tuple(
            FieldValue(field_id=number, values=tuple((str(value), None) for value in values))
            for number, values in of.fields.items()
        ),
    }
    return kind(**(facts | changed))


SEEN = record(BRIEF, tags=("vip",), price=500, fields={"Дата дедлайна": (1795464000,)})


@pytest.mark.parametrize(
    ("event", "covered"),
    [
        pytest.param(told(SEEN), True, id="the same again"),
        pytest.param(told(SEEN, DealMoved), True, id="the same by another hook"),
        pytest.param(told(SEEN, at=at(-1), status_id=1), True, id="an older one, whatever it says"),
        pytest.param(told(SEEN, at=at(1)), False, id="a newer one, even if it says the same"),
        pytest.param(told(SEEN, at=None), False, id="one without a time"),
        pytest.param(told(SEEN, status_id=agency().stage(NEW).status_id), False, id="same second, another stage"),
        pytest.param(told(SEEN, pipeline_id=1), False, id="same second, another pipeline"),
        pytest.param(told(SEEN, responsible_user_id=1), False, id="same second, another responsible"),
        pytest.param(told(SEEN, name="Лютик"), False, id="same second, another name"),
        pytest.param(told(SEEN, price=501), False, id="same second, another budget"),
        pytest.param(told(SEEN, price=None), True, id="a budget that is not told"),
        pytest.param(told(SEEN, tags=()), False, id="same second, a tag gone"),
        pytest.param(told(SEEN, tags=("vip", "new")), False, id="same second, a new tag"),
        pytest.param(told(SEEN, fields=()), False, id="same second, a field emptied"),
        pytest.param(
            told(SEEN, fields=(FieldValue(field_id=DEADLINE, values=(("1", None),)),)),
            False,
            id="same second, a field changed",
        ),
        pytest.param(
            DealMoved(at=NOON, deal_id=7, **on_stage(BRIEF)),
            True,
            id="same second, a hook that tells the stage only",
        ),
        pytest.param(PipelineTriggerFired(deal_id=7, trigger="status"), False, id="a trigger of the pipeline"),
        pytest.param(DealAdded(at=NOON, deal_id=7), True, id="same second, it was made"),
        pytest.param(
            DealUpdated(at=NOON, deal_id=7, **on_stage(BRIEF)), True, id="same second, an update of the stage"
        ),
        pytest.param(DealUpdated(at=NOON, deal_id=7), False, id="same second, something that is not told"),
    ],
)
def test_what_a_hook_can_still_tell(event: DealReported, covered: bool) -> None:
    assert MirroredDeal(SEEN, NOON).covers(event) is covered


def test_a_hook_about_what_was_just_read_needs_no_second_read(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    """The words of a hook and of a read differ (dates, ticks, numbers, choices, quotes), what they say does not."""
    deal = office.new_deal(
        "Иван Петров", 'ООО "Ромашка" & Ко', BRIEF, office.new_contact("Иван Петров", "Анна"), 90_000
    )
    bridge.settle(sandbox)
    values: dict[str, Callable[[], Any]] = {
        "Дата дедлайна": lambda: int(NOON.timestamp()),
        "Дата первой встречи": lambda: int(NOON.timestamp()),
        "Закрывающие документы получены": lambda: True,
        "Тип оплаты": lambda: "Предоплата",
        "Клиент (бренд)": lambda: "«Лапки» & 'Хвост' <b>",
        "Цели проекта": lambda: "первая строка\nвторая",
        "Ссылка на КП": lambda: "https://disk.example/?a=1&copy=2",
    }
    for name, value in values.items():
        sandbox.later()
        sandbox.forget_requests()
        office.fill("Иван Петров", deal, name, value())
        bridge.settle(sandbox)
        # The same hook once more, as if another setting had brought it.
        (*_, body) = sandbox.hook_bodies("update_lead")
        assert bridge.hook(body.replace(b"leads%5Bupdate%5D", b"leads%5Bresponsible%5D")).status_code == 204
        bridge.settle(sandbox)
        assert sandbox.requests().get("GET /api/v4/leads/{id}") == 1, name


def test_copies_come_back_as_they_were(store: Store) -> None:
    mirror = Mirror(AccountStore(store, ACCOUNT))
    copies = [MirroredDeal(replace(SEEN, id=number), at(number)) for number in range(1, 1201)]
    with store.write() as connection:
        mirror.put(connection, copies, NOON)
    assert mirror.count() == 1200
    found = mirror.get(range(1, 2000))
    assert [found[number] for number in range(1, 1201)] == copies
    assert Mirror(AccountStore(store, ACCOUNT + 1)).get([1]) == {}


def test_the_newest_copy_counts_and_a_forgotten_one_is_gone(store: Store) -> None:
    mirror = Mirror(AccountStore(store, ACCOUNT))
    newer = MirroredDeal(record(MEETING, seconds=5), at(5))
    with store.write() as connection:
        mirror.put(connection, [MirroredDeal(SEEN, NOON)], NOON)
        mirror.put(connection, [newer], NOON)
    assert mirror.get([7]) == {7: newer}
    with store.write() as connection:
        mirror.forget(connection, 7)
    assert mirror.get([7]) == {}


def test_what_the_bridge_wrote_itself_is_amended(store: Store) -> None:
    mirror = Mirror(AccountStore(store, ACCOUNT))
    with store.write() as connection:
        mirror.put(connection, [MirroredDeal(SEEN, at(-60))], NOON)
        mirror.amend(connection, 7, lambda old: replace(old, price=old.price + 1))
        mirror.amend(connection, 8, lambda old: replace(old, price=0))
    assert mirror.get([7, 8]) == {7: MirroredDeal(replace(SEEN, price=501), at(-60))}


def test_the_stage_s_age_is_kept_in_columns_that_can_be_asked(store: Store) -> None:
    with store.write() as connection:
        Mirror(AccountStore(store, ACCOUNT)).put(connection, [MirroredDeal(SEEN, at(-60))], NOON + timedelta(seconds=1))
    with store.read() as connection:
        row = connection.execute(select(deals)).one()
    assert (row.pipeline_id, row.status_id) == agency().stage(BRIEF).key
    assert (row.stage_since, row.updated_at, row.read_at) == tuple(at(s).timestamp() for s in (-60, 0, 1))
    assert json.loads(row.record)["responsible_user_id"] == user("Иван Петров")


def test_a_deal_that_is_taken_back_to_a_stage_it_has_left_stands_there_since_now() -> None:
    """Its steps by the clock must not count from when it came onto the stage before."""
    old, moment = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    copy = MirroredDeal(record(NEW), old)
    moved = copy.put_back(record(BRIEF), moment)
    assert (moved.stage_since, [stay.since for stay in moved.came_by]) == (moment, [old])
    back = moved.put_back(record(NEW), moment)
    assert (back.stage_since, back.came_by) == (old, ())


# Open deals by a field: kept as the mirror changes, made anew for a field that is asked for, in both stores.


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
        follow_fields(own, [FIELD])
    put(own, 8)
    put(own, 9, value="")
    put(own, 10, on=LOST)
    put(own, 11, field=OTHER)
    assert found(own) == [7, 8]
    assert kept(own) == ([(FIELD, 7), (FIELD, 8)] if is_followed else [])


@pytest.mark.parametrize("change", ["closed", "emptied", "amended", "forgotten"])
def test_it_is_none_of_them_any_more(own: AccountStore, change: str) -> None:
    follow_fields(own, [FIELD])
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
    follow_fields(own, [FIELD])
    put(own, 7, on=LOST)
    put(own, 7)
    assert found(own) == [7]


def test_another_field_takes_the_place_of_the_first(own: AccountStore) -> None:
    put(own, 7)
    put(own, 8, field=OTHER)
    follow_fields(own, [FIELD])
    follow_fields(own, [OTHER])
    assert kept(own) == [(OTHER, 8)]
    put(own, 9, field=OTHER)
    put(own, 10)
    assert (found(own), found(own, OTHER)) == ([7, 10], [8, 9])
    follow_fields(own, [])
    assert (kept(own), found(own, OTHER)) == ([], [8, 9])


def test_another_account_has_its_own(own: AccountStore) -> None:
    other = AccountStore(own.store, ACCOUNT + 1)
    follow_fields(own, [FIELD])
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
        follow_fields(first, [FIELD])
    with ThreadPoolExecutor() as pool:
        with first.write() as connection:
            process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            Mirror(first).put(connection, [MirroredDeal(made, NOON)], NOON)
            job = pool.submit(put, second, 7) if other == "puts it too" else pool.submit(follow_fields, second, [FIELD])
            wait_until(lambda: somebody_waits_for(stores[0], process), "the other one waits")
        job.result()
    assert (found(first), kept(first)) == ([7], [(FIELD, 7)])
    for store in stores:
        store.close()


@pytest.mark.parametrize("change", ["put", "amended", "forgotten"])
def test_the_deal_is_written_first(own: AccountStore, change: str) -> None:
    """What is followed is looked up while ``follow`` has to wait, not before."""
    put(own, 7)
    follow_fields(own, [FIELD])
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
