"""Rules by the API: what their pages show, and their switches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.api_client import Program
from support.ladder_deals import WARMING, begin, two_are_waiting
from support.pages import Pages, agency

from amo_bridge.config.loader import load
from amo_bridge.web.services import overview

RULE = "stage_creates_tasks.new_client"
FIRST_STAGE = "stage_needs_fields.client_known"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_kept", {})


@pytest.fixture
def waiting(pages: Pages) -> Pages:
    two_are_waiting(pages)
    return pages


def options_of(pages: Pages, name: str) -> Any:
    return next(rule.options for rule in load(pages.bridge.config.path, {}).rules if rule.name == name)


def test_a_rule_with_all_that_its_page_shows(waiting: Pages, reader: Program) -> None:
    for _ in range(3):
        waiting.say("skipped", reason="не тот этап")
    waiting.say("acts")
    told = reader.get(f"/rules/{RULE}")
    assert told["matching"] == 2
    assert told["unmatched"] == ""
    assert told["skips"] == [{"reason": "не тот этап", "times": 3}]
    assert told["block"].startswith("[handlers.stage_creates_tasks.new_client]\nenabled = true")
    assert (told["existing"], told["choices"], told["unconnected"]) == (None, [], [])
    warming = reader.get(f"/rules/{WARMING}")
    assert warming["existing"] in warming["choices"]
    assert warming["choices"] == ["skip", "from now", "catch up"]
    assert "почта" in warming["unconnected"]


def test_why_its_deals_can_not_be_counted(pages: Pages, reader: Program) -> None:
    assert reader.get(f"/rules/{RULE}")["unmatched"] == "мост ещё не знает сделок"
    documents = reader.get("/rules/file_is_stored.documents")
    assert (documents["matching"], documents["unmatched"]) == (None, "срабатывает по событию, а не по этапу")


@pytest.mark.parametrize(
    ("query", "found"), [("q=A10", True), ("q=связаться", True), ("q=нет такого", False), ("only=off", False)]
)
def test_rules_are_found_as_on_the_page(reader: Program, query: str, found: bool) -> None:
    assert (RULE in [one["name"] for one in reader.get(f"/rules?{query}")["rules"]]) is found


def test_the_last_decisions_of_a_rule(pages: Pages, reader: Program) -> None:
    pages.say("acts", actions='["задача «Связаться»"]')
    pages.say("skipped", reason="не тот этап")
    pages.say("acts", rule="another.rule")
    told = reader.get(f"/rules/{RULE}/history")["decisions"]
    assert [(one["verdict"], one["reason"], one["actions"]) for one in told] == [
        ("skipped", "не тот этап", []),
        ("acts", "", ["задача «Связаться»"]),
    ]
    assert [one["verdict"] for one in reader.get(f"/rules/{RULE}/history?only=acted")["decisions"]] == ["acts"]


def test_what_a_rule_would_do_about_deals_that_were_there_before(waiting: Pages, reader: Program) -> None:
    begin(waiting)
    told = reader.get(f"/rules/{WARMING}/existing")
    assert told["chosen"] == options_of(waiting, WARMING).existing
    assert [one["name"] for one in told["deals"]] == ["Сделка первая", "Сделка вторая"]
    choices = told["deals"][0]["choices"]
    assert sorted(choices) == sorted(told["choices"])
    assert choices["skip"] == []
    assert {step["step"] for step in choices["catch up"]} >= {"7 d"}
    assert reader.get(f"/rules/{RULE}/existing") == {"chosen": None, "choices": [], "deals": []}


def test_nothing_is_said_about_deals_before_the_account_is_known(reader: Program) -> None:
    answer = reader.ask("GET", f"/rules/{WARMING}/existing")
    assert (answer.status_code, answer.json["error"]) == (503, "Пока нечего показать")


def test_what_is_done_with_such_deals_is_chosen(waiting: Pages, master: Program) -> None:
    comments = waiting.bridge.config.path.read_text("utf-8").count("#")
    for _ in range(2):
        answer = master.ask("PATCH", f"/rules/{WARMING}", {"existing": "catch up"})
        assert (answer.status_code, answer.json["existing"]) == (200, "catch up")
    assert options_of(waiting, WARMING).existing == "catch up"
    assert waiting.bridge.config.path.read_text("utf-8").count("#") == comments
    (deed,) = waiting.office.audit.last(9)
    assert (deed.who, deed.words) == ("API: admin программа", f"Изменено: {WARMING}")
    assert '+existing = "catch up"' in deed.details


@pytest.mark.parametrize(
    ("rule", "words"), [(WARMING, "existing: годится skip, from now, catch up"), (RULE, "не различает сделки")]
)
def test_there_are_no_other_choices(pages: Pages, master: Program, rule: str, words: str) -> None:
    before = pages.bridge.config.path.read_bytes()
    answer = master.ask("PATCH", f"/rules/{rule}", {"enabled": False, "existing": "all of them"})
    assert answer.status_code == 422
    assert words in answer.json["detail"]
    assert pages.bridge.config.path.read_bytes() == before


def test_nothing_is_switched_in_a_file_that_is_broken(pages: Pages, master: Program) -> None:
    path = pages.bridge.config.path
    path.write_text(f"{path.read_text('utf-8')}\n[never closed\n", "utf-8")
    answer = master.ask("PATCH", f"/rules/{RULE}", {"enabled": False})
    assert answer.status_code == 409
    assert "сначала исправьте" in answer.json["detail"]


@pytest.mark.parametrize("path", ["", "/existing", "/history"])
def test_a_rule_that_is_not_there(reader: Program, path: str) -> None:
    assert reader.ask("GET", f"/rules/no.such{path}").status_code == 404


def test_what_was_done_today(pages: Pages, reader: Program) -> None:
    assert reader.get("/overview/today")["actions"] == []
    pages.say("acts", actions='["задача «Связаться»"]')
    pages.say("skipped", reason="не тот этап")
    pages.say("acts", at=datetime.now(UTC) - timedelta(days=2))
    told = reader.get("/overview/today")
    assert told["date"] == datetime.now(pages.account.zone).date().isoformat()
    assert [(one["rule"], one["deal_id"], one["actions"]) for one in told["actions"]] == [
        (RULE, 30000001, ["задача «Связаться»"])
    ]


def test_the_last_fourteen_days(pages: Pages, reader: Program) -> None:
    pages.say("acts")
    pages.say("skipped")
    pages.say("failed", at=datetime.now(UTC) - timedelta(days=3))
    days = reader.get("/overview/days")["days"]
    assert [(day["acted"], day["skipped"], day["failed"], day["unsent"]) for day in days] == [
        *[(0, 0, 0, 0)] * 10, (0, 0, 1, 0), *[(0, 0, 0, 0)] * 2, (1, 1, 0, 0),
    ]  # fmt: skip
    assert days[-1]["date"] == datetime.now(pages.account.zone).date().isoformat()


def test_channels_that_nobody_connected_are_told(pages: Pages, reader: Program) -> None:
    pages.know_account(agency())
    told = reader.get("/state")
    assert "mail" in told["unconnected"]
    assert told["access_ends_at"] is None
