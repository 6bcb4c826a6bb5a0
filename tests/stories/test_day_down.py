"""The bridge is down for a day while people go on working; after its start all that the rules ask for is there once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import UNHURRIED, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from bench.account import Snapshot, compare
from bench.people import Life, People
from bench.processes import CHAOS_RULES

CHANGES = 500
# Rules answer what is up to max_lateness old, which is 24 hours where the config does not say otherwise.
DOWN_FOR = 23.5 * 3600
SEED = 5


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The rules of chaos, of which there is a model."""
    told = load(CHAOS_RULES, {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(tmp_path / "data")})
    return replace(told, account=told.account.model_copy(update={"requests_per_second": UNHURRIED}))


def started_again(start_bridge: Callable[..., RunningBridge], config: Config, port: int) -> RunningBridge:
    """Started, and done with its first look at what was missed."""
    begun = time.monotonic()
    bridge = start_bridge(config, port=port).wait_ready()

    def has_looked() -> bool:
        age = bridge.health().json()["counts"]["reconcile_age"]
        return age is not None and age < time.monotonic() - begun

    wait_until(has_looked, "it has looked for what it missed")
    return bridge


@pytest.mark.parametrize("filters", [True, False], ids=["with filters", "filters off"])
def test_a_day_of_changes_is_caught_up(
    filters: bool, start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm
) -> None:
    if not filters:
        sandbox.fault("filters_off")
    people = People(sandbox.url)
    lives = [Life(number, people, random.Random(f"{SEED}/{number}")) for number in range(CHANGES)]
    bridge = start_bridge(config).wait_ready()
    for life in lives:
        life.step()
    bridge.settle(sandbox)
    bridge.stop()

    lost = sandbox.fault("hook_drop")
    for life in lives:
        sandbox.later(DOWN_FOR / CHANGES)
        life.step()
    assert sandbox.struck(lost) >= CHANGES, "amoCRM told nobody anything"
    before = compare(lives, Snapshot.of(sandbox), people)
    assert len(before.lost) + len(before.wrong) > CHANGES / 4, "there is something to catch up with"

    bridge = started_again(start_bridge, config, bridge.port)
    bridge.settle(sandbox)
    after = compare(lives, Snapshot.of(sandbox), people)
    assert (after.lost, after.doubled, after.wrong, after.out_of_order) == ([], [], [], [])
    assert after.effects > CHANGES


def test_what_is_older_than_the_rules_allow_is_only_marked(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm
) -> None:
    people = People(sandbox.url)
    life = Life(0, people, random.Random(SEED))
    bridge = start_bridge(config).wait_ready()
    bridge.stop()
    sandbox.fault("hook_drop")
    sandbox.later()
    life.step()
    sandbox.later(25 * 3600)
    bridge = started_again(start_bridge, config, bridge.port)
    bridge.settle(sandbox)
    assert Snapshot.of(sandbox).tasks == {}
    told = {entry.reason for entry in bridge.journal(life.deal) if entry.rule and entry.reason}
    assert any(reason.startswith("слишком поздно") for reason in told)
