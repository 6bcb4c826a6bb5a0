"""What rules may ask about a deal: read afresh from amoCRM, for many deals at once, and only where a rule looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from support.fakes import ACCOUNT, NEW, NOON, client_of, rule
from support.local_crm import TOKEN, LocalCrm

from amo_bridge.crm.account import Account
from amo_bridge.crm.reads import contacts_by_ids, deals_by_ids
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.data_loader import DataLoader
from amo_bridge.engine.data_sources import SourceContext
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.errors import CrmForbidden
from amo_bridge.events import TouchRecord
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.touches import add_touches
from amo_bridge.rules.actions import Skip
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import made, outbox


def asks(*needs: str, name: str = "asks") -> Rule:
    return rule(lambda event, deal, options: Skip("нет"), name, needs=needs)


class Place:
    """A deal of Ivan's with a contact, and what the bridge sees of it."""

    def __init__(self, crm: LocalCrm, office: CrmUser, folder: Path) -> None:
        self.crm, self.office = crm, office
        self.store = Store.in_folder(folder)
        self.store.prepare()
        self.client = client_of(crm.url)
        self.account = Account.read(self.client)
        self.person = next(iter(office.users))
        self.contact = self.new_contact("Мария Ким")
        self.deal = self.new_deal()

    def new_contact(self, name: str, **fields: str) -> int:
        values = [
            {"field_code": code, "values": [{"value": value, "enum_code": "WORK"}]} for code, value in fields.items()
        ]
        return self.post("contacts", [{"name": name, "custom_fields_values": values or None}])

    def new_deal(self) -> int:
        return self.office.new_deal(self.person, "Ромашка", NEW, self.contact, 1000)

    def post(self, path: str, body: Any, method: str = "POST") -> int:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(self.office.users[self.person])}
        answer = requests.request(method, f"{self.crm.url}/api/v4/{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        if not answer.content:
            return 0
        (rows,) = answer.json()["_embedded"].values()
        return int(rows[0].get("id", 0))

    def task(self, text: str, deal: int, **more: Any) -> int:
        body = {"text": text, "complete_till": int(NOON.timestamp()), "entity_id": deal, "entity_type": "leads", **more}
        return self.post("tasks", [body])

    def around(self, *deals: int) -> DataLoader:
        records = deals_by_ids(self.client, deals or [self.deal], self.account.is_api_filter_enabled)
        self.records = records
        return DataLoader(SourceContext(self.client, self.account, AccountStore(self.store, ACCOUNT)), records)

    def view(self, deal: int) -> Deal:
        return Viewer(self.account, self.crm.url).deal(self.records[deal])

    def read(self, *needs: str, name: str = "asks") -> Deal:
        around = self.around()
        return around.load(asks(*needs, name=name), self.view(self.deal))


@pytest.fixture
def place(sandbox: LocalCrm, office: CrmUser, tmp_path: Path) -> Iterator[Place]:
    there = Place(sandbox, office, tmp_path)
    yield there
    there.store.close()


def remember(place: Place, made_id: int, rule_name: str, slot: str = "0", kind: str = "create_task") -> None:
    row = {"account": ACCOUNT, "rule": rule_name, "deal_id": place.deal, "slot": slot, "kind": kind}
    with place.store.write() as connection:
        connection.execute(made.insert(), {**row, "entity_id": made_id, "at": 0.0})


def test_open_tasks_are_everybody_s_and_say_whose(place: Place) -> None:
    mine, other, persons = (place.task(text, place.deal) for text in ("Моя", "Чужого правила", "Человека"))
    place.task("Готово", place.deal, is_completed=True)
    place.task("На другой сделке", place.new_deal())
    remember(place, mine, "asks.one", "first")
    remember(place, other, "another.one")
    seen = {task.id: task for task in place.read("open_tasks").open_tasks}
    assert set(seen) == {mine, other, persons}
    assert [(seen[one].is_own, seen[one].made_by, seen[one].slot) for one in (mine, other, persons)] == [
        (True, "asks.one", "first"),
        (False, "another.one", "0"),
        (False, "", ""),
    ]
    assert seen[persons].created_by == place.office.users[place.person]


def test_a_task_on_the_card_says_its_type_unless_it_is_the_usual_one(place: Place) -> None:
    usual, meeting = place.task("Связаться", place.deal), place.task("Встретиться", place.deal, task_type_id=2)
    seen = {task.id: task.task_type for task in place.read("open_tasks").open_tasks}
    assert seen == {usual: None, meeting: "Встреча"}


@pytest.mark.parametrize(
    ("state", "on", "text", "made_by"),
    [
        ("doubt", 0, "Оптимизация", "asks.one"),
        ("sending", 0, "Оптимизация", "asks.one"),
        ("ready", 0, "Оптимизация", ""),
        ("doubt", 1, "Оптимизация", ""),
        ("doubt", 0, "Другое", ""),
    ],
    ids=["answer lost", "on its way", "not sent", "another deal", "another text"],
)
def test_a_rule_s_task_is_known_before_its_answer_is(
    place: Place, state: str, on: int, text: str, made_by: str
) -> None:
    """The answer was lost, and the webhook about the task is quicker than the look for it."""
    task = {"text": "Оптимизация", "complete_till": 2_000_000_000, "entity_id": place.deal, "entity_type": "leads"}
    place.client.post("/api/v4/tasks", [task])
    row = {
        "account": ACCOUNT, "key": "k", "rule": "asks.one", "deal_id": place.deal + on, "kind": "create_task",
        "payload": json.dumps({"slot": "s", "body": {"text": text}}), "state": state, "created_at": 0.0,
    }  # fmt: skip
    with place.store.write() as connection:
        connection.execute(outbox.insert(), row)
    (found,) = place.read("open_tasks").open_tasks
    assert (found.made_by, found.slot) == (made_by, "s" if made_by else "")


def test_open_tasks_stay_right_when_amocrm_ignores_the_filter(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = place.task("Моя", place.deal)
    place.task("Готово", place.deal, is_completed=True)
    place.task("На другой сделке", place.new_deal())
    whole = place.client.pages
    monkeypatch.setattr(place.client, "pages", lambda path, params, key, limit=250: whole(path, {}, key, limit))
    assert [task.id for task in place.read("open_tasks").open_tasks] == [mine]


def test_finished_tasks_carry_their_results(place: Place) -> None:
    place.task("Ждёт", place.deal)
    done = place.task("Согласовать КП", place.deal, is_completed=True, result={"text": "Согласовано"})
    (seen,) = place.read("finished_tasks").finished_tasks
    assert (seen.id, seen.is_completed, seen.result) == (done, True, "Согласовано")


def test_own_tasks_are_found_on_other_cards_too(place: Place) -> None:
    on_contact = place.post(
        "tasks", [{"text": "К", "complete_till": 1, "entity_id": place.contact, "entity_type": "contacts"}]
    )  # fmt: skip
    remember(place, on_contact, "asks.one")
    remember(place, place.task("Чужая", place.deal), "another.one")
    assert [(task.id, task.is_own) for task in place.read("own_tasks").own_tasks] == [(on_contact, True)]


def test_own_deals_are_those_that_the_rule_made_of_this_deal(place: Place) -> None:
    for number, rule_name in ((31, "asks.one"), (32, "other"), (33, "asks.one")):
        remember(place, number, rule_name, kind="create_deal")
    remember(place, 34, "asks.one")
    assert place.read("own_deals").own_deals == tuple(f"{place.crm.url}/leads/detail/{number}" for number in (31, 33))


def test_files_of_notes_of_the_card_and_of_fields_are_told_once(place: Place) -> None:
    place.office.attach(place.person, place.deal, "Коммерческое предложение Ромашка.pdf")
    place.crm.later()
    upload = {"file_name": "Договор.docx", "file_size": 3}
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(place.office.users[place.person])}
    session = requests.post(f"{place.crm.url}/drive/v1.0/sessions", json=upload, headers=headers, timeout=30).json()
    file = requests.post(session["upload_url"], data=b"abc", headers=headers, timeout=30).json()
    place.post(f"leads/{place.deal}/files", [{"file_uuid": file["uuid"]}], "PUT")
    files = place.read("files").files
    assert [one.name for one in files] == ["Коммерческое предложение Ромашка.pdf", "Договор.docx"]
    offer, contract = files
    assert offer.other_name == "Kommercheskoe_predlozhenie_Romashka.pdf"
    assert (offer.user_id, contract.uuid) == (place.office.users[place.person], file["uuid"])


def test_without_the_right_to_files_the_notes_tell_what_they_know(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.office.attach(place.person, place.deal, "Договор.docx")
    place.crm.fault("forbidden", path="/api/v4/leads/*/files") if False else None

    whole = place.client.get

    def get(path: str, params: Any = None) -> Any:
        if path.endswith("/files"):
            raise CrmForbidden("Invalid scope", status=403)
        return whole(path, params)

    monkeypatch.setattr(place.client, "get", get)
    assert [one.name for one in place.read("files").files] == ["Договор.docx"]


def call(place: Place, path: str, seconds: int, **params: Any) -> int:
    body = {
        "note_type": "call_out",
        "params": {"phone": "+79161234567", "duration": seconds, "source": "АТС", "uniq": str(seconds), **params},
    }
    return place.post(f"{path}/notes", [body])


def test_calls_of_the_deal_and_of_its_people(place: Place) -> None:
    on_contact = call(place, f"contacts/{place.contact}", 10)
    place.crm.later()
    on_deal = call(place, f"leads/{place.deal}", 95, link="https://pbx.example/1.mp3", call_status=4)
    call(place, f"leads/{place.new_deal()}", 200)
    place.post(f"leads/{place.deal}/notes", [{"note_type": "common", "params": {"text": "звонил"}}])
    first, second = place.read("calls").calls
    assert (first.id, first.on, first.seconds, first.link) == (on_contact, "contact", 10, None)
    assert (second.id, second.on, second.seconds, second.link, second.status) == (
        on_deal, "deal", 95, "https://pbx.example/1.mp3", 4,
    )  # fmt: skip
    assert (second.direction, second.user_id, second.is_talk()) == ("out", place.office.users[place.person], True)


def test_a_call_written_on_the_deal_and_on_its_contact_is_one(place: Place) -> None:
    call(place, f"contacts/{place.contact}", 0)
    on_deal = call(place, f"leads/{place.deal}", 0)
    assert [(one.id, one.on) for one in place.read("calls").calls] == [(on_deal, "deal")]
    place.crm.later(600)
    call(place, f"contacts/{place.contact}", 0)
    assert len(place.read("calls").calls) == 2, "the exchange may give one name to all of its calls"


SAME = [
    pytest.param({}, id="the same id"),
    pytest.param({"duration": 5}, id="the same id, written before it was over"),
    pytest.param({"uniq": "another"}, id="another id in the same second"),
    pytest.param({"uniq": ""}, id="no id"),
    pytest.param({"phone": "8 (916) 123-45-67"}, id="the number in other words"),
]


@pytest.mark.parametrize("other_card", ["leads", "contacts"])
@pytest.mark.parametrize("differs", SAME)
def test_one_call_noted_several_times_is_one(place: Place, differs: dict[str, Any], other_card: str) -> None:
    cards = {"leads": f"leads/{place.deal}", "contacts": f"contacts/{place.contact}"}
    first = call(place, cards["leads"], 0)
    second = call(place, cards[other_card], 0, **differs)
    third = call(place, cards[other_card], 0, **differs)
    (one,) = place.read("calls").calls
    assert one.note_ids == (first, second, third)
    assert one.seconds == differs.get("duration", 0)


OTHERS = [
    pytest.param({"phone": "+79160000000"}, 0, id="another number"),
    pytest.param({"uniq": ""}, 60, id="a minute later"),
    pytest.param({"uniq": "0"}, 600, id="a short id, which the exchange may give to all of its calls"),
    pytest.param({"uniq": "0b1c2d3e-17"}, 60, id="another id"),
]


@pytest.mark.parametrize(("differs", "later"), OTHERS)
def test_other_calls_are_others(place: Place, differs: dict[str, Any], later: int) -> None:
    call(place, f"leads/{place.deal}", 0)
    place.crm.later(later)
    call(place, f"leads/{place.deal}", 0, **differs)
    assert len(place.read("calls").calls) == 2


def test_a_long_id_holds_for_a_day(place: Place) -> None:
    call(place, f"leads/{place.deal}", 0, uniq="8f52d38a-5fb3-406d")
    place.crm.later(3 * 3600)
    call(place, f"leads/{place.deal}", 95, uniq="8f52d38a-5fb3-406d", call_status=4, link="https://pbx.example/1.mp3")
    (one,) = place.read("calls").calls
    assert (one.seconds, one.status, one.link) == (95, 4, "https://pbx.example/1.mp3")
    place.crm.later(24 * 3600)
    call(place, f"leads/{place.deal}", 0, uniq="8f52d38a-5fb3-406d")
    assert len(place.read("calls").calls) == 2


def test_one_call_on_two_contacts_of_one_number_is_one(place: Place) -> None:
    second = place.new_contact("Пётр", PHONE="8 (916) 123-45-67")
    place.post(f"leads/{place.deal}/link", [{"to_entity_id": second, "to_entity_type": "contacts"}])
    for contact in (place.contact, second):
        call(place, f"contacts/{contact}", 95, uniq="8f52d38a")
    assert len(place.read("calls").calls) == 1


def test_contacts_come_with_their_fields_the_main_one_first(place: Place) -> None:
    second = place.new_contact("Пётр", PHONE="8 (916) 123-45-67", EMAIL="Petr@Example.ru")
    link = {"to_entity_id": second, "to_entity_type": "contacts", "metadata": {"is_main": True}}
    place.post(f"leads/{place.deal}/link", [link])
    main, other = place.read("contacts").contacts
    assert (main.id, main.is_main, main.phones, main.mails) == (second, True, ("+79161234567",), ("petr@example.ru",))
    assert main.text("Телефон") == "8 (916) 123-45-67"
    assert (other.id, other.name, other.is_main, other.deal_ids) == (place.contact, "Мария Ким", False, (place.deal,))


def test_touches_are_those_of_the_deal_and_its_people(place: Place) -> None:
    own = place.account.current_user_id
    person = place.office.users[place.person]

    def noted(
        key: str, hours: float, kind: Any, card: tuple[str, int], user: int | None = person, side: Any = ""
    ) -> TouchRecord:
        return TouchRecord(
            key=key, kind=kind, direction=side, at=NOON + timedelta(hours=hours), card=card, user_id=user
        )

    with place.store.write() as connection:
        add_touches(
            connection,
            ACCOUNT,
            [
                noted("2", 2, "call", ("contact", place.contact), side="in"),
                noted("1", 1, "task", ("deal", place.deal)),
                noted("3", 3, "move", ("deal", place.deal), user=own + 10_000),
                noted("4", 4, "move", ("deal", place.deal), user=own),
                noted("5", 5, "move", ("deal", place.deal), user=0),
                noted("6", 6, "task", ("deal", place.deal), user=None),
                noted("7", 7, "chat", ("deal", place.deal), user=0, side="out"),
                noted("8", 8, "chat", ("deal", place.deal), user=0, side="in"),
                noted("9", 9, "call", ("deal", place.deal + 1), side="in"),
            ],
        )
    touches = place.read("touches").touches
    assert [(one.kind, one.direction) for one in touches] == [
        ("task", ""),
        ("call", "in"),
        ("move", ""),
        ("chat", "in"),
    ]


@pytest.mark.parametrize(
    ("need", "per_round"),
    [("open_tasks", 1), ("finished_tasks", 1), ("own_tasks", 0), ("calls", 2), ("contacts", 1), ("touches", 0)],
)
def test_what_is_expected_is_read_for_all_deals_at_once(place: Place, need: Any, per_round: int) -> None:
    deals = [place.deal, *(place.new_deal() for _ in range(5))]
    around = place.around(*deals)
    for deal in deals:
        around.expect({need}, deal)
    place.crm.forget_requests()
    for deal in deals:
        tuple(getattr(around.load(asks(need), place.view(deal)), need))
    assert sum(place.crm.requests().values()) == per_round


def test_files_cost_a_request_for_each_deal_that_is_looked_at(place: Place) -> None:
    deals = [place.deal, place.new_deal(), place.new_deal()]
    around = place.around(*deals)
    place.crm.forget_requests()
    assert around.load(asks("files"), place.view(deals[0])).files == ()
    assert place.crm.requests() == {"GET /api/v4/leads/notes": 1, "GET /api/v4/leads/{id}/files": 1}


def test_the_client_s_other_deals_come_newest_first(place: Place) -> None:
    place.crm.later(60)
    second = place.new_deal()
    place.crm.later(60)
    third = place.new_deal()
    place.office.new_deal(place.person, "Чужая", NEW, place.new_contact("Пётр"), 1000)
    newest, older = place.read("other_deals").other_deals
    assert [(one.id, one.is_newer, one.is_open) for one in (newest, older)] == [
        (third, True, True),
        (second, True, True),
    ]
    assert (older.stage.title, older.responsible_user_id) == (NEW, place.office.users[place.person])
    around = place.around(second)
    seen = around.load(asks("other_deals"), place.view(second)).other_deals
    assert [(one.id, one.is_newer) for one in seen] == [(third, True), (place.deal, False)]


def test_the_open_tasks_on_the_client_s_own_card(place: Place) -> None:
    mine = place.task("Поздравить", place.contact, entity_type="contacts")
    place.task("Готово", place.contact, entity_type="contacts", is_completed=True)
    place.task("На сделке", place.deal)
    assert [(one.id, one.text) for one in place.read("contact_tasks").contact_tasks] == [(mine, "Поздравить")]


def test_one_person_on_several_cards(place: Place) -> None:
    """The card that an earlier webinar made has his phone: its deals and tasks are his too."""
    twin = place.new_contact("Маша", PHONE="8 (916) 123-45-67")
    elsewhere = place.office.new_deal(place.person, "Второй вебинар", NEW, twin, 1000)
    place.office.new_deal(place.person, "Чужая", NEW, place.new_contact("Пётр"), 1000)
    card = {"field_code": "PHONE", "values": [{"value": "+7 916 123 45 67"}]}
    place.client.patch("/api/v4/contacts", [{"id": place.contact, "custom_fields_values": [card]}])
    index = ContactIndex(AccountStore(place.store, ACCOUNT))
    known = contacts_by_ids(place.client, [place.contact, twin], filter_enabled=True)
    with place.store.write() as connection:
        index.put(connection, map(MirroredContact.of, known.values()), NOON)
    tasks = [place.task("Перезвонить", elsewhere), place.task("Написать", twin, entity_type="contacts")]
    place.task("На самой сделке", place.deal)
    place.task("На главной карточке", place.contact, entity_type="contacts")
    place.crm.forget_requests()
    seen = place.read("contacts", "person_deals", "person_tasks")
    assert place.crm.requests()["GET /api/v4/contacts/{id}"] == 2, "his card and his twin's, each once"
    assert [one.id for one in seen.person_deals] == [elsewhere]
    assert sorted(one.id for one in seen.person_tasks) == sorted(tasks)


def test_when_a_rule_acted_is_known_by_amocrm_s_clock(place: Place) -> None:
    row = {"account": ACCOUNT, "deal_id": place.deal, "kind": "patch_deal", "created_at": 500.0}
    acts = [
        {"key": "1", "rule": "asks.one", "state": "done", "payload": "{}", "result": '{"id": 7, "at": 90.0}'},
        {"key": "2", "rule": "asks.one", "state": "done", "payload": '{"not_before": 200.0}', "result": None},
        {"key": "3", "rule": "asks.one", "state": "ready", "payload": "{}", "result": None},
        {"key": "4", "rule": "another.one", "state": "done", "payload": '{"not_before": 300.0}', "result": None},
    ]
    with place.store.write() as connection:
        connection.execute(outbox.insert(), [row | act for act in acts])
    seen = place.read("own_acts")
    assert [moment.timestamp() for moment in seen.own_acts] == [90.0, 200.0]
    assert seen.was_acted_on_since(datetime.fromtimestamp(200, UTC))
    assert not seen.was_acted_on_since(datetime.fromtimestamp(201, UTC))
