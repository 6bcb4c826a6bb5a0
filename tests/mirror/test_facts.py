"""Facts about deals: kept once however often told, from the moment they are asked for; on both stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.fakes import ACCOUNT

from amo_bridge.crm.records import DealRecord
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.facts import OWNER, STAGE, Fact, FactLog, field_fact, record_stages
from amo_bridge.storage.database import AccountStore, Store

BEGAN = datetime(2026, 11, 2, 9, tzinfo=UTC)
DATE, BOX, OTHER = 71, 72, 73
DEAL = 7
OLD = DealRecord(
    id=DEAL, pipeline_id=1, status_id=10, responsible_user_id=11, created_at=BEGAN - timedelta(days=9),
    updated_at=BEGAN - timedelta(days=2), fields={DATE: (1_790_000_000,), OTHER: ("было",)},
)  # fmt: skip


class Office:
    def __init__(self, store: Store) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.mirror = Mirror(self.store)
        self.log = FactLog(self.store)

    def put(self, record: DealRecord, since: datetime, *, found: bool = False) -> None:
        """As the recorder does with what it has read."""
        before = self.mirror.get([record.id]).get(record.id)
        copy = before.became(record, since) if before else MirroredDeal(record, since)
        with self.store.write() as connection:
            self.mirror.put(connection, [copy], since, {record.id} if found else ())

    def begin(self, fields: list[int] | None, now: datetime = BEGAN) -> None:
        self.log.begin(fields, now, self.mirror.records())

    def told(self) -> list[tuple[str, str, str, str]]:
        return [(one.what, one.was, one.now, one.source) for one in self.log.of_deals([DEAL]).get(DEAL, [])]


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def later(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def changed(minutes: float, **more: Any) -> DealRecord:
    fields = {DATE: (1_790_000_000,), OTHER: ("было",)}
    return replace(OLD, updated_at=later(minutes), updated_by=11, **{"fields": fields, **more})


def test_nothing_is_kept_before_somebody_asks_for_it(office: Office) -> None:
    office.put(OLD, OLD.updated_at)
    office.put(changed(5, status_id=20), later(5))
    office.begin(None)
    office.put(changed(6, status_id=30), later(6))
    assert (office.told(), office.log.kept_since()) == ([], {})


def test_what_is_there_when_it_begins_is_known_and_then_every_change(office: Office) -> None:
    office.put(OLD, OLD.updated_at)
    office.begin([DATE, BOX])
    office.put(changed(5, status_id=20), later(5))
    office.put(changed(6, status_id=20, responsible_user_id=12), later(6))
    office.put(changed(7, status_id=20, responsible_user_id=12, fields={BOX: (True,), OTHER: ("стало",)}), later(7))
    box_off = changed(8, status_id=20, responsible_user_id=12, fields={BOX: (False,)})
    office.put(box_off, later(8), found=True)
    office.put(box_off, later(8))
    assert office.told() == [
        (field_fact(DATE), "", "1790000000", "known"),
        (STAGE, "1.10", "1.20", "hook"),
        (OWNER, "11", "12", "hook"),
        (field_fact(DATE), "1790000000", "", "hook"),
        (field_fact(BOX), "", "1", "hook"),
        (field_fact(BOX), "1", "", "found"),
    ]
    assert office.log.kept_since() == dict.fromkeys([STAGE, OWNER, field_fact(DATE), field_fact(BOX)], BEGAN)


@pytest.mark.parametrize(
    ("created", "wanted"),
    [
        pytest.param(
            later(3),
            [(OWNER, "", "11", "hook"), (STAGE, "", "1.10", "hook"), (field_fact(DATE), "", "1790000000", "hook")],
            id="новая",
        ),
        pytest.param(
            OLD.created_at, [(field_fact(DATE), "", "1790000000", "known")], id="давно есть, встречена сейчас"
        ),
    ],
)
def test_a_deal_met_later(office: Office, created: datetime, wanted: list[tuple[str, ...]]) -> None:
    office.begin([DATE])
    office.put(replace(OLD, created_at=created, updated_at=later(3)), later(3))
    assert sorted(office.told()) == sorted(wanted)


@pytest.mark.parametrize("created", [later(3), OLD.created_at])
def test_a_deal_that_is_restored_tells_only_what_changed_meanwhile(office: Office, created: datetime) -> None:
    office.put(replace(OLD, created_at=created), OLD.updated_at)
    office.begin([DATE, OTHER])
    office.put(changed(4, created_at=created, status_id=20), later(4))
    office.put(changed(5, created_at=created, status_id=20, responsible_user_id=12), later(5))
    before = office.told()
    for minutes in (6, 7):
        with office.store.write() as connection:
            office.mirror.forget(connection, DEAL)
        fields = {DATE: (1_790_000_000,), OTHER: ("было" if minutes == 6 else "стало",)}
        restored = changed(minutes, created_at=created, status_id=20, responsible_user_id=12, fields=fields)
        office.put(restored, later(minutes))
    assert office.told() == [*before, (field_fact(OTHER), "было", "стало", "hook")]


def test_no_copy_is_read_before_somebody_asks_for_facts(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    among = Mirror.among
    monkeypatch.setattr(Mirror, "among", lambda self, *told: read.append(told) or among(self, *told))
    for fields, wanted in ((None, 0), ([], 1)):
        office.begin(fields)
        with office.store.write() as connection:
            office.mirror.put(connection, [MirroredDeal(OLD, OLD.updated_at)], BEGAN)
        assert len(read) == wanted


def test_what_the_bridge_writes_itself_is_a_fact_when_it_was_written(office: Office) -> None:
    office.put(OLD, OLD.updated_at)
    office.begin([DATE])
    office.put(changed(5, status_id=20), later(5))
    with office.store.write() as connection:
        # A roll-back, and a field that a rule fills.
        office.mirror.amend_all(
            connection,
            [(DEAL, lambda record: replace(record, status_id=10, fields={DATE: (1_790_086_400,)}))],
            written_at={DEAL: later(5.5)},
        )
    (*_, first, second) = sorted(office.log.of_deals([DEAL])[DEAL], key=lambda one: (one.at, one.what))
    assert (first.what, first.was, first.now) == (field_fact(DATE), "1790000000", "1790086400")
    assert (second.what, second.was, second.now) == (STAGE, "1.20", "1.10")
    assert {(one.at, one.source, one.user_id) for one in (first, second)} == {(later(5.5), "bridge", None)}


def test_moves_within_one_read_are_all_kept_and_none_twice(office: Office) -> None:
    office.put(OLD, OLD.updated_at)
    office.begin([])
    moves = [(DEAL, (1, 20), later(5), 11), (DEAL, (1, 30), later(6), 11)]
    for _ in range(2):
        with office.store.write() as connection:
            record_stages(connection, ACCOUNT, moves)
        office.put(changed(6, status_id=30), later(6))
    assert [now for _, _, now, _ in office.told()] == ["1.20", "1.30"]


def test_a_field_that_is_watched_no_more_is_met_anew(office: Office) -> None:
    office.put(OLD, OLD.updated_at)
    office.begin([DATE])
    office.begin([BOX], later(5))
    assert field_fact(DATE) not in office.log.kept_since()
    office.put(changed(6, fields={DATE: (1_790_086_400,)}), later(6))
    office.begin([DATE, BOX], later(7))
    assert office.told() == [(field_fact(DATE), "", "1790086400", "known")]
    assert office.log.kept_since()[field_fact(DATE)] == later(7)
    assert office.log.kept_since()[STAGE] == BEGAN


def test_deals_are_found_by_when_it_was_and_by_the_day_that_a_field_says(office: Office) -> None:
    office.put(OLD, OLD.updated_at)
    office.begin([DATE])
    office.put(changed(5, status_id=20), later(5))
    span = (later(4), later(6))
    day = datetime.fromtimestamp(1_790_000_000, UTC)
    assert office.log.deals_with([STAGE], *span) == {DEAL}
    assert office.log.deals_with([STAGE], *span, values=["1.30"]) == set()
    assert office.log.deals_with([STAGE], later(5.1), later(6)) == set()
    assert office.log.deals_with([field_fact(DATE)], day, day + timedelta(seconds=1), by_value=True) == {DEAL}
    assert office.log.deals_with([field_fact(DATE)], day + timedelta(seconds=1), later(9), by_value=True) == set()


def test_what_amocrm_tells_takes_the_place_of_what_was_kept(office: Office) -> None:
    office.put(OLD, OLD.updated_at)
    office.begin([DATE])
    # The bridge was down: it found the change late.
    office.put(changed(300, fields={DATE: (1_790_086_400,)}), later(300), found=True)
    since = BEGAN - timedelta(days=1)
    told = [
        Fact(DEAL, STAGE, "1.5", "1.10", BEGAN - timedelta(hours=3), 12, "list"),
        Fact(DEAL, field_fact(DATE), "1790000000", "1790086400", later(20), 12, "list"),
    ]
    for _ in range(2):
        assert office.log.replace(since, later(400), told, [STAGE, OWNER, field_fact(DATE)]) == 2
        assert office.told() == [
            (STAGE, "1.5", "1.10", "list"),
            (field_fact(DATE), "", "1790000000", "known"),
            (field_fact(DATE), "1790000000", "1790086400", "list"),
        ]
        assert set(office.log.kept_since().values()) == {since}


@pytest.mark.parametrize(("value", "left"), [(1_790_086_400, False), (1_790_172_800, True)])
def test_what_was_found_after_the_days_that_amocrm_tells_of(office: Office, value: int, left: bool) -> None:
    office.put(OLD, OLD.updated_at)
    office.begin([DATE])
    office.put(changed(300, fields={DATE: (value,)}), later(300), found=True)
    told = [Fact(DEAL, field_fact(DATE), "1790000000", "1790086400", later(20), 12, "list")]
    office.log.replace(BEGAN - timedelta(days=1), later(100), told, [field_fact(DATE)])
    assert ("found" in {source for *_, source in office.told()}) == left
    assert office.told()[1] == (field_fact(DATE), "1790000000", "1790086400", "list")
