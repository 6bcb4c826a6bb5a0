"""Timers: planned with the mirror, fired once, planned anew when the rules change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy import event as sql_event
from support.fakes import (
    ACCOUNT,
    BRIEF,
    MEETING,
    NEW,
    NOON,
    ScriptedCrm,
    api_row,
    at,
    clock,
    nobody,
    on_stage,
    record,
    rule_engine_with,
    scheduled,
    timetable_of,
)
from support.timer_player import DAYS, Clockmaker, ladder, on

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine import scheduler
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.processor import EventProcessor
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.engine.timers import Timers
from amo_bridge.events import DealDeleted, DealMoved
from amo_bridge.mirror.deals import MirroredDeal
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Options, Step, Times
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import cursors, deals, events, journal, schedules, timers


@pytest.fixture
def maker(store: Store) -> Clockmaker:
    return Clockmaker(store)


# --- with the mirror -------------------------------------------------------------------------------------------------


def test_steps_are_planned_when_the_copy_is_written_and_go_with_the_stage(maker: Clockmaker) -> None:
    maker.sees(on(BRIEF), on(NEW, 8))
    assert maker.timers() == [(7, "1 d", "open"), (7, "3 d", "open")]
    maker.sees(on(BRIEF, name="Другое имя"))
    assert maker.timers() == [(7, "1 d", "open"), (7, "3 d", "open")]
    maker.sees(on(MEETING, since=60))
    assert maker.timers() == []


def test_what_has_fired_stays_and_never_comes_again(maker: Clockmaker) -> None:
    maker.sees(on(BRIEF))
    maker.hands.advance(timedelta(days=1))
    maker.ticks()
    assert maker.fired() == [(7, "1 d", NOON + timedelta(days=1))]
    maker.sees(on(MEETING, since=90_000))
    maker.sees(on(BRIEF))
    maker.ticks()
    assert maker.timers() == [(7, "1 d", "fired"), (7, "3 d", "open")]
    assert len(maker.fired()) == 1


def test_a_deal_that_is_deleted_has_no_steps(maker: Clockmaker) -> None:
    maker.sees(on(BRIEF), on(BRIEF, 8))
    maker.sees(on(BRIEF, is_deleted=True))
    with maker.store.write() as connection:
        Timers(ACCOUNT).forget(connection, [8])
    assert maker.timers() == []


def test_a_thousand_deals_are_planned_in_few_statements(maker: Clockmaker) -> None:
    statements: list[str] = []
    copies = [on(BRIEF, number) for number in range(1, 1001)]
    with maker.store.write() as connection:
        sql_event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
        Timers(ACCOUNT).follow(connection, maker.timetable, copies)
    assert len(maker.timers()) == 2000
    assert len([one for one in statements if one.startswith("SELECT")]) == 3
    # Inserts go in the driver's own portions.
    assert len(statements) <= 10


def broken(deal: Deal, options: Any, times: Times) -> Iterable[Step]:
    raise ZeroDivisionError


def test_a_rule_that_fails_keeps_what_it_had_and_the_others_go_on(maker: Clockmaker) -> None:
    maker.sees(on(BRIEF))
    maker.timetable = timetable_of(scheduled(broken), scheduled(ladder, "other"), hands=maker.hands)
    maker.clockwork.begin(maker.timetable)
    maker.ticks()
    assert maker.timers() == [(7, "1 d", "open"), (7, "1 d", "open"), (7, "3 d", "open"), (7, "3 d", "open")]


# --- firing ----------------------------------------------------------------------------------------------------------


def test_after_a_day_of_downtime_all_that_is_due_comes_once_and_in_order(maker: Clockmaker) -> None:
    maker.sees(on(BRIEF, 7, since=60), on(BRIEF, 8), on(BRIEF, 9, since=90_000))
    maker.hands.advance(timedelta(days=1, hours=1))
    maker.starts(scheduled(ladder))
    maker.ticks()
    maker.ticks()
    day = NOON + timedelta(days=1)
    assert maker.fired() == [(8, "1 d", day), (7, "1 d", day + timedelta(seconds=60))]


def test_more_than_a_portion_is_fired_too(maker: Clockmaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "BATCH_SIZE", 2)
    monkeypatch.setattr(scheduler, "BATCHES_PER_TICK", 2)
    maker.sees(*(on(BRIEF, number) for number in range(1, 8)))
    maker.hands.advance(timedelta(days=2))
    maker.ticks()
    assert [deal for deal, _, _ in maker.fired()] == [1, 2, 3, 4, 5, 6, 7]


def test_a_clock_that_is_turned_back_does_nothing_twice(maker: Clockmaker) -> None:
    maker.sees(on(BRIEF))
    for jump in (timedelta(days=1), timedelta(days=-2), timedelta(days=2), timedelta(days=10)):
        maker.hands.advance(jump)
        maker.ticks()
    assert [step for _, step, _ in maker.fired()] == ["1 d", "3 d"]


def test_an_idle_tick_asks_the_store_thrice_whatever_stands_there(maker: Clockmaker) -> None:
    """Is all planned, where the planning stands, is anything due: each by an index."""
    maker.sees(*(on(BRIEF, number) for number in range(1, 301)))
    maker.ticks()
    statements: list[str] = []
    sql_event.listen(maker.store.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    maker.ticks()
    asked = [one for one in statements if not one.startswith(("BEGIN", "COMMIT", "ROLLBACK"))]
    assert len(asked) <= 2
    assert not [one for one in asked if not one.startswith("SELECT")]


def test_what_is_due_is_found_by_the_partial_index(tmp_path: Path) -> None:
    store = Store.in_folder(tmp_path)
    store.prepare()
    maker = Clockmaker(store)
    maker.sees(on(BRIEF))
    maker.ticks()
    queries: list[tuple[str, Any]] = []
    sql_event.listen(store.engine, "before_cursor_execute", lambda *told: queries.append((told[2], told[3])))
    maker.ticks()
    (query, values) = next(one for one in queries if "FROM timers" in one[0])
    with store.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
    store.close()
    assert [row.detail for row in plan] == ["SEARCH timers USING INDEX timers_open (account=? AND due_at<?)"]


# --- the rules change ------------------------------------------------------------------------------------------------


class Days(Options):
    """The same ladder with its days in the options."""

    days: int = 1


def by_options(deal: Deal, options: Days, times: Times) -> Iterator[Step]:
    if deal.is_on([BRIEF]) and deal.stage_since and deal.stage_since >= times.since:
        due = deal.stage_since + timedelta(days=options.days)
        yield Step(name=f"{options.days} d", anchor="stay", due=due, since=deal.stage_since)


def ruled(days: int, name: str = "clock", **switches: Any) -> Any:
    return replace(scheduled(by_options, name, options=Days, **switches), options=Days(days=days))


def test_another_config_leaves_nothing_of_the_old_plan(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "REPLAN_BATCH_SIZE", 2)
    maker = Clockmaker(store, clock(), ruled(2))
    maker.sees(*(on(BRIEF, number) for number in range(1, 6)))
    maker.starts(ruled(5))
    maker.ticks()
    assert maker.timers() == [(number, "5 d", "open") for number in range(1, 6)]


def test_planning_anew_goes_on_where_it_stopped_and_nothing_of_the_old_plan_fires_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "REPLAN_BATCH_SIZE", 2)
    monkeypatch.setattr(scheduler, "REPLAN_BATCHES_PER_TICK", 1)
    maker = Clockmaker(store, clock(), ruled(2))
    maker.sees(*(on(BRIEF, number) for number in range(1, 6)))
    maker.ticks()
    maker.hands.advance(timedelta(days=3))
    for _ in range(2):
        maker.starts(ruled(5))
        maker.clockwork.tick(lambda: None)
    assert [step for _, step, _ in maker.timers()] == ["5 d"] * 4 + ["2 d"]
    maker.ticks()
    assert maker.fired() == []
    assert [step for _, step, _ in maker.timers()] == ["5 d"] * 5


@pytest.mark.parametrize("left", [(), (ruled(2, enabled=False),)], ids=["gone", "switched off"])
def test_a_rule_that_is_gone_or_off_has_no_open_steps(store: Store, left: tuple[Any, ...]) -> None:
    maker = Clockmaker(store, clock(), ruled(2), scheduled(ladder, "other"))
    maker.sees(on(BRIEF))
    maker.starts(scheduled(ladder, "other"), *left)
    maker.ticks()
    assert [step for _, step, _ in maker.timers()] == ["1 d", "3 d"]


def test_a_rule_begins_when_it_is_first_switched_on_and_never_again(store: Store) -> None:
    maker = Clockmaker(store, clock(), scheduled(ladder, "other"))
    maker.sees(on(BRIEF, 7))
    maker.hands.advance(timedelta(hours=1))
    maker.starts(ruled(2))
    maker.ticks()
    assert maker.timers() == [], "the deal was there before"
    maker.sees(on(BRIEF, 8, since=3600))
    maker.hands.advance(timedelta(days=1))
    maker.starts()
    maker.starts(ruled(2))
    maker.ticks()
    assert maker.timers() == [(8, "2 d", "open")], "that it was off for a while changes nothing"


def test_steps_are_planned_anew_when_the_program_or_the_calendar_is_another_one(
    maker: Clockmaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = maker.timetable.digests
    assert timetable_of(scheduled(ladder)).digests == before
    monkeypatch.setattr("amo_bridge.engine.timers.version", lambda name: "next")
    assert timetable_of(scheduled(ladder)).digests != before


# --- judged like every event -----------------------------------------------------------------------------------------


def test_a_step_is_judged_on_a_fresh_read_and_journaled(store: Store) -> None:
    maker = Clockmaker(store)
    maker.sees(on(BRIEF))
    maker.hands.advance(timedelta(days=1))
    maker.ticks()
    crm = ScriptedCrm(rows={"/api/v4/leads": [api_row(record(BRIEF))]})
    hands = clock(NOON + timedelta(days=1))
    planner = EventProcessor(
        AccountStore(store, ACCOUNT), crm, CurrentRules(rule_engine_with(scheduled(ladder))), hands, nobody(store, crm)
    )  # type: ignore[arg-type]
    assert planner.process() == 1
    assert crm.asked == [("GET", "/api/v4/leads/7")]
    came, decided = _journal(store)
    assert came == ("came", None, "наступил срок шага «1 день»", "")
    assert decided == ("acts", "clock.one", "наступил срок шага «1 день»", "")


def test_a_step_of_a_rule_that_is_off_by_now_is_done_by_nobody(store: Store) -> None:
    maker = Clockmaker(store)
    maker.sees(on(BRIEF))
    maker.hands.advance(timedelta(days=1))
    maker.ticks()
    crm = ScriptedCrm()
    planner = EventProcessor(
        AccountStore(store, ACCOUNT),
        crm,
        CurrentRules(rule_engine_with(scheduled(ladder, "other"))),
        clock(),
        nobody(store, crm),
    )  # type: ignore[arg-type]
    assert planner.process() == 1
    assert crm.asked == []
    assert _journal(store) == [("came", None, "наступил срок шага «1 день»", "ни одно правило этого не ждёт")]


def test_moving_and_deleting_plan_and_forget(store: Store) -> None:
    maker = Clockmaker(store)
    crm = ScriptedCrm(rows={"/api/v4/leads": [api_row(record(BRIEF))]})
    planner = EventProcessor(
        AccountStore(store, ACCOUNT),
        crm,
        CurrentRules(rule_engine_with(scheduled(ladder))),
        clock(),
        nobody(store, crm),
    )  # type: ignore[arg-type]
    _hears(store, DealMoved(at=NOON, deal_id=7, **on_stage(BRIEF)))
    planner.process()
    assert maker.timers() == [(7, "1 d", "open"), (7, "3 d", "open")]
    _hears(store, DealDeleted(at=at(5), deal_id=7))
    planner.process()
    assert maker.timers() == []


def _hears(store: Store, told: Any) -> None:
    with store.write() as connection:
        add_events(connection, ACCOUNT, [told], NOON.timestamp())


def _journal(store: Store) -> list[tuple[str, str | None, str, str]]:
    with store.read() as connection:
        rows = connection.execute(select(journal).order_by(journal.c.id)).all()
    return [(row.verdict, row.rule, row.what, row.reason) for row in rows]


# --- whatever happens ------------------------------------------------------------------------------------------------

HOURS = st.integers(min_value=-60, max_value=100)
DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("moves"), st.sampled_from([BRIEF, MEETING, NEW])),
        st.tuples(st.just("changes"), st.just("")),
        st.tuples(st.just("time passes"), HOURS),
        st.tuples(st.just("ticks"), st.just("")),
        st.tuples(st.just("starts again"), st.just("")),
    ),
    max_size=30,
)


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """For many examples; each finds it empty."""
    store = Store.in_folder(tmp_path_factory.mktemp("clock"))
    store.prepare()
    yield store
    store.close()


@settings(max_examples=100, deadline=None)
@given(doings=DOINGS)
def test_each_promised_step_comes_exactly_once(doings: list[tuple[str, Any]], one_store: Store) -> None:
    """Stage moves, restarts, clock jumps back and forth, in any order: what was due at a tick came, once."""
    with one_store.write() as connection:
        for table in (events, timers, schedules, cursors, deals):
            connection.execute(delete(table))
    maker = Clockmaker(one_store)
    now: DealRecord = record(NEW)
    copy = MirroredDeal(now, NOON)
    promised: set[tuple[int, str, datetime]] = set()
    for what, value in [*doings, ("ticks", "")]:
        if what == "moves":
            copy = copy.became(replace(copy.record, **on_stage(value)), maker.hands.now())
            maker.sees(copy)
        elif what == "changes":
            copy = copy.became(replace(copy.record, name=copy.record.name + "!"), maker.hands.now())
            maker.sees(copy)
        elif what == "time passes":
            maker.hands.advance(timedelta(hours=value))
        elif what == "starts again":
            maker.starts(scheduled(ladder))
        else:
            maker.ticks()
            promised |= _due(copy, maker.hands.now())
    fired = maker.fired()
    assert len(fired) == len(set(fired))
    assert set(fired) == promised


def _due(copy: MirroredDeal, now: datetime) -> set[tuple[int, str, datetime]]:
    """What the regulation promises of the deal where it is, by now; a rule begins at noon."""
    if copy.stage != tuple(on_stage(BRIEF).values()) or copy.stage_since < NOON:
        return set()
    steps = {(copy.record.id, f"{days} d", copy.stage_since + timedelta(days=days)) for days in DAYS}
    return {step for step in steps if step[2] <= now}
