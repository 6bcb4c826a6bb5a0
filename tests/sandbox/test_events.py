"""The account's list of events: what each change leaves there, and what the filters find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.events import event_id
from amo_bridge.sandbox.server import create_app
from amo_bridge.sandbox.world import World


class Account:
    """A client whose clicks are not limited, with the account's names at hand."""

    def __init__(self, world: World, client: FlaskClient) -> None:
        self.world = world
        self._client = client
        self.me = next(user["id"] for user in world.table("users").values() if user["name"] == "Елена Орлова")

    def call(self, method: str, path: str, body: Any = None) -> TestResponse:
        headers = {"Authorization": "Bearer sandbox-token", "X-Sandbox-Person": str(self.me)}
        return self._client.open(path, method=method, json=body, headers=headers)

    def add(self, what: str, **fields: Any) -> int:
        answer = self.call("POST", f"/api/v4/{what}", [fields])
        assert answer.status_code == 200, answer.text
        return int(answer.json["_embedded"][what.rsplit("/", 1)[-1]][0]["id"])

    def patch(self, path: str, **fields: Any) -> None:
        answer = self.call("PATCH", f"/api/v4/{path}", fields)
        assert answer.status_code == 200, answer.text

    def events(self, query: str = "") -> list[dict[str, Any]]:
        answer = self.call("GET", f"/api/v4/events?{query}")
        if answer.status_code == 204:
            return []
        assert answer.status_code == 200, answer.text
        return list(answer.json["_embedded"]["events"])

    def types(self, query: str = "") -> list[str]:
        """Oldest first."""
        return [event["type"] for event in self.events(query)][::-1]

    def field(self, entity: str, name: str) -> dict[str, Any]:
        fields = self.world.table(f"custom_fields/{entity}").values()
        return dict(next(field for field in fields if field["name"] == name))

    def stage(self, name: str) -> dict[str, int]:
        statuses = self.world.table("statuses").values()
        found = next(status for status in statuses if status["name"] == name)
        return {"pipeline_id": found["pipeline_id"], "status_id": found["id"]}


@pytest.fixture
def account() -> Iterator[Account]:
    world = load_world()
    world.clock.freeze()
    with create_app(world).test_client() as client:
        yield Account(world, client)


def test_ids_sort_by_time_and_then_by_turn() -> None:
    ids = [event_id(at, number) for at, number in ((1748000000, 1), (1748000000, 2), (1748000001, 3), (1999999999, 4))]

    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {26}
    assert len(set(ids)) == 4


def test_every_change_of_a_deal_has_its_event(account: Account) -> None:
    deal = account.add("leads", name="Старое", price=1)
    brand, kind = account.field("leads", "Клиент (бренд)"), account.field("leads", "Тип клиента")
    manager = next(user["id"] for user in account.world.table("users").values() if user["name"] == "Иван Петров")
    left = account.world.table("leads")[deal]

    account.patch(
        f"leads/{deal}",
        name="Новое",
        price=2,
        responsible_user_id=manager,
        tags_to_add=[{"name": "важно"}],
        custom_fields_values=[
            {"field_id": brand["id"], "values": [{"value": "Ромашка"}]},
            {"field_id": kind["id"], "values": [{"enum_id": kind["enums"][0]["id"]}]},
        ],
        **account.stage("Бриф получен"),
    )

    found = {event["type"]: event for event in account.events()}
    assert set(found) == {
        "lead_added",
        "lead_status_changed",
        "entity_responsible_changed",
        "name_field_changed",
        "sale_field_changed",
        "entity_tag_added",
        f"custom_field_{brand['id']}_value_changed",
        f"custom_field_{kind['id']}_value_changed",
    }
    moved = found["lead_status_changed"]
    stage = account.stage("Бриф получен")
    assert moved["value_after"] == [{"lead_status": {"id": stage["status_id"], "pipeline_id": stage["pipeline_id"]}}]
    assert moved["value_before"] == [{"lead_status": {"id": left["status_id"], "pipeline_id": left["pipeline_id"]}}]
    assert (moved["entity_type"], moved["entity_id"], moved["created_by"]) == ("lead", deal, account.me)
    assert found["sale_field_changed"]["value_after"] == [{"sale_field_value": {"sale": 2}}]
    selected = found[f"custom_field_{kind['id']}_value_changed"]["value_after"]
    enum = kind["enums"][0]
    expected = {"field_id": kind["id"], "field_type": 4, "enum_id": enum["id"], "text": enum["value"]}
    assert selected == [{"custom_field_value": expected}]


def test_an_event_looks_as_documented(account: Account) -> None:
    deal = account.add("leads", name="Сделка «Ромашка»")

    [event] = account.events("with=lead_name")

    assert list(event) == [
        "id", "type", "entity_id", "entity_type", "created_by", "created_at",
        "value_after", "value_before", "account_id", "_links", "_embedded",
    ]  # fmt: skip
    assert event["_embedded"]["entity"]["id"] == deal
    assert event["_embedded"]["entity"]["name"] == "Сделка «Ромашка»"
    assert account.call("GET", f"/api/v4/events/{event['id']}").json["id"] == event["id"]


def test_tasks_notes_and_links_have_theirs(account: Account) -> None:
    deal, contact = account.add("leads", name="x"), account.add("contacts", name="Анна")
    link = [{"to_entity_id": contact, "to_entity_type": "contacts"}]
    account.call("POST", f"/api/v4/leads/{deal}/link", link)
    account.call("POST", f"/api/v4/leads/{deal}/unlink", link)
    task = account.add("tasks", text="Позвонить", complete_till=2_000_000_000, entity_id=deal, entity_type="leads")
    account.patch(f"tasks/{task}", text="Написать", complete_till=2_000_000_060, task_type_id=2)
    account.patch(f"tasks/{task}", is_completed=True, result={"text": "Готово"})
    for note_type, params in (
        ("common", {"text": "Привет"}),
        ("attachment", {"file_name": "Бриф.docx"}),
        ("call_in", {"phone": "79990000000", "duration": 5, "source": "pbx", "uniq": "1"}),
    ):
        account.add(f"leads/{deal}/notes", note_type=note_type, params=params)

    assert account.types("filter[entity]=task") == [
        "task_added", "task_text_changed", "task_deadline_changed", "task_type_changed",
        "task_completed", "task_result_added",
    ]  # fmt: skip
    assert account.types(f"filter[entity]=contact&filter[entity_id]={contact}") == [
        "contact_added", "entity_linked", "entity_unlinked",
    ]  # fmt: skip
    assert account.types(f"filter[entity]=lead&filter[entity_id]={deal}") == [
        "lead_added", "contact_linked", "contact_unlinked",
        "common_note_added", "attachment_note_added", "incoming_call",
    ]  # fmt: skip


def test_what_people_do_is_there_too(account: Account) -> None:
    deal = account.add("leads", name="x")
    letter = {"entity_type": "leads", "entity_id": deal, "from_email": "a@example.com"}
    account.call("POST", "/sandbox/ui/incoming_mail", {"user_id": 0, **letter})
    account.call("POST", "/sandbox/ui/delete_lead", {"user_id": account.me, "lead_id": deal})
    account.call("POST", "/sandbox/ui/restore_lead", {"user_id": account.me, "lead_id": deal})

    assert account.types() == ["lead_added", "incoming_mail", "lead_deleted", "lead_restored"]
    [mail] = account.events("filter[type]=incoming_mail")
    note = account.call("GET", f"/api/v4/leads/notes/{mail['value_after'][0]['note']['id']}").json
    assert note["note_type"] == "amomail_message"


def test_times_in_the_filter(account: Account) -> None:
    account.world.clock.set(1_800_000_000)
    for number in range(4):
        account.add("leads", name=str(number))
        account.world.clock.advance(10)

    def at(query: str) -> list[int]:
        return [event["created_at"] - 1_800_000_000 for event in account.events(query)]

    assert at("") == [30, 20, 10, 0]
    assert at("filter[created_at]=1800000010") == [30, 20]
    assert at("filter[created_at]=1800000010,1800000020") == [20, 10]
    assert at("filter[created_at][from]=1800000010&filter[created_at][to]=1800000020") == [20, 10]


def test_types_come_as_a_comma_list_or_as_an_array(account: Account) -> None:
    deal = account.add("leads", name="x")
    account.patch(f"leads/{deal}", price=5)
    account.patch(f"leads/{deal}", name="y")

    assert account.types("filter[type]=lead_added,sale_field_changed") == ["lead_added", "sale_field_changed"]
    assert account.types("filter[type][]=lead_added&filter[type][]=name_field_changed") == [
        "lead_added",
        "name_field_changed",
    ]


def test_a_custom_fields_type_excludes_all_others(account: Account) -> None:
    brand = account.field("leads", "Клиент (бренд)")["id"]
    deal = account.add("leads", name="x")
    account.patch(f"leads/{deal}", custom_fields_values=[{"field_id": brand, "values": [{"value": "Ромашка"}]}])

    changed = f"custom_field_{brand}_value_changed"
    assert account.types(f"filter[type]={changed},lead_added") == [changed]
    assert account.types("filter[type]=custom_field_value_changed") == [changed]


def test_entity_ids_need_exactly_one_entity(account: Account) -> None:
    deal = account.add("leads", name="x")
    account.add("leads", name="y")

    assert account.types(f"filter[entity]=lead&filter[entity_id]={deal}") == ["lead_added"]
    assert account.call("GET", f"/api/v4/events?filter[entity_id]={deal}").status_code == 400
    several = f"filter[entity]=lead,contact&filter[entity_id]={deal}"
    assert account.call("GET", f"/api/v4/events?{several}").status_code == 400


def test_what_a_value_became_can_be_searched(account: Account) -> None:
    deal = account.add("leads", name="x")
    account.patch(f"leads/{deal}", **account.stage("Бриф получен"))
    account.patch(f"leads/{deal}", **account.stage("Согласование КП"))

    def moves(side: str, stage: str) -> int:
        ids = account.stage(stage)
        prefix = f"filter[{side}][leads_statuses][0]"
        pair = f"{prefix}[pipeline_id]={ids['pipeline_id']}&{prefix}[status_id]={ids['status_id']}"
        return len(account.events(f"filter[type]=lead_status_changed&{pair}"))

    assert (moves("value_after", "Бриф получен"), moves("value_before", "Бриф получен")) == (1, 1)
    assert (moves("value_after", "Утвержденный проект"), moves("value_before", "Согласование КП")) == (0, 0)


def test_who_did_it_can_be_searched(account: Account) -> None:
    account.add("leads", name="x")

    assert len(account.events(f"filter[created_by]={account.me}")) == 1
    assert account.events("filter[created_by][]=1&filter[created_by][]=2") == []
    too_many = ",".join(str(number) for number in range(11))
    assert account.call("GET", f"/api/v4/events?filter[created_by]={too_many}").status_code == 400


def test_pages_hold_a_hundred_at_most_and_a_larger_limit_falls_back_to_fifty(account: Account) -> None:
    account.call("POST", "/api/v4/leads", [{"name": str(number)} for number in range(120)])

    assert len(account.events("limit=100")) == 100
    assert len(account.events("limit=101")) == 50
    assert len(account.events()) == 50
    assert len(account.events("limit=100&page=2")) == 20
    assert account.call("GET", "/api/v4/events?limit=100&page=3").status_code == 204


def test_types_are_listed(account: Account) -> None:
    listed = account.call("GET", "/api/v4/events/types?language_code=ru").json["_embedded"]["events_types"]

    by_key = {kind["key"]: kind for kind in listed}
    assert by_key["lead_status_changed"] == {
        "key": "lead_status_changed",
        "type": 14,
        "lang": "Изменение этапа продажи",
    }
    assert len({kind["type"] for kind in listed}) == len(listed)
