"""A task for production is made in Megaplan under the client's project, and comes back done (C15); its answer is lost
on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.config.other_crms import MegaplanSection
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.standins.megaplan import MegaplanStandIn
from amo_bridge.standins.server import StandIns, serving

IVAN = "Иван Петров"
TEXT = "Медиаплан: посчитать кампанию"


def test_a_task_goes_to_megaplan_and_comes_back(
    config: Config,
    start_bridge: Callable[..., RunningBridge],
    sandbox: LocalCrm,
    office: CrmUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PERIOD_SECONDS", "LOOK_SECONDS", "SETTLE_SECONDS"):
        monkeypatch.setattr(f"amo_bridge.channels.megaplan.{name}", 0.0)
    monkeypatch.setattr("amo_bridge.retry.delay", lambda failures: 0.0)
    stand_ins = StandIns(("megaplan",), live=False)
    with serving(stand_ins) as url:
        there = stand_ins["megaplan"]
        assert isinstance(there, MegaplanStandIn)
        section = MegaplanSection.model_validate(
            {
                "api": f"{url}/megaplan",
                "login": there.username,
                "project_field": "Основной продукт",
                "tasks": [{"begins": ["Медиаплан"], "responsible": "7"}],
            }
        )
        told = replace(config, channels=replace(config.channels, megaplan=section))
        secrets = {"AMO_BRIDGE_MEGAPLAN_PASSWORD": there.password}
        bridge = start_bridge(told, environment={**ENVIRONMENT, **secrets}).wait_ready()
        deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", office.new_contact(IVAN, "Ромашка"), 5000)
        office.fill(IVAN, deal, "Основной продукт", "5")
        bridge.settle(sandbox)
        sandbox.later()
        stand_ins.faults.add("lost_answer", path="*v3/task")
        office.new_task(IVAN, deal, TEXT)
        wait_until(lambda: [row.get("parent", {}).get("id") for row in there.tasks.values()] == ["5"], "made once")

        (number,) = there.tasks
        there.say(number, "Дмитрий", "Готово: 120 000")
        there.tasks[number]["status"] = "done"

        def is_finished() -> bool:
            bridge.settle(sandbox)
            return all(row["is_completed"] for row in office.tasks(deal) if row["text"] == TEXT)

        wait_until(is_finished, "the task is finished here too")
        (task,) = [row for row in office.tasks(deal) if row["text"] == TEXT]
        assert task["result"]["text"] == "Выполнена в Мегаплане: Готово: 120 000"
        notes = [note["params"].get("text", "") for note in sandbox.table("notes")]
        assert notes.count("Megaplan, Дмитрий: Готово: 120 000") == 1
