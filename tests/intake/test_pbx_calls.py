"""Records of calls are fetched by the number that the webhook tells, and linked once; with Zadarma's stand-ins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT
from support.running_bridge import config_for

from amo_bridge.config.channels import NovofonSection
from amo_bridge.config.intake import IntakeSection, VendorSection, ZadarmaIntakeSection
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository, StoredEnquiry
from amo_bridge.intake.fetching import Fetching
from amo_bridge.intake.model import NoEnquiry, PbxCall
from amo_bridge.intake.pbx_calls import MOST_LINK_ATTEMPTS, CallNotes
from amo_bridge.intake.reception import VENDORS
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.standins.calls import CallScript
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

NOBODY = "http://127.0.0.1:1/hook"
DEAL = 7


class Office:
    """A bridge whose client of an open deal calls; time goes along for both."""

    def __init__(self, store: Store, stand_ins: StandIns, folder: Path, name: str = "zadarma") -> None:
        self.stand_ins, self.folder, self.name = stand_ins, folder, name
        self.exchange = stand_ins[name]
        self.exchange.configure({"webhook_url": NOBODY})
        self.store = AccountStore(store, ACCOUNT)
        self.repository = EnquiryRepository(self.store, self)
        secrets = {f"AMO_BRIDGE_{'INTAKE_' if name == 'zadarma' else ''}{name.upper()}_SECRET": f"{name}-test-secret"}
        self.environment = secrets

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.stand_ins.timeline.now(), UTC)

    def pass_by(self, **time: float) -> None:
        self.stand_ins.timeline.advance(timedelta(**time).total_seconds())

    def called(self) -> None:
        """A client has talked to a manager; the webhooks are on their way."""
        board = self.stand_ins.board(self.name)
        board.call_in("79000000101", "100", "74950000001", CallScript("talked", talk=40))
        self.pass_by(seconds=60)

    def take_webhooks(self) -> None:
        for attempt in self.exchange.attempts:
            request = VendorRequest("POST", attempt.body, "", {"Content-Type": attempt.headers["Content-Type"]})
            for outcome in VENDORS[self.name].parse(request, VendorSettings(home="RU")):
                if isinstance(outcome, NoEnquiry):
                    continue
                with self.store.store.write() as connection:
                    self.repository.add(connection, outcome, request_id=1, received_at=attempt.at)
                if isinstance(outcome, PbxCall):
                    self.repository.write([self.rows("call")[0].id], state="waits", deal_id=DEAL)

    def round(self) -> None:
        """What the worker does of calls."""
        api = f"{self.stand_ins.url}/{self.name}"
        zadarma = ZadarmaIntakeSection(api=api, key="zadarma-test-key") if self.name == "zadarma" else None
        novofon = NovofonSection(api=api, key="novofon-test-key") if self.name == "novofon" else None
        config = config_for("https://agency.amocrm.ru", self.folder)
        intake = IntakeSection(zadarma=zadarma, novofon=VendorSection() if novofon else None)
        config = replace(config, intake=intake, channels=replace(config.channels, novofon=novofon))
        fetching = Fetching(self.repository, config, self.environment, lambda text, about: None)
        rules: Any = SimpleNamespace(get=lambda: SimpleNamespace(config=config))
        notes = CallNotes(self.store, self.repository, cast(Any, None), fetching, rules, self, self)
        notes.set_aside(self.repository.open("new", 100))
        notes.run()

    def rows(self, kind: str = "") -> list[StoredEnquiry]:
        """Newest first."""
        kinds = [kind] if kind else ["record", "call"]
        return [row for one in kinds for row in self.repository.find(EnquiryFilter(kind=one))]

    def written(self) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [
                json.loads(told)["body"]["params"] for told in connection.execute(select(outbox.c.payload)).scalars()
            ]

    def asked(self) -> int:
        return sum(one.path.startswith("/v1/pbx/record") for one in self.exchange.requests)


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(("zadarma", "novofon"), live=False)
    with serving(made):
        yield made


@pytest.fixture
def office(store: Store, stand_ins: StandIns, tmp_path: Path) -> Office:
    return Office(store, stand_ins, tmp_path)


@pytest.mark.parametrize("name", ["zadarma", "novofon"])
def test_the_note_of_a_call_has_the_link_to_its_record(
    store: Store, stand_ins: StandIns, tmp_path: Path, name: str
) -> None:
    office = Office(store, stand_ins, tmp_path, name)
    office.called()
    office.pass_by(minutes=3)
    office.take_webhooks()
    office.round()
    office.round()
    (note,) = office.written()
    assert (note["duration"], note["link"].endswith(".mp3")) == (40, True)
    assert [(row.kind, row.state) for row in office.rows()] == [("record", "done"), ("call", "done")]
    assert office.asked() == 1


def test_without_the_webhook_about_the_record_its_number_in_the_calls_is_enough(office: Office) -> None:
    office.stand_ins.faults.add("hook_drop", vendor="zadarma", path="NOTIFY_RECORD")
    office.called()
    office.pass_by(minutes=3)
    office.take_webhooks()
    office.round()
    assert [note["link"].endswith(".mp3") for note in office.written()] == [True]
    assert [row.kind for row in office.rows()] == ["call"]


def test_a_record_that_comes_after_the_calls_note_is_told_beside_it(office: Office) -> None:
    office.called()
    office.pass_by(minutes=3)
    office.take_webhooks()
    office.repository.write([office.rows("call")[0].id], state="done", outcome="звонок записала телефония")
    office.round()
    (note,) = office.written()
    assert note["text"].startswith("Запись звонка (Zadarma): http")


def test_nobody_asks_for_a_record_before_it_is_there(office: Office) -> None:
    office.called()
    office.take_webhooks()
    record = office.exchange.attempts[-1]
    assert b"NOTIFY_END" in record.body
    office.round()
    assert office.asked() <= 1
    assert all("File not found" not in row.error for row in office.rows())


@pytest.mark.parametrize("fault", ["limited", "unauthorised", "broken", "lost_answer"])
def test_an_exchange_that_does_not_answer_is_asked_again_later(office: Office, fault: str) -> None:
    office.called()
    office.called()
    office.pass_by(minutes=3)
    office.take_webhooks()
    office.stand_ins.faults.add(fault, vendor="zadarma", count=1, path="/v1/pbx/record/*")
    office.round()
    asked = office.asked()
    assert office.written() == []
    assert any(row.error for row in office.rows())
    office.round()
    assert office.asked() == asked, "it is not asked again at once"
    office.pass_by(minutes=6)
    office.round()
    assert [bool(note.get("link")) for note in office.written()] == [True, True]
    assert {row.error for row in office.rows()} == {""}


def test_a_call_whose_record_never_comes_is_noted_without_it(office: Office) -> None:
    office.stand_ins.faults.add("hook_drop", vendor="zadarma", path="NOTIFY_RECORD")
    office.called()
    office.pass_by(minutes=3)
    office.take_webhooks()
    office.stand_ins.board("zadarma").calls.clear()
    for _ in range(MOST_LINK_ATTEMPTS + 1):
        assert office.written() == []
        office.round()
        office.pass_by(minutes=2)
    (note,) = office.written()
    assert "link" not in note


def test_without_a_key_the_call_is_noted_and_the_record_told_of(office: Office) -> None:
    office.environment.clear()
    office.called()
    office.pass_by(minutes=3)
    office.take_webhooks()
    office.round()
    (note,) = office.written()
    record = office.rows("record")[0]
    assert ("link" in note, record.state, office.asked()) == (False, "skipped", 0)
    assert "API мосту не подключён" in record.outcome
