"""What an import costs in requests, counted exactly."""

from __future__ import annotations

from pathlib import Path

from bench.webinar import import_attendees


def test_five_hundred_attendees_are_six_requests(tmp_path: Path) -> None:
    """300 new contacts (2), deals for 400 people (2), 100 open deals read (1) and changed (1)."""
    told = import_attendees(tmp_path, 500, 800, lambda words: None)
    assert (told.requests, told.failed, told.doubled) == (6, 0, 0)


def test_the_store_is_asked_by_the_batch_and_not_by_the_person(tmp_path: Path) -> None:
    """One statement for each of these 500 would be 500 more."""
    told = import_attendees(tmp_path, 500, 800, lambda words: None)
    assert told.statements < 300


def test_two_hundred_contacts_that_lack_a_phone_are_two_requests_more(tmp_path: Path) -> None:
    """Read (1) and completed (1): a request may name 200 contacts and patch 250."""
    told = import_attendees(tmp_path, 500, 800, lambda words: None, lack_phones=True)
    assert (told.requests, told.failed, told.doubled) == (8, 0, 0)
