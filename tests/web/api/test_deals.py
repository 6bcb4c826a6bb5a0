"""A deal by the API: as its page shows it, and a step of it taken once more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.api_client import Program
from support.local_crm import LocalCrm
from support.pages import Pages, agency
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"
TASK = "Связаться и взять в работу"
RULE = "stage_creates_tasks.new_client"


@pytest.fixture
def deal(bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm) -> int:
    deal = office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle(sandbox)
    return deal


@pytest.fixture
def admin(bridge: RunningBridge) -> Program:
    return Program(bridge, Role.ADMIN)


def step_of(told: dict[str, Any], rule: str = RULE) -> str:
    """The address of the step at which the rule did something."""
    (event,) = [
        step["event_id"]
        for step in told["steps"]
        if any(one["rule"] == rule and one["verdict"] in ("acts", "would_act") for one in step["said"])
    ]
    return f"/deals/{told['deal_id']}/steps/{event}"


def test_a_deal_as_its_page_shows_it(bridge: RunningBridge, deal: int) -> None:
    told = Program(bridge, Role.VIEWER).get(f"/deals/{deal}")
    assert (told["name"], told["stage"]) == ("Ромашка", NEW)
    assert told["link"] == f"{bridge.config.account.url}/leads/detail/{deal}"
    (said,) = [
        one for step in told["steps"] for one in step["said"] if one["rule"] == RULE and one["verdict"] == "acts"
    ]
    assert (said["clause"], said["outcome"]) == ("A10", "acts")
    assert [effect["state"] for effect in said["effects"]] == ["done"]
    moments = [step["at"] for step in told["steps"]]
    assert moments == sorted(moments, reverse=True)


def test_a_step_is_asked_about_and_then_done_once_however_often_one_asks(
    bridge: RunningBridge, deal: int, office: CrmUser, sandbox: LocalCrm, admin: Program
) -> None:
    path = step_of(admin.get(f"/deals/{deal}"))
    asked = admin.ask("POST", f"{path}/judge").json
    (willing,) = [one for one in asked["verdicts"] if one["outcome"] == "acts"]
    assert willing["rule"] == RULE
    assert any(TASK in words for words in willing["actions"])
    assert len(office.tasks(deal)) == 1, "asking changes nothing"
    assert willing["done_at"], "it has acted already"
    refused = admin.ask("POST", f"{path}/carry-out", {"rule": RULE, "mark": asked["mark"]})
    assert (refused.status_code, "второй раз — только нарочно" in refused.json["detail"]) == (409, True)
    for _ in range(3):
        answer = admin.ask("POST", f"{path}/carry-out", {"rule": RULE, "mark": asked["mark"], "once_more": True})
        assert (answer.status_code, answer.json["actions"]) == (200, willing["actions"])
    bridge.settle(sandbox)
    assert [one["text"] for one in office.tasks(deal)] == [TASK, TASK]
    entries = admin.get(f"/deals/{deal}/journal")["entries"]
    assert [one["rule"] for one in entries if one["reason"] == "повторено вручную, API: admin программа"] == [RULE]
    deed = bridge.app.extensions[EXTENSION].audit.last(1)[0]
    assert (deed.who, deed.words) == ("API: admin программа", f"Сделка {deal}: повторено правило {RULE}")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("stage_needs_fields.meeting_date", "сейчас ничего не сделало бы"),
        ("no.such", "этого события не ждёт или выключено"),
    ],
)
def test_a_rule_that_would_do_nothing_now_does_nothing(
    bridge: RunningBridge, deal: int, office: CrmUser, sandbox: LocalCrm, admin: Program, rule: str, words: str
) -> None:
    path = step_of(admin.get(f"/deals/{deal}"))
    answer = admin.ask("POST", f"{path}/carry-out", {"rule": rule, "mark": "x"})
    assert answer.status_code == 409
    assert words in answer.json["detail"]
    bridge.settle(sandbox)
    assert len(office.tasks(deal)) == 1


def test_a_dry_rule_stays_dry(
    start_bridge: Callable[..., RunningBridge], config: Config, office: CrmUser, sandbox: LocalCrm
) -> None:
    dry = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    bridge = start_bridge(dry).wait_ready()
    deal = office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle(sandbox)
    admin = Program(bridge, Role.ADMIN)
    path = step_of(admin.get(f"/deals/{deal}"))
    assert "would_act" in [one["outcome"] for one in admin.ask("POST", f"{path}/judge").json["verdicts"]]
    answer = admin.ask("POST", f"{path}/carry-out", {"rule": RULE, "mark": "x"})
    assert (answer.status_code, "вхолостую" in answer.json["detail"]) == (409, True)
    bridge.settle(sandbox)
    assert office.tasks(deal) == []


def test_a_step_of_another_deal_is_not_there(bridge: RunningBridge, deal: int, admin: Program) -> None:
    path = step_of(admin.get(f"/deals/{deal}")).replace(str(deal), "7")
    answer = admin.ask("POST", f"{path}/judge")
    assert answer.status_code == 409
    assert "этого события в базе уже нет" in answer.json["detail"]


@pytest.mark.parametrize(
    "body", [None, {}, {"rule": RULE}, {"rule": RULE, "mark": ""}, {"rule": RULE, "mark": "x" * 101}]
)
def test_a_body_that_is_not_as_described_is_told(master: Program, body: Any) -> None:
    assert master.ask("POST", "/deals/7/steps/1/carry-out", body).status_code == 422


def test_a_deal_that_the_bridge_does_not_know(reader: Program) -> None:
    answer = reader.ask("GET", "/deals/7")
    assert answer.status_code == 404
    assert answer.json["detail"] == "Мост не знает сделки 7"


def test_before_the_account_is_known_nothing_is_judged(pages: Pages, master: Program) -> None:
    assert master.ask("POST", "/deals/7/steps/1/judge").status_code == 503


def test_a_process_that_only_takes_hooks_judges_nothing(pages: Pages, master: Program) -> None:
    pages.bridge.role = "web"
    pages.know_account(agency())
    answer = master.ask("POST", "/deals/7/steps/1/judge")
    assert answer.status_code == 409
    assert "только принимает сообщения" in answer.json["detail"]
