"""Series of letters: begun once, gone through by the account's clock, ended by whatever ends them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, BRIEF, agency, clock, errors, queue, rule_engine, states

from amo_bridge.channels.mail_series import SeriesJob, SeriesLog, SeriesPort
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.events import SeriesLetterDue
from amo_bridge.events.base import from_json
from amo_bridge.rules.letters import AllSeries, SeriesSpec
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events

STAGE = list(agency().stage(BRIEF).key)


class Office:
    """The series' lane and chore with one clock, which is moved by hand."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hands = clock()
        self.letters(("30 minutes", "a"), ("3 d 12:00", "b"), ("5 d 12:00", "c"))
        port = SeriesPort(SeriesLog(AccountStore(store, ACCOUNT)), self.rule_engine, self.hands)
        self.lane = ChannelSender(AccountStore(store, ACCOUNT), port, self.hands, self.hands)
        self.chore = SeriesJob(AccountStore(store, ACCOUNT), self.rule_engine, self.hands, self.hands)

    def letters(self, *told: tuple[str, str]) -> None:
        spec = {"letters": [{"after": after, "template": template} for after, template in told]}
        self.series = AllSeries(named={"Прогрев": SeriesSpec.model_validate(spec)})

    def rule_engine(self) -> RuleEngine:
        config = rule_engine().config
        return replace(rule_engine(), config=replace(config, channels=replace(config.channels, series=self.series)))

    def asked(self, kind: Any, key: str, **body: Any) -> None:
        queue(self.store, Effect(kind, 7, body, kind), event_key=key)
        self.lane.send()

    def start(self, key: str = "start", name: str = "прогрев") -> None:
        self.asked("start_series", key, series=name, stage=STAGE)

    def stop(self, name: str | None = None) -> None:
        self.asked("stop_series", f"stop {name}", series=name, because="клиент ответил")

    def after(self, **time: float) -> list[int]:
        """Time passes; which letters fell due, by number, all told so far."""
        self.hands.advance(timedelta(**time))
        self.chore.run()
        self.chore.run()
        return [event.number for event in self.due()]

    def due(self) -> list[SeriesLetterDue]:
        with self.store.read() as connection:
            import json

            bodies = connection.execute(select(events.c.body).order_by(events.c.id)).scalars()
            found = [from_json(json.loads(body)) for body in bodies]
        return [event for event in found if isinstance(event, SeriesLetterDue)]


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def test_each_letter_falls_due_once_at_its_time(office: Office) -> None:
    office.start()
    assert office.after(minutes=29) == []
    assert office.after(minutes=1) == [0]
    assert office.after(days=2) == [0]
    assert office.after(days=1) == [0, 1]
    assert office.after(days=30) == [0, 1, 2]
    first = office.due()[0]
    assert (first.series, first.stage, first.deal_id) == ("прогрев", tuple(STAGE), 7)
    assert first.started_at == clock().now()
    assert first.at == clock().now() + timedelta(minutes=30), "when it fell due, not when somebody looked"


def test_after_a_long_sleep_letters_come_one_by_one(office: Office) -> None:
    """Whether they are too late the rule's max_lateness says."""
    office.start()
    office.hands.advance(timedelta(days=30))
    assert [office.chore.run() for _ in range(4)] == [1, 1, 1, 0]
    assert len(office.due()) == 3


def test_a_clock_set_back_repeats_nothing(office: Office) -> None:
    office.start()
    assert office.after(hours=1) == [0]
    assert office.after(hours=-5) == [0]
    assert office.after(hours=6) == [0]


def test_a_series_that_is_running_is_not_begun_again(office: Office) -> None:
    office.start()
    office.start("again")
    assert errors(office.store) == ["", "серия писем «прогрев» уже идёт"]
    assert states(office.store) == ["done", "unsent"]
    assert office.after(hours=1) == [0]


def test_a_finished_one_may_be_begun_again(office: Office) -> None:
    office.start()
    for _ in range(3):
        office.after(days=10)
    office.start("again")
    assert office.after(hours=1) == [0, 1, 2, 0]
    assert len({event.run for event in office.due()}) == 2


@pytest.mark.parametrize("name", ["Прогрев", None])
def test_a_stopped_one_sends_no_more(office: Office, name: str | None) -> None:
    office.start()
    office.after(hours=1)
    office.stop(name)
    assert states(office.store) == ["done", "done"]
    assert office.after(days=30) == [0]


def test_stopping_what_does_not_run_says_so(office: Office) -> None:
    office.stop()
    assert (states(office.store), errors(office.store)) == (["unsent"], ["серия писем не шла"])


def test_a_series_that_the_config_does_not_have_is_not_begun(office: Office) -> None:
    office.start(name="другая")
    assert errors(office.store) == ["серии писем «другая» в настройке нет"]


def test_a_changed_config_changes_what_is_still_to_come(office: Office) -> None:
    office.start()
    assert office.after(hours=1) == [0]
    office.letters(("30 minutes", "a"))
    assert office.after(days=30) == [0]
    office.letters(("30 minutes", "a"), ("3 d", "b"))
    assert office.after(days=30) == [0], "it has ended"
