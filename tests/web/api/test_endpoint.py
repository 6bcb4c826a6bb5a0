"""The JSON API: what it says, to whom, and that its description tells the truth."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.api_client import Program
from support.pages import Pages, Visit, agency, words_of

from amo_bridge.config.loader import load
from amo_bridge.events import TaskAdded, TaskUpdated
from amo_bridge.mirror.tasks import record_task_events
from amo_bridge.web.api import api
from amo_bridge.web.auth.users import Role

RULE = "stage_creates_tasks.new_client"


def test_the_state(pages: Pages, reader: Program) -> None:
    pages.refuse()
    told = reader.get("/state")
    assert told["failed"] == {"create_task": 1}
    assert told["state"] == "starting"
    assert "1 дело не выполнено и ждёт решения" in [one["words"] for one in told["troubles"]]


def test_rules_and_a_deals_journal(pages: Pages, reader: Program) -> None:
    pages.say("acts")
    pages.say("skipped", reason="не тот этап")
    rules = reader.get("/rules")["rules"]
    assert [rule["name"] for rule in rules] == [rule.name for rule in pages.bridge.config.rules]
    assert reader.get(f"/rules/{RULE}")["last_acted"].startswith("20")
    entries = reader.get("/deals/30000001/journal")["entries"]
    assert [(entry["verdict"], entry["reason"]) for entry in entries] == [("acts", ""), ("skipped", "не тот этап")]
    unknown = reader.ask("GET", "/deals/1/journal")
    assert (unknown.status_code, unknown.json["detail"]) == (404, "Мост не знает сделки 1")


def test_a_rule_is_switched_and_counts_at_once(pages: Pages, master: Program) -> None:
    answer = master.ask("PATCH", f"/rules/{RULE}", {"enabled": False, "dry_run": True})
    assert (answer.json["enabled"], answer.json["dry_run"]) == (False, True)
    assert not next(rule.enabled for rule in load(pages.bridge.config.path, {}).rules if rule.name == RULE)
    (deed,) = pages.office.audit.last(1)
    assert (deed.who, deed.words) == ("API: admin программа", f"Выключено: {RULE}; Вхолостую: {RULE}")
    assert master.ask("PATCH", f"/rules/{RULE}", {"enabled": False}).status_code == 200
    assert len(pages.office.audit.last(9)) == 1, "what is so already is not written again"


def test_failures_are_decided(pages: Pages, master: Program) -> None:
    pages.refuse()
    pages.refuse(kind="add_note")
    assert [one["name"] for one in master.get("/failures")["failures"]] == ["F1", "F2"]
    assert master.ask("POST", "/failures/drop", {"names": ["F1"]}).json["failures"][0]["name"] == "F1"
    assert master.ask("POST", "/failures/retry", {"names": ["F1"]}).status_code == 409
    assert master.ask("POST", "/failures/retry", {"names": ["F2"]}).status_code == 200
    assert master.get("/failures")["failures"] == []


def test_the_report_and_the_audit(pages: Pages, master: Program) -> None:
    assert len(master.get("/reports/overdue?days=14&count=missed")["days"]) == 14
    due = datetime.now(UTC) - timedelta(days=1)
    task: dict[str, Any] = {"task_id": 5, "responsible_user_id": 77}
    half, whole = timedelta(seconds=30), timedelta(seconds=60)
    events = (
        TaskAdded(at=due - whole, created_at=due - whole, due=due - half, **task),
        TaskUpdated(at=due, due=due, **task),
    )
    with pages.office.store.write() as connection:
        for event in events:
            record_task_events(connection, pages.account.key, [event])
    told = master.get("/reports/overdue")
    assert (told["tasks"], told["moves"], told["known_from"]) == (
        {"№ 77": 1},
        {"№ 77": {"times": 1, "days": 0.0}},
        None,
    )
    today = datetime.now(pages.account.zone).date()
    week = master.get(f"/reports/week?monday={today}")
    assert (week["people"]["№ 77"]["late"], week["failures"], len(week["days"])) == (1, 0, 7)
    assert week["monday"] == str(today - timedelta(days=today.weekday()))
    pages.office.audit.write("Анна", "x", "дело")
    assert [one["words"] for one in master.get("/audit")["deeds"]] == ["дело"]


@pytest.mark.parametrize("door", api.all, ids=lambda door: f"{door.method} {door.path}")
def test_every_door_is_closed_to_strangers_and_to_smaller_roles(pages: Pages, door: Any) -> None:
    path = re.sub(r"<[^>]*>", "1", door.path)
    stranger = Program(pages, None).ask(door.method, path, {})
    assert stranger.status_code == 401
    assert stranger.json["error"] == "Нужен токен"
    if door.role is Role.ADMIN:
        for role in (Role.VIEWER, Role.WEBINAR):
            assert Program(pages, role).ask(door.method, path, {}).status_code == 403


def test_a_cookie_opens_nothing_here(admin: Visit) -> None:
    assert admin.get("/api/v1/state").status_code == 401
    assert admin.client.post("/api/v1/failures/drop", json={"names": ["F1"]}).status_code == 401


@pytest.mark.parametrize("header", ["Bearer guessed", "Bearer ", "Basic YTpi", "", "Bearer amb_" + "x" * 9000])
def test_a_wrong_token_opens_nothing(pages: Pages, header: str) -> None:
    answer = pages.app.test_client().get("/api/v1/state", headers={"Authorization": header})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body", [None, [], {}, {"names": []}, {"names": "F1"}, {"names": ["F1"], "more": 1}, {"names": ["F1", "\0"]}]
)
def test_a_body_that_is_not_as_described_is_told(master: Program, body: Any) -> None:
    answer = master.ask("POST", "/failures/drop", body)
    assert answer.status_code == 422
    assert answer.json["detail"]


def test_a_number_is_no_switch(master: Program) -> None:
    assert master.ask("PATCH", f"/rules/{RULE}", {"dry_run": 0}).status_code == 422


def test_what_is_not_there(master: Program) -> None:
    assert master.ask("GET", "/rules/no.such").status_code == 404
    assert master.ask("GET", "/nowhere").json["error"] == "Страницы нет"


def test_what_can_not_be_done_with_a_door_names_what_can(master: Program) -> None:
    answer = master.ask("DELETE", f"/rules/{RULE}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PATCH")


def test_an_answer_is_read_by_people_too(pages: Pages, reader: Program) -> None:
    text = reader.ask("GET", f"/rules/{RULE}").text
    assert "Новый клиент" in text
    assert text.index('"name"') < text.index('"clause"') < text.index('"says"'), "in the order of the description"


def test_a_token_is_shown_once_and_revoked(pages: Pages, admin: Visit) -> None:
    page = admin.post("/api/tokens", {"name": "Отчёты", "role": "viewer"}, page="/api")
    secret = re.search(r"amb_[\w-]{20,}", page.text)
    assert secret is not None
    assert secret[0] not in admin.get("/api").text
    headers = {"Authorization": f"Bearer {secret[0]}"}
    client = pages.app.test_client()
    assert client.get("/api/v1/state", headers=headers).status_code == 200
    with pages.office.store.read() as connection:
        assert secret[0] not in str(connection.exec_driver_sql("SELECT * FROM api_tokens").all())
    admin.post("/api/tokens/1/revoke", page="/api")
    assert client.get("/api/v1/state", headers=headers).status_code == 401
    assert "Токенов нет" in words_of(admin.get("/api"))
    assert [deed.deed for deed in pages.office.audit.last(2)] == ["token.revoke", "token.add"]


@pytest.mark.parametrize(
    "form", [{"name": "", "role": "viewer"}, {"name": "x", "role": "root"}, {"name": "x" * 81, "role": "viewer"}]
)
def test_a_token_needs_a_name_and_a_role(pages: Pages, admin: Visit, form: dict[str, str]) -> None:
    assert admin.post("/api/tokens", form, page="/api").status_code == 422
    assert pages.office.api_tokens.all() == []


def test_tokens_are_the_admins(viewer: Visit) -> None:
    assert viewer.get("/api").status_code == 403
    assert viewer.post("/api/tokens", {"name": "x", "role": "admin"}, page="/").status_code == 403


def test_the_description_names_every_door_and_every_shape(pages: Pages, reader: Program, admin: Visit) -> None:
    told = reader.get("/openapi.json")
    assert told == admin.get("/api/openapi.json").json
    assert {(method.upper(), path) for path, methods in told["paths"].items() for method in methods} == {
        (door.method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", door.path)) for door in api.all
    }
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    assert named == set(told["components"]["schemas"])
    assert told["paths"]["/rules"]["get"]["summary"] == "All rules", "in English, whoever asks"


def test_names_of_the_account_are_compared_before_a_rule_is_switched_on(pages: Pages, master: Program) -> None:
    pages.know_account(agency())
    pages.bridge.role = "web"
    path = pages.bridge.config.path
    text = path.read_text("utf-8").replace('stages = ["Продажи / Новый клиент"]', 'stages = ["Продажи / Нет"]', 1)
    path.write_text(text, "utf-8")
    off = master.ask("PATCH", f"/rules/{RULE}", {"enabled": False})
    assert (off.status_code, off.json["enabled"]) == (200, False), "what is off is not compared"
    answer = master.ask("PATCH", f"/rules/{RULE}", {"enabled": True})
    assert answer.status_code == 409
    assert "Нет" in answer.json["detail"]
    assert not next(rule.enabled for rule in load(path, {}).rules if rule.name == RULE)
