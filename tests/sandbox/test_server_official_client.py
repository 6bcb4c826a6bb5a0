"""amoCRM's own PHP library against the sandbox: its requests as it sends them, and what it reads in each answer.

The requests are those of its services (query strings as ``http_build_query`` makes them, bodies as ``toApi`` does, with
``request_id`` in every object). The keys are those its models read without asking whether they are there: PHP stops at
one that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from support.sandbox_account import Answered, SandboxAccount

ACCOUNT = (
    "id name subdomain created_by created_at updated_by updated_at current_user_id country currency is_unsorted_on "
    "mobile_feature_version customers_mode is_loss_reason_enabled is_helpbot_enabled is_technical_account "
    "contact_name_display_order"
)
DATES = "date_pattern short_date_pattern short_time_pattern date_format time_format timezone timezone_offset"
FILE = (
    "id uuid version_uuid name size created_at created_by updated_at updated_by deleted_at is_trashed metadata "
    "sanitized_name source_id previews type"
)
FIELD = "id name sort entity_type account_id is_api_only is_deletable is_predefined tracking_callback search_in"
GROUP = "id name sort is_predefined entity_type fields"
PIPELINE = "id name sort is_main is_unsorted_on is_archive account_id"
STATUS = "id name sort is_editable pipeline_id color type account_id"
NOTE = "id entity_id created_by updated_by created_at updated_at responsible_user_id group_id note_type params"
EVENT = "id type entity_id entity_type created_by created_at value_after value_before account_id"
TASK = "id entity_id entity_type is_completed task_type_id text result complete_till responsible_user_id"
HOOK = "id destination created_at updated_at account_id created_by sort disabled settings"
UNSORTED = "uid source_uid source_name category pipeline_id created_at metadata account_id"


def assert_has(body: Mapping[str, Any], names: Iterable[str]) -> None:
    wanted = names.split() if isinstance(names, str) else names
    assert [name for name in wanted if name not in body] == []


def rows(answer: Answered, name: str) -> Any:
    assert answer.status in (200, 201), answer.raw.decode()
    assert answer.headers["Content-Type"] == ("application/json" if name == "files" else "application/hal+json")
    return answer.json["_embedded"][name]


def added(account: SandboxAccount, path: str, name: str, *bodies: dict[str, Any]) -> list[int]:
    """The ids of what was added, found by ``request_id`` as the library finds them."""
    sent = [{**body, "request_id": str(number)} for number, body in enumerate(bodies)]
    by_request = {row["request_id"]: row["id"] for row in rows(account.post(path, sent), name)}
    return [by_request[str(number)] for number in range(len(bodies))]


# --- the account -----------------------------------------------------------------------------------------------------


def test_account(account: SandboxAccount) -> None:
    asked = "amojo_id%2Cuuid%2Camojo_rights%2Cusers_groups%2Ctask_types%2Cversion%2Cdatetime_settings"
    body = account.get(f"account?with={asked}%2Cinvoices_settings%2Cis_api_filter_enabled").json
    assert_has(body, f"{ACCOUNT} amojo_id uuid version invoices_settings is_api_filter_enabled")
    assert isinstance(body["created_at"], int)
    assert isinstance(body["updated_at"], int)
    assert body["created_by"] in account.world.table("users")
    parts = body["_embedded"]
    assert parts["amojo_rights"] == {"can_direct": True, "can_create_groups": True}
    assert_has(parts["datetime_settings"], DATES)
    assert_has(parts["users_groups"][0], ("id", "name"))
    assert [kind["id"] for kind in parts["task_types"]][:2] == [1, 2]
    assert_has(parts["task_types"][0], ("id", "name", "color", "icon_id", "code"))


def test_users_and_roles(account: SandboxAccount) -> None:
    users = rows(account.get("users?with=role%2Cuuid%2Cgroup%2Camojo_id&limit=250&page=1"), "users")
    assert_has(users[0], ("id", "name", "email", "lang", "uuid", "amojo_id", "rights", "_embedded"))
    assert_has(users[0]["rights"], ("leads", "contacts", "companies", "tasks", "mail_access", "is_admin", "group_id"))
    assert_has(users[0]["_embedded"]["groups"][0], ("id", "name"))
    assert users[0]["_embedded"]["roles"] == []
    assert account.get(f"users/{users[0]['id']}?with=role").json["id"] == users[0]["id"]

    person = {"name": "Иван Иванов", "email": "ivan@agency.example", "password": "aBcde1@345", "rights": {}}
    (user_id,) = added(account, "users", "users", person)
    assert account.get(f"users/{user_id}").json["rights"]["is_active"] is True

    assert account.get("roles?limit=50&page=1").status == 204
    (role_id,) = added(account, "roles", "roles", {"name": "Стажёр", "rights": {"mail_access": True}})
    role = account.get(f"roles/{role_id}?with=users").json
    assert_has(role, ("id", "name", "rights"))
    assert role["rights"]["leads"]["view"] == "D"
    assert account.patch(f"roles/{role_id}", {"id": role_id, "name": "Помощник"}).status == 202
    assert account.call("DELETE", f"roles/{role_id}", []).status == 204


def test_pipelines_statuses_and_loss_reasons(account: SandboxAccount) -> None:
    pipelines = rows(account.get("leads/pipelines"), "pipelines")
    assert_has(pipelines[0], PIPELINE)
    assert_has(pipelines[0]["_embedded"]["statuses"][0], STATUS)
    stages = [{"name": "Новый", "sort": 10, "color": "#fffeb2"}, {"id": 142, "name": "Мы победили"}]
    new = {"name": "Лето", "sort": 40, "is_main": False, "is_unsorted_on": True, "_embedded": {"statuses": stages}}
    (pipeline_id,) = added(account, "leads/pipelines", "pipelines", new)
    statuses = rows(account.get(f"leads/pipelines/{pipeline_id}/statuses?with=descriptions"), "statuses")
    assert "Мы победили" in [status["name"] for status in statuses]
    assert statuses[0]["descriptions"] == []
    path = f"leads/pipelines/{pipeline_id}/statuses"
    (status_id,) = added(account, path, "statuses", {"name": "Второй", "sort": 20, "color": "#98cbff"})
    assert account.patch(f"{path}/{status_id}", {"id": status_id, "name": "Третий"}).json["name"] == "Третий"
    assert account.call("DELETE", f"{path}/{status_id}", []).status == 204
    assert account.call("DELETE", f"leads/pipelines/{pipeline_id}", []).status == 204

    reasons = rows(account.get("leads/loss_reasons?limit=50&page=1"), "loss_reasons")
    assert_has(reasons[0], ("id", "name", "sort", "created_at", "updated_at"))
    assert account.get(f"leads/loss_reasons/{reasons[0]['id']}").json["name"] == reasons[0]["name"]
    assert account.post("leads/loss_reasons", [{"name": "Передумал", "request_id": "0"}]).status == 405


# --- cards -----------------------------------------------------------------------------------------------------------


def test_leads(account: SandboxAccount) -> None:
    first, second = added(
        account,
        "leads",
        "leads",
        {"name": "Сделка", "price": 5, "_embedded": {"tags": [{"name": "срочно"}], "contacts": [], "companies": []}},
        {"name": "Вторая", "custom_fields_values": None},
    )
    asked = "catalog_elements%2Ccontacts%2Closs_reason%2Csource_id%2Cis_price_modified_by_robot"
    order = "order%5Bid%5D=desc&limit=50&page=1"
    ids = f"filter%5Bid%5D%5B0%5D={first}&filter%5Bid%5D%5B1%5D={second}"
    listed = account.get(f"leads?{ids}&{order}&with={asked}")
    assert [lead["id"] for lead in rows(listed, "leads")] == [second, first]
    assert_has(listed.json["_links"], ("self",))
    # The library sends a whole model back, with what it read and cannot change.
    lead = account.get(f"leads/{first}?with={asked}").json
    sent = {**lead, "name": "Новое имя", "request_id": "0"}
    answer = account.patch(f"leads/{first}", sent)
    assert (answer.status, answer.json["id"]) == (200, first)
    assert account.patch("leads", [{"id": second, "price": 7, "request_id": "0"}]).json["_embedded"]["leads"][0][
        "updated_at"
    ]
    assert account.get("leads/1").status == 204


def test_complex_leads(account: SandboxAccount) -> None:
    contact = {"first_name": "Нина", "custom_fields_values": [phone("+79991112233")], "request_id": "0"}
    lead = {"name": "С сайта", "request_id": "5", "_embedded": {"contacts": [contact], "companies": [{"name": "ООО"}]}}
    (made,) = account.post("leads/complex", [lead]).json
    assert_has(made, ("id", "contact_id", "company_id", "request_id", "merged"))
    assert made["request_id"] == ["5"]


def phone(number: str) -> dict[str, Any]:
    return {"field_code": "PHONE", "values": [{"value": number, "enum_code": "WORK"}]}


@pytest.mark.parametrize("kind", ["contacts", "companies"])
def test_contacts_and_companies(account: SandboxAccount, kind: str) -> None:
    (card_id,) = added(account, kind, kind, {"name": "Альфа", "custom_fields_values": [phone("+7 (916) 111-22-33")]})
    asked = "leads%2Ccustomers%2Ccatalog_elements" + ("" if kind == "contacts" else "%2Ccontacts")
    card = account.get(f"{kind}/{card_id}?with={asked}").json
    assert_has(card, ("id", "name", "responsible_user_id", "group_id", "closest_task_at", "is_deleted", "account_id"))
    assert card["_embedded"]["leads"] == card["_embedded"]["customers"] == card["_embedded"]["catalog_elements"] == []
    (value,) = card["custom_fields_values"][0]["values"]
    assert_has(value, ("value", "enum_id", "enum_code"))
    assert account.patch(f"{kind}/{card_id}", {**card, "request_id": "0"}).status == 200
    assert rows(account.get(f"{kind}?query=Альфа&limit=50&page=1"), kind)[0]["id"] == card_id


def test_links(account: SandboxAccount) -> None:
    lead_id, contact_id, company_id = account.add_lead(), account.contact(), account.company()
    sent = [
        {"to_entity_id": contact_id, "to_entity_type": "contacts", "metadata": {"is_main": True}},
        {"to_entity_id": company_id, "to_entity_type": "companies", "metadata": None},
    ]
    made = rows(account.post(f"leads/{lead_id}/link", sent), "links")
    assert_has(made[0], ("entity_id", "entity_type", "to_entity_id", "to_entity_type", "metadata"))
    read = rows(account.get(f"leads/{lead_id}/links?filter%5Bto_entity_type%5D=contacts"), "links")
    assert [link["metadata"] for link in read] == [{"main_contact": True}]
    many = rows(account.get(f"leads/links?filter%5Bentity_id%5D%5B0%5D={lead_id}"), "links")
    assert {link["entity_id"] for link in many} == {lead_id}
    assert account.post(f"leads/{lead_id}/unlink", sent).status == 204


def test_elements_of_a_list_are_linked_with_their_quantity(account: SandboxAccount) -> None:
    (catalog_id,) = added(account, "catalogs", "catalogs", {"name": "Товары", "type": "regular"})
    (element_id,) = added(account, f"catalogs/{catalog_id}/elements", "elements", {"name": "Пост"})
    lead_id = account.add_lead()
    metadata = {"quantity": 2.5, "price_id": None, "catalog_id": catalog_id}
    element = {"to_entity_id": element_id, "to_entity_type": "catalog_elements", "metadata": metadata}
    (link,) = rows(account.post(f"leads/{lead_id}/link", [element]), "links")
    assert link["metadata"] == metadata
    lead = account.get(f"leads/{lead_id}?with=catalog_elements").json
    assert lead["_embedded"]["catalog_elements"] == [{"id": element_id, "metadata": metadata}]
    assert account.post(f"leads/{lead_id}/unlink", [element]).status == 204
    assert account.get(f"leads/{lead_id}/links").json["_total_items"] == 0
    wrong = {**element, "metadata": {"catalog_id": 1}}
    assert account.post(f"leads/{lead_id}/link", [wrong]).errors == [("metadata.catalog_id", "NotSupportedChoice")]


# --- what hangs on cards ---------------------------------------------------------------------------------------------


def test_notes_of_every_type_that_can_be_written(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    call = {"uniq": "u", "duration": 60, "source": "ats", "link": "https://ats.example/1", "phone": "+79990000000"}
    sms = {"text": "Здравствуйте", "phone": "+79990000000"}
    place = {"text": "Офис", "address": "Москва", "longitude": "37.6", "latitude": "55.7"}
    types: dict[str, dict[str, Any]] = {
        "common": {"text": "Текст"},
        "call_in": call,
        "call_out": call,
        "service_message": {"service": "Бот", "text": "Текст"},
        "extended_service_message": {"service": "Бот", "text": "Текст"},
        "message_cashier": {"status": "created", "text": "Счёт"},
        "geolocation": place,
        "sms_in": sms,
        "sms_out": sms,
    }
    bodies = [{"entity_id": lead_id, "note_type": name, "params": params} for name, params in types.items()]
    ids = added(account, "leads/notes", "notes", *bodies)
    read = rows(account.get(f"leads/{lead_id}/notes?order%5Bid%5D=asc&limit=250"), "notes")
    assert [note["id"] for note in read] == ids
    assert {note["note_type"]: note["params"] for note in read} == types
    assert_has(read[0], NOTE)
    assert account.get(f"leads/notes/{ids[0]}").json["id"] == ids[0]
    changed = {"id": ids[0], "entity_id": lead_id, "note_type": "common", "params": {"text": "Другой"}}
    assert account.patch("leads/notes", [{**changed, "request_id": "0"}]).status == 200
    typed = f"filter%5Bnote_type%5D%5B0%5D=common&filter%5Bentity_id%5D%5B0%5D={lead_id}"
    assert [note["id"] for note in rows(account.get(f"leads/notes?{typed}"), "notes")] == [ids[0]]


def test_tasks(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    # Carbon gives a moment as a number with a point; PHP makes no difference.
    body = {"text": "Позвонить", "complete_till": 2_000_000_000.0, "entity_id": lead_id, "entity_type": "leads"}
    (task_id,) = added(account, "tasks", "tasks", {**body, "task_type_id": 1, "duration": 1800})
    task = account.get(f"tasks/{task_id}").json
    assert_has(task, TASK)
    assert (task["complete_till"], task["result"]) == (2_000_000_000, [])
    done = {"is_completed": True, "result": {"text": "Дозвонился"}, "request_id": "0"}
    assert account.patch(f"tasks/{task_id}", done).json["request_id"] == "0"
    asked = f"filter%5Bis_completed%5D=1&filter%5Bentity_type%5D%5B0%5D=leads&filter%5Bentity_id%5D%5B0%5D={lead_id}"
    (found,) = rows(account.get(f"tasks?{asked}&order%5Bcomplete_till%5D=asc"), "tasks")
    assert found["result"] == {"text": "Дозвонился"}
    answer = account.post("tasks", [{**body, "complete_till": 2_000_000_000.5}])
    assert answer.errors == [("complete_till", "InvalidType")]


def test_tags(account: SandboxAccount) -> None:
    first, second = added(account, "leads/tags", "tags", {"name": "Срочно"}, {"name": "Важно", "color": "EBEBEB"})
    assert first != second
    found = rows(account.get("leads/tags?filter%5Bname%5D=%D0%92%D0%B0%D0%B6%D0%BD%D0%BE&limit=50&page=1"), "tags")
    assert [tag["id"] for tag in found] == [second]
    assert added(account, "leads/tags", "tags", {"name": "Срочно"}) == [first]


def test_events(account: SandboxAccount) -> None:
    lead_id = account.add_lead(name="А")
    account.patch(f"leads/{lead_id}", {"price": 5, "name": "Б", **account.stage("Бриф получен")})
    asked = f"filter%5Btype%5D=lead_added%2Clead_status_changed&filter%5Bentity%5D=lead&filter%5Bentity_id%5D={lead_id}"
    events = rows(account.get(f"events?{asked}&with=lead_name%2Ccontact_name&limit=100&page=1"), "events")
    assert {event["type"] for event in events} == {"lead_added", "lead_status_changed"}
    assert_has(events[0], EVENT)
    assert account.get(f"events/{events[0]['id']}").json["id"] == events[0]["id"]
    types = rows(account.get("events/types?language_code=ru"), "events_types")
    assert_has(types[0], ("key", "type", "lang"))


def test_webhooks(account: SandboxAccount) -> None:
    hook = {"destination": "https://example.org/hook", "settings": ["add_lead", "status_lead"]}
    made = account.post("webhooks", hook)
    assert made.status == 201
    assert_has(made.json, HOOK)
    asked = "filter%5Bdestination%5D=https%3A%2F%2Fexample.org%2Fhook"
    (read,) = rows(account.get(f"webhooks?{asked}"), "webhooks")
    assert read["id"] == made.json["id"]
    assert account.call("DELETE", "webhooks", {"destination": hook["destination"]}).status == 204


def test_unsorted(account: SandboxAccount) -> None:
    within = {"leads": [{"name": "Заявка"}], "contacts": [{"name": "Клиент", "custom_fields_values": [phone("+7999")]}]}
    form = {"form_id": 1, "form_name": "Форма", "form_page": "https://x", "form_sent_at": 1, "ip": "1.1.1.1"}
    call = {"from": "ats", "phone": 79990000001, "called_at": 1, "duration": 5, "service_code": "c", "uniq": "u"}
    about = {"source_name": "Сайт", "source_uid": "s1", "created_at": 1_700_000_000, "_embedded": within}
    forms = account.post("leads/unsorted/forms", [{**about, "metadata": form, "request_id": "0"}])
    (made,) = rows(forms, "unsorted")
    assert made["request_id"] == "0"
    rows(account.post("leads/unsorted/sip", [{**about, "metadata": call, "request_id": "0"}]), "unsorted")
    asked = "filter%5Bcategory%5D%5B0%5D=forms&order%5Bcreated_at%5D=asc&limit=50&page=1"
    (read,) = rows(account.get(f"leads/unsorted?{asked}"), "unsorted")
    assert_has(read, UNSORTED)
    assert_has(read["_embedded"], ("leads", "contacts", "companies"))
    assert_has(account.get("leads/unsorted/summary").json, ("total", "accepted", "declined", "categories"))
    # The library's accept and decline send an empty list when they are given nothing.
    accepted = account.call("POST", f"leads/unsorted/{made['uid']}/accept", [])
    assert_has(accepted.json, ("uid", "pipeline_id", "category", "_embedded"))
    (other,) = rows(account.get("leads/unsorted"), "unsorted")
    assert account.call("DELETE", f"leads/unsorted/{other['uid']}/decline", []).status == 200
    assert account.get("leads/unsorted").status == 204


def test_calls(account: SandboxAccount) -> None:
    contact_id = account.add_contact(name="Клиент", custom_fields_values=[phone("8 999 123-45-67")])
    call = {"direction": "inbound", "duration": 148.0, "source": "ats", "phone": "+79991234567", "call_status": 4}
    answer = account.post("calls", [{**call, "request_id": "0"}, {**call, "phone": "1", "request_id": "1"}])
    (made,) = rows(answer, "calls")
    assert (made["entity_id"], made["request_id"]) == (contact_id, "0")
    assert [error["request_id"] for error in answer.json["errors"]] == ["1"]
    (note,) = rows(account.get(f"contacts/{contact_id}/notes"), "notes")
    assert note["params"]["duration"] == 148


# --- fields ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", ["leads", "contacts", "companies", "customers", "customers/segments"])
def test_fields_of_the_types_that_the_library_has_models_for(account: SandboxAccount, entity: str) -> None:
    enums = {"enums": [{"value": "Один", "sort": 1}, {"value": "Два", "sort": 2}]}
    types: dict[str, dict[str, Any]] = {
        **{name: enums for name in ("select", "multiselect", "radiobutton")},
        **{name: {} for name in ("text", "numeric", "checkbox", "date", "url", "textarea", "streetaddress")},
        **{name: {} for name in ("smart_address", "birthday", "legal_entity", "date_time", "file")},
    }
    bodies = [{"type": name, "name": f"Поле {name}", "sort": 600, **more} for name, more in types.items()]
    ids = added(account, f"{entity}/custom_fields", "custom_fields", *bodies)
    listed = account.get(f"{entity}/custom_fields?limit=250&page=1&filter%5Btype%5D%5B0%5D=smart_address")
    assert_has(rows(listed, "custom_fields")[0], FIELD)
    assert account.get(f"{entity}/custom_fields/{ids[0]}").json["id"] == ids[0]
    renamed = {"id": ids[0], "type": "select", "name": "Другое", "request_id": "0"}
    assert account.patch(f"{entity}/custom_fields/{ids[0]}", renamed).json["name"] == "Другое"
    assert account.call("DELETE", f"{entity}/custom_fields/{ids[0]}", []).status == 204


@pytest.mark.parametrize("entity", ["leads", "contacts", "companies", "customers"])
def test_groups_of_fields(account: SandboxAccount, entity: str) -> None:
    groups = rows(account.get(f"{entity}/custom_fields/groups"), "custom_field_groups")
    assert_has(groups[0], GROUP)
    (field_id,) = added(account, f"{entity}/custom_fields", "custom_fields", {"name": "Цвет", "type": "text"})
    (group_id,) = added(account, f"{entity}/custom_fields/groups", "custom_field_groups", {"name": "Своё", "sort": 9})
    path = f"{entity}/custom_fields/groups/{group_id}"
    assert account.patch(path, {"id": group_id, "fields": [field_id]}).json["fields"] == [field_id]
    assert account.get(f"{entity}/custom_fields/{field_id}").json["group_id"] == group_id
    assert account.call("DELETE", path, []).status == 204
    assert account.get(f"{entity}/custom_fields/{field_id}").json["group_id"] is None
    assert account.get(path).status == 404
    assert account.call("DELETE", f"{entity}/custom_fields/groups/default", []).status == 400


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["/drive", ""], ids=["as drive_url says", "on its host alone"])
def test_files(account: SandboxAccount, service: str) -> None:
    content = b"x" * 600_000
    person = {"id": account.user("Иван Петров"), "type": "internal"}
    session = {"file_name": "бриф.txt", "file_size": len(content), "content_type": "text/plain", "created_by": person}
    opened = account.post(f"{service}/v1.0/sessions", session).json
    url, part, sent = opened["upload_url"], opened["max_part_size"], 0
    while url:
        answer = account.call("POST", "/" + url.split("/", 3)[3], raw=content[sent : sent + part])
        sent, url = sent + part, answer.json.get("next_url")
    file = answer.json
    assert_has(file, FILE)
    assert isinstance(file["id"], int)
    assert file["id"] > 0
    assert_has(file["_links"], ("download", "download_version"))
    assert_has(file["metadata"], ("extension", "mime_type"))

    listed = account.get(f"{service}/v1.0/files?filter%5Buuid%5D={file['uuid']}&limit=50&page=1")
    assert [row["id"] for row in rows(listed, "files")] == [file["id"]]
    renamed = account.patch(f"{service}/v1.0/files/{file['uuid']}", {"uuid": file["uuid"], "name": "бриф2.txt"})
    assert (renamed.json["id"], renamed.json["name"]) == (file["id"], "бриф2.txt")
    lead_id = account.add_lead()
    link = [{"file_uuid": file["uuid"]}]
    assert account.call("PUT", f"leads/{lead_id}/files", link).status == 202
    assert account.get(f"leads/{lead_id}/files?limit=50").json["_embedded"]["files"][0]["file_uuid"] == file["uuid"]
    assert account.call("DELETE", f"leads/{lead_id}/files", link).status == 202
    assert account.call("DELETE", f"{service}/v1.0/files", [{"uuid": file["uuid"]}]).status == 204
    assert account.get(f"{service}/v1.0/files?filter%5Bdeleted%5D=").json["_count"] == 1


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("filter[size][from]=2&filter[size][unit]=1000", 1),
        ("filter[size][to]=1&filter[size][unit]=1000", 1),
        ("filter[date][type]=created_at&filter[date][from]=4000000000", 0),
        ("filter[created_by][]=0", 0),
        ("filter[term]=малый&filter[extensions][]=txt", 1),
    ],
)
def test_files_are_filtered(account: SandboxAccount, asked: str, count: int) -> None:
    for name, size in (("малый.txt", 10), ("большой.txt", 5_000)):
        session = account.post("/drive/v1.0/sessions", {"file_name": name, "file_size": size}).json
        account.call("POST", "/" + session["upload_url"].split("/", 3)[3], raw=b"x" * size)
    answer = account.get(f"/drive/v1.0/files?{asked}")
    assert (answer.json["_count"] if answer.status == 200 else 0) == count
