"""Contacts, companies, and what links them with leads."""

from __future__ import annotations

import pytest
from support.sandbox_account import SandboxAccount


@pytest.fixture
def lead_id(account: SandboxAccount) -> int:
    return account.add_lead(name="Сделка")


def contacts_of(account: SandboxAccount, lead_id: int) -> list[tuple[int, bool]]:
    return [(item["id"], item["is_main"]) for item in account.lead(lead_id)["_embedded"]["contacts"]]


def test_a_link_is_asked_with_is_main_and_answered_with_main_contact(account: SandboxAccount, lead_id: int) -> None:
    anna = account.contact()
    wanted = {"to_entity_id": anna, "to_entity_type": "contacts", "metadata": {"is_main": True}}
    answer = account.post(f"leads/{lead_id}/link", [wanted]).json
    assert answer["_total_items"] == 1
    assert answer["_embedded"]["links"] == [
        {
            "entity_id": lead_id,
            "entity_type": "leads",
            "to_entity_id": anna,
            "to_entity_type": "contacts",
            "metadata": {"main_contact": True},
        }
    ]
    (listed,) = account.get(f"leads/{lead_id}/links").json["_embedded"]["links"]
    assert listed == {"to_entity_id": anna, "to_entity_type": "contacts", "metadata": {"main_contact": True}}
    (back,) = account.get(f"contacts/{anna}?with=leads").json["_embedded"]["leads"]
    assert back["id"] == lead_id


def test_the_main_contact_changes_by_linking_it_again(account: SandboxAccount, lead_id: int) -> None:
    anna, katya = account.contact(), account.contact("Екатерина Лисицына")
    account.post(
        f"leads/{lead_id}/link", [{"to_entity_id": who, "to_entity_type": "contacts"} for who in (anna, katya)]
    )
    assert contacts_of(account, lead_id) == [(anna, True), (katya, False)]
    again = {"to_entity_id": katya, "to_entity_type": "contacts", "metadata": {"is_main": True}}
    account.post(f"leads/{lead_id}/link", [again])
    assert contacts_of(account, lead_id) == [(katya, True), (anna, False)]


def test_unlinking_the_main_contact_makes_the_next_one_main(account: SandboxAccount, lead_id: int) -> None:
    anna, katya = account.contact(), account.contact("Екатерина Лисицына")
    both = [{"to_entity_id": who, "to_entity_type": "contacts"} for who in (anna, katya)]
    account.post(f"leads/{lead_id}/link", both)
    answer = account.post(f"leads/{lead_id}/unlink", both[:1])
    assert (answer.status, answer.raw) == (204, b"")
    assert contacts_of(account, lead_id) == [(katya, True)]


def test_a_lead_has_one_company(account: SandboxAccount, lead_id: int) -> None:
    first = account.company()
    second = account.post("companies", [{"name": "Вторая"}]).json["_embedded"]["companies"][0]["id"]
    for company_id in (first, second):
        account.post(f"leads/{lead_id}/link", [{"to_entity_id": company_id, "to_entity_type": "companies"}])
    assert [item["id"] for item in account.lead(lead_id)["_embedded"]["companies"]] == [second]


def test_linking_tells_once_and_touches_both_sides(account: SandboxAccount, lead_id: int) -> None:
    anna, mark = account.contact(), len(account.changes)
    account.world.clock.freeze()
    now = account.world.clock.advance(60)
    wanted = [{"to_entity_id": anna, "to_entity_type": "contacts"}]
    account.post(f"leads/{lead_id}/link", wanted)
    account.post(f"leads/{lead_id}/link", wanted)
    assert account.changes_since(mark) == [("leads", "link", lead_id)]
    assert account.changes[-1].extra == {"to_entity_type": "contacts", "to_entity_id": anna}
    assert account.lead(lead_id)["updated_at"] == account.get(f"contacts/{anna}").json["updated_at"] == now


def test_mass_links_name_their_entities(account: SandboxAccount, lead_id: int) -> None:
    anna = account.contact()
    wanted = {"entity_id": lead_id, "to_entity_id": anna, "to_entity_type": "contacts"}
    assert account.post("leads/link", [wanted]).status == 200
    (item,) = account.get(f"leads/links?filter[entity_id][]={lead_id}").json["_embedded"]["links"]
    assert (item["entity_id"], item["to_entity_id"]) == (lead_id, anna)
    assert account.get("leads/links").status == 400


def test_wrong_links_are_named(account: SandboxAccount, lead_id: int) -> None:
    wrong = [{"to_entity_id": 1, "to_entity_type": "contacts"}, {"to_entity_id": 1, "to_entity_type": "tasks"}, {}]
    assert account.post(f"leads/{lead_id}/link", wrong).errors == [
        ("to_entity_id", "NotSupportedChoice"),
        ("to_entity_type", "NotSupportedChoice"),
        ("to_entity_id", "FieldMissing"),
        ("to_entity_type", "FieldMissing"),
    ]


def test_a_contact_shows_its_company_and_the_company_its_contacts_when_asked(account: SandboxAccount) -> None:
    anna = account.get(f"contacts/{account.contact()}").json
    assert [item["id"] for item in anna["_embedded"]["companies"]] == [account.company()]
    assert "leads" not in anna["_embedded"]
    company = account.get(f"companies/{account.company()}?with=contacts").json
    assert [item["id"] for item in company["_embedded"]["contacts"]] == [account.contact()]
    assert "first_name" not in company


def test_first_and_last_name_make_the_name(account: SandboxAccount) -> None:
    contact_id = account.add_contact(first_name="Пётр", last_name="Ильин")
    assert account.get(f"contacts/{contact_id}").json["name"] == "Пётр Ильин"
    account.patch(f"contacts/{contact_id}", {"first_name": "Иван"})
    assert account.get(f"contacts/{contact_id}").json["name"] == "Иван Ильин"


def test_query_finds_a_contact_by_its_phone_as_typed(account: SandboxAccount) -> None:
    (found,) = account.get("contacts?query=903 111").json["_embedded"]["contacts"]
    assert found["id"] == account.contact()
    assert account.get("contacts?query=9031112233").status == 204


def test_contacts_merged_by_a_person(account: SandboxAccount, lead_id: int) -> None:
    anna = account.contact()
    phone = {"field_code": "PHONE", "values": [{"value": "+7 495 000-00-00"}]}
    double = account.add_contact(name="Аня С.", custom_fields_values=[phone], tags_to_add=[{"name": "дубль"}])
    account.post(f"leads/{lead_id}/link", [{"to_entity_id": double, "to_entity_type": "contacts"}])
    account.post("contacts/notes", [{"entity_id": double, "note_type": "common", "params": {"text": "привет"}}])
    mark = len(account.changes)
    who = {"user_id": account.user("Иван Петров"), "winner_id": anna, "loser_id": double}
    assert account.post("/sandbox/ui/merge", {**who, "entity_type": "contacts"}).status == 200
    assert account.get(f"contacts/{double}").status == 204
    assert contacts_of(account, lead_id) == [(anna, True)]
    winner = account.get(f"contacts/{anna}").json
    (phones,) = [field for field in winner["custom_fields_values"] if field["field_code"] == "PHONE"]
    assert [item["value"] for item in phones["values"]] == ["+7 903 111-22-33", "+7 495 000-00-00"]
    assert [tag["name"] for tag in winner["_embedded"]["tags"]] == ["дубль"]
    assert len(account.get(f"contacts/{anna}/notes").json["_embedded"]["notes"]) == 1
    assert account.changes_since(mark) == [("contacts", "delete", double), ("contacts", "update", anna)]
    assert account.changes[mark].extra == {"merged_into": anna}
