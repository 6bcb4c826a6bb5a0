"""amoCRM's events list, told in our own events: what hooks would have told, and the letters that no hook tells."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
import requests
import responses
from support.local_crm import TOKEN, LocalCrm

from amo_bridge.crm import events_api
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.events_api import deal_changes, events_since, newest_at, touches_before
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.events import (
    CallLogged,
    ClientDeleted,
    ClientUpdated,
    DealMoved,
    Event,
    FileAttached,
    MailLogged,
    MessageReceived,
    NoteAdded,
    SmsLogged,
    TaskAdded,
    TaskCompleted,
    TaskDeleted,
    TaskReported,
    TaskUpdated,
)

NEW, MEETING = "Продажи / Новый клиент", "Продажи / Встреча назначена"


class Desk:
    """What people do in the sandbox, and what the list says of it."""

    def __init__(self, crm: LocalCrm, office: CrmUser) -> None:
        self.crm, self.office = crm, office
        self.client = CrmClient(crm.url, LongLivedToken(TOKEN), LocalRateLimiter(5000), max_retry_wait=0.1)
        self.person = next(iter(office.users))
        self.user = office.users[self.person]
        self.contact = office.new_contact(self.person, "Анна")
        self.deal = office.new_deal(self.person, "Ромашка", NEW, self.contact, 1000)
        crm.later()
        self.start = office.now()

    def post(self, path: str, body: Any, method: str = "POST") -> int:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(self.user)}
        answer = requests.request(method, f"{self.crm.url}/api/v4/{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        (rows,) = answer.json()["_embedded"].values()
        return int(rows[0]["id"])

    def ui(self, what: str, **told: Any) -> Any:
        return self.crm.control("POST", f"ui/{what}", {"user_id": self.user, **told})

    def note(self, card: str, note_type: str, **params: Any) -> int:
        return self.post(f"{card}/notes", [{"note_type": note_type, "params": params}])

    def task(self, **more: Any) -> int:
        body = {"text": "Позвонить", "complete_till": 1_800_000_000, "entity_type": "leads", "entity_id": self.deal}
        return self.post("tasks", [body | more])

    def patch_task(self, task: int, **facts: Any) -> None:
        self.crm.later()
        self.post("tasks", [{"id": task, **facts}], "PATCH")

    def told(self, **how: Any) -> list[Event]:
        return events_since(self.client, self.start, **how).events


@pytest.fixture
def desk(sandbox: LocalCrm, office: CrmUser) -> Desk:
    return Desk(sandbox, office)


def test_a_letter_is_found_with_what_amocrm_knows_of_it(desk: Desk) -> None:
    letter = {"from_email": "anna@client.example", "subject": "Re: анкета", "summary": "Добрый день", "attachments": 2}
    note = desk.ui("incoming_mail", entity_type="leads", entity_id=desk.deal, **letter | {"user_id": 0})["id"]
    desk.ui("outgoing_mail", entity_type="contacts", entity_id=desk.contact, from_email="info@agency.example")
    came, went = desk.told()
    assert isinstance(came, MailLogged)
    assert (came.note_id, came.entity_type, came.entity_id, came.direction) == (note, "deal", desk.deal, "in")
    assert (came.sender, came.recipient) == ("anna@client.example", "info@agency.example")
    assert (came.subject, came.summary, came.attachments, came.user_id) == ("Re: анкета", "Добрый день", 2, 0)
    assert isinstance(went, MailLogged)
    assert (went.entity_type, went.entity_id, went.direction, went.user_id) == (
        "contact", desk.contact, "out", desk.user,
    )  # fmt: skip


def test_calls_and_sms_on_every_card_files_and_texts_on_deals(desk: Desk) -> None:
    call = {"phone": "+79161234567", "duration": 95, "source": "АТС", "uniq": "u1", "link": "https://pbx.example/1"}
    desk.note(f"leads/{desk.deal}", "call_in", **call)
    desk.note(f"contacts/{desk.contact}", "call_out", **call)
    desk.note(f"contacts/{desk.contact}", "sms_in", text="да", phone="+79161234567")
    desk.note(f"contacts/{desk.contact}", "common", text="не о сделке")
    desk.note(f"leads/{desk.deal}", "common", text="о сделке")
    desk.office.attach(desk.person, desk.deal, "КП.pdf")
    told = desk.told()
    assert [type(event) for event in told] == [CallLogged, CallLogged, SmsLogged, NoteAdded, FileAttached]
    first, second, sms = told[:3]
    assert isinstance(first, CallLogged)
    assert (first.direction, first.seconds, first.link, first.uniq) == ("in", 95, "https://pbx.example/1", "u1")
    assert isinstance(second, CallLogged)
    assert (second.direction, second.entity_type, second.entity_id) == ("out", "contact", desk.contact)
    assert isinstance(sms, SmsLogged)
    assert (sms.direction, sms.text, sms.entity_type) == ("in", "да", "contact")


def test_messages_are_told_without_their_words(desk: Desk) -> None:
    on_deal = desk.ui("incoming_message", contact_id=desk.contact, lead_id=desk.deal, text="привет", user_id=0)["id"]
    on_contact = desk.ui("outgoing_message", contact_id=desk.contact, text="здравствуйте")["id"]
    first, second = desk.told()
    assert isinstance(first, MessageReceived)
    assert (first.message_id, first.direction, first.entity_type, first.entity_id) == (on_deal, "in", "deal", desk.deal)
    assert isinstance(second, MessageReceived)
    assert (second.message_id, second.direction, second.entity_type, second.contact_id, second.user_id) == (
        on_contact, "out", "contact", desk.contact, desk.user,
    )  # fmt: skip


def test_what_happened_to_a_task_is_told_step_by_step(desk: Desk) -> None:
    task = desk.task()
    desk.patch_task(task, complete_till=1_800_003_600)
    desk.patch_task(task, text="Перезвонить")
    other = next(user for user in desk.office.users.values() if user != desk.user)
    desk.patch_task(task, responsible_user_id=other)
    desk.patch_task(task, is_completed=True, result={"text": "да"})
    told = [event for event in desk.told() if isinstance(event, TaskReported)]
    assert {(event.task_id, event.entity_type, event.entity_id, event.user_id) for event in told} == {
        (task, "deal", desk.deal, desk.user)
    }
    added, date, text, responsible, *end = told
    assert isinstance(added, TaskAdded)
    assert added.is_completed is False
    assert (date.due, date.text) == (datetime.fromtimestamp(1_800_003_600, UTC), None)
    assert (text.text, text.due) == ("Перезвонить", None)
    assert responsible.responsible_user_id == other
    assert {type(event) for event in (date, text, responsible)} == {TaskUpdated}
    assert [(type(event), event.result) for event in end] == [(TaskCompleted, "да"), (TaskUpdated, "да")]


def test_of_a_deleted_task_only_the_deletion_is_told(desk: Desk) -> None:
    task = desk.task()
    desk.ui("delete_task", task_id=task)
    (gone,) = desk.told()
    assert isinstance(gone, TaskDeleted)
    assert (gone.task_id, gone.user_id, gone.caught_up) == (task, desk.user, True)


def test_contacts_that_went_or_were_merged(desk: Desk) -> None:
    first, second = (desk.office.new_contact(desk.person, name) for name in ("Борис", "Борис 2"))
    desk.ui("merge", entity_type="contacts", winner_id=first, loser_id=second)
    desk.ui("delete_contact", contact_id=desk.contact)
    merged, deleted = (event for event in desk.told() if isinstance(event, ClientUpdated | ClientDeleted))
    assert (type(merged), merged.client_id, merged.raw) == (ClientUpdated, first, {"type": "entity_merged"})
    assert (type(deleted), deleted.client_id) == (ClientDeleted, desk.contact)


def test_only_what_happened_since_is_told_oldest_first(desk: Desk) -> None:
    desk.office.move(desk.person, desk.deal, MEETING)
    desk.crm.later()
    middle = desk.office.now()
    desk.office.move(desk.person, desk.deal, NEW)
    desk.crm.later()
    desk.task()
    assert [type(event) for event in desk.told()] == [DealMoved, DealMoved, TaskAdded]
    assert [type(event) for event in events_since(desk.client, middle).events] == [DealMoved, TaskAdded]
    assert newest_at(desk.client) == middle + timedelta(seconds=60)


def test_notes_that_are_known_are_not_read_again(desk: Desk) -> None:
    known = desk.note(f"leads/{desk.deal}", "common", text="раз")
    desk.note(f"leads/{desk.deal}", "common", text="два")
    desk.crm.forget_requests()
    (told,) = desk.told(known_notes=lambda ids: {known} & set(ids))
    assert isinstance(told, NoteAdded)
    assert told.text == "два"
    assert desk.crm.requests() == {"GET /api/v4/events": 1, "GET /api/v4/leads/notes": 1}
    desk.crm.forget_requests()
    assert desk.told(known_notes=set) == []
    assert desk.crm.requests() == {"GET /api/v4/events": 1}


def test_rows_that_were_seen_cost_nothing_again(desk: Desk) -> None:
    desk.task()
    first = events_since(desk.client, desk.start)
    desk.office.move(desk.person, desk.deal, MEETING)
    desk.crm.forget_requests()
    second = events_since(desk.client, desk.start, known_rows=first.rows.keys())
    assert [type(event) for event in first.events] == [TaskAdded]
    assert [type(event) for event in second.events] == [DealMoved]
    assert second.rows.keys() > first.rows.keys()
    assert desk.crm.requests() == {"GET /api/v4/events": 1}


def test_touches_of_the_past_are_read_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ui("outgoing_message", contact_id=desk.contact)
    for stage in (MEETING, NEW) * 3:
        desk.crm.later()
        desk.office.move(desk.person, desk.deal, stage)
    desk.note(f"leads/{desk.deal}", "common", text="не касание")
    at_once = [event for event in desk.told() if not isinstance(event, NoteAdded)]
    monkeypatch.setattr(events_api, "PAGE_SIZE", 3)
    found: list[Event] = []
    until: datetime | None = desk.office.now()
    while until is not None:
        told, until = touches_before(desk.client, desk.start, until)
        found = [*told, *found]
    assert len(at_once) == 7
    # A page begins with the second in which the one before it ended.
    assert [event for number, event in enumerate(found) if event not in found[:number]] == at_once


# --- what became of deals, as amoCRM documents it --------------------------------------------------------------------


def row(kind: str, at: int, before: list[Any], after: list[Any], entity: str = "lead", deal: Any = 7) -> dict[str, Any]:
    return {
        "id": f"01{at}", "type": kind, "entity_id": deal, "entity_type": entity, "created_by": 11, "created_at": at,
        "value_before": before, "value_after": after, "account_id": 1,
    }  # fmt: skip


def stage(status: int, pipeline: int = 3) -> list[Any]:
    return [{"lead_status": {"id": status, "pipeline_id": pipeline}}]


def owner(user: int) -> list[Any]:
    return [{"responsible_user": {"id": user}}]


def value(text: str, field: int = 71) -> list[Any]:
    return [{"custom_field_value": {"field_id": field, "field_type": 6, "enum_id": None, "text": text}}]


MOVES = [
    row("lead_status_changed", 1_790_000_300, stage(142), stage(20)),
    row("entity_responsible_changed", 1_790_000_200, owner(11), owner(12)),
    # No deal's, before the time asked for, without an id.
    row("entity_responsible_changed", 1_790_000_200, [], owner(12), "contact"),
    row("lead_status_changed", 1_789_999_999, stage(10), stage(20)),
    row("lead_status_changed", 1_790_000_100, stage(10), stage(20), deal=None),
]  # fmt: skip
FIELDS = [
    # The type of a field comes with its number or without.
    row("custom_field_71_value_changed", 1_790_000_400, value("1790000000"), []),
    row("custom_field_value_changed", 1_790_000_150, [], value("1790000000")),
    row("custom_field_value_changed", 1_790_000_150, [], value("чужое", 99)),
]


@responses.activate
def test_what_became_of_deals_is_asked_in_two_lists_and_the_filters_are_not_believed() -> None:
    asked: list[str] = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        asked.append(unquote(request.url))
        rows = FIELDS if "custom_field_71" in asked[-1] else MOVES
        return 200, {}, json.dumps({"_embedded": {"events": rows}, "_links": {}})

    responses.add_callback("GET", "https://a.amocrm.ru/api/v4/events", answer)
    client = CrmClient("https://a.amocrm.ru", LongLivedToken(TOKEN), LocalRateLimiter(5000), max_retry_wait=0.1)
    since, until = (datetime.fromtimestamp(1_790_000_000 + n, UTC) for n in (0, 1_000))
    found = list(deal_changes(client, since, until, [71]))
    assert [(one.stages, one.owners, one.field_id, one.texts) for one in found] == [
        (((3, 142), (3, 20)), None, None, ((), ())),
        (None, (11, 12), None, ((), ())),
        (None, None, 71, (("1790000000",), ())),
        (None, None, 71, ((), ("1790000000",))),
    ]
    assert {(one.deal_id, one.user_id) for one in found} == {(7, 11)}
    assert len(asked) == 2
    assert all("filter[created_at][from]=1790000000" in url and "[to]=1790000999" in url for url in asked)
    assert "lead_status_changed,entity_responsible_changed" in asked[0]
    assert "custom_field_71_value_changed" in asked[1]
