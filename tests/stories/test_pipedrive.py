"""A team works in Pipedrive: its calls and sales stand on the page «KPI» as soon as the webhook says so (S8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from support.local_crm import LocalCrm
from support.pages import Visit, words_of
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until

from amo_bridge.config.intake import VendorSection
from amo_bridge.config.model import Config
from amo_bridge.config.other_crms import PipedriveSection
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.standins.pipedrive import PipedriveStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

IVAN = "Иван Петров"


def kpi(bridge: RunningBridge) -> str:
    users = bridge.app.extensions[EXTENSION].users
    user = users.add("head", Role.VIEWER) or users.by_login("head")
    visit = Visit(bridge.app.test_client())
    visit.become(users.sit_down(user.id))
    return words_of(visit.get("/reports/kpi?span=week"))


def test_calls_and_sales_in_pipedrive_are_in_the_figures(
    config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm, office: CrmUser
) -> None:
    stand_ins = StandIns(("pipedrive",), live=False)
    with serving(stand_ins) as url:
        there = stand_ins["pipedrive"]
        assert isinstance(there, PipedriveStandIn)
        ivan = there.add_user(IVAN, "ivan@home.example")
        assert config.intake
        section = PipedriveSection(api=f"{url}/pipedrive", people={"ivan@home.example": IVAN})
        told = replace(
            config,
            intake=config.intake.model_copy(update={"pipedrive": VendorSection()}),
            channels=replace(config.channels, pipedrive=section),
        )
        secrets = {"AMO_BRIDGE_PIPEDRIVE_TOKEN": there.token, "AMO_BRIDGE_INTAKE_PIPEDRIVE_BASIC": "мост:слово"}
        bridge = start_bridge(told, environment={**ENVIRONMENT, **secrets}).wait_ready()
        wait_until(lambda: "Сделанное в Pipedrive уже прибавлено" in kpi(bridge), "it was read once")

        path = next(one.path for one in bridge.bridge.intake_addresses.all() if one.vendor.name == "pipedrive")
        there.configure({"hook_url": f"{bridge.url}{path}", "hook_basic": "мост:слово"})
        stand_ins.faults.add("hook_duplicate", vendor="pipedrive")
        now = bridge.bridge.clock.now()
        when = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        there.put("activities", 1, now, type="call", owner_id=ivan, person_id=5, done=True, marked_as_done_time=when)
        there.put("deals", 2, now, owner_id=ivan, status="won", won_time=when, value=5000, currency="RUB")
        stand_ins.timeline.advance(1)
        # One talk with a new client, one sale.
        wait_until(lambda: f"{IVAN} 1 1 1 0 0 0 1 5 000" in kpi(bridge), "the webhook has the bridge read at once")
        assert all(one.status == 200 for one in there.attempts), [one.answer for one in there.attempts]
        assert sandbox.table("leads") is not None
