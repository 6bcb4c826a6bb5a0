"""In good weather the account is at every moment what the bench's model of the rules says, on which chaos relies."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from support.local_crm import LocalCrm
from support.running_bridge import UNHURRIED, RunningBridge

from amo_bridge.config.loader import load
from bench.account import Snapshot, Verdict, compare
from bench.expected import LOST, MEETING
from bench.people import Life, People
from bench.processes import CHAOS_RULES

LIVES = 40
SEED = 1


def test_people_act_round_after_round_and_the_account_agrees_with_the_model(
    start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm, tmp_path: Path
) -> None:
    told = load(CHAOS_RULES, {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(tmp_path / "data")})
    config = replace(told, account=told.account.model_copy(update={"requests_per_second": UNHURRIED}))
    people = People(sandbox.url)
    lives = [Life(number, people, random.Random(f"{SEED}/{number}")) for number in range(LIVES)]
    bridge = start_bridge(config).wait_ready()

    while free := [life for life in lives if not life.is_over]:
        for life in free:
            life.step()
        bridge.settle(sandbox)
        sandbox.later()
        verdict = compare([life for life in lives if life.deal], Snapshot.of(sandbox), people)
        assert verdict == Verdict(effects=verdict.effects)

    explained = [task for life in lives for task in life.expected.tasks if task.explains]
    ended = {(task.explains, task.result) for task in explained}
    passed, lost = (f"Сделка перешла на этап «{stage.split(' / ')[1]}»" for stage in (MEETING, LOST))
    wanted = {(stage, result) for stage in (MEETING, LOST) for result in (None, lost)} | {(MEETING, passed)}
    assert ended == wanted, "every way in which an explanation may end was gone"
