"""The storm in short: people act and edit what was just written, hooks and answers get lost, the bridge is killed, its
store is put back from a copy, a stage is renamed, a manager leaves; in the end the account is right.

``make chaos`` is the same for some minutes, with 50 kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from amo_bridge.config.loader import load
from bench.chaos import run_chaos
from bench.processes import CHAOS_RULES

RULES = 30


def test_so_many_rules_are_on() -> None:
    assert sum(rule.enabled for rule in load(CHAOS_RULES, {}).rules) == RULES


@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 11), ("postgresql", 12)])
def test_nothing_is_lost_and_nothing_is_doubled(
    kind: str, seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else ""
    outcome = run_chaos(tmp_path, seed=seed, acts=60, kills=2, database=url, deals=10)

    assert outcome.kills >= 2
    assert sum(outcome.faults.values()) > 0, "the weather was good: this shows nothing"
    assert outcome.happened == ["take copy", "rename stage", "put copy back", "switch manager off"]
    assert outcome.edits, "nobody edited anything fresh"
    assert outcome.verdict.effects > 0
    assert (outcome.verdict.lost, outcome.verdict.doubled) == ([], [])
    assert (outcome.verdict.wrong, outcome.verdict.out_of_order, outcome.left_open) == ([], [], {})
