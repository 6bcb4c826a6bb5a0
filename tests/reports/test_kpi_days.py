"""Days of KPI that are over: counted once, kept for good, counted anew when news of them comes; on both stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, event
from support.fakes import ACCOUNT

from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.sheet_writes import SheetWrites
from amo_bridge.events import TouchRecord
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.touches import add_touches, correct_touches
from amo_bridge.reports.kpi import Figures
from amo_bridge.reports.kpi_days import KpiDays, Way
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import touches

MOSCOW = Way(ZoneInfo("Europe/Moscow"), own_user_id=99, talk_seconds=30)
IVAN = 11
MONDAY = date(2026, 11, 30)


class Team:
    """Ivan calls clients; ``way`` and the hour of ``now`` may change. Days are numbers: 0 is MONDAY."""

    def __init__(self, store: Store) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.way = MOSCOW

    @property
    def kept(self) -> KpiDays:
        return KpiDays(self.store, self.way)

    def at(self, day: float) -> datetime:
        """By Moscow's clocks."""
        return self.way.midnight(MONDAY) + timedelta(days=day)

    def call(self, day: float, deal: int = 30, *, seconds: int = 60, corrects: bool = False) -> None:
        one = TouchRecord(
            key=f"call {day} {deal}", kind="call", direction="out", at=self.at(day), card=("deal", deal), user_id=IVAN,
            seconds=seconds, phone=f"+7916{deal:07}",
        )  # fmt: skip
        with self.store.write() as connection:
            (correct_touches if corrects else add_touches)(connection, ACCOUNT, [one])

    def sell(
        self, day: float, *, status: int = WON, number: int = 77, reason: str | None = None, deleted: bool = False
    ) -> None:
        when = self.at(day)
        record = DealRecord(
            id=number, responsible_user_id=IVAN, price=500, pipeline_id=1, status_id=status, updated_at=when,
            closed_at=when if status in (WON, LOST) else None, loss_reason=reason, is_deleted=deleted,
        )  # fmt: skip
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(record, when, ())], when)

    def written_anew(self) -> list[int]:
        """Days that a table has to be told, which it is."""
        writes = SheetWrites(self.store, "table")
        due = self.kept.not_in_sheet(writes, self.at(0), 50)
        writes.keep({day.isoformat(): edition for day, edition in due.items()})
        return [(day - MONDAY).days for day in due]

    def tick(self, now: float) -> int:
        """How often the job has run until all was counted."""
        rounds = 1
        while self.kept.keep_up(self.at(now)):
            rounds += 1
        return rounds

    def talks(self, *days: int, now: float = 500) -> list[int]:
        return [self.of(day, now=now).talks for day in days]

    def of(self, day: int, *, now: float = 500) -> Figures:
        return self.kept.figures([MONDAY + timedelta(days=day)], self.at(now))[MONDAY + timedelta(days=day)].get(
            IVAN, Figures()
        )

    def changed(self, *days: int) -> Sequence[int]:
        asked = [MONDAY + timedelta(days=day) for day in days]
        return [(day - MONDAY).days for day in self.kept.changed(asked)]

    def day(self, number: int) -> date:
        return MONDAY + timedelta(days=number)

    def forget(self) -> None:
        with self.store.write() as connection:
            connection.execute(delete(touches))


@pytest.fixture
def team(store: Store) -> Team:
    return Team(store)


def test_what_was_counted_stays_when_the_touches_are_forgotten(team: Team) -> None:
    team.call(0.5)
    team.call(1.5)
    team.tick(2.1)
    team.forget()
    assert team.talks(0, 1, 2) == [1, 1, 0]
    assert team.of(0).first_at == team.at(0.5)
    assert team.kept.known_from() == MONDAY


def test_before_anything_is_known_there_is_nothing_to_count(team: Team) -> None:
    assert team.tick(5) == 1
    assert team.kept.known_from() is None
    assert team.talks(0) == [0]


def test_the_day_that_goes_on_is_counted_whenever_it_is_asked_for(team: Team) -> None:
    team.call(0.4)
    team.tick(0.5)
    team.call(0.6, 31)
    assert team.talks(0, now=0.7) == [2]


@pytest.mark.parametrize("late_by", [0.5, 2.5, 9], ids=["the next day", "after three days", "much later"])
def test_a_touch_that_is_told_later_changes_its_day_and_is_said_to(team: Team, late_by: float) -> None:
    team.call(0.5)
    team.tick(1.1)
    assert team.changed(0) == []
    team.tick(1 + late_by)
    team.call(0.6, 31)
    assert team.talks(0) == [1], "not before the job has looked"
    team.tick(1.05 + late_by)
    assert team.talks(0) == [2]
    assert team.changed(0, 1) == [0]


def test_late_touches_are_seen_though_numbers_are_given_again(team: Team) -> None:
    team.call(0.5)
    team.tick(5)
    for deal in range(40, 50):
        team.call(1.5, deal)
    team.tick(5.1)
    with team.store.write() as connection:
        connection.execute(delete(touches).where(touches.c.entity_id >= 40))
    team.tick(5.2)
    team.call(0.6, 31)
    team.tick(5.3)
    assert team.talks(0) == [2]


@pytest.mark.parametrize("later", [1.1, 9], ids=["the next day", "much later"])
def test_a_touch_that_is_corrected_in_place_changes_its_day(team: Team, later: float) -> None:
    team.call(0.5, seconds=0)
    team.tick(later)
    team.call(0.5, seconds=60, corrects=True)
    team.tick(later + 0.05)
    assert (team.talks(0), team.changed(0, 1)) == ([1], [0])
    team.written_anew()
    team.call(0.5, seconds=60, corrects=True)
    team.tick(later + 0.1)
    assert not team.written_anew(), "what is told once more as it is known changes nothing"


def test_a_table_hears_of_a_sale_that_is_cancelled_later(team: Team) -> None:
    team.call(0.5)
    team.call(1.5)
    team.sell(0.6)
    team.sell(-9, number=78)
    team.tick(9)
    assert team.written_anew() == list(range(9))
    team.sell(0.6)
    assert team.written_anew() == [], "the same deal is read once more"
    team.sell(0.6, status=7)
    assert (team.of(0).sales, team.written_anew()) == (0, [0])
    team.sell(1.6)
    assert team.written_anew() == [1]
    team.sell(1.6, deleted=True)
    assert (team.of(1).sales, team.written_anew()) == (0, [1])
    with team.store.write() as connection:
        Mirror(team.store).forget(connection, 77)
    assert team.written_anew() == [1]


def test_a_lost_deal_counts_with_its_reason_until_it_is_opened_again(team: Team) -> None:
    team.call(0.5)
    for number, reason in ((81, "Дорого"), (82, "Дорого"), (83, None)):
        team.sell(0.6, status=LOST, number=number, reason=reason)
    team.tick(5)
    assert (team.of(0).lost, team.of(0).lost_by, team.of(0).sales) == (3, {"Дорого": 2, "без причины": 1}, 0)
    team.written_anew()
    team.sell(0.6, status=LOST, number=82, reason="Ушёл к другим")
    assert (team.of(0).lost_by["Ушёл к другим"], team.written_anew()) == (1, [0])
    team.sell(0.6, status=7, number=81)
    assert team.of(0).lost == 2


def test_who_is_new_is_settled_by_what_is_told_later_of_the_day_before(team: Team) -> None:
    team.call(0.9, 31)
    team.call(1.5)
    team.tick(2.1)
    assert team.of(1).contacts == 1
    team.call(0.5)
    team.tick(2.2)
    assert (team.of(0).contacts, team.of(1).contacts) == (2, 0)


def test_a_sale_is_as_the_deal_is_now(team: Team) -> None:
    team.call(0.5)
    team.sell(0.6)
    team.tick(5)
    assert (team.of(0).sales, team.of(0).amount) == (1, 500)
    team.sell(0.6, status=7)
    assert team.of(0).sales == 0


def test_another_way_of_counting_counts_anew_as_far_as_touches_reach(team: Team) -> None:
    team.call(0.5, seconds=40)
    team.tick(5)
    team.way = Way(MOSCOW.zone, 99, talk_seconds=60)
    assert team.talks(0, now=5) == [0], "the page does not wait for the job"
    team.tick(6)
    assert team.changed(0) == [], "that is no news of the day"
    team.forget()
    assert team.talks(0, now=6) == [0]
    team.way = MOSCOW
    assert team.talks(0, now=399) == [0], "its touches are going: it stays as it was counted"


def test_a_day_is_final_when_it_was_counted_and_its_touches_are_forgotten(team: Team) -> None:
    team.call(0.5)
    team.tick(5)
    told = [(day, now) for day in (-9, 0) for now in (5, 500) if team.kept.is_final(team.day(day), team.at(now))]
    assert told == [(0, 500)]


def test_a_day_begins_where_the_account_is(team: Team) -> None:
    team.call(0.98)
    team.way = Way(ZoneInfo("Asia/Vladivostok"), 99, 30)
    assert team.talks(0, 1) == [0, 1]


def test_much_is_counted_in_portions_the_newest_first(team: Team) -> None:
    team.call(0.5)
    assert team.tick(13) == 3
    team.forget()
    assert team.talks(0) == [1]


def test_a_month_that_was_counted_costs_a_few_statements_and_no_touch(team: Team) -> None:
    for day in range(20):
        team.call(day + 0.5)
    team.tick(21)
    told: list[str] = []

    def note(*args: Any) -> None:
        told.append(args[2])

    days = [MONDAY + timedelta(days=day) for day in range(20)]
    with team.store.read() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", note)
    found = team.kept.figures(days, team.at(21))
    event.remove(engine, "before_cursor_execute", note)
    assert sum(people[IVAN].talks for people in found.values()) == 20
    assert not [statement for statement in told if "FROM touches" in statement]
    assert len([statement for statement in told if statement.startswith("SELECT")]) <= 5


def test_now_is_aware() -> None:
    assert MOSCOW.midnight(MONDAY) == datetime(2026, 11, 29, 21, tzinfo=UTC)
    assert MOSCOW.today(datetime(2026, 11, 29, 21, tzinfo=UTC)) == MONDAY


@pytest.mark.parametrize(("zone", "seed"), [("Europe/Moscow", 0), ("Asia/Vladivostok", 1)])
def test_a_made_up_month_comes_to_what_was_made_up(store: Store, zone: str, seed: int) -> None:
    """Calls, sales and losses as they come, late, corrected, cancelled; the job runs now and then, each time as after a
    kill: the page and the table say what was made up."""
    team, dice = Team(store), Random(seed)
    team.way = Way(ZoneInfo(zone), 99, 30)
    talks, sales, lost = Counter[int](), Counter[int](), Counter[int]()
    table: dict[int, tuple[int, int, int]] = {}
    for today in range(30):
        for number in range(dice.randrange(4)):
            day = today if number < 2 else dice.randrange(today + 1)
            place, deal = day + dice.choice((0.001, 0.4, 0.999)), 100 * today + number
            is_talk = dice.random() < 0.5
            team.call(place, deal, seconds=60 if is_talk else 0)
            if not is_talk and dice.random() < 0.5:
                team.call(place, deal, seconds=60, corrects=True)
                is_talk = True
            talks[day] += is_talk
        for counter, status, number in ((sales, WON, 10_000 + today), (lost, LOST, 20_000 + today)):
            team.sell(today + 0.5, status=status, number=number, reason="Дорого")
            counter[today] += 1
            if dice.random() < 0.4:
                earlier = dice.randrange(today + 1)
                team.sell(earlier + 0.5, status=7, number=number - today + earlier)
                counter[earlier] = 0
        if dice.random() < 0.5:
            team.tick(today + 1)
            table |= {day: _told(team, day) for day in team.written_anew()}
    team.tick(31)
    table |= {day: _told(team, day) for day in team.written_anew()}
    made_up = {day: (talks[day], sales[day], lost[day]) for day in range(30)}
    assert {day: _told(team, day) for day in range(30)} == made_up
    assert {day: told for day, told in table.items() if day < 30} == made_up


def _told(team: Team, day: int) -> tuple[int, int, int]:
    figures = team.of(day, now=31)
    return figures.talks, figures.sales, figures.lost
