"""Channels under fire, in short: vendors lose answers and webhooks, the bridge is killed; nobody is written to twice.

``make chaos`` kills it 12 times, on both databases.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.channel_chaos import run_channel_chaos


@pytest.mark.timeout(900)
def test_nothing_goes_out_twice_and_what_is_unknown_is_told(tmp_path: Path) -> None:
    outcome = run_channel_chaos(tmp_path, seed=31, clients=104, kills=2)

    assert outcome.kills == 2
    assert outcome.faults > 50, "the weather was good: this shows nothing"
    assert (outcome.lost, outcome.doubled, outcome.left_open) == ([], [], {})
    assert outcome.told, "answers were lost: somebody must be told"
