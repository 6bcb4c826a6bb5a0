"""Coming to work in time: by what is done in amoCRM or a confirmation; whoever does neither is reminded and told of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from support.daily_office import HEAD, IVAN, MARIA, NUMBERS, Agency
from support.fakes import user

from amo_bridge.channels.presses import ButtonJob
from amo_bridge.channels.shift_starts import ShiftStartButtons
from amo_bridge.config.model import KpiSection, ShiftStartSection
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.engine.shift_starts import ShiftStart, ShiftStartJob, ShiftStarts
from amo_bridge.reports.kpi_days import KpiDays, way_of
from amo_bridge.rules.option_types import UserName
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import Store

TEN = datetime(2026, 11, 24, 7, tzinfo=UTC)
"""Tuesday, ten in Moscow."""
TUESDAY = date(2026, 11, 24)


class Morning(Agency):
    """Shifts begin at ten; ``shift``: ``[shift_start]``."""

    def __init__(self, store: Store, stand_ins: StandIns | None = None, **shift: Any) -> None:
        self.shift = {"people": [UserName(IVAN)], "escalate_to": HEAD, **shift}
        self.measured: dict[str, Any] = {"shift": "10:00"}
        super().__init__(store, stand_ins)
        rules: Any = CurrentRules(self.rule_engine())
        rules.get = self.rule_engine
        self.shifts = ShiftStartJob(self.store, rules, self.clock, self.clock)
        subject = ShiftStartButtons(self.bots, self.store, self.rule_engine, self.clock, self.clock)
        self.buttons = ButtonJob([subject], self.bots, self.store, self.rule_engine, self.clock)

    def rule_engine(self) -> RuleEngine:
        engine = super().rule_engine()
        config = replace(
            engine.config,
            kpi=KpiSection.model_validate(self.measured),
            shift_start=ShiftStartSection.model_validate(self.shift),
            daily_report=None,
        )
        return replace(engine, config=config)

    def at(self, moment: datetime) -> None:
        self.clock.move_to(moment)
        self.shifts.run()
        if self.stand_ins is not None:
            self.buttons.send()

    def until(self, minutes: int) -> None:
        """Every five minutes from half an hour before ten."""
        for number in range(-30, minutes + 1, 5):
            self.at(TEN + timedelta(minutes=number))

    @property
    def start(self) -> ShiftStart:
        (one,) = ShiftStarts(self.store, self.clock).between(TUESDAY, TUESDAY)
        return one

    def first_at(self) -> datetime | None:
        days = KpiDays(self.store, way_of(self.rule_engine())).figures([TUESDAY], self.clock.now())
        return days[TUESDAY][user(IVAN)].first_at


@pytest.fixture
def morning(store: Store) -> Morning:
    return Morning(store)


@pytest.fixture
def asked(store: Store) -> Iterator[Morning]:
    stand_ins = StandIns(["telegram", "max"], live=False)
    with serving(stand_ins):
        yield Morning(store, stand_ins)


def test_whoever_does_not_begin_is_reminded_then_told_of_once(morning: Morning) -> None:
    morning.shift["violation"] = {"clause": "S9", "penalty": 500}
    morning.until(90)
    (remind, escalate) = morning.notices
    assert remind == (user(IVAN), "Смена началась, а вас ещё не видно. Подтвердите до 10:30: потом узнает руководитель")
    assert escalate == (user(HEAD), f"{IVAN}: смена в 10:00 не начата, ни действий в amoCRM, ни подтверждения")
    assert [(kind, body.get("penalty")) for kind, body in morning.put][-1] == ("record_violation", 500)


@pytest.mark.parametrize("minutes", [-20, 5], ids=["before the shift", "after"])
def test_whoever_works_in_amocrm_has_begun(morning: Morning, minutes: int) -> None:
    morning.at(TEN - timedelta(minutes=30))
    morning.call(TEN + timedelta(minutes=minutes))
    morning.until(90)
    assert (morning.start.begun_at, morning.start.begun_by) == (TEN + timedelta(minutes=minutes), "")
    assert (morning.start.is_late, morning.put) == (minutes > 0, [])


@pytest.mark.parametrize("spoil", ["day off", "absent", "nobody is named", "dry run"])
def test_nobody_is_late_who_need_not_come(morning: Morning, spoil: str) -> None:
    if spoil == "day off":
        morning.at(TEN + timedelta(days=4, hours=3))
    elif spoil == "nobody is named":
        morning.shift["people"] = []
    elif spoil == "dry run":
        morning.is_dry = True
    else:
        morning.shift["people"] = [MARIA]
    if spoil != "day off":
        morning.call(TEN, MARIA)
        morning.until(90)
    assert morning.put == []


def test_an_event_day_has_a_shift_of_its_own(morning: Morning) -> None:
    morning.measured["event_days"] = {"2026-11-24": "15:00"}
    morning.until(90)
    assert morning.put == []
    for minutes in (0, 11):
        morning.at(TEN + timedelta(hours=5, minutes=minutes))
    assert len(morning.notices) == 1


def test_a_bridge_that_was_down_gives_the_same_time(morning: Morning) -> None:
    for minutes, told in ((120, 0), (131, 1), (145, 1), (152, 2)):
        morning.at(TEN + timedelta(minutes=minutes))
        assert len(morning.notices) == told
    assert morning.start.due == TEN


def test_a_bridge_that_comes_back_after_work_asks_nobody(asked: Morning) -> None:
    asked.shift["violation"] = {"clause": "S9", "penalty": 500}
    for minutes in range(0, 120, 5):
        asked.at(TEN + timedelta(hours=10, minutes=minutes))
    assert (asked.telegram.sent, asked.put) == ([], [])


def test_a_messenger_that_comes_back_after_work_asks_nobody(asked: Morning) -> None:
    asked.stand_ins.faults.add("limited", vendor="telegram", count=None)  # type: ignore[union-attr]
    asked.at(TEN - timedelta(minutes=10))
    assert asked.telegram.sent == []
    asked.stand_ins.faults.clear()  # type: ignore[union-attr]
    asked.at(TEN + timedelta(hours=12))
    assert asked.telegram.sent == []


def test_a_shift_in_the_evening_is_looked_at(morning: Morning) -> None:
    morning.measured["event_days"] = {"2026-11-24": "20:00"}
    for minutes in (0, 11, 25, 31):
        morning.at(TEN + timedelta(hours=10, minutes=minutes))
    assert len(morning.notices) == 1


@pytest.mark.parametrize("way", ["telegram", "max"])
def test_a_press_before_the_shift_confirms_it(asked: Morning, way: Any) -> None:
    asked.ways |= {who: {way: NUMBERS[who]} for who in (IVAN, MARIA)}
    asked.at(TEN - timedelta(minutes=16))
    sent = asked.stand_ins[way].sent  # type: ignore[index]
    assert sent == []
    asked.at(TEN - timedelta(minutes=10))
    (message,) = sent
    assert "24.11.2026: смена в 10:00. Подтвердите, что вы на работе." in message["text"]
    asked.press(MARIA, way=way)
    asked.press(IVAN, way=way)
    asked.press(IVAN, f"sh:{asked.start.number}", key="again", way=way)
    assert asked.answers == [
        f"Это смена другого человека, подтверждает {IVAN}: ничего не изменено", "Смена начата в 09:50",
        "Смена уже начата",
    ]  # fmt: skip
    asked.until(90)
    assert asked.put == []
    assert "Смена начата в 09:50, подтверждена." in message["text"]
    assert (asked.start.is_late, asked.first_at()) == (False, TEN - timedelta(minutes=10))


def test_the_message_says_who_has_begun_in_amocrm_and_what_is_over(asked: Morning) -> None:
    asked.at(TEN - timedelta(minutes=10))
    asked.call(TEN - timedelta(minutes=5))
    asked.until(0)
    (message,) = asked.telegram.sent
    assert "Смена начата в 09:55, видна по работе в amoCRM." in message["text"]
    asked.at(TEN + timedelta(days=1))
    second = asked.telegram.sent[-1]
    data = next(iter(second["buttons"].values()))
    asked.at(TEN + timedelta(days=2))
    assert "Не подтверждено." in second["text"]
    asked.press(IVAN, data)
    assert asked.answers == ["Эта смена уже прошла: ничего не изменено"]


def test_whoever_has_no_messenger_gets_a_notice_with_the_link(asked: Morning) -> None:
    asked.ways[IVAN] = {"mail": "ivan@agency.ru"}
    for _ in range(3):
        asked.at(TEN - timedelta(minutes=10))
    ((_, body),) = asked.put
    assert (body["user_id"], body["url"]) == (user(IVAN), "https://bridge.example/mine")
