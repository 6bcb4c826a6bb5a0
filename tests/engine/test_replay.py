"""Replay: a saved hook judged again, taken at its word, touching nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from support.fakes import BRIEF, LOST, MEETING, NEW, URL, ScriptedCrm, agency, api_row, on_stage, record, rule_engine

from amo_bridge.clock import FixedClock
from amo_bridge.crm.records import EPOCH, DealRecord
from amo_bridge.engine.replay import ReplayResult, RuleDecision, replay, undecided
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.events import DealMoved, FieldChanged, FileAttached, StageEntered

LONG_AGO = 1_500_000_000
DEALS = "/api/v4/leads"


def hook(action: str, /, **told: Any) -> bytes:
    facts = {"id": 7, "name": "Ромашка", "updated_at": LONG_AGO, "created_at": LONG_AGO - 60} | told
    return urlencode({f"leads[{action}][0][{key}]": value for key, value in facts.items()}).encode()


def replayed(body: bytes, *deals: DealRecord) -> tuple[ReplayResult, ScriptedCrm]:
    patient = RuleEngine.of(rule_engine().config, agency(), FixedClock(EPOCH))
    crm = ScriptedCrm(rows={DEALS: [api_row(deal) for deal in deals]})
    found = replay(body, patient, crm)  # type: ignore[arg-type]
    assert crm.written == []
    return found, crm


AWAITED = "Продажи / Получение брифа"


def by_clause(found: ReplayResult) -> dict[str, RuleDecision]:
    return {decided.rule.clause: decided for decided in found.decisions if decided.verdict != "skipped"}


def test_a_move_of_years_ago_is_judged_as_if_it_were_now() -> None:
    body = hook("status", old_status_id=on_stage(AWAITED)["status_id"], **on_stage(MEETING))
    found, _ = replayed(body, record(BRIEF))
    told, observed = found.events
    assert isinstance(told, DealMoved)
    assert isinstance(observed, StageEntered)
    assert (observed.from_stage_name, observed.stage_name) == (AWAITED, MEETING)
    assert observed.at == datetime.fromtimestamp(LONG_AGO, UTC)
    decided = by_clause(found)["A40"]
    assert decided.verdict == "would_act"
    assert decided.actions[0] == f"возврат на этап «{AWAITED}»"
    assert "„Дата первой встречи“" in decided.actions[1]


def test_a_deal_that_is_not_there_any_more_is_judged_by_the_hook_alone() -> None:
    found, crm = replayed(hook("add", responsible_user_id=agency().users[1].id, **on_stage(NEW)))
    assert by_clause(found)["A10"].verdict == "would_act"
    assert crm.asked == [("GET", f"{DEALS}/7")]


def test_what_the_hook_does_not_tell_is_taken_from_the_deal() -> None:
    body = hook("status", old_status_id=on_stage(BRIEF)["status_id"], **on_stage(LOST))
    deal = record(LOST, loss_reason="Дорого")
    row = api_row(deal) | {"_embedded": {"loss_reason": [{"id": 1, "name": "Дорого"}]}}
    patient = RuleEngine.of(rule_engine().config, agency(), FixedClock(EPOCH))
    found = replay(body, patient, ScriptedCrm(rows={DEALS: [row]}))  # type: ignore[arg-type]
    assert "A81" not in by_clause(found)
    routed = by_clause(found)["A82"]
    assert routed.actions[0] == "новая сделка «Ромашка» на этапе «Работа с потерянными / Потерянные», теги: дорого"


def test_the_fields_of_a_hook_are_what_just_happened() -> None:
    field = agency().field("Дата дедлайна").id
    midnight = int(datetime(2026, 12, 30, 21, tzinfo=UTC).timestamp())
    told = {
        "custom_fields][0][id": field,
        "custom_fields][0][name": "Дата дедлайна",
        "custom_fields][0][values][0": midnight,
    }
    found, _ = replayed(hook("update", **on_stage(BRIEF), **told), record(BRIEF))
    changed = [event for event in found.events if isinstance(event, FieldChanged)]
    assert [(event.field_name, event.new) for event in changed] == [("Дата дедлайна", "31.12.2026")]
    assert by_clause(found)["A50"].verdict == "would_act"


def test_an_old_hook_without_a_pipeline_finds_it_if_only_one_has_the_stage() -> None:
    only_there = on_stage(MEETING)["status_id"]
    found, _ = replayed(hook("status", status_id=only_there, old_status_id=on_stage(AWAITED)["status_id"]))
    assert by_clause(found)["A40"].verdict == "would_act"
    lost, _ = replayed(hook("status", status_id=143))
    assert {decided.verdict for decided in lost.decisions} == {"undecided"}


def test_a_stage_of_another_account_leaves_it_undecided_and_says_so() -> None:
    found, _ = replayed(hook("status", status_id=1, pipeline_id=2))
    assert {decided.verdict for decided in found.decisions} == {"undecided"}
    assert all("нет в аккаунте" in decided.reason for decided in found.decisions)


def test_a_file_is_judged_on_the_deal_as_it_is_now() -> None:
    body = urlencode(
        {
            "leads[note][0][note][id]": 5,
            "leads[note][0][note][note_type]": 5,
            "leads[note][0][note][element_id]": 7,
            "leads[note][0][note][element_type]": 2,
            "leads[note][0][note][created_at]": LONG_AGO,
            "leads[note][0][note][text]": "Коммерческое предложение «Ромашка».pdf",
            "leads[note][0][note][attachement]": "drive/1/2/Коммерческое предложение «Ромашка».pdf",
        }
    ).encode()
    found, _ = replayed(body, record(BRIEF))
    assert isinstance(found.events[0], FileAttached)
    assert by_clause(found)["A51"].verdict == "would_act"
    gone, _ = replayed(body)
    assert {decided.verdict for decided in gone.decisions} == {"undecided"}


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"contacts[add][0][id]=5", b"leads[delete][0][id]=7"])
def test_what_is_about_no_deal_at_hand_asks_nobody(body: bytes) -> None:
    found, crm = replayed(body)
    assert len(found.events) == 1
    assert found.decisions == ()
    assert crm.asked == []


def test_without_the_account_the_rules_that_may_care_are_named() -> None:
    body = hook("status", **on_stage(MEETING))
    found = undecided(body, rule_engine().config.rules, f"аккаунт {URL} не прочитан")
    assert {decided.rule.clause for decided in found.decisions} >= {"A10", "A40", "A81"}
    assert {decided.verdict for decided in found.decisions} == {"undecided"}


def test_the_answer_is_json_that_names_the_regulation_s_clauses() -> None:
    body = hook("status", old_status_id=on_stage(AWAITED)["status_id"], **on_stage(MEETING))
    told = replayed(body, record(BRIEF))[0].to_json()
    assert [event["type"] for event in told["events"]] == ["DealMoved", "StageEntered"]
    (decided,) = [one for one in told["decisions"] if one["clause"] == "A40"]
    assert decided["event"] == "StageEntered"
    assert decided["deal_id"] == 7
    assert decided["verdict"] == "would_act"
    assert len(decided["actions"]) == 2
