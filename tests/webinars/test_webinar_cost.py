"""What an import costs in requests, counted exactly."""

from __future__ import annotations

from pathlib import Path

from bench.webinar import import_attendees


def test_five_hundred_attendees_are_six_requests(tmp_path: Path) -> None:
    """300 new contacts (2), deals for 400 people (2), 100 open deals read (1) and changed (1)."""
    told = import_attendees(tmp_path, 500, 800, lambda words: None)
    assert (told.requests, told.failed, told.doubled) == (6, 0, 0)
