"""Attendee files as platforms and agencies make them, against their right answers. The people are invented."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.webinar_samples import MOSCOW, options

from amo_bridge.webinars import preview
from amo_bridge.webinars.formats import read_export
from amo_bridge.webinars.formats.model import ExportError

pytestmark = pytest.mark.usefixtures("files_read_here")

FOLDER = Path(__file__).parents[1] / "samples" / "attendees"
ANSWERS = json.loads((FOLDER / "answers.json").read_text("utf-8"))
FILES = sorted(name for name, answer in ANSWERS.items() if answer["people"])


def drafts(name: str, held_on: date | None) -> list[dict[str, Any]]:
    exports = [read_export(name, (FOLDER / name).read_bytes(), zone=MOSCOW, held_on=held_on)]
    return preview.as_json(exports, preview.offline(exports, held_on, options()), held_on)


def told_day(name: str) -> date:
    return date.fromisoformat(ANSWERS[name]["date"][:10])


@pytest.mark.parametrize("name", FILES)
def test_everybody_s_minutes_and_class(name: str) -> None:
    (draft,) = drafts(name, told_day(name))
    found = {person["emails"][0]: person for person in draft["people"] if person["emails"]}
    for wanted in ANSWERS[name]["people"]:
        person = found[wanted["person"]]
        assert person["minutes"] == (wanted["minutes"] and pytest.approx(wanted["minutes"], abs=0.1)), person
        assert person["class"] == ("unknown" if wanted["minutes"] is None else wanted["class"]), person
        assert bool(person["buttons"]) == bool(wanted["buttons"]), person
    left_out = {mail for one in draft["left_out"] for mail in one["emails"]}
    assert set(ANSWERS[name]["must_not_become_deals"]) <= left_out
    assert all(one["why"] for one in draft["left_out"])


@pytest.mark.parametrize(
    "name",
    [
        "livewebinar_tz.csv",
        "myownconference.tsv",
        "handmade_ru_dates.csv",
        "zoom_webinar_ru.csv",
        "mts_link_participants.xls",
    ],
)
def test_the_day_that_the_file_tells(name: str) -> None:
    assert [draft["held_on"] for draft in drafts(name, None)] == [told_day(name).isoformat()]


def test_figures_of_an_audience_are_no_people() -> None:
    with pytest.raises(ExportError, match="ни почты, ни телефона"):
        drafts("youtube_live_audience.csv", None)


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("durations.csv", [75, 65, 62.22, 75.5, 75, 75, 60, 61.5, 130, 1.5]),
        ("quoted_name.csv", [70, 70, 10]),
        ("roles_and_guests.csv", [70]),
    ],
)
def test_tables_that_others_stumbled_over(name: str, minutes: list[float]) -> None:
    (draft,) = drafts(name, date(2026, 11, 26))
    assert [person["minutes"] for person in draft["people"]] == minutes
