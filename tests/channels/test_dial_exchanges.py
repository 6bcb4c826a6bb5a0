"""Auto-dial with each vendor's stand-in: outcomes by history and webhook; answers lost, webhooks late and twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from threading import Thread
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy import select
from support.dial_office import IVAN, MOSCOW, DialOffice, moscow
from support.exchanges import EXCHANGES, client_of
from support.fakes import ACCOUNT
from werkzeug.serving import make_server

from amo_bridge.intake.channel_reports import settles_dial
from amo_bridge.intake.model import PbxCall
from amo_bridge.intake.reception import VENDORS
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.standins.calls import CallScript, Outcome
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import dial_calls


class ExchangeOffice(DialOffice):
    """The office with a real client of a vendor behind it; the vendor's time goes along with ours."""

    def __init__(self, store: Store, name: str, stand_ins: StandIns) -> None:
        self.name = name
        self.stand_ins = stand_ins
        self._ours = moscow(23, 10)
        stand_ins.timeline._stands_at = self._ours.timestamp()
        super().__init__(store, self._ours, client_of(name, stand_ins))  # type: ignore[arg-type]
        self.people = {IVAN: {"extension": "100", "pbx_employee": 100500}}

    def goes(self, *outcomes: Outcome, talk: int = 45) -> None:
        self.stand_ins.board(self.name).scripts.extend(CallScript(outcome, talk) for outcome in outcomes)

    def fault(self, kind: str, path: str = "*", **more: Any) -> None:
        self.stand_ins.faults.add(kind, vendor=self.name, path=path, **more)

    def round(self) -> None:
        self.stand_ins.timeline.advance(max(0.0, self.hands.now().timestamp() - self.stand_ins.timeline.now()))
        super().round()

    def settle_by_webhook(self, body: bytes, content_type: str) -> None:
        """What the bridge does about a request that it has kept: parse it, and tell auto-dial."""
        vendor = VENDORS[self.name]
        sent = VendorRequest("POST", body, "", {"Content-Type": content_type}, received_at=0)
        at = self.stand_ins.timeline.now()
        for outcome in vendor.parse(sent, VendorSettings(home="RU")):
            if isinstance(outcome, PbxCall):
                with self.store.write() as connection:
                    settles_dial(connection, ACCOUNT, outcome, at)

    @property
    def made(self) -> list[str]:
        """The calls that really took place at the exchange."""
        return [
            f"{datetime.fromtimestamp(call.began, MOSCOW):%d.%m %H:%M} {call.outcome}"
            for call in self.stand_ins.board(self.name).calls
        ]

    @property
    def asked_for(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(dial_calls.c.state).order_by(dial_calls.c.id)).scalars())


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(live=False)
    with serving(made):
        yield made


@pytest.fixture(params=EXCHANGES)
def office(request: pytest.FixtureRequest, store: Store, stand_ins: StandIns) -> ExchangeOffice:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("the exchange is the same; test_dial.py tries both databases")
    return ExchangeOffice(store, request.param, stand_ins)


@pytest.fixture
def webhooks(office: ExchangeOffice) -> Iterator[ExchangeOffice]:
    """The exchange posts its webhooks, and the bridge takes them."""
    app = Flask("receiver")

    @app.route("/hook", methods=["GET", "POST"])
    def hook() -> str:
        if request.method == "POST":
            office.settle_by_webhook(request.get_data(), request.content_type or "")
        return request.args.get("zd_echo", "ok")

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    office.stand_ins[office.name].configure({"webhook_url": f"http://127.0.0.1:{server.server_port}/hook"})
    yield office
    server.shutdown()
    thread.join()
    server.server_close()


DAY = ["23.11 10:00 manager_rejects", "23.11 10:30 client_no_answer", "23.11 11:30 manager_busy", "23.11 12:00 talked"]


def test_a_day_by_the_history_alone(office: ExchangeOffice) -> None:
    office.goes("manager_rejects", "client_no_answer", "manager_busy", "talked")
    office.start()
    office.until(moscow(24, 18))
    assert office.made == DAY
    assert office.dial().why == "поговорили, тишина до 25.11"


def test_a_day_by_webhooks_that_come_twice(webhooks: ExchangeOffice) -> None:
    webhooks.fault("hook_duplicate", count=None)
    webhooks.goes("manager_rejects", "client_no_answer", "manager_busy", "talked")
    webhooks.start()
    webhooks.until(moscow(24, 18))
    assert webhooks.made == DAY
    assert webhooks.asked_for == ["manager", "client", "manager", "talked"]


def test_answers_that_get_lost_double_nothing(office: ExchangeOffice) -> None:
    office.goes("client_no_answer", "talked")
    paths = {"onlinepbx": "*call/now*", "novofon2": "/v4.0"}
    office.fault("lost_answer", paths.get(office.name, "*callback*"), count=None)
    office.start()
    office.until(moscow(24, 18))
    assert office.made == ["23.11 10:00 client_no_answer", "23.11 11:00 talked"]
    assert office.asked_for == ["client", "talked"]


def test_a_request_that_never_arrived_is_unknown_and_not_repeated(office: ExchangeOffice) -> None:
    paths = {"onlinepbx": "*call/now*", "novofon2": "/v4.0"}
    office.fault("refuse_before", paths.get(office.name, "*callback*"))
    office.start()
    office.until(moscow(23, 18))
    assert office.made == []
    assert (office.asked_for, office.dial().state) == (["unknown"], "undecided")


def test_a_late_webhook_of_a_long_talk_ends_the_silence_about_it(webhooks: ExchangeOffice) -> None:
    webhooks.fault("hook_delay", seconds=3 * 3600, count=None)
    webhooks.goes("talked", talk=40)
    webhooks.start()
    webhooks.until(moscow(23, 18))
    assert webhooks.made == ["23.11 10:00 talked"]
    assert webhooks.dial().why == "поговорили, тишина до 25.11"


def test_restarts_and_an_exchange_that_is_out_of_order(office: ExchangeOffice) -> None:
    office.goes("client_no_answer", "talked")
    office.fault("limited", count=2)
    office.start()
    for _ in range(40):
        office.pass_time(minutes=10)
        office.restart()
    made = [call.split()[2] for call in office.made]
    assert made == ["client_no_answer", "talked"]
