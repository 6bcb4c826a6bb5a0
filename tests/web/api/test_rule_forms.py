"""Rules by form for programs: kinds with their forms, a draft checked, a rule written and taken out."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_client import Program
from support.pages import Pages, agency

from amo_bridge.config.loader import load
from amo_bridge.rules.registry import shipped

NAME = "stage_creates_tasks.call"
VALUES = {
    "stages": ["Продажи / Новый клиент"],
    "tasks": [{"text": "Позвонить", "to": "manager", "due": "1 рабочий час"}],
}


@pytest.fixture(autouse=True)
def known(pages: Pages) -> None:
    pages.know_account(agency())


def checked(master: Program, **body: Any) -> Any:
    answer = master.ask("POST", "/rules/drafts", body)
    assert answer.status_code == 200, answer.text
    return answer.json


def mark(master: Program) -> str:
    return str(master.get("/config")["mark"])


def test_the_kinds_and_the_form_of_one(master: Program) -> None:
    told = master.get("/rules/kinds")
    assert {one["name"] for one in told["kinds"]} == {*shipped("handlers"), *shipped("schedules")}
    assert told["problems"] == []
    form = master.get("/rules/kinds/stage_creates_tasks")
    assert form["title"] == "Задачи на этапе"
    assert form["examples"][0]["toml"].startswith("[handlers.stage_creates_tasks.new_client]\nenabled = true")
    stages = next(one for one in form["options"] if one["key"] == "stages")
    assert (stages["kind"], stages["is_required"], stages["parts"][0]["names"]) == ("rows", True, "этап")
    assert master.ask("GET", "/rules/kinds/none").status_code == 404


def test_a_draft_is_checked_and_changes_nothing(pages: Pages, master: Program) -> None:
    before = pages.bridge.config.path.read_text("utf-8")
    told = checked(master, kind="stage_creates_tasks", values={**VALUES, "says": "Позвонить сразу"})
    assert (told["is_fit"], told["name"]) == (True, "stage_creates_tasks.pozvonit_srazu")
    assert 'tasks = [{ text = "Позвонить", to = "manager", due = "1 рабочий час" }]' in told["toml"]
    assert [line for line in told["difference"] if line[0] == "-"] == []
    wrong = checked(master, kind="stage_creates_tasks", values={**VALUES, "stages": ["Нет такого"], "x": 1})
    assert not wrong["is_fit"]
    assert {tuple(one["path"]) for one in wrong["mistakes"]} == {("stages", 0), ("x",)}
    assert pages.bridge.config.path.read_text("utf-8") == before


def test_rules_at_odds_are_told(master: Program) -> None:
    values = {"from_stages": ["Продажи / Бриф получен"], "to_stage": "Продажи / Встреча назначена"}
    told = checked(master, kind="file_moves_deal", values={**values, "name_starts_with": ["Коммерческое предложение"]})
    assert [one["is_sure"] for one in told["conflicts"]] == [True, False]
    assert all(told["name"] in one["rules"] for one in told["conflicts"])


def test_a_rule_is_written_changed_and_taken_out(pages: Pages, master: Program) -> None:
    path = pages.bridge.config.path
    before = path.read_text("utf-8")
    made = master.ask("PUT", f"/rules/{NAME}/block", {"values": VALUES, "mark": mark(master)})
    assert made.status_code == 200, made.text
    assert (made.json["state"], made.json["values"]) == ("dry", VALUES)
    toml = made.json["toml"].replace("1 рабочий час", "2 часа")
    changed = master.ask("PUT", f"/rules/{NAME}/block", {"toml": toml, "state": "live", "mark": made.json["mark"]})
    assert changed.json["values"]["tasks"][0]["due"] == "2 часа"
    rule = next(one for one in load(path, {}).rules if one.name == NAME)
    assert (rule.enabled, rule.dry_run) == (True, False)
    old = master.ask("DELETE", f"/rules/{NAME}/block?mark={made.json['mark']}")
    assert old.status_code == 409
    assert master.ask("DELETE", f"/rules/{NAME}/block?mark={mark(master)}").status_code == 200
    assert path.read_text("utf-8").strip() == before.strip()
    assert master.ask("GET", f"/rules/{NAME}/block").status_code == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"values": {"stages": []}}, "обязательный ключ"),
        ({"values": VALUES, "toml": "a = 1"}, "values или toml"),
        ({"toml": "a ="}, "не читается"),
        ({"values": {"stages": [None]}}, "null"),
    ],
)
def test_what_can_not_be_written_is_refused(pages: Pages, master: Program, body: dict[str, Any], words: str) -> None:
    before = pages.bridge.config.path.read_text("utf-8")
    answer = master.ask("PUT", f"/rules/{NAME}/block", {**body, "mark": mark(master)})
    assert answer.status_code == 422
    assert words in answer.json["detail"]
    assert pages.bridge.config.path.read_text("utf-8") == before
