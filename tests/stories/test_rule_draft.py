"""A rule that nobody has saved is tried on what has happened: the engine's own planner says, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Table, select
from support.api_client import Program
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, MANAGER
from amo_bridge.storage.tables import events, journal, made, outbox, schedules, timers, violations, waiting_events
from amo_bridge.web.auth.users import Role

NEW = "Продажи / Новый клиент"
BRIEF = "Продажи / Бриф получен"
WAITS = "Продажи / Получение брифа"
TASK = {"text": "Позвонить", "to": "manager", "due": "1 рабочий час"}


@pytest.fixture
def day(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> list[int]:
    """Two new deals, of which one went on."""
    deals = [office.new_deal(MANAGER, name, NEW, office.new_contact(MANAGER, name), 0) for name in ("Ольга", "Пётр")]
    bridge.settle(sandbox)
    for field, value in CLIENT.items():
        office.fill(MANAGER, deals[0], field, value)
    office.move(MANAGER, deals[0], WAITS)
    bridge.settle(sandbox)
    return deals


WRITTEN_BY_RULES = (events, journal, outbox, schedules, timers, made, waiting_events, violations)


def rows_of(bridge: RunningBridge, table: Table) -> list[Any]:
    with bridge._store.read() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)))


def tried(bridge: RunningBridge, kind: str, **values: Any) -> Any:
    answer = Program(bridge, Role.ADMIN).ask("POST", "/rules/drafts", {"kind": kind, "values": values, "try_it": True})
    assert answer.status_code == 200, answer.text
    assert answer.json["trial"]["why_not"] == "", answer.text
    return answer.json["trial"]


def test_what_a_draft_would_have_done_and_why_not(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, day: list[int]
) -> None:
    before = {deal: office.tasks(deal) for deal in day}
    kept = {table.name: rows_of(bridge, table) for table in WRITTEN_BY_RULES}
    assert all(kept[table.name] for table in (events, journal, outbox))
    trial = tried(bridge, "stage_creates_tasks", stages=[NEW], tasks=[TASK])
    assert sorted(one["deal_id"] for one in trial["decisions"]) == sorted(day)
    assert all("Позвонить" in one["actions"][0] for one in trial["decisions"])
    assert trial["undecided"] == 0
    moved = tried(bridge, "stage_creates_tasks", stages=[WAITS], tasks=[TASK])
    assert [one["deal_id"] for one in moved["decisions"]] == [day[0]]
    assert any(one["times"] >= 2 for one in moved["skips"]), moved
    gate = tried(bridge, "stage_needs_file", leaving=[NEW], name_starts_with=["Анкета"])
    assert [one["deal_id"] for one in gate["decisions"]] == [day[0]]
    assert gate["decisions"][0]["actions"][0] == f"возврат на этап «{NEW}»"
    assert {table.name: rows_of(bridge, table) for table in WRITTEN_BY_RULES} == kept, (
        "nothing is written, not even here"
    )
    bridge.settle(sandbox)
    assert {deal: office.tasks(deal) for deal in day} == before


def test_a_ladder_tells_of_the_deals_that_are_there(bridge: RunningBridge, day: list[int]) -> None:
    steps = [{"after": "1 d", "task": TASK}]
    trial = tried(bridge, "stage_ladder", stages=[NEW, WAITS], steps=steps, existing="from now")
    assert trial["existing"] == 2
