"""A deal's way through «Продажи» by the shipped example's rules: the demo's own script, in good weather and in bad."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import ACTS, Act, Missing, Scene

WRITES = "/api/v4/*"


def check(act: Act, scene: Scene, bridge: RunningBridge, crm: LocalCrm) -> None:
    """amoCRM holds what the story promises, and not a task more; the rules named are those that did it."""
    bridge.settle(crm)
    wait_until(lambda: _holds(act, scene), act.title, patience=10)
    bridge.settle(crm)
    assert len(scene.office.tasks(scene.deal)) == act.tasks, act.title
    decided = {entry.clause for entry in bridge.journal(scene.deal) if entry.verdict == "acts"}
    assert set(act.rules) <= decided, act.title


def _holds(act: Act, scene: Scene) -> bool:
    try:
        return bool(list(act.sees(scene)))
    except Missing:
        return False


def play(acts: Iterable[Act], scene: Scene, bridge: RunningBridge, crm: LocalCrm) -> None:
    for act in acts:
        crm.later()
        act.happens(scene)
        check(act, scene, bridge, crm)


def test_the_regulation_is_followed_from_the_first_task_to_the_loss(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    play(ACTS, Scene(office), bridge, sandbox)


@pytest.mark.parametrize(
    "weather",
    [
        pytest.param([{"kind": "hook_duplicate"}], id="every hook comes twice"),
        pytest.param([{"kind": "hook_reorder", "probability": 0.5, "seed": 7}], id="hooks overtake each other"),
        pytest.param([{"kind": "hook_delay", "probability": 0.5, "seconds": 40, "seed": 3}], id="hooks come late"),
        pytest.param(
            [
                {"kind": "hook_duplicate", "setting": "*_lead", "probability": 0.5, "seed": 1},
                {"kind": "hook_reorder", "setting": "*_lead", "probability": 0.5, "seed": 2},
                {"kind": "hook_delay", "probability": 0.3, "seconds": 20, "seed": 3},
            ],
            id="hooks twice, late and in any order",
        ),
        pytest.param([{"kind": "hook_lose_status"}], id="hooks about stages are lost"),
        pytest.param(
            [{"kind": "lost_answer", "method": "P*", "path": WRITES, "probability": 0.6, "seed": 5}],
            id="answers to writes are lost",
        ),
        pytest.param(
            [{"kind": "refuse_before", "method": "P*", "path": WRITES, "probability": 0.6, "seed": 6}],
            id="connections break before anything is done",
        ),
        pytest.param(
            [{"kind": "status", "status": 429, "method": "P*", "path": WRITES, "probability": 0.2, "seed": 8}],
            id="too many requests",
        ),
        pytest.param(
            [{"kind": "status", "status": 503, "method": "P*", "path": WRITES, "probability": 0.5, "seed": 9}],
            id="amoCRM stumbles",
        ),
    ],
)  # fmt: skip
def test_bad_weather_changes_nothing(
    weather: list[dict[str, Any]], bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    faults = [sandbox.fault(**fault) for fault in weather]
    play(ACTS, Scene(office), bridge, sandbox)
    assert all(sandbox.struck(fault) for fault in faults), "the weather was not bad at all"


def test_a_write_that_lands_after_its_time_out_is_not_repeated(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    bridge = start_bridge(config, settle=0.5).wait_ready()
    fault = sandbox.fault("slow_write_lands_late", ms=100, method="P*", path=WRITES, probability=0.5, seed=4)
    play(ACTS, Scene(office), bridge, sandbox)
    assert sandbox.struck(fault)


def test_the_regulation_is_followed_without_the_paid_filters(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    sandbox.fault("filters_off")
    play(ACTS, Scene(office), start_bridge(config).wait_ready(), sandbox)


def test_a_bridge_restarted_in_the_middle_of_everything_goes_on(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    scene = Scene(office)
    bridge = start_bridge(config).wait_ready()
    for act in ACTS:
        sandbox.later()
        heard = len(sandbox.control("GET", "hooks")["attempts"])
        act.happens(scene)
        wait_until(lambda: len(sandbox.control("GET", "hooks")["attempts"]) > heard, "a hook was sent")  # noqa: B023
        bridge.stop()
        bridge = start_bridge(config, port=bridge.port).wait_ready()
        check(act, scene, bridge, sandbox)


def test_what_happened_while_the_bridge_was_down_is_caught_up(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    scene = Scene(office)
    bridge = start_bridge(config).wait_ready()
    sandbox.fault("hook_drop")
    for act in ACTS:
        sandbox.later()
        bridge.stop()
        act.happens(scene)
        bridge = start_bridge(config, port=bridge.port).wait_ready()
        check(act, scene, bridge, sandbox)


def test_postgresql_serves_as_well(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser, postgres_url: str
) -> None:
    config = replace(config, bridge=config.bridge.model_copy(update={"database": postgres_url}))
    bridge = start_bridge(config).wait_ready()
    play(ACTS, Scene(office), bridge, sandbox)
    bridge.stop()
