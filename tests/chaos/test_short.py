"""The storm in short: people act, hooks and answers get lost, the bridge is killed; in the end the account is right.

``make chaos`` is the same for some minutes, with 50 kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.chaos import run_chaos


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_is_lost_and_nothing_is_doubled(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else ""
    outcome = run_chaos(tmp_path, seed=11, acts=25, kills=3, database=url)

    assert outcome.kills == 3
    assert sum(outcome.faults.values()) > 0, "the weather was good: this shows nothing"
    assert outcome.verdict.effects > 0
    assert (outcome.verdict.lost, outcome.verdict.doubled) == ([], [])
    assert (outcome.verdict.wrong, outcome.verdict.out_of_order, outcome.left_open) == ([], [], {})
