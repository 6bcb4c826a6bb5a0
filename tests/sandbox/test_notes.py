"""Notes of every type that can be written, calls, and letters."""

from __future__ import annotations

from typing import Any

import pytest
from support.sandbox_account import SandboxAccount


@pytest.fixture
def lead_id(account: SandboxAccount) -> int:
    return account.add_lead()


def notes(account: SandboxAccount, path: str) -> list[dict[str, Any]]:
    answer = account.get(path)
    return [] if answer.status == 204 else list(answer.json["_embedded"]["notes"])


@pytest.mark.parametrize(
    ("note_type", "params"),
    [
        ("common", {"text": "текст"}),
        (
            "call_in",
            {"uniq": "u", "duration": 60, "source": "pbx", "link": "", "phone": "79990000000", "call_status": 4},
        ),
        ("call_out", {"phone": "79990000000", "call_responsible": "Иван"}),
        ("service_message", {"service": "Мост", "text": "готово"}),
        ("extended_service_message", {"service": "Мост", "text": "готово"}),
        ("message_cashier", {"status": "shown", "text": "в кассу"}),
        ("geolocation", {"text": "тут", "address": "Москва", "longitude": "37", "latitude": "55"}),
        ("sms_in", {"text": "да", "phone": "79990000000"}),
        ("sms_out", {"text": "да", "phone": "79990000000"}),
    ],
)
def test_every_writable_type_is_read_as_it_was_written(
    account: SandboxAccount, lead_id: int, note_type: str, params: dict[str, Any]
) -> None:
    answer = account.post(f"leads/{lead_id}/notes", [{"note_type": note_type, "params": params}])
    (made,) = answer.json["_embedded"]["notes"]
    assert made.keys() == {"id", "entity_id", "request_id", "_links"}
    note = account.get(f"leads/notes/{made['id']}").json
    assert (note["note_type"], note["params"], note["entity_id"]) == (note_type, params, lead_id)
    assert "entity_type" not in note


def test_a_file_note_reads_back_with_its_name_in_latin(account: SandboxAccount, lead_id: int) -> None:
    name = "Коммерческое предложение №1.pdf"
    params = {"file_uuid": "5f0b2f1e-0000-4000-8000-000000000001", "version_uuid": "v", "file_name": name}
    account.post("leads/notes", [{"entity_id": lead_id, "note_type": "attachment", "params": params}])
    (note,) = notes(account, f"leads/{lead_id}/notes")
    assert note["params"] == {
        "is_drive_attachment": True,
        "text": name,
        "original_name": name,
        "file_uuid": params["file_uuid"],
        "version_uuid": "v",
        "file_name": "Kommercheskoe_predlozhenie_№1.pdf",
    }


@pytest.mark.parametrize(
    ("note", "error"),
    [
        ({"note_type": "common", "params": {"text": ""}}, ("params.text", "NotBlank")),
        ({"note_type": "common", "params": {}}, ("params.text", "FieldMissing")),
        ({"note_type": "common"}, ("params", "FieldMissing")),
        ({"note_type": "common", "params": {"text": "а" * 20_001}}, ("params.text", "TooLong")),
        ({"note_type": "amomail_message", "params": {}}, ("note_type", "NotSupportedChoice")),
        ({"note_type": "call_in", "params": {"phone": 7}}, ("params.phone", "InvalidType")),
        ({"note_type": "attachment", "params": {"file_uuid": "нет"}}, ("params.file_uuid", "NotSupportedChoice")),
    ],
)
def test_wrong_notes_are_named(
    account: SandboxAccount, lead_id: int, note: dict[str, Any], error: tuple[str, str]
) -> None:
    assert account.post(f"leads/{lead_id}/notes", [note]).errors == [error]


def test_a_note_of_twenty_thousand_letters_is_taken(account: SandboxAccount, lead_id: int) -> None:
    note = {"note_type": "common", "params": {"text": "а" * 20_000}}
    assert account.post(f"leads/{lead_id}/notes", [note]).status == 200


def test_filters_but_not_by_created_at(account: SandboxAccount, lead_id: int) -> None:
    common = {"entity_id": lead_id, "note_type": "common", "params": {"text": "а"}}
    service = {"entity_id": lead_id, "note_type": "service_message", "params": {"service": "б", "text": "б"}}
    account.post("leads/notes", [common, service])
    assert [note["note_type"] for note in notes(account, "leads/notes?filter[note_type][]=common")] == ["common"]
    assert len(notes(account, f"leads/notes?filter[entity_id][]={lead_id}")) == 2
    assert len(notes(account, "leads/notes?filter[created_at][from]=9999999999")) == 2
    assert notes(account, "leads/notes?filter[updated_at][from]=9999999999") == []
    assert notes(account, "contacts/notes") == []


def test_a_note_can_be_changed_but_not_its_type(account: SandboxAccount, lead_id: int) -> None:
    account.post(f"leads/{lead_id}/notes", [{"note_type": "common", "params": {"text": "а"}}])
    (note,) = notes(account, "leads/notes")
    account.patch(f"leads/{lead_id}/notes/{note['id']}", {"note_type": "common", "params": {"text": "б"}})
    assert account.get(f"leads/notes/{note['id']}").json["params"] == {"text": "б"}
    wrong = account.patch("leads/notes", [{"id": note["id"], "note_type": "sms_in", "params": {"text": "б"}}])
    assert wrong.errors == [("note_type", "NotSupportedChoice")]


def call(phone: str, **more: Any) -> dict[str, Any]:
    return {"direction": "inbound", "duration": 60, "source": "pbx", "phone": phone, **more}


def test_a_call_finds_the_contact_by_ten_digits_and_an_unknown_number_is_an_error(account: SandboxAccount) -> None:
    answer = account.post("calls", [call("8 903 111 22 33"), call("+70000000000", request_id="чужой")]).json
    (made,) = answer["_embedded"]["calls"]
    assert (made["entity_type"], made["entity_id"]) == ("contact", account.contact())
    assert [error["request_id"] for error in answer["errors"]] == ["чужой"]
    (note,) = notes(account, f"contacts/{account.contact()}/notes")
    assert (note["id"], note["note_type"], note["params"]["duration"]) == (made["id"], "call_in", 60)


@pytest.mark.parametrize(("open_leads", "kind"), [(1, "lead"), (2, "contact"), (0, "contact")])
def test_a_call_goes_to_the_only_open_lead(account: SandboxAccount, open_leads: int, kind: str) -> None:
    lost = account.add_lead(status_id=143)
    leads = [lost, *(account.add_lead() for _ in range(open_leads))]
    link = [{"to_entity_id": account.contact(), "to_entity_type": "contacts"}]
    for lead_id in leads:
        account.post(f"leads/{lead_id}/link", link)
    (made,) = account.post("calls", [call("+7 (903) 111-22-33")]).json["_embedded"]["calls"]
    assert (made["entity_type"], made["entity_id"]) == (kind, leads[-1] if kind == "lead" else account.contact())


def test_a_letter_is_a_note_that_the_events_list_tells_of(account: SandboxAccount, lead_id: int) -> None:
    letter = {
        "user_id": 0,
        "entity_type": "leads",
        "entity_id": lead_id,
        "from_email": "client@example.org",
        "subject": "Бриф",
        "summary": "Во вложении",
        "attachments": 1,
    }
    note_id = account.post("/sandbox/ui/incoming_mail", letter).json["id"]
    note = account.get(f"leads/{lead_id}/notes/{note_id}").json
    assert note["note_type"] == "amomail_message"
    assert note["params"]["from"]["email"] == "client@example.org"
    assert (note["params"]["subject"], note["params"]["income"]) == ("Бриф", True)
    (event,) = account.get("events?filter[type]=incoming_mail").json["_embedded"]["events"]
    assert (event["entity_id"], event["value_after"]) == (lead_id, [{"note": {"id": note_id}}])
