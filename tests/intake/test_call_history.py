"""Calls whose webhook was lost are taken from the exchange's history, each once; with the exchanges' stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.exchanges import EXCHANGES, client_of
from support.fakes import ACCOUNT, NOON
from support.running_bridge import config_for

from amo_bridge.intake.call_history import LOST, CallHistory, asked_exchanges
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository
from amo_bridge.intake.model import PbxCall
from amo_bridge.intake.reception import VENDORS
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.standins.calls import CallScript
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import AccountStore, Store

NOBODY = "http://127.0.0.1:1/hook"
TALK, MISSED = CallScript("talked", talk=40), CallScript("client_no_answer")
FIRST, SECOND = "79000000101", "79000000102"


class Office:
    """A bridge that asks the history, and the exchange; time goes along for both."""

    def __init__(self, store: Store, name: str, stand_ins: StandIns) -> None:
        self.name, self.stand_ins = name, stand_ins
        stand_ins[name].configure({"webhook_url": NOBODY})
        self.repository = EnquiryRepository(AccountStore(store, ACCOUNT), self)
        self.told: list[str] = []
        exchanges = {name: client_of(name, stand_ins)}
        account = AccountStore(store, ACCOUNT)
        self.history = CallHistory(account, exchanges, self, "RU", lambda text, about: self.told.append(text))
        self.history.run()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.stand_ins.timeline.now(), UTC)

    def called(self, phone: str, script: CallScript = TALK, *, webhook: bool) -> None:
        """Somebody has called, and his call is over for some time."""
        if not webhook:
            self.stand_ins.faults.add("hook_drop", vendor=self.name, count=None)
        self.stand_ins.board(self.name).call_in(phone, "100", "74950000001", script)
        self.pass_by(minutes=10)
        self.stand_ins.faults.clear()
        for attempt in self.stand_ins[self.name].attempts:
            self._take(attempt.body, attempt.headers["Content-Type"], attempt.at)
        self.stand_ins[self.name].attempts.clear()

    def _take(self, body: bytes, content_type: str, at: float) -> None:
        request = VendorRequest("POST", body, "", {"Content-Type": content_type}, received_at=at)
        calls = VENDORS[self.name].parse(request, VendorSettings(home="RU"))
        with self.repository._store.write() as connection:
            for call in calls:
                if isinstance(call, PbxCall):
                    self.repository.add(connection, call, request_id=1, received_at=at)

    def pass_by(self, **time: float) -> None:
        self.stand_ins.timeline.advance(timedelta(**time).total_seconds())

    def calls(self) -> list[PbxCall]:
        """Oldest first."""
        return [row.body for row in reversed(self.repository.find(EnquiryFilter()))]


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(live=False)
    made.timeline._stands_at = NOON.timestamp()
    with serving(made):
        yield made


@pytest.fixture(params=EXCHANGES)
def office(request: pytest.FixtureRequest, store: Store, stand_ins: StandIns) -> Office:
    return Office(store, request.param, stand_ins)


def test_a_call_whose_webhook_was_lost_is_taken_once_and_told(office: Office) -> None:
    office.called(FIRST, webhook=True)
    office.called(SECOND, webhook=False)
    assert office.history.run() == 1
    heard, lost = office.calls()
    assert (lost.phone, lost.talked, lost.duration, lost.direction) == (f"+{SECOND}", True, 40, "in")
    assert (lost.source, type(lost)) == (heard.source, type(heard))
    assert office.repository.find(EnquiryFilter())[0].outcome == LOST
    assert len(office.told) == 1
    assert "вебхуки о звонках не доходят" in office.told[0]
    office.pass_by(minutes=5)
    assert (office.history.run(), len(office.calls()), len(office.told)) == (0, 2, 1)


def test_a_missed_call_is_a_missed_one_by_the_history_too(office: Office) -> None:
    office.called(FIRST, MISSED, webhook=False)
    office.history.run()
    (lost,) = office.calls()
    assert (lost.phone, lost.talked, lost.duration) == (f"+{FIRST}", False, 0)


def test_nothing_is_told_when_nothing_was_lost(office: Office) -> None:
    office.called(FIRST, webhook=True)
    office.called(SECOND, MISSED, webhook=True)
    before = office.calls()
    assert office.history.run() == 0
    assert (office.calls(), office.told) == (before, [])


def test_a_webhook_that_is_only_late_doubles_nothing(office: Office) -> None:
    office.stand_ins.faults.add("hook_delay", vendor=office.name, seconds=1200, count=None)
    office.called(FIRST, webhook=True)
    assert office.history.run() == 1
    office.pass_by(minutes=30)
    office.called(SECOND, webhook=True)
    assert [call.phone for call in office.calls()].count(f"+{FIRST}") == 1


def test_calls_before_the_bridge_and_calls_to_clients_are_none_of_its_business(
    store: Store, stand_ins: StandIns
) -> None:
    stand_ins.board("onlinepbx").call_in(FIRST, "100", "74950000001", TALK)
    stand_ins.timeline.advance(600)
    office = Office(store, "onlinepbx", stand_ins)
    stand_ins.board("onlinepbx").call_back("100", SECOND, "74950000001")
    office.pass_by(minutes=10)
    assert (office.history.run(), office.calls()) == (0, [])


def test_an_exchange_that_is_out_of_order_is_asked_again_from_where_it_stopped(office: Office) -> None:
    office.called(FIRST, webhook=False)
    office.stand_ins.faults.add("broken", vendor=office.name, count=None)
    assert office.history.run() == 0
    office.stand_ins.faults.clear()
    assert office.history.run() == 1


def test_after_a_long_rest_the_history_is_read_to_its_end(office: Office) -> None:
    office.called(FIRST, webhook=False)
    office.pass_by(days=20)
    office.called(SECOND, webhook=False)
    for _ in range(6):
        office.history.run()
        office.pass_by(minutes=5)
    assert [call.phone for call in office.calls()] == [f"+{FIRST}", f"+{SECOND}"]


@pytest.mark.parametrize(
    ("intake", "secret", "asked"),
    [
        ({"zadarma": {"key": "k"}}, "s", {"zadarma"}),
        ({"zadarma": {"key": "k"}}, "", set()),
        ({"zadarma": {}}, "s", set()),
        ({}, "s", set()),
    ],
    ids=["ключ и секрет", "без секрета", "без ключа", "приём звонков выключен"],
)
def test_whose_history_is_asked(tmp_path: Path, intake: dict[str, object], secret: str, asked: set[str]) -> None:
    config = config_for("http://127.0.0.1:1", tmp_path)
    assert config.intake is not None
    config = replace(config, intake=config.intake.model_validate(intake))
    assert set(asked_exchanges(config, {"AMO_BRIDGE_INTAKE_ZADARMA_SECRET": secret})) == asked
