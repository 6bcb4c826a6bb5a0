"""A year of two hundred deals: what the clock promises comes once, and nothing else.

People move deals and change dates at random; the bridge is started again, its clock jumps back and forth. The year has
a 29 February, the zone changes its clocks, and an oracle that knows nothing of timers says what was promised.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, agency, clock, on_stage, record, rule_engine

from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.engine.scheduler import Scheduler
from amo_bridge.engine.timers import Timers, Timetable
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.registry import shipped
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events

BERLIN = ZoneInfo("Europe/Berlin")
BEGIN = datetime(2027, 12, 1, 9, 0, tzinfo=UTC)
END = datetime(2028, 12, 1, 9, 0, tzinfo=UTC)
DEALS = 200
BRIEF, OFFER, NEW = "Продажи / Получение брифа", "Продажи / Согласование КП", "Продажи / Новый клиент"
STAGES = (BRIEF, OFFER, NEW)
DECISION = "Дата принятия решения"
LADDER_DAYS = (3, 6, 10)
DATE_DAYS = (-5, 0, 3)

Fired = tuple[int, str, str, datetime]


def rule(name: str, **options: object) -> Rule:
    how = shipped("schedules")[name]
    return Rule(handler=how, block="one", options=how.options.model_validate(options), enabled=True)


RULES = (
    rule("stage_ladder", stages=[BRIEF], steps=[{"after": f"{days} d", "tags": ["x"]} for days in LADDER_DAYS]),
    rule(
        "date_ladder",
        dates=[DECISION],
        stages=[OFFER],
        steps=[{"name": str(days), "shift": f"{days:+} d" if days else "", "tags": ["x"]} for days in DATE_DAYS],
    ),
)


class Year:
    """The bridge's clockwork over a mirror, the people, and the oracle."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.hands = clock(BEGIN)
        self.mirror = Mirror(AccountStore(store, ACCOUNT))
        self.copies = {
            number: MirroredDeal(record(NEW, number, updated_at=BEGIN, created_at=BEGIN), BEGIN)
            for number in range(1, DEALS + 1)
        }
        self.promised: set[Fired] = set()
        self.starts()
        self._write(*self.copies.values())

    def starts(self) -> None:
        options = CalendarOptions(timezone="Europe/Berlin")
        viewer = replace_zone(rule_engine().viewer)
        self.table = Timetable(RULES, viewer, options.calendar(""), options, self.hands)
        self.clockwork = Scheduler(AccountStore(self.store, ACCOUNT), self.hands, clock())
        self.clockwork.begin(self.table)

    def lives(self) -> None:
        while self.hands.now() < END:
            self.hands.advance(timedelta(minutes=self.chance.randrange(60, 1200)))
            some = self.chance.sample(sorted(self.copies), 6)
            for number in some:
                self._something_happens(number)
            self._write(*(self.copies[number] for number in some))
            if self.chance.random() < 0.02:
                self.starts()
            if self.chance.random() < 0.02:
                self._the_clock_jumps()
            self.ticks()

    def ticks(self) -> None:
        self.clockwork.tick(self.ticks)
        self.promised |= {step for copy in self.copies.values() for step in promised(copy, self.hands.now())}

    def _something_happens(self, number: int) -> None:
        copy, now = self.copies[number], self.hands.now()
        fields = dict(copy.record.fields)
        stage = on_stage(self.chance.choice(STAGES)) if self.chance.random() < 0.5 else {}
        if self.chance.random() < 0.5:
            day = self.chance.choice([None, now.date() + timedelta(days=self.chance.randrange(-3, 30))])
            fields |= {agency().field(DECISION).id: (midnight(day),) if day else ()}
        changed = replace(copy.record, fields={key: told for key, told in fields.items() if told}, **stage)
        self.copies[number] = copy.became(changed, now)

    def _the_clock_jumps(self) -> None:
        """It is wrong for a moment, and put right."""
        wrong = timedelta(hours=self.chance.choice([-50, -3, -1]))
        self.hands.advance(wrong)
        self.clockwork.tick(lambda: None)
        self.hands.advance(-wrong)

    def _write(self, *copies: MirroredDeal) -> None:
        with self.store.write() as connection:
            self.mirror.put(connection, copies, self.hands.now())
            Timers(ACCOUNT).follow(connection, self.table, copies)

    def fired(self) -> list[Fired]:
        with self.store.read() as connection:
            told = [
                json.loads(row) for row in connection.execute(select(events.c.body).order_by(events.c.id)).scalars()
            ]
        return [(one["deal_id"], one["rule"], one["step"], datetime.fromisoformat(one["at"])) for one in told]


def replace_zone(viewer: object) -> object:
    """The same names in an account whose clocks are changed twice a year."""
    return type(viewer)(replace(agency(), timezone="Europe/Berlin"), "https://agency.amocrm.ru")  # type: ignore[call-arg]


def midnight(day: date) -> int:
    return int(datetime.combine(day, time(), BERLIN).timestamp())


# --- the oracle: the regulation in plain words -----------------------------------------------------------------------


def promised(copy: MirroredDeal, now: datetime) -> Iterator[Fired]:
    """What ought to have been done about the deal where it is, by now."""
    number, since = copy.record.id, copy.stage_since.astimezone(BERLIN)
    if copy.stage == tuple(on_stage(BRIEF).values()):
        for days in LADDER_DAYS:
            # The same time of day by the clock on the wall; an hour that the spring skips is the one after it.
            wall = datetime.combine(since.date() + timedelta(days=days), since.time().replace(tzinfo=None), BERLIN)
            if wall.astimezone(UTC) <= now:
                yield (number, "stage_ladder.one", f"{days} d", wall.astimezone(UTC))
    value = copy.record.fields.get(agency().field(DECISION).id)
    if value and copy.stage == tuple(on_stage(OFFER).values()):
        day = datetime.fromtimestamp(value[0], BERLIN).date()
        for days in DATE_DAYS:
            moment = datetime.combine(day + timedelta(days=days), time(), BERLIN).astimezone(UTC)
            if copy.stage_since <= moment <= now:
                yield (number, "date_ladder.one", str(days), moment)


# Some twenty seconds of work; machines that are busy with other things need more.
@pytest.mark.timeout(400)
def test_a_year_gives_what_was_promised_once_and_the_same_seed_the_same_year(tmp_path: Path) -> None:
    lived = []
    for name in ("first", "second"):
        store = Store.in_folder(tmp_path / name)
        store.prepare()
        year = Year(store, seed=29)
        year.lives()
        fired = year.fired()
        store.close()
        assert len(fired) == len(set(fired))
        assert set(fired) == year.promised
        lived.append(fired)
    assert lived[0] == lived[1]
    steps = {(rule, step) for _, rule, step, _ in lived[0]}
    assert len(steps) == len(LADDER_DAYS) + len(DATE_DAYS), "every step came at some time"
