"""Enquiries under fire, in short: six vendors post everything twice, answers get lost, the bridge is killed; in the end
each person is one contact with one deal and every word stands there once.

``make chaos`` is the same with 300 enquiries of 60 people, on both databases.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.enquiry_chaos import run_enquiry_chaos


@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 21), ("postgresql", 22)])
def test_no_enquiry_is_lost_and_nobody_is_doubled(
    kind: str, seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else ""
    outcome = run_enquiry_chaos(tmp_path, seed=seed, enquiries=40, people=8, kills=2, database=url)

    assert outcome.kills == 2
    assert outcome.faults > 0, "the weather was good: this shows nothing"
    assert (outcome.lost, outcome.doubled, outcome.left_open) == ([], [], {})


def test_a_storm_of_enquiries_costs_a_fifth_of_a_request_each_at_most(tmp_path: Path) -> None:
    outcome = run_enquiry_chaos(tmp_path, seed=23, enquiries=300, people=60, calm=True)

    assert (outcome.lost, outcome.doubled, outcome.left_open, outcome.refused) == ([], [], {}, 0)
    assert outcome.requests <= 60
