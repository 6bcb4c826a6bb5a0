"""The account itself: what it starts with, its pipelines, users, webhooks and incoming leads."""

from __future__ import annotations

from typing import Any

import pytest
from support.sandbox_account import SandboxAccount


def test_the_account_tells_who_asks_and_more_when_asked(account: SandboxAccount) -> None:
    plain = account.get("account").json
    assert plain["current_user_id"] == account.user("Интеграция amo-bridge")
    assert (plain["currency"], plain["country"]) == ("RUB", "RU")
    assert "amojo_id" not in plain
    full = account.get("account?with=amojo_id,task_types,users_groups,datetime_settings,drive_url").json
    assert full["drive_url"] == "http://localhost/drive"
    settings = full["_embedded"]["datetime_settings"]
    assert (settings["timezone"], settings["timezone_offset"]) == ("Europe/Moscow", "+03:00")
    types = [(kind["id"], kind["name"], kind["code"]) for kind in full["_embedded"]["task_types"]]
    assert types[:2] == [(1, "Связаться", "FOLLOW_UP"), (2, "Встреча", "MEETING")]
    assert [name for _, name, _ in types[2:]] == ["Согласование", "Документы"]
    assert full["_embedded"]["users_groups"][0]["id"] == 0


def test_the_agencys_pipelines(account: SandboxAccount) -> None:
    pipelines = account.get("leads/pipelines").json["_embedded"]["pipelines"]
    names = [status["name"] for status in pipelines[0]["_embedded"]["statuses"]]
    assert [pipeline["name"] for pipeline in pipelines] == ["Продажи", "Реализация", "Работа с потерянными"]
    assert names == [
        "Неразобранное", "Новый клиент", "Получение брифа", "Отложенные", "Встреча назначена", "Бриф получен",
        "Согласование КП", "Утвержденный проект", "Успешно реализовано", "Закрыто и не реализовано",
    ]  # fmt: skip
    ends = [[status["id"] for status in one["_embedded"]["statuses"]][-2:] for one in pipelines]
    assert ends == [[142, 143]] * 3
    unsorted = [one["_embedded"]["statuses"][0] for one in pipelines]
    assert [status["type"] for status in unsorted] == [1, 1, 1]
    assert len({status["id"] for status in unsorted}) == 3


def test_a_pipeline_that_is_not_there_is_404(account: SandboxAccount) -> None:
    answer = account.get("leads/pipelines/0/statuses")
    assert (answer.status, answer.json["detail"]) == (404, "Pipeline not found")


def test_a_new_pipeline_has_the_three_system_statuses(account: SandboxAccount) -> None:
    new = {"name": "Новая", "_embedded": {"statuses": [{"name": "Первая"}, {"id": 142, "name": "Ура"}]}}
    (made,) = account.post("leads/pipelines", [new]).json["_embedded"]["pipelines"]
    names = [status["name"] for status in made["_embedded"]["statuses"]]
    assert names == ["Неразобранное", "Первая", "Ура", "Закрыто и не реализовано"]
    lead_id = account.add_lead(pipeline_id=made["id"])
    assert account.call("DELETE", f"leads/pipelines/{made['id']}").status == 400
    account.post("/sandbox/ui/delete_lead", {"user_id": 0, "lead_id": lead_id})
    assert account.call("DELETE", f"leads/pipelines/{made['id']}").status == 204


def test_leads_of_a_deleted_status_move_to_the_first(account: SandboxAccount) -> None:
    stage = account.stage("Отложенные")
    lead_id = account.add_lead(**stage)
    path = f"leads/pipelines/{stage['pipeline_id']}/statuses/{stage['status_id']}"
    assert account.call("DELETE", path).status == 204
    assert account.lead(lead_id)["status_id"] == account.stage("Новый клиент")["status_id"]
    assert account.changes_since(1) == [("leads", "update", lead_id)]


def test_users_with_their_groups(account: SandboxAccount) -> None:
    answer = account.get("users?with=group").json
    users = {user["name"]: user for user in answer["_embedded"]["users"]}
    assert answer["_total_items"] == 8
    assert users["Елена Орлова"]["rights"]["is_admin"] is True
    assert users["Иван Петров"]["rights"]["is_admin"] is False
    assert users["Светлана Белова"]["_embedded"]["groups"][0]["name"] == "Бухгалтерия"


def test_the_five_loss_reasons(account: SandboxAccount) -> None:
    reasons = account.get("leads/loss_reasons").json["_embedded"]["loss_reasons"]
    assert [reason["name"] for reason in reasons] == [
        "Дорого", "Нет бюджета", "Выбрали конкурента", "Не выходит на связь", "Неактуально",
    ]  # fmt: skip


HOOK = "https://bridge.example/hooks/secret"


def test_subscribing_twice_replaces_the_settings_and_switches_on_again(account: SandboxAccount) -> None:
    first = account.post("webhooks", {"destination": HOOK, "settings": ["add_lead"]})
    assert (first.status, first.json["settings"], first.json["disabled"]) == (201, ["add_lead"], False)
    hooks = account.world.table("webhooks")
    hooks[first.json["id"]] = {**hooks[first.json["id"]], "disabled": True}
    account.post("webhooks", {"destination": HOOK, "settings": ["status_lead", "note_lead"]})
    listed = account.get("webhooks").json
    (hook,) = listed["_embedded"]["webhooks"]
    assert (listed["_total_items"], hook["id"]) == (1, first.json["id"])
    assert (hook["settings"], hook["disabled"]) == (["status_lead", "note_lead"], False)


def test_unsubscribing(account: SandboxAccount) -> None:
    account.post("webhooks", {"destination": HOOK, "settings": ["add_lead"]})
    assert account.call("DELETE", "webhooks", {"destination": HOOK}).status == 204
    assert account.call("DELETE", "webhooks", {"destination": HOOK}).status == 404
    assert account.get("webhooks").status == 204


def test_an_unknown_setting_is_refused(account: SandboxAccount) -> None:
    answer = account.post("webhooks", {"destination": HOOK, "settings": ["add_lead", "add_deal"]})
    assert answer.errors == [("settings.1", "NotSupportedChoice")]


def incoming(**more: Any) -> dict[str, Any]:
    metadata = {"form_id": "1", "form_name": "Сайт", "form_page": "https://site.example", "form_sent_at": 1_700_000_000}
    parts = {"leads": [{"name": "Заявка", "price": 5}], "contacts": [{"name": "Гость"}]}
    return {"source_uid": "u1", "source_name": "Сайт", "metadata": metadata, "_embedded": parts, **more}


def added(account: SandboxAccount) -> tuple[str, int, int]:
    (made,) = account.post("leads/unsorted/forms", [incoming()]).json["_embedded"]["unsorted"]
    parts = made["_embedded"]
    return made["uid"], parts["leads"][0]["id"], parts["contacts"][0]["id"]


def test_an_incoming_lead_waits_with_its_contact_hidden(account: SandboxAccount) -> None:
    uid, lead_id, contact_id = added(account)
    assert account.lead(lead_id)["status_id"] == account.stage("Неразобранное")["status_id"]
    names = [contact["name"] for contact in account.get("contacts").json["_embedded"]["contacts"]]
    assert "Гость" not in names
    (listed,) = account.get("leads/unsorted?filter[category][]=forms").json["_embedded"]["unsorted"]
    assert (listed["uid"], listed["_embedded"]["contacts"][0]["id"]) == (uid, contact_id)
    assert account.changes_since(0) == [("unsorted", "add", lead_id)]
    moved = account.patch(f"leads/{lead_id}", account.stage("Новый клиент"))
    assert moved.errors == [("status_id", "NotSupportedChoice")]


def test_accepting_gives_it_a_stage_and_a_person(account: SandboxAccount) -> None:
    uid, lead_id, contact_id = added(account)
    ivan, stage = account.user("Иван Петров"), account.stage("Получение брифа")
    answer = account.post(f"leads/unsorted/{uid}/accept", {"user_id": ivan, "status_id": stage["status_id"]})
    assert answer.status == 200
    lead = account.lead(lead_id)
    assert (lead["status_id"], lead["responsible_user_id"]) == (stage["status_id"], ivan)
    assert account.get("contacts?query=Гость").json["_embedded"]["contacts"][0]["id"] == contact_id
    assert account.changes_since(1) == [
        ("contacts", "add", contact_id),
        ("unsorted", "accept", lead_id),
        ("leads", "update", lead_id),
    ]
    assert account.get("leads/unsorted").status == 204
    assert account.post(f"leads/unsorted/{uid}/accept", {"user_id": ivan}).status == 404


def test_declining_deletes_it(account: SandboxAccount) -> None:
    uid, lead_id, contact_id = added(account)
    ivan = account.user("Иван Петров")
    assert account.call("DELETE", f"leads/unsorted/{uid}/decline", {"user_id": ivan}).status == 200
    assert account.get(f"leads/{lead_id}").status == 204
    assert account.get(f"contacts/{contact_id}").status == 204
    assert account.changes_since(1) == [("unsorted", "decline", lead_id), ("leads", "delete", lead_id)]
    summary = account.get("leads/unsorted/summary").json
    assert (summary["total"], summary["declined"], summary["categories"]["forms"]) == (1, 1, {"total": 1})


def test_the_same_form_twice_is_an_error(account: SandboxAccount) -> None:
    added(account)
    assert account.post("leads/unsorted/forms", [incoming()]).status == 400
    assert account.post("leads/unsorted/forms", [incoming(source_uid="u2")]).status == 200


def test_a_complex_add_with_metadata_is_an_incoming_lead(account: SandboxAccount) -> None:
    metadata = {"category": "forms", "form_id": 1, "form_name": "Сайт", "form_page": "x", "form_sent_at": 1}
    wanted = {"name": "С сайта", **account.stage("Бриф получен"), "_embedded": {"metadata": metadata}}
    (made,) = account.post("leads/complex", [wanted]).json
    assert account.lead(made["id"])["status_id"] == account.stage("Неразобранное")["status_id"]
    assert account.get("leads/unsorted").json["_embedded"]["unsorted"][0]["metadata"]["form_name"] == "Сайт"


@pytest.mark.parametrize("path", ["delete_lead", "complete_task", "merge"])
def test_a_persons_act_must_name_the_person_and_the_thing(account: SandboxAccount, path: str) -> None:
    assert account.post(f"/sandbox/ui/{path}", {"user_id": 5}).status == 400
    assert account.post(f"/sandbox/ui/{path}", {"user_id": 0}).status == 400
