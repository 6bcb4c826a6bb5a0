"""What people do to an account while others work in it: renamed, deleted, dismissed; and what the API says then."""

from __future__ import annotations

from typing import Any

import pytest
from support.sandbox_account import SandboxAccount

PETROV = "Иван Петров"
CHOICE = "NotSupportedChoice"


def ui(account: SandboxAccount, act: str, **body: Any) -> None:
    sent = {"user_id": account.user("Елена Орлова"), **body}
    answer = account.call("POST", f"/sandbox/ui/{act}", sent)
    assert answer.status == 200, answer.raw.decode()


def note_of(**more: Any) -> dict[str, Any]:
    return {"note_type": "common", "params": {"text": "а"}, **more}


@pytest.mark.parametrize("act", ["deactivate_user", "delete_user"])
@pytest.mark.parametrize("key", ["responsible_user_id", "created_by", "updated_by"])
def test_writes_that_name_a_dismissed_user_are_refused(account: SandboxAccount, act: str, key: str) -> None:
    user_id, lead_id = account.user(PETROV), account.add_lead()
    ui(account, act, target_id=user_id)
    task = {"text": "а", "complete_till": 2_000_000_000}
    call = {"direction": "inbound", "duration": 1, "source": "a", "phone": "+79000000000"}
    account.patch("customers/mode", {"mode": "segments", "is_enabled": True})
    for path, body in (
        ("leads", {"name": "а"}),
        ("contacts", {"name": "а"}),
        ("companies", {"name": "а"}),
        ("customers", {"name": "а"}),
        ("tasks", task),
        (f"leads/{lead_id}/notes", note_of()),
        ("leads/complex", {"name": "а"}),
        ("calls", call),
    ):
        answer = account.post(path, [{**body, key: user_id}])
        assert (answer.status, answer.errors) == (400, [(key, CHOICE)]), path
    assert account.patch(f"leads/{lead_id}", {key: user_id}).errors == [(key, CHOICE)]


@pytest.mark.parametrize("act", ["deactivate_user", "delete_user"])
def test_cards_of_a_dismissed_user_can_still_be_changed(account: SandboxAccount, act: str) -> None:
    user_id = account.user(PETROV)
    lead_id = account.add_lead(responsible_user_id=user_id)
    ui(account, act, target_id=user_id)
    assert account.patch(f"leads/{lead_id}", {"price": 5, **account.stage("Бриф получен")}).status == 200
    assert account.lead(lead_id)["responsible_user_id"] == user_id
    # A whole model sent back names them, and is refused.
    assert account.patch(f"leads/{lead_id}", account.lead(lead_id)).errors[0] == ("responsible_user_id", CHOICE)


def test_a_deactivated_user_stays_in_the_list_and_a_deleted_one_does_not(account: SandboxAccount) -> None:
    user_id = account.user(PETROV)
    ui(account, "deactivate_user", target_id=user_id)
    assert account.get(f"users/{user_id}").json["rights"]["is_active"] is False
    ui(account, "activate_user", target_id=user_id)
    assert account.post("leads", [{"responsible_user_id": user_id}]).status == 200
    ui(account, "delete_user", target_id=user_id)
    assert account.get(f"users/{user_id}").status == 204
    assert user_id not in [user["id"] for user in account.get("users").json["_embedded"]["users"]]


def test_a_renamed_user_keeps_the_id(account: SandboxAccount) -> None:
    user_id = account.user(PETROV)
    ui(account, "rename_user", target_id=user_id, name="Иван Сидоров")
    assert account.get(f"users/{user_id}").json["name"] == "Иван Сидоров"


def test_a_renamed_stage_pipeline_and_reason_keep_their_ids(account: SandboxAccount) -> None:
    stage, reason_id = account.stage("Бриф получен"), account.reason("Дорого")
    lead_id = account.add_lead(**stage)
    path = f"leads/pipelines/{stage['pipeline_id']}"
    assert account.patch(path, {"name": "Новые продажи"}).json["name"] == "Новые продажи"
    status = account.patch(f"{path}/statuses/{stage['status_id']}", {"name": "Есть бриф"})
    assert (status.status, status.json["id"]) == (200, stage["status_id"])
    assert account.lead(lead_id)["status_id"] == stage["status_id"]
    ui(account, "rename_loss_reason", target_id=reason_id, name="Не по карману")
    lost = {"pipeline_id": stage["pipeline_id"], "status_id": 143, "loss_reason_id": reason_id}
    assert account.patch(f"leads/{lead_id}", lost).status == 200
    assert account.lead(lead_id)["_embedded"]["loss_reason"][0]["name"] == "Не по карману"


def test_deals_of_a_deleted_stage_stand_on_the_first_one_and_it_is_refused(account: SandboxAccount) -> None:
    stage = account.stage("Бриф получен")
    lead_id = account.add_lead(**stage)
    path = f"leads/pipelines/{stage['pipeline_id']}/statuses/{stage['status_id']}"
    assert account.call("DELETE", path).status == 204
    assert account.lead(lead_id)["status_id"] == account.stage("Новый клиент")["status_id"]
    assert account.get(path).status == 404
    assert account.patch(f"leads/{lead_id}", stage).errors == [("status_id", CHOICE)]
    assert account.post("leads", [stage]).errors == [("status_id", CHOICE)]


def test_a_pipeline_is_deleted_only_when_it_is_empty(account: SandboxAccount) -> None:
    new = account.post("leads/pipelines", [{"name": "Лето", "_embedded": {"statuses": [{"name": "Один"}]}}])
    pipeline_id = new.json["_embedded"]["pipelines"][0]["id"]
    lead_id = account.add_lead(pipeline_id=pipeline_id)
    assert account.call("DELETE", f"leads/pipelines/{pipeline_id}").status == 400
    account.patch(f"leads/{lead_id}", {"pipeline_id": account.pipeline()})
    assert account.call("DELETE", f"leads/pipelines/{pipeline_id}").status == 204
    assert account.post("leads", [{"pipeline_id": pipeline_id}]).errors == [("pipeline_id", CHOICE)]


def test_a_deleted_reason_is_shown_no_more_and_refused(account: SandboxAccount) -> None:
    reason_id, lost = account.reason("Дорого"), {"status_id": 143}
    lead_id = account.add_lead(**lost, loss_reason_id=reason_id)
    ui(account, "delete_loss_reason", target_id=reason_id)
    lead = account.lead(lead_id)
    assert (lead["loss_reason_id"], lead["_embedded"]["loss_reason"]) == (reason_id, [])
    assert account.post("leads", [{**lost, "loss_reason_id": reason_id}]).errors == [("loss_reason_id", CHOICE)]
    assert account.get(f"leads/loss_reasons/{reason_id}").status == 204


def test_a_new_reason_can_be_named_at_once(account: SandboxAccount) -> None:
    ui(account, "add_loss_reason", name="Передумал")
    lead_id = account.add_lead(status_id=143, loss_reason_id=account.reason("Передумал"))
    assert account.lead(lead_id)["_embedded"]["loss_reason"][0]["name"] == "Передумал"


def test_a_deleted_field_is_refused_by_its_id_and_by_its_code(account: SandboxAccount) -> None:
    body = {"name": "Город", "type": "text", "code": "CITY"}
    field_id = account.post("leads/custom_fields", [body]).json["_embedded"]["custom_fields"][0]["id"]
    assert account.call("DELETE", f"leads/custom_fields/{field_id}").status == 204
    for name, value in (("field_id", field_id), ("field_code", "CITY")):
        field = {name: value, "values": [{"value": "Москва"}]}
        answer = account.post("leads", [{"custom_fields_values": [field]}])
        assert answer.errors == [(f"custom_fields_values.0.{name}", CHOICE)]


@pytest.mark.parametrize("path", ["leads/pipelines", "roles", "customers/statuses", "leads/custom_fields/groups"])
def test_only_an_administrator_may_change_the_account(account: SandboxAccount, path: str) -> None:
    answer = account.post(path, [{"name": "а", "sort": 1}], by=PETROV)
    assert (answer.status, answer.json["detail"]) == (403, "Access denied")
