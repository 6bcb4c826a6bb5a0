"""Clients ask by whatever way there is: one person is one contact and one deal, and every word of his is on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
from click.testing import CliRunner
from sqlalchemy import select
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.vendor_requests import FORM, form, zadarma_signature

from amo_bridge.cli import main
from amo_bridge.config.advertising import VKADS_SECRET, VkAdsSection
from amo_bridge.config.intake import LeadFormsSection, MetaSection
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.enquiries import ENQUIRY_STORY, Client
from amo_bridge.demo.stories import Act, Missing, Scene
from amo_bridge.errors import CrmForbidden, CrmRefused
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository, NotRetryable, StoredEnquiry
from amo_bridge.intake.people import CONTACTS_SEEN_AT, KnownPerson, PeopleFinder, Person
from amo_bridge.intake.repository import IntakeRequests
from amo_bridge.intake.vk_leads import READ_UNTIL
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.mirror.deals import Mirror
from amo_bridge.standins.audiences import VkAdsStandIn
from amo_bridge.standins.meta import MetaStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.accounts import TOUCHES_FILLED, Cursors, known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import timers

SECRETS = {
    "AMO_BRIDGE_INTAKE_TILDA_KEY": "tilda-key",
    "AMO_BRIDGE_INTAKE_VK_SECRET": "vk-secret",
    "AMO_BRIDGE_INTAKE_VK_CONFIRMATION": "c0de",
    "AMO_BRIDGE_INTAKE_ZADARMA_SECRET": "zadarma-secret",
}
PHONE = "+79161234567"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class Clients:
    """Whoever posts to the bridge, and what came of it."""

    def __init__(self, bridge: RunningBridge, crm: LocalCrm) -> None:
        self.bridge, self.crm = bridge, crm
        self.paths = {one.vendor.name: one.path for one in bridge.bridge.intake_addresses.all()}
        store = bridge.bridge.resources.store
        key = known_key(store, bridge.config.account.url)
        assert key is not None
        self.store = AccountStore(store, key)
        self.repository = EnquiryRepository(self.store, bridge.bridge.clock)

    def post(self, vendor: str, body: Any, **headers: str) -> None:
        how = {"json": body} if isinstance(body, dict) else {"data": body}
        sent = headers if isinstance(body, dict) else {"Content-Type": FORM, **headers}
        url = f"{self.bridge.url}{self.paths[vendor]}"
        for _ in range(10):
            answer = requests.post(url, **how, headers=sent, timeout=30)
            # Of a database that is too slow on a busy machine; what was kept all the same is known when it is repeated.
            if answer.status_code != 503:
                break
        assert answer.status_code == 200, answer.text

    def site(self, number: int, phone: str = PHONE, **more: str) -> None:
        fields = {"Name": "Анна Иванова", "Phone": phone, "Comments": f"Сколько стоит? {number}"} | more
        self.post("tilda", form(tranid=f"1:{number}", **fields), **{"X-Key": "tilda-key"})

    def vk(self, number: int, text: str, who: int = 77) -> None:
        message = {"from_id": who, "text": text, "id": number, "peer_id": who}
        event = {"type": "message_new", "event_id": f"e{number}", "group_id": 1, "secret": "vk-secret"}
        self.post("vk", {**event, "object": {"message": message}})

    def call(self, number: int, phone: str = PHONE, *, seconds: int = 0) -> None:
        start = "2026-11-29 11:00:00"
        fields = {
            "event": "NOTIFY_END", "caller_id": phone, "called_did": "74950000000", "call_start": start,
            "pbx_call_id": f"in_{number}", "internal": "101", "duration": str(seconds),
            "disposition": "answered" if seconds else "no answer",
        }  # fmt: skip
        signature = zadarma_signature("zadarma-secret", f"{phone}74950000000{start}")
        self.post("zadarma", form(**fields), Signature=signature)

    def dialled(self, number: int, phone: str = PHONE, *, seconds: int = 40) -> None:
        """A colleague has called somebody."""
        start = "2026-11-29 11:00:00"
        fields = {
            "event": "NOTIFY_OUT_END", "internal": "101", "destination": phone, "call_start": start,
            "pbx_call_id": f"out_{number}", "duration": str(seconds), "disposition": "answered",
        }  # fmt: skip
        self.post("zadarma", form(**fields), Signature=zadarma_signature("zadarma-secret", f"101{phone}{start}"))

    def settled(self, count: int) -> list[StoredEnquiry]:
        """Wait until so many enquiries are judged and all is done about them; the newest first."""

        def done() -> bool:
            rows = self.repository.find(EnquiryFilter(), most=2000)
            return len(rows) >= count and all(row.state not in ("new", "sent") for row in rows)

        wait_until(done, "the enquiries are settled")
        self.bridge.settle(self.crm)
        return self.repository.find(EnquiryFilter(), most=2000)

    def deals(self) -> list[dict[str, Any]]:
        return self.crm.table("leads")

    def notes(self) -> list[str]:
        return [note["params"].get("text", note["note_type"]) for note in self.crm.table("notes")]


@pytest.fixture
def clients(config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm) -> Clients:
    bridge = start_bridge(config, environment={**ENVIRONMENT, **SECRETS}).wait_ready()
    wait_until(lambda: contacts_are_known(bridge), "the contacts are read")
    return Clients(bridge, sandbox)


def contacts_are_known(bridge: RunningBridge) -> bool:
    from amo_bridge.mirror.contacts import ContactIndex

    store = bridge.bridge.resources.store
    key = known_key(store, bridge.config.account.url)
    if key is None or not ContactIndex(AccountStore(store, key)).is_filled:
        return False
    # The last that is read at the start: from then on nothing is asked for that nobody has caused.
    return Cursors(AccountStore(store, key)).read(TOUCHES_FILLED) is not None


def end(sandbox: LocalCrm, deal_id: int | None) -> None:
    """Close the deal, and let the bridge hear of it."""
    lost = {"id": deal_id, "status_id": 143, "tags_to_add": [{"name": "без робота"}]}
    requests.patch(f"{sandbox.url}/api/v4/leads", json=[lost], headers=HEADERS, timeout=30).raise_for_status()
    sandbox.later()


def test_a_lead_of_meta_becomes_a_deal_once_its_answers_are_fetched(
    config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm
) -> None:
    stand_ins = StandIns(("meta",), live=False)
    with serving(stand_ins) as url:
        meta = stand_ins["meta"]
        assert isinstance(meta, MetaStandIn)
        assert config.intake
        intake = config.intake.model_copy(update={"meta_leadgen": MetaSection(api=f"{url}/meta")})
        secrets = {"TOKEN": meta.token, "SECRET": meta.app_secret, "VERIFY": meta.verify_token}
        environment = {**ENVIRONMENT, **{f"AMO_BRIDGE_INTAKE_META_{name}": word for name, word in secrets.items()}}
        bridge = start_bridge(replace(config, intake=intake), environment=environment).wait_ready()
        clients = Clients(bridge, sandbox)
        meta.configure({"webhook_url": f"{bridge.url}{clients.paths['meta_leadgen']}"})
        stand_ins.faults.add("hook_duplicate", vendor="meta")
        before = len(clients.deals())
        meta.lead({"full_name": "Дарья Тестова", "phone_number": "+79000000081", "чем_вы_занимаетесь?": "Кофейня"})
        stand_ins.timeline.advance(1)
        (row,) = clients.settled(1)
    assert (row.state, row.source, len(clients.deals()) - before) == ("done", "meta_leadgen", 1), row
    assert any("чем вы занимаетесь?: Кофейня" in note for note in clients.notes())
    assert any(one["name"] == "Дарья Тестова" for one in sandbox.table("contacts"))


def test_leads_of_vk_ads_come_by_webhook_list_and_export_and_each_is_one_deal(
    config: Config,
    start_bridge: Callable[..., RunningBridge],
    sandbox: LocalCrm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("amo_bridge.intake.vk_leads.PERIOD_SECONDS", 0.0)
    stand_ins = StandIns(("vkads",), live=False)
    with serving(stand_ins) as url:
        vk = stand_ins["vkads"]
        assert isinstance(vk, VkAdsStandIn)
        assert config.intake
        intake = config.intake.model_copy(update={"vkads": LeadFormsSection()})
        section = VkAdsSection(api=f"{url}/vkads", client_id=vk.client_id)
        told = replace(config, intake=intake, channels=replace(config.channels, vkads=section))
        environment = {**ENVIRONMENT, VKADS_SECRET: vk.client_secret}
        bridge = start_bridge(told, environment=environment).wait_ready()
        clients = Clients(bridge, sandbox)
        cursors = Cursors(clients.store)
        wait_until(lambda: cursors.read(READ_UNTIL), "the list was asked for the first time")
        before = len(clients.deals())
        hook = f"{bridge.url}{clients.paths['vkads']}"
        # The webhook of one lead is lost, that of another comes twice; the list tells of both.
        stand_ins.timeline.advance(2)
        vk.lead_forms.fill({"first_name": "Белла", "phone": "+79000000072"}, {"Ниша": "Бар"})
        clients.settled(1)
        vk.lead_forms.subscriptions[1] = {"resource": "LEAD", "callback_url": hook}
        stand_ins.faults.add("hook_duplicate", vendor="vkads")
        vk.lead_forms.fill({"first_name": "Роман", "phone": "+79000000071"}, {"Ниша": "Стоматология"})
        stand_ins.timeline.advance(1)
        clients.settled(2)
        answer = requests.post(hook, data=vk.lead_forms.csv(), headers={"Content-Type": "text/csv"}, timeout=30)
        assert answer.status_code == 200
        wait_until(lambda: not IntakeRequests(clients.store).latest(state="new"), "the export is read")
        rows = clients.settled(2)
    assert {(row.state, row.source) for row in rows} == {("done", "vkads")}
    assert len(rows) == 2
    assert len(clients.deals()) == before + 2
    assert any("Ниша: Бар" in note for note in clients.notes())


def test_a_stranger_becomes_a_contact_and_a_deal_with_his_words(clients: Clients, sandbox: LocalCrm) -> None:
    before = len(clients.deals())
    sandbox.forget_requests()
    clients.site(1, utm_source="yandex")
    (row,) = clients.settled(1)
    # The task is that of A10, another rule. The deal is as it was written: nobody has to read it.
    assert sandbox.requests() == {
        "GET /api/v4/contacts": 1,
        "POST /api/v4/leads/complex": 1,
        "POST /api/v4/leads/notes": 1,
        "POST /api/v4/tasks": 1,
    }
    assert (row.state, row.standing, row.error) == ("done", "new", ""), row
    (deal,) = clients.deals()[before:]
    assert (deal["id"], deal["name"]) == (row.deal_id, "Анна Иванова, Тильда")
    (contact,) = [one for one in sandbox.table("contacts") if one["name"] == "Анна Иванова"]
    assert any(PHONE in note and "Сколько стоит? 1" in note and "utm_source=yandex" in note for note in clients.notes())
    assert contact["id"]
    assert clients.bridge.journal(deal["id"])[0].what == "обращение (Тильда): Comments: Сколько стоит? 1"


def test_a_lone_enquiry_costs_three_requests_of_its_own(
    config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm
) -> None:
    """What rules about any new deal write beside is counted above."""
    rules = tuple(
        replace(rule, enabled=rule.enabled and rule.name.startswith("enquiry_becomes_deal.")) for rule in config.rules
    )
    bridge = start_bridge(replace(config, rules=rules), environment={**ENVIRONMENT, **SECRETS}).wait_ready()
    wait_until(lambda: contacts_are_known(bridge), "the contacts are read")
    clients = Clients(bridge, sandbox)
    sandbox.forget_requests()
    clients.site(1, utm_source="yandex")
    (row,) = clients.settled(1)
    assert (row.state, row.standing) == ("done", "new")
    assert sandbox.requests() == {
        "GET /api/v4/contacts": 1,
        "POST /api/v4/leads/complex": 1,
        "POST /api/v4/leads/notes": 1,
    }


def test_what_amocrm_makes_of_a_new_deal_within_its_second_is_seen(
    clients: Clients, sandbox: LocalCrm, office: CrmUser
) -> None:
    """The bridge knows the new deal by what it wrote itself; a robot of amoCRM gives it to somebody else at once."""
    sandbox.control("POST", "clock", {"freeze": True})
    clients.site(1)
    wait_until(lambda: clients.repository.find(EnquiryFilter(state="done")), "the deal is there")
    (row,) = clients.repository.find(EnquiryFilter())
    assert row.deal_id is not None
    patch = {"id": row.deal_id, "responsible_user_id": office.users["Павел Смирнов"]}
    requests.patch(f"{sandbox.url}/api/v4/leads", json=[patch], headers=HEADERS, timeout=30).raise_for_status()
    clients.bridge.settle(sandbox)
    copy = Mirror(clients.store).get([row.deal_id])[row.deal_id]
    assert copy.record.responsible_user_id == office.users["Павел Смирнов"]


def test_a_new_deal_whose_webhook_is_lost_is_judged_once(clients: Clients, sandbox: LocalCrm) -> None:
    sandbox.fault("hook_drop", count=None)
    clients.site(1)
    (row,) = clients.settled(1)
    sandbox.good_weather()
    sandbox.later()
    clients.bridge.look_at_the_clock()
    clients.bridge.settle(sandbox)
    tasks = [task["text"] for task in sandbox.table("tasks") if task["entity_id"] == row.deal_id]
    assert tasks == ["Связаться и взять в работу"]


def test_a_form_is_known_by_its_section_of_the_config(clients: Clients) -> None:
    clients.post("html", form(name="Анна Иванова", phone=PHONE, message="Сколько стоит?"))
    clients.post("cf7", form(name="Пётр", phone="+79161234568", message="Хочу бриф"))
    rows = clients.settled(2)
    assert [(row.source, row.state) for row in rows] == [("cf7", "done"), ("html", "done")]
    assert {deal["name"] for deal in clients.deals()} >= {"Анна Иванова, Форма сайта", "Пётр, Contact Form 7"}


def test_one_person_by_site_chat_and_telephone_is_one_contact_and_one_deal(clients: Clients, sandbox: LocalCrm) -> None:
    deals, people = len(clients.deals()), len(sandbox.table("contacts"))
    clients.site(1)
    clients.vk(1, f"Это я писала на сайте, {PHONE}")
    clients.call(1)
    rows = clients.settled(3)
    assert {row.state for row in rows if row.kind == "enquiry"} == {"done"}, rows
    assert len(clients.deals()) == deals + 1
    assert len(sandbox.table("contacts")) == people + 1
    assert len({row.deal_id for row in rows}) == 1
    ours = [note for note in clients.notes() if "Обращение" in note]
    assert len(ours) == 2
    assert [task["text"] for task in sandbox.table("tasks") if "Перезвонить" in task["text"]] == [
        "Перезвонить: клиент не дозвонился"
    ]


def test_the_demo_of_a_client_who_asks_three_times(clients: Clients, sandbox: LocalCrm, office: CrmUser) -> None:
    urls = {vendor: f"{clients.bridge.url}{path}" for vendor, path in clients.paths.items()}
    scene = Scene(office, client=Client(urls, SECRETS))
    for act in ENQUIRY_STORY.acts:
        act.happens(scene)

        def holds(act: Act = act) -> bool:
            try:
                return bool(list(act.sees(scene)))
            except Missing:
                return False

        wait_until(holds, act.title, patience=20)
        clients.bridge.settle(sandbox)
        assert list(act.sees(scene))
        assert len(office.tasks(scene.deal)) == act.tasks, act.title
        assert set(act.rules) <= {entry.clause for entry in clients.bridge.journal(scene.deal)}


@pytest.mark.parametrize(("count", "people"), [(300, 60), (500, 50)])
def test_a_storm_of_few_people_by_three_vendors_costs_few_requests(
    clients: Clients, sandbox: LocalCrm, count: int, people: int
) -> None:
    deals, contacts = len(clients.deals()), len(sandbox.table("contacts"))
    sandbox.forget_requests()

    def post(number: int) -> None:
        phone = f"+7916000{number % people:04}"
        if number % 3 == 0:
            clients.site(number, phone)
        elif number % 3 == 1:
            clients.vk(number, f"Мой номер {phone}, вопрос {number}", 100 + number % people)
        else:
            clients.call(number, phone)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(post, range(count)))
    rows = clients.settled(count)
    counts = sandbox.requests()
    assert {row.state for row in rows} <= {"done", "waits"}
    assert len(clients.deals()) == deals + people
    assert len(sandbox.table("contacts")) == contacts + people
    assert sum(counts.values()) <= 0.2 * count, counts


def test_a_client_who_comes_again_costs_no_more_than_four_requests(clients: Clients, sandbox: LocalCrm) -> None:
    clients.site(1)
    clients.settled(1)
    sandbox.forget_requests()
    clients.site(2)
    newest, _ = clients.settled(2)
    assert (newest.state, newest.standing) == ("done", "open")
    counts = sandbox.requests()
    assert sum(counts.values()) <= 4, sorted(counts.items())
    tasks = [task["text"] for task in sandbox.table("tasks") if "обратился снова" in task["text"]]
    assert tasks == ["Клиент обратился снова: прочитать примечание и ответить"]


def test_a_closed_client_gets_a_new_deal_that_names_the_old_one(clients: Clients, sandbox: LocalCrm) -> None:
    clients.site(1)
    (first,) = clients.settled(1)
    end(sandbox, first.deal_id)
    clients.bridge.settle(sandbox)
    clients.site(2)
    second, _ = clients.settled(2)
    assert (second.state, second.standing) == ("done", "closed")
    assert second.deal_id not in (None, first.deal_id)
    url = f"{sandbox.url}/api/v4/leads/{second.deal_id}"
    deal = requests.get(url, headers=HEADERS, timeout=30).json()
    assert "уже обращался" in [tag["name"] for tag in deal["_embedded"]["tags"]]
    assert any(f"/leads/detail/{first.deal_id}" in note for note in clients.notes())
    assert len([one for one in sandbox.table("contacts") if one["name"] == "Анна Иванова"]) == 1


@pytest.mark.parametrize("asks", ["site", "call"])
@pytest.mark.parametrize("fate", ["closed", "deleted"])
def test_a_deal_that_has_ended_unheard_is_followed_by_a_new_one(
    clients: Clients, sandbox: LocalCrm, asks: str, fate: str
) -> None:
    clients.site(1)
    (first,) = clients.settled(1)
    sandbox.fault("hook_drop")
    if fate == "closed":
        lost = {"id": first.deal_id, "status_id": 143}
        requests.patch(f"{sandbox.url}/api/v4/leads", json=[lost], headers=HEADERS, timeout=30).raise_for_status()
    else:
        sandbox.control("POST", "ui/delete_lead", {"user_id": 10000001, "lead_id": first.deal_id})
    getattr(clients, asks)(2)
    second, _ = clients.settled(2)
    assert second.standing == "closed", second
    assert second.deal_id not in (None, first.deal_id)
    assert len([one for one in sandbox.table("contacts") if one["name"] == "Анна Иванова"]) == 1


def test_two_contacts_with_one_phone_are_a_persons_matter(clients: Clients, sandbox: LocalCrm) -> None:
    phone = {"field_code": "PHONE", "values": [{"value": PHONE, "enum_code": "WORK"}]}
    twins = [{"name": name, "custom_fields_values": [phone]} for name in ("Анна", "Аня")]
    requests.post(f"{sandbox.url}/api/v4/contacts", json=twins, headers=HEADERS, timeout=30).raise_for_status()
    deals = len(clients.deals())
    clients.bridge.settle(sandbox)
    clients.site(1)
    (row,) = clients.settled(1)
    assert (row.state, row.standing, len(clients.deals())) == ("asked", "doubt", deals)
    (task,) = [task for task in sandbox.table("tasks") if "Чьё это обращение" in task["text"]]
    assert (task["entity_id"], "Сколько стоит? 1" in task["text"]) == (None, True)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/api/v4/leads/complex", "lost_answer"), ("/api/v4/leads/notes", "lost_answer")],
    ids=["сделка", "примечание"],
)
def test_a_lost_answer_doubles_nothing(clients: Clients, sandbox: LocalCrm, path: str, kind: str) -> None:
    deals, people = len(clients.deals()), len(sandbox.table("contacts"))
    fault = sandbox.fault(kind, path=path, method="POST", count=1)
    clients.site(1)
    (row,) = clients.settled(1)
    assert sandbox.struck(fault) == 1
    assert (row.state, row.error) == ("done", "")
    assert (len(clients.deals()), len(sandbox.table("contacts"))) == (deals + 1, people + 1)
    assert len([note for note in clients.notes() if "Сколько стоит? 1" in note]) == 1


def test_somebody_without_an_address_is_known_by_the_profile(clients: Clients, sandbox: LocalCrm) -> None:
    deals = len(clients.deals())
    fault = sandbox.fault("lost_answer", path="/api/v4/leads/complex", method="POST", count=1)
    clients.vk(1, "Здравствуйте, сколько стоит?")
    clients.settled(1)
    clients.vk(2, "Алло?")
    rows = clients.settled(2)
    assert sandbox.struck(fault) == 1
    assert len(clients.deals()) == deals + 1
    assert len({row.deal_id for row in rows}) == 1


def test_a_client_of_a_messenger_who_comes_back_is_the_same_contact(clients: Clients, sandbox: LocalCrm) -> None:
    people = len(sandbox.table("contacts"))
    clients.vk(1, "Здравствуйте, сколько стоит?")
    (first,) = clients.settled(1)
    end(sandbox, first.deal_id)
    clients.bridge.settle(sandbox)
    clients.vk(2, "Здравствуйте, это снова я")
    second, _ = clients.settled(2)
    assert (second.state, second.standing) == ("done", "closed")
    assert second.deal_id not in (None, first.deal_id)
    assert len(sandbox.table("contacts")) == people + 1


def test_a_deleted_contact_is_nobodys(clients: Clients, sandbox: LocalCrm) -> None:
    clients.site(1)
    (first,) = clients.settled(1)
    end(sandbox, first.deal_id)
    clients.bridge.settle(sandbox)
    (contact,) = [one for one in sandbox.table("contacts") if one["name"] == "Анна Иванова"]
    sandbox.fault("hook_drop")
    sandbox.control("POST", "ui/delete_contact", {"user_id": 10000001, "contact_id": contact["id"]})
    clients.site(2)
    second, _ = clients.settled(2)
    assert (second.state, second.error) == ("done", "")
    deal = next(one for one in clients.deals() if one["id"] == second.deal_id)
    living = [one["id"] for one in sandbox.table("contacts") if not one["is_deleted"] and one["name"] == "Анна Иванова"]
    assert len(living) == 1
    assert living[0] != contact["id"]
    assert deal["name"] == "Анна Иванова, Тильда"


def test_somebody_among_many_changed_contacts_is_not_overlooked(
    clients: Clients, sandbox: LocalCrm, office: CrmUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amo_bridge.intake.people.MOST_PAGES", 1)
    monkeypatch.setattr("amo_bridge.mirror.contacts.PAGE", 2)
    sandbox.fault("hook_drop")
    contact = office.new_contact("Иван Петров", "Анна Иванова", "", PHONE)
    for number in range(4):
        sandbox.later(1)
        office.new_contact("Иван Петров", f"Кто-то {number}")
    people = len(sandbox.table("contacts"))
    before = Cursors(clients.store).read(CONTACTS_SEEN_AT)
    clients.site(1)
    (row,) = clients.settled(1)
    assert (row.contact_id, row.state, len(sandbox.table("contacts"))) == (contact, "done", people)
    assert Cursors(clients.store).read(CONTACTS_SEEN_AT) == before


def test_contacts_that_may_not_be_read_make_nobody_a_stranger(clients: Clients) -> None:
    deals = len(clients.deals())
    with patch.object(ContactRefresher, "read_changed", side_effect=CrmForbidden("нет прав на контакты")):
        clients.site(1)
        wait_until(lambda: [row for row in clients.repository.find(EnquiryFilter()) if row.error], "it is told")
    (row,) = clients.repository.find(EnquiryFilter())
    assert (row.state, "нет прав на контакты" in row.error, len(clients.deals())) == ("new", True, deals)


def test_what_comes_while_the_bridge_is_down_is_done_once_it_is_up(
    config: Config, start_bridge: Callable[..., RunningBridge], clients: Clients, sandbox: LocalCrm
) -> None:
    sandbox.fault("status", path="/api/v4/leads/complex", method="POST", status=503)
    clients.site(1)
    wait_until(lambda: clients.repository.find(EnquiryFilter(state="sent")), "the enquiry is handed on")
    clients.bridge.stop()
    sandbox.good_weather()
    deals = len(clients.deals())
    again = Clients(start_bridge(config, environment={**ENVIRONMENT, **SECRETS}).wait_ready(), sandbox)
    again.site(1)
    again.site(2)
    rows = again.settled(2)
    assert [row.state for row in rows] == ["done", "done"]
    assert len(clients.deals()) == deals + 1


def test_a_client_of_the_lost_pipeline_is_answered_by_its_rule(
    clients: Clients, sandbox: LocalCrm, office: CrmUser
) -> None:
    contact = office.new_contact("Иван Петров", "Анна Иванова", "anna@example.ru")
    lost = office.new_deal("Иван Петров", "Потерянная", "Работа с потерянными / Потерянные", contact, 0)
    clients.bridge.settle(sandbox)
    clients.site(1, Email="Anna@example.ru")
    (row,) = clients.settled(1)
    assert (row.deal_id, row.standing, row.state) == (lost, "open", "done")
    reasons = [entry.reason for entry in clients.bridge.journal(lost) if entry.rule.endswith(".won_back")]
    assert reasons, "A111 hears that the client has answered"


def test_a_call_note_is_written_unless_the_widget_has(clients: Clients, sandbox: LocalCrm) -> None:
    clients.site(1)
    (row,) = clients.settled(1)
    clients.call(1, seconds=95)
    clients.settled(2)
    with clients.store.write() as connection:
        clients.repository.mark(connection, [row.id + 1], due_at=0.0)
    wait_until(lambda: not clients.repository.find(EnquiryFilter(state="waits")), "the call's note is settled")
    clients.bridge.settle(sandbox)
    (note,) = [note for note in sandbox.table("notes") if note["note_type"] == "call_in"]
    assert (note["entity_id"], note["params"]["duration"]) == (row.deal_id, 95)
    # The widget's note about a second call comes by itself.
    params = {"uniq": "w2", "duration": 40, "source": "widget", "phone": PHONE}
    body = [{"entity_id": row.deal_id, "note_type": "call_in", "params": params}]
    requests.post(f"{sandbox.url}/api/v4/leads/notes", json=body, headers=HEADERS, timeout=30).raise_for_status()
    clients.bridge.settle(sandbox)
    clients.call(2, seconds=40)
    clients.settled(3)
    with clients.store.write() as connection:
        clients.repository.mark(connection, [row.id + 2], due_at=0.0)
    wait_until(lambda: not clients.repository.find(EnquiryFilter(state="waits")), "the call's note is settled")
    clients.bridge.settle(sandbox)
    assert len([note for note in sandbox.table("notes") if note["note_type"] == "call_in"]) == 2


def test_each_of_two_calls_in_a_minute_has_its_own_note(clients: Clients, sandbox: LocalCrm) -> None:
    clients.site(1)
    (row,) = clients.settled(1)
    clients.call(1, seconds=95)
    clients.call(2, seconds=40)
    clients.settled(3)
    waiting = EnquiryFilter(state="waits")
    for number in (row.id + 1, row.id + 2):
        with clients.store.write() as connection:
            clients.repository.mark(connection, [number], due_at=0.0)
        wait_until(
            lambda number=number: number not in [one.id for one in clients.repository.find(waiting)],
            "the call's note is settled",
        )
        clients.bridge.settle(sandbox)
    notes = [note["params"]["duration"] for note in sandbox.table("notes") if note["note_type"] == "call_in"]
    assert notes == [95, 40]


def test_a_dry_bridge_says_what_it_would_do(
    config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm
) -> None:
    dry = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    clients = Clients(start_bridge(dry, environment={**ENVIRONMENT, **SECRETS}).wait_ready(), sandbox)
    deals = len(clients.deals())
    clients.site(1)
    (row,) = clients.settled(1)
    assert (row.state, len(clients.deals())) == ("dry", deals)
    assert "новая сделка «Анна Иванова, Тильда»" in row.outcome


def test_what_no_rule_wants_is_kept_and_may_be_tried_again(
    config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm
) -> None:
    off = [rule for rule in config.rules if rule.handler.name != "enquiry_becomes_deal"]
    clients = Clients(
        start_bridge(replace(config, rules=tuple(off)), environment={**ENVIRONMENT, **SECRETS}).wait_ready(), sandbox
    )
    clients.site(1)
    (row,) = clients.settled(1)
    assert (row.state, row.deal_id) == ("skipped", None)
    clients.bridge.stop()
    again = Clients(start_bridge(config, environment={**ENVIRONMENT, **SECRETS}).wait_ready(), sandbox)
    again.repository.retry(row.id, "Елена")
    (done,) = again.settled(1)
    assert (done.state, done.attempts) == ("done", 1)
    with pytest.raises(NotRetryable):
        again.repository.retry(row.id, "Елена")


def test_what_amocrm_refuses_is_told_and_sent_again_on_demand(clients: Clients, sandbox: LocalCrm) -> None:
    with patch("amo_bridge.crm.writes.write", side_effect=CrmRefused("поле не то")):
        clients.site(1)
        (row,) = clients.settled(1)
    assert row.state == "refused"
    assert row.error.startswith("поле не то")
    deals = len(clients.deals())
    clients.repository.retry(row.id, "Елена")
    (done,) = clients.settled(1)
    assert (done.state, done.error, len(clients.deals())) == ("done", "", deals + 1)


def test_a_call_of_whom_amocrm_tells_nothing_keeps_nobody_else_waiting(clients: Clients) -> None:
    unlucky = "+79031112233"
    find = PeopleFinder.find

    def picky(finder: PeopleFinder, people: Sequence[Person]) -> list[KnownPerson]:
        if any(unlucky in person.phones for person in people):
            raise CrmRefused("контакт не читается")
        return find(finder, people)

    with patch.object(PeopleFinder, "find", picky):
        clients.dialled(1, unlucky)
        clients.dialled(2)
        clients.site(1)
        wait_until(lambda: clients.repository.find(EnquiryFilter(state="done")), "the site's enquiry is done")
        wait_until(lambda: clients.repository.find(EnquiryFilter(state="skipped")), "the other call is settled")
    (waiting,) = clients.repository.find(EnquiryFilter(state="new"))
    assert waiting.body.phone == unlucky
    assert waiting.error == "amoCRM не даёт прочитать контакты: контакт не читается"
    with clients.store.write() as connection:
        clients.repository.mark(connection, [waiting.id], due_at=0.0)
    told = next(row for row in clients.settled(3) if row.id == waiting.id)
    assert (told.state, told.error) == ("skipped", "")


def test_the_unsorted_takes_strangers_if_the_config_says_so(
    config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm
) -> None:
    rules = tuple(
        replace(rule, options=rule.options.model_copy(update={"unsorted": True}))
        if rule.handler.name == "enquiry_becomes_deal"
        else rule
        for rule in config.rules
    )
    bridge = start_bridge(replace(config, rules=rules), environment={**ENVIRONMENT, **SECRETS}).wait_ready()
    clients = Clients(bridge, sandbox)
    fault = sandbox.fault("lost_answer", path="/api/v4/leads/unsorted/forms", method="POST", count=1)
    clients.site(1)
    (row,) = clients.settled(1)
    assert (row.state, sandbox.struck(fault)) == ("done", 1), row
    (incoming,) = [one for one in sandbox.table("unsorted") if one["metadata"]["form_id"] == f"amo-bridge-{row.id}"]
    assert incoming["lead_id"] == row.deal_id


def test_a_saved_request_shows_what_the_rules_would_do(config: Config, sandbox: LocalCrm, tmp_path: Path) -> None:
    body = form(tranid="1:1", Name="Анна", Phone=PHONE, Comments="Сколько стоит?")
    (tmp_path / "form.body").write_text(body, "utf-8")
    saved = {"vendor": "tilda", "method": "POST", "headers": {"Content-Type": FORM}, "body_file": "form.body"}
    meta = tmp_path / "form.meta.json"
    meta.write_text(json.dumps(saved | {"secrets": {"path_token": "x"}, "path": "/in/tilda/x"}), "utf-8")
    environment = {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_TOKEN": TOKEN}
    arguments = ["intake", "replay", str(meta), "--rules", "--json", "--config", str(config.path)]
    done = CliRunner().invoke(main, arguments, env=environment)
    told = json.loads(done.stdout)
    (decision,) = [one for one in told["decisions"] if one["rule"] == "enquiry_becomes_deal.everything"]
    assert decision["verdict"] == "would_act"
    assert any("новая сделка «Анна, Тильда»" in action for action in decision["actions"])
    assert sandbox.table("contacts") == [] or all(one["name"] != "Анна" for one in sandbox.table("contacts"))


def test_a_client_who_gets_no_answer_is_seen_to(
    config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm
) -> None:
    """M20, C20: by document A's config, which has the same rule."""
    # The sandbox's clock runs ahead while hooks are delivered.
    patient = tuple(replace(rule, max_lateness=timedelta(days=30)) for rule in config.rules)
    bridge = start_bridge(replace(config, rules=patient), environment={**ENVIRONMENT, **SECRETS}).wait_ready()
    clients = Clients(bridge, sandbox)
    # The rule was on before the client asks: amoCRM's clock is only known to a second or so.
    bridge.settle_at(sandbox, advance=60)
    clients.site(1)
    (row,) = clients.settled(1)
    assert row.deal_id is not None
    with clients.store.read() as connection:
        mine = (clients.store.owns(timers), timers.c.deal_id == row.deal_id)
        due = (
            connection.execute(select(timers.c.due_at).where(*mine, timers.c.rule.like("unanswered%"))).scalars().all()
        )
    assert len(due) == 3
    bridge.settle_at(sandbox, advance=min(due) - sandbox.control("GET", "clock")["now"] + 60)
    assert any("Клиент ждёт ответа больше часа" in task["text"] for task in sandbox.table("tasks"))


def test_a_client_may_write_as_often_as_he_likes(clients: Clients, sandbox: LocalCrm) -> None:
    clients.site(0)
    clients.settled(1)
    for number in range(1, 13):
        clients.vk(number, f"{PHONE}: сообщение {number}")
        clients.settled(1 + number)
    rows = clients.settled(13)
    assert {row.state for row in rows} == {"done"}
    assert len({row.deal_id for row in rows}) == 1
    assert all(any(f"сообщение {number}" in note for note in clients.notes()) for number in range(1, 13))
