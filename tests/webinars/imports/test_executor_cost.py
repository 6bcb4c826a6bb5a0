"""What an import costs in requests and in statements of the store, counted exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.webinar import import_attendees


def test_five_hundred_attendees_are_six_requests(tmp_path: Path) -> None:
    """300 new contacts (2), deals for 400 people (2), 100 open deals read (1) and changed (1)."""
    told = import_attendees(tmp_path, 500, 800, lambda words: None)
    assert (told.requests, told.failed, told.doubled) == (6, 0, 0)
    assert told.statements < 300, "one statement for each of them would be 500 more"


@pytest.mark.timeout(400)
def test_four_thousand_attendees_are_about_a_thousand_statements(tmp_path: Path) -> None:
    """2,400 new contacts (10), deals for 3,200 people (13), 800 open deals read in groups (7) and changed (4)."""
    told = import_attendees(tmp_path, 4_000, 8_000, lambda words: None)
    assert (told.requests, told.failed, told.doubled) == (34, 0, 0)
    assert told.statements <= 1_010, "one of them for each group of changed deals asks whether facts are kept"


def test_two_hundred_contacts_that_lack_a_phone_are_two_requests_more(tmp_path: Path) -> None:
    """Read (1) and completed (1): a request may name 200 contacts and patch 250."""
    told = import_attendees(tmp_path, 500, 800, lambda words: None, lack_phones=True)
    assert (told.requests, told.failed, told.doubled) == (8, 0, 0)
