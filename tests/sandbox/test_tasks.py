"""Tasks: the result that is a list or an object, completion, filters."""

from __future__ import annotations

from typing import Any

import pytest
from support.sandbox_account import SandboxAccount


def task(account: SandboxAccount, task_id: int) -> dict[str, Any]:
    body: dict[str, Any] = account.get(f"tasks/{task_id}").json
    return body


def test_a_new_task_is_the_tokens_users_call_with_an_empty_list_for_a_result(account: SandboxAccount) -> None:
    read = task(account, account.add_task())
    assert read["result"] == []
    assert (read["task_type_id"], read["entity_type"], read["entity_id"]) == (1, None, None)
    assert read["responsible_user_id"] == account.user("Интеграция amo-bridge")


def test_text_and_deadline_are_required(account: SandboxAccount) -> None:
    answer = account.post("tasks", [{"text": ""}])
    assert answer.errors == [("text", "NotBlank"), ("complete_till", "FieldMissing")]


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"task_type_id": 7}, "task_type_id"),
        ({"entity_type": "lead"}, "entity_type"),
        ({"entity_type": "leads", "entity_id": 5}, "entity_id"),
        ({"responsible_user_id": 5}, "responsible_user_id"),
    ],
)
def test_what_does_not_exist_is_refused(account: SandboxAccount, wrong: dict[str, Any], path: str) -> None:
    answer = account.post("tasks", [{"text": "а", "complete_till": 5, **wrong}])
    assert answer.errors == [(path, "NotSupportedChoice")]


def test_completing_with_a_result_is_one_change_and_leaves_a_note(account: SandboxAccount) -> None:
    task_id = account.add_task()
    mark = len(account.changes)
    answer = account.patch(f"tasks/{task_id}", {"is_completed": True, "result": {"text": "Согласовано"}})
    assert answer.json.keys() == {"id", "updated_at", "request_id", "_links"}
    read = task(account, task_id)
    assert (read["is_completed"], read["result"]) == (True, {"text": "Согласовано"})
    (change,) = account.changes[mark:]
    assert change.extra == {}
    assert change.after is not None
    note = account.world.table("notes")[change.after["result"]["id"]]
    assert (note["note_type"], note["params"]["text"]) == ("task_result", "Согласовано")


def test_a_read_task_can_be_sent_back(account: SandboxAccount) -> None:
    task_id = account.add_task()
    mark = len(account.changes)
    assert account.patch(f"tasks/{task_id}", task(account, task_id)).status == 200
    assert account.changes[mark:] == []


def test_a_patch_that_changes_nothing_is_no_change(account: SandboxAccount) -> None:
    task_id = account.add_task(text="Позвонить")
    mark = len(account.changes)
    account.world.clock.advance(100)
    account.patch(f"tasks/{task_id}", {"text": "Позвонить", "is_completed": False})
    assert account.changes[mark:] == []


def test_a_task_can_be_opened_again(account: SandboxAccount) -> None:
    task_id = account.add_task(is_completed=True)
    account.patch("tasks", [{"id": task_id, "is_completed": False}])
    assert task(account, task_id)["is_completed"] is False


def test_completion_from_the_list_of_tasks_is_marked(account: SandboxAccount) -> None:
    task_id = account.add_task()
    person = {"user_id": account.user("Иван Петров"), "task_id": task_id, "text": "Дозвонился"}
    account.post("/sandbox/ui/complete_task", person)
    change = account.changes[-1]
    assert (change.user_id, change.extra) == (account.user("Иван Петров"), {"from_task_list": True})
    assert task(account, task_id)["result"] == {"text": "Дозвонился"}


def test_only_a_person_deletes_a_task(account: SandboxAccount) -> None:
    task_id = account.add_task()
    assert account.call("DELETE", f"tasks/{task_id}").status == 405
    account.post("/sandbox/ui/delete_task", {"user_id": account.user("Иван Петров"), "task_id": task_id})
    assert account.get(f"tasks/{task_id}").status == 204
    assert account.changes_since(1) == [("tasks", "delete", task_id)]


def found(account: SandboxAccount, query: str) -> list[int]:
    answer = account.get(f"tasks?{query}")
    return [] if answer.status == 204 else [row["id"] for row in answer.json["_embedded"]["tasks"]]


def test_filters_and_order(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    later = account.add_task(complete_till=300, entity_type="leads", entity_id=lead_id)
    sooner = account.add_task(complete_till=200, responsible_user_id=account.user("Иван Петров"))
    done = account.add_task(complete_till=100, is_completed=True, task_type_id=2)
    assert found(account, "order[complete_till]=asc") == [done, sooner, later]
    assert found(account, "filter[is_completed]=0&order[complete_till]=desc") == [later, sooner]
    assert found(account, f"filter[entity_type]=leads&filter[entity_id][]={lead_id}") == [later]
    assert found(account, f"filter[responsible_user_id][]={account.user('Иван Петров')}") == [sooner]
    assert found(account, "filter[task_type]=2") == [done]
