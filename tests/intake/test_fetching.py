"""Leads of Meta are fetched by their number, each once; whatever Graph says instead is told and tried again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import responses
from support.fakes import ACCOUNT
from support.running_bridge import config_for

from amo_bridge.config.intake import IntakeSection, MetaSection
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository, StoredEnquiry
from amo_bridge.intake.fetching import Fetching
from amo_bridge.intake.model import Enquiry
from amo_bridge.intake.reception import VENDORS
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.standins.meta import MetaStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import AccountStore, Store

NOBODY = "http://127.0.0.1:1/hook"
ANSWERS = {"full_name": "Дарья Тестова", "phone_number": "+79000000081", "чем_вы_занимаетесь?": "Кофейня"}
TOKEN = {"AMO_BRIDGE_INTAKE_META_TOKEN": "EAAtesttoken", "AMO_BRIDGE_INTAKE_META_SECRET": "meta-test-app-secret"}


class Page:
    """A page of Meta, and the bridge that takes its webhooks in; time goes along for both."""

    def __init__(self, store: Store, stand_ins: StandIns, folder: Path) -> None:
        self.stand_ins, self.folder = stand_ins, folder
        meta = stand_ins["meta"]
        assert isinstance(meta, MetaStandIn)
        self.meta = meta
        meta.webhook_url = meta.messenger_url = NOBODY
        self.store = AccountStore(store, ACCOUNT)
        self.repository = EnquiryRepository(self.store, self)
        self.environment = dict(TOKEN)
        self.told: list[str] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.stand_ins.timeline.now(), UTC)

    def pass_by(self, **time: float) -> None:
        self.stand_ins.timeline.advance(timedelta(**time).total_seconds())

    def take_webhooks(self) -> None:
        """What the page has posted so far."""
        self.stand_ins.timeline.advance(0)
        for attempt in self.meta.attempts:
            request = VendorRequest("POST", attempt.body, "", {"Content-Type": "application/json"})
            for outcome in VENDORS["meta_leadgen"].parse(request, VendorSettings(home="RU")):
                assert isinstance(outcome, Enquiry)
                outcome = replace(outcome, source="messenger" if outcome.source == "messenger" else "meta_leadgen")
                with self.store.store.write() as connection:
                    self.repository.add(connection, outcome, request_id=1, received_at=self.now().timestamp())

    def fetch(self) -> list[StoredEnquiry]:
        """One round; all enquiries after it, oldest first."""
        section = MetaSection(api=f"{self.stand_ins.url}/meta")
        intake = IntakeSection(meta_leadgen=section, messenger=section)
        config = replace(config_for("https://agency.amocrm.ru", self.folder), intake=intake)
        fetching = Fetching(self.repository, config, self.environment, lambda text, about: self.told.append(text))
        fetching.complete(self.repository.open("new", 500))
        return self.repository.find(EnquiryFilter())[::-1]

    def asked(self) -> int:
        return len(self.meta.requests)


@pytest.fixture
def page(store: Store, tmp_path: Path) -> Iterator[Page]:
    stand_ins = StandIns(("meta",), live=False)
    with serving(stand_ins):
        yield Page(store, stand_ins, tmp_path)


def test_a_lead_is_completed_once_however_often_meta_tells_of_it(page: Page) -> None:
    page.stand_ins.faults.add("hook_duplicate", vendor="meta")
    number = page.meta.lead(ANSWERS)
    page.take_webhooks()
    (row,) = page.fetch()
    assert (row.state, row.body.key, row.body.name) == ("new", f"leadgen:{number}", "Дарья Тестова")
    assert (row.body.phones, row.body.fetch) == (("+79000000081",), None)
    assert "чем вы занимаетесь?: Кофейня" in row.body.text
    assert row.body.extra["form_id"]
    asked = page.asked()
    page.take_webhooks()
    assert len(page.fetch()) == 1
    assert page.asked() == asked
    (found,) = page.repository.find(EnquiryFilter(text="+79000000081"))
    assert found.id == row.id


def test_an_expired_token_is_told_and_the_lead_fetched_when_there_is_a_new_one(page: Page) -> None:
    page.meta.lead(ANSWERS)
    page.meta.lead(ANSWERS)
    page.take_webhooks()
    page.meta.token = "EAAnewtoken"
    rows = page.fetch()
    assert [(row.state, "токен страницы не действует" in row.error) for row in rows] == [("new", True)] * 2
    assert page.asked() == 1, "the second lead would fail as the first"
    (told,) = page.told
    assert "выпустите токен страницы заново и впишите его в AMO_BRIDGE_INTAKE_META_TOKEN" in told
    assert "EAAtesttoken" not in told
    page.environment["AMO_BRIDGE_INTAKE_META_TOKEN"] = "EAAnewtoken"
    page.pass_by(minutes=6)
    assert [(row.body.name, row.error) for row in page.fetch()] == [("Дарья Тестова", "")] * 2


@pytest.mark.parametrize("fault", ["limited", "broken", "refuse_before", "lost_answer"])
def test_a_fault_that_passes_is_waited_out_without_a_word_to_anybody(page: Page, fault: str) -> None:
    page.meta.lead(ANSWERS)
    page.take_webhooks()
    page.stand_ins.faults.add(fault, vendor="meta")
    (row,) = page.fetch()
    assert (row.state, bool(row.error), row.body.name, page.told) == ("new", True, None, [])
    (row,) = page.fetch()
    assert row.body.name is None, "it is not asked again at once"
    page.pass_by(minutes=6)
    (row,) = page.fetch()
    assert (row.body.name, row.error) == ("Дарья Тестова", "")


def test_a_deleted_lead_is_told_kept_and_can_be_tried_again(page: Page) -> None:
    gone = page.meta.lead(ANSWERS)
    page.meta.lead({"full_name": "Пётр Второй", "email": "p@example.com"})
    answers = page.meta.leads.pop(gone)
    page.take_webhooks()
    first, second = page.fetch()
    assert (first.state, "does not exist" in first.error, second.body.name) == ("refused", True, "Пётр Второй")
    assert f"Лид Meta {gone} не получен" in page.told[0]
    page.meta.leads[gone] = answers
    page.repository.retry(first.id, "Елена")
    assert page.fetch()[0].body.name == "Дарья Тестова"


def test_without_a_token_the_lead_waits_for_a_person(page: Page) -> None:
    page.meta.lead(ANSWERS)
    page.take_webhooks()
    del page.environment["AMO_BRIDGE_INTAKE_META_TOKEN"]
    (row,) = page.fetch()
    assert (row.state, "AMO_BRIDGE_INTAKE_META_TOKEN" in row.error, len(page.told)) == ("refused", True, 1)
    assert page.asked() == 0


def test_a_test_lead_makes_nothing(page: Page) -> None:
    page.meta.lead({"full_name": "<test lead: dummy data for full_name>"})
    page.take_webhooks()
    (row,) = page.fetch()
    assert (row.state, row.outcome) == ("skipped", "пробный лид Meta")


@pytest.mark.parametrize(
    ("fault", "name"), [("", "Анна Клиент"), ("limited", None), ("unauthorised", None), ("broken", None)]
)
def test_whoever_writes_to_the_page_has_a_name_if_graph_tells_it(page: Page, fault: str, name: str | None) -> None:
    page.meta.write("Анна Клиент", "Сколько стоит?")
    page.take_webhooks()
    if fault:
        page.stand_ins.faults.add(fault, vendor="meta", count=None)
    (row,) = page.fetch()
    assert (row.state, row.body.name, row.body.text) == ("new", name, "Сколько стоит?")


GRAPH = "https://graph.example"


def graph_says(status: int, code: int, subcode: int = 0) -> dict[str, Any]:
    error = {"message": "words", "type": "OAuthException", "code": code, "error_subcode": subcode, "fbtrace_id": "A"}
    return {"status": status, "json": {"error": error}}


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (graph_says(400, 190, 463), "new", "не действует"),
        (graph_says(400, 200), "new", "нужны leads_retrieval"),
        (graph_says(403, 10), "new", "нужны leads_retrieval"),
        (graph_says(400, 80005), "new", "просит подождать"),
        (graph_says(429, 0), "new", "просит подождать"),
        (graph_says(500, 2), "new", "просит подождать"),
        (graph_says(400, 100, 33), "refused", "не знает"),
        (graph_says(400, 2500), "refused", "2500"),
        ({"status": 200, "body": "<html>"}, "new", "не ответил как надо"),
    ],
    ids=["токен", "право", "право 10", "лимит", "429", "сбой", "удалён", "иное", "не JSON"],
)
def test_graphs_answers_are_told_apart_by_their_code(
    store: Store, tmp_path: Path, answer: dict[str, Any], state: str, words: str
) -> None:
    repository = EnquiryRepository(AccountStore(store, ACCOUNT), FixedNow())
    lead = Enquiry(source="meta_leadgen", key="leadgen:7", text="Лид-форма Meta", fetch="GET /v25.0/7")
    with store.write() as connection:
        repository.add(connection, lead, request_id=1, received_at=0)
    intake = IntakeSection(meta_leadgen=MetaSection(api=GRAPH))
    config = replace(config_for("https://agency.amocrm.ru", tmp_path), intake=intake)
    with responses.RequestsMock() as graph:
        graph.get(f"{GRAPH}/v25.0/7", **answer)
        held = Fetching(repository, config, TOKEN, lambda text, about: None).complete(repository.open("new", 10))
    (row,) = repository.find(EnquiryFilter())
    assert (held, row.state, words in row.error) == ({row.id}, state, True), row.error


class FixedNow:
    def now(self) -> datetime:
        return datetime(2026, 11, 29, tzinfo=UTC)
