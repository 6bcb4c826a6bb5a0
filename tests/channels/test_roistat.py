"""Roistat: states and sums of deals that came from a visit, once each, whatever happens to the answers."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from support.fakes import ACCOUNT, BRIEF, LOST, NOON, agency, clock, record, rule_engine

from amo_bridge.channels.roistat import (
    MOST_CALLS,
    ChannelCosts,
    Orders,
    Roistat,
    RoistatCostsJob,
    RoistatJob,
    changed_deals,
    channel_of,
    export,
    states_of,
)
from amo_bridge.channels.sender import ChannelWorkers
from amo_bridge.config.account_fit import fit
from amo_bridge.config.advertising import RoistatSection
from amo_bridge.crm.account import Field
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelDown, LeadLost, StoreUnavailable
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.option_types import CustomFieldName
from amo_bridge.standins.roistat import RoistatStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

VISIT = agency().field("roistat").name


class Office:
    def __init__(self, store: Store, stand_ins: StandIns) -> None:
        self.store = AccountStore(store, ACCOUNT)
        made = stand_ins["roistat"]
        assert isinstance(made, RoistatStandIn)
        self.roistat, self.faults, self.hands, self.dry_run = made, stand_ins.faults, clock(), False
        self.section = RoistatSection(api=f"{stand_ins.url}/roistat/api/v1", project=12345)
        self.waits: list[float] = []
        roistat = Roistat(
            self.section,
            made.key,
            monotonic=lambda: self.hands.now().timestamp(),
            wait=lambda seconds: self.wait(seconds),
        )
        self.job = RoistatJob(roistat, self.store, self.rule_engine, self.hands)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.hands.advance(timedelta(seconds=seconds))

    def rule_engine(self) -> RuleEngine:
        engine = rule_engine()
        bridge = engine.config.bridge.model_copy(update={"dry_run": self.dry_run, "tell": "Иван Петров"})
        channels = replace(engine.config.channels, roistat=self.section)
        return replace(engine, config=replace(engine.config, channels=channels, bridge=bridge))

    def deal(self, deal_id: int, visit: str = "100500", on: str = BRIEF, **changed: Any) -> None:
        fields = {VISIT: (visit,)} if visit else {}
        made = record(on, deal_id, (self.hands.now() - NOON).total_seconds(), fields=fields, **changed)
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(made, made.updated_at)], self.hands.now())

    def round(self, **time: float) -> int:
        self.hands.advance(timedelta(**(time or {"minutes": 1})))
        return self.job.run()

    def told(self) -> list[str]:
        """The tasks that were set for a person."""
        with self.store.read() as connection:
            payloads = connection.execute(select(outbox.c.payload).where(outbox.c.kind == "create_task")).scalars()
            return [json.loads(payload)["body"]["text"] for payload in payloads]

    def pushes(self, path: str = "add-orders") -> int:
        return sum(call.path.endswith(path) for call in self.roistat.requests)


@pytest.fixture
def office(store: Store) -> Iterator[Office]:
    stand_ins = StandIns(["roistat"], live=False)
    with serving(stand_ins):
        yield Office(store, stand_ins)


def test_a_deal_with_a_visit_goes_out_with_its_state_and_sum(office: Office) -> None:
    office.deal(7, price=50000, main_contact_id=55)
    office.deal(8, visit="")
    assert office.round() == 1
    (order,) = office.roistat.orders.values()
    stage = agency().stage(BRIEF)
    assert {name: order[name] for name in ("id", "status", "price", "roistat", "client_id")} == {
        "id": "7", "status": f"{stage.pipeline_id}-{stage.status_id}", "price": "50000", "roistat": "100500",
        "client_id": "55",
    }  # fmt: skip
    assert order["fields"] == {"Менеджер": "Иван Петров"}
    assert office.roistat.states[f"{stage.pipeline_id}-143"] == "canceled"
    assert (office.round(), office.pushes(), office.pushes("set-statuses")) == (0, 1, 1)


def test_a_changed_deal_changes_its_order(office: Office) -> None:
    office.deal(7, price=1)
    office.round()
    office.hands.advance(timedelta(minutes=1))
    office.deal(7, on=LOST, price=2)
    assert office.round() == 1
    (order,) = office.roistat.orders.values()
    assert (order["price"], order["status"].endswith("-143")) == ("2", True)


def test_hundreds_go_out_together_and_none_of_one_moment_is_left_behind(office: Office) -> None:
    for number in range(230):
        office.deal(100 + number)
    assert office.round() == 230
    assert (len(office.roistat.orders), office.pushes()) == (230, 3)


@pytest.mark.parametrize("kind", ["lost_answer", "refuse_before", "broken", "limited", "unauthorised"])
@pytest.mark.parametrize("path", ["*set-statuses", "*add-orders"])
def test_whatever_happens_each_goes_out(office: Office, kind: str, path: str) -> None:
    office.faults.add(kind, vendor="roistat", path=path)
    office.deal(7)
    office.deal(8)
    office.round()
    for _ in range(3):
        office.round(minutes=2)
    assert sorted(office.roistat.orders) == ["7", "8"]


def test_one_that_is_refused_does_not_hold_up_the_others(office: Office) -> None:
    office.round()
    office.deal(7)
    office.deal(8, on=LOST)
    office.roistat.states = {key: kind for key, kind in office.roistat.states.items() if kind != "canceled"}
    assert office.round() == 1
    assert list(office.roistat.orders) == ["7"]
    (entry,) = Journal(office.store).of_deal(8)
    assert "не принято: Roistat: incorrect_request" in entry.reason


def refused_states(office: Office) -> None:
    """Roistat does not know the state of a lost deal."""
    office.round()
    office.roistat.states = {key: kind for key, kind in office.roistat.states.items() if kind != "canceled"}


def test_a_refused_batch_is_halved_and_requests_keep_their_distance(office: Office) -> None:
    refused_states(office)
    for number in range(100):
        office.deal(100 + number, on=LOST if number == 42 else BRIEF)
    assert office.round() == 99
    assert office.pushes() < 20
    assert office.waits
    assert sum(office.waits) == pytest.approx(0.25 * (office.pushes() - 1))


def test_what_went_out_before_an_error_does_not_go_out_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    refused_states(office)
    for number in range(100):
        office.deal(100 + number, on=LOST if number == 99 else BRIEF)

    # The batch is refused, its first half goes out, then Roistat is busy.
    def busy_after_the_first(seconds: float) -> None:
        if office.roistat.orders:
            office.faults.add("limited", vendor="roistat", path="*add-orders")

    monkeypatch.setattr(office, "wait", busy_after_the_first)
    office.round()
    monkeypatch.undo()
    office.faults.clear()
    first = set(office.roistat.orders)
    assert 0 < len(first) < 99
    office.roistat.orders.clear()
    office.round(minutes=5)
    assert len(office.roistat.orders) == 99 - len(first)
    assert not first & set(office.roistat.orders)


def test_a_round_has_an_end_and_the_next_one_goes_on(office: Office) -> None:
    refused_states(office)
    for number in range(100):
        office.deal(100 + number, on=LOST)
    office.round()
    assert office.pushes() == MOST_CALLS
    for _ in range(5):
        office.round()
    assert all(Journal(office.store).of_deal(100 + number) for number in range(100))
    assert office.pushes() < 250


def test_it_runs_once_a_minute_in_its_thread(office: Office) -> None:
    office.deal(7)
    office.hands.advance(timedelta(minutes=1))
    assert [office.job.send(), office.job.send()] == [1, 0]
    office.deal(8)
    office.hands.advance(timedelta(minutes=1))
    assert office.job.send() == 1


def test_it_does_not_hold_up_the_worker(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr(office.job, "run", lambda: threads.put(threading.current_thread().name) or 0)
    workers = ChannelWorkers([], [office.job])
    workers.start()
    try:
        assert threads.get(timeout=30) == "channel roistat"
        assert workers.send_near() == 0
    finally:
        workers.stop()


def test_a_dry_run_sends_nothing(office: Office) -> None:
    office.dry_run = True
    office.deal(7)
    assert (office.round(), office.roistat.requests) == (0, [])


@pytest.mark.parametrize("option", ["visit_field", "cost_field"])
def test_a_field_that_is_gone_is_told_once_and_stops_nothing_else(office: Office, option: str) -> None:
    whole = office.section
    office.section = whole.model_copy(update={option: "Удалённое поле"})
    office.deal(7)
    for _ in range(3):
        assert office.round(minutes=10) == 0
    (told,) = office.told()
    assert "«Удалённое поле» нет в аккаунте" in told
    assert f"{option}" in told
    office.section = whole
    assert office.round(hours=2) == 1


@pytest.mark.parametrize("error", [LeadLost(), StoreUnavailable("нет базы")])
def test_what_concerns_the_whole_account_is_not_kept_from_the_worker(
    office: Office, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(office.job, "_send_states", fail)
    with pytest.raises(type(error)):
        office.round()


def test_check_names_a_field_that_is_gone() -> None:
    engine = rule_engine()
    channels = replace(engine.config.channels, roistat=RoistatSection(project=1))
    account = agency()
    gone = replace(account, all_fields=tuple(one for one in account.all_fields if one.name != VISIT))
    (told,) = fit(replace(engine.config, rules=(), channels=channels), gone).lines("lost")
    assert "visit_field" in told
    assert "«roistat» нет в аккаунте" in told


def test_check_says_whether_the_key_is_right(office: Office) -> None:
    assert Roistat(office.section, office.roistat.key).check() == "Roistat пускает в проект 12345"
    with pytest.raises(ChannelDown, match="AMO_BRIDGE_ROISTAT_KEY"):
        Roistat(office.section, "wrong").check()


def test_what_roistat_asks_for_itself_is_the_same(office: Office) -> None:
    office.deal(7, price=3)
    told = export(office.store, agency(), office.section, NOON - timedelta(days=1), 100, 0)
    assert [(one["id"], one["price"]) for one in told["orders"]] == [("7", "3")]
    assert len(told["statuses"]) == len(states_of(agency()))
    assert export(office.store, agency(), office.section, NOON + timedelta(days=1), 100, 0)["orders"] == []


def test_what_has_changed_is_found_by_its_index(office: Office) -> None:
    dialect = office.store.store.engine.dialect
    query = str(
        changed_deals(office.store, 1.0, 2, 3.0).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    )
    is_sqlite = dialect.name == "sqlite"
    with office.store.read() as connection:
        if not is_sqlite:
            # An empty table is read whole otherwise.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = connection.execute(text(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{query}"))
        plan = " ".join(str(row) for row in rows)
    assert "deals_read" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


# --- what a client cost -----------------------------------------------------------------------------------------------

COST = Field(id=4711, name="Стоимость привлечения", code=None, type="numeric", enums=(), entity="leads")
MORNING = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
"""Eight o'clock in Moscow."""
YESTERDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Costs:
    """The office on the morning after, with a field for what a client cost."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.tag: tuple[str, ...] = ()
        office.section = office.section.model_copy(update={"attraction_field": CustomFieldName(COST.name)})
        self.account = replace(agency(), all_fields=(*agency().all_fields, COST))
        roistat = Roistat(
            office.section, office.roistat.key, monotonic=lambda: office.hands.now().timestamp(), wait=office.wait
        )
        self.job = RoistatCostsJob(roistat, office.store, self.rule_engine, office.hands)
        office.hands.advance(MORNING - office.hands.now())

    def rule_engine(self) -> RuleEngine:
        return RuleEngine.of(self.office.rule_engine().config, self.account, self.office.hands)

    def deal(self, deal_id: int, visit: str, marker: str, *, made: datetime = YESTERDAY, cost: str = "") -> None:
        """A deal that Roistat knows as an order of a visit."""
        values = {agency().field("roistat").id: (visit,)} | ({COST.id: (cost,)} if cost else {})
        known = replace(record(BRIEF, deal_id), created_at=made, fields=values, tags=self.tag)
        with self.office.store.write() as connection:
            Mirror(self.office.store).put(connection, [MirroredDeal(known, known.updated_at)], self.office.hands.now())
        order = Orders(self.account, self.office.section).of(known)
        assert order is not None
        self.office.roistat.orders[str(deal_id)] = order
        if marker:
            self.office.roistat.sources[visit] = marker

    def spent(self, day: str = "2026-11-23", **channels: float) -> None:
        self.office.roistat.costs[day] = channels

    def written(self) -> dict[int, Any]:
        """Deal → what was last put into its field."""
        with self.office.store.read() as connection:
            rows = connection.execute(select(outbox.c.deal_id, outbox.c.payload).order_by(outbox.c.id)).all()
        bodies = {deal: json.loads(payload)["body"].get("custom_fields_values") for deal, payload in rows}
        return {deal: values[0]["values"][0]["value"] for deal, values in bodies.items() if values}

    def sent(self) -> None:
        """All that waits is in amoCRM now."""
        with self.office.store.write() as connection:
            connection.execute(update(outbox).values(state="done", error=None))

    def mornings(self, days: int = 1) -> int:
        self.office.hands.advance(timedelta(days=days))
        return self.job.send()


@pytest.fixture
def costs(office: Office) -> Costs:
    return Costs(office)


def test_a_clients_cost_is_the_channels_expense_divided_by_its_leads(costs: Costs) -> None:
    costs.spent(direct1=1000, vk2=50)
    for number in (7, 8, 9):
        costs.deal(number, f"10{number}", "direct1_search_8731")
    costs.deal(10, "110", "vk2")
    costs.deal(11, "111", "seo")
    costs.deal(12, "112", "")
    assert costs.job.send() == 4
    assert costs.written() == {7: 333.33, 8: 333.33, 9: 333.33, 10: 50}
    assert "стоимость привлечения" in Journal(costs.office.store).of_deal(7)[0].reason
    assert costs.job.send() == 0, "once a morning"


@pytest.mark.parametrize(
    ("marker", "channels", "wanted"),
    [
        ("direct1_a_b", ("direct1", "direct"), "direct1"),
        ("direct10_a", ("direct1",), None),
        ("direct1", ("direct1",), "direct1"),
        ("", ("direct1",), None),
        ("direct1:brand", ("direct1",), "direct1"),
    ],
)
def test_a_channel_is_told_by_the_beginning_of_the_marker(marker: str, channels: Any, wanted: str | None) -> None:
    known = {name: ChannelCosts(name, 1, 1) for name in channels}
    found = channel_of(marker, known)
    assert (found and found.title) == wanted


def test_late_expenses_put_the_figure_right_and_the_same_ones_change_nothing(costs: Costs) -> None:
    costs.spent(direct1=100)
    costs.deal(7, "107", "direct1")
    assert costs.job.send() == 1
    costs.sent()
    costs.deal(7, "107", "direct1", cost="100")
    assert costs.mornings() == 0
    costs.spent(direct1=250)
    assert costs.mornings() == 1
    assert costs.written() == {7: 250}
    costs.sent()
    costs.deal(7, "107", "direct1", cost="250")
    costs.spent(direct1=900)
    assert costs.mornings() == 0, "the day is over three days ago"


def test_what_a_person_has_written_stays_and_an_opted_out_deal_is_left_alone(costs: Costs) -> None:
    costs.spent(direct1=100)
    costs.deal(7, "107", "direct1", cost="5")
    costs.tag = ("без робота",)
    costs.deal(8, "108", "direct1")
    assert (costs.job.send(), costs.written()) == (0, {})


def test_a_figure_that_a_person_has_put_right_stays(costs: Costs) -> None:
    costs.spent(direct1=100)
    costs.deal(7, "107", "direct1")
    assert costs.job.send() == 1
    costs.sent()
    costs.deal(7, "107", "direct1", cost="500")
    costs.spent(direct1=250)
    assert costs.mornings() == 0


def test_a_channel_without_the_metrics_and_an_empty_day_hold_nobody_up(
    costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs.spent(direct1=100, odd=5)
    costs.deal(7, "107", "direct1")
    whole = costs.office.roistat._item

    def without_metrics(channel: str, *more: Any) -> dict[str, Any]:
        return whole(channel, *more) | ({"metrics": []} if channel == "odd" else {})

    monkeypatch.setattr(costs.office.roistat, "_item", without_metrics)
    assert costs.job.send() == 1


@pytest.mark.parametrize("spent", [0, -5])
def test_a_channel_that_cost_nothing_gives_no_figure(costs: Costs, spent: float) -> None:
    costs.spent(direct1=spent)
    costs.deal(7, "107", "direct1")
    assert (costs.job.send(), costs.written()) == (0, {})


def test_before_six_and_in_a_dry_run_nothing_is_asked(costs: Costs) -> None:
    costs.office.hands.advance(timedelta(hours=-4))
    assert costs.job.send() == 0
    costs.office.hands.advance(timedelta(hours=5))
    costs.office.dry_run = True
    assert costs.job.send() == 0
    assert costs.office.roistat.requests == []


def test_hundreds_of_orders_are_read_at_roistats_pace(costs: Costs) -> None:
    costs.spent(direct1=230)
    for number in range(230):
        costs.deal(100 + number, str(5000 + number), "direct1")
    assert costs.job.send() == 230
    assert set(costs.written().values()) == {1}
    assert costs.office.pushes("order/list") == 3
    assert [seconds for seconds in costs.office.waits if seconds > 1] == [pytest.approx(6.0)] * 2


@pytest.mark.parametrize("kind", ["lost_answer", "refuse_before", "broken", "limited", "unauthorised"])
@pytest.mark.parametrize("path", ["*order/list", "*analytics/data"])
def test_an_error_is_tried_again_and_writes_each_once(costs: Costs, kind: str, path: str) -> None:
    costs.office.faults.add(kind, vendor="roistat", path=path)
    costs.spent(direct1=10)
    costs.deal(7, "107", "direct1")
    assert costs.job.send() == 0
    assert costs.job.is_put_off
    costs.office.hands.advance(timedelta(minutes=10))
    assert costs.job.send() == 1
    with costs.office.store.read() as connection:
        rows = connection.execute(select(outbox.c.rule)).scalars().all()
    assert rows.count("roistat_costs") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [({"cost_metric": "нет такой"}, "в ответе нет метрик"), ({"attraction_field": "Нет"}, "attraction_field")],
)
def test_what_cannot_be_read_is_told_to_a_person(costs: Costs, change: dict[str, Any], words: str) -> None:
    costs.office.section = costs.office.section.model_copy(update=change)
    costs.spent(direct1=10)
    costs.deal(7, "107", "direct1")
    for _ in range(2):
        assert costs.job.send() == 0
        costs.office.hands.advance(timedelta(minutes=1))
    (told,) = costs.office.told()
    assert words in told


def test_the_field_that_goes_out_cannot_be_the_one_that_comes_back() -> None:
    with pytest.raises(ValueError, match="одно поле"):
        RoistatSection(project=1, cost_field=CustomFieldName("Расход"), attraction_field=CustomFieldName("расход"))
