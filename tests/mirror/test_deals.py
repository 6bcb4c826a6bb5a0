"""The mirror: what was known of deals, and what a hook can still tell beyond that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, BRIEF, MEETING, NEW, NOON, agency, at, on_stage, record, user
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.crm.records import DealRecord
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.events import DealAdded, DealMoved, DealReported, DealUpdated, FieldValue, PipelineTriggerFired
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import deals

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
