"""The rows of the five documents: their ids, what serves them beside the rules, and what is not there yet.

A new row is a number in ``ROWS``; a row that is served no longer wants its line in ``LACKS`` deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


def _rows(letter: str, *spans: tuple[int, int]) -> tuple[str, ...]:
    return tuple(f"{letter}{number}" for first, last in spans for number in range(first, last + 1))


ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "A": _rows(
        "A",
        (1, 6), (10, 12), (20, 24), (30, 32), (40, 40), (50, 52), (60, 66),
        (70, 82), (90, 106), (110, 111), (120, 124),
    ),
    "M": _rows("M", (1, 20)),
    "W": _rows("W", (1, 14)),
    "S": _rows("S", (1, 9)),
    "C": _rows("C", (1, 20)),
}  # fmt: skip
"""Every row of a document, by its letter."""

JOURNEYS: Final = ("M", "W", "S", "C")
"""Documents of which every row that is served has a story over HTTP."""


@dataclass(frozen=True)
class Part:
    """Code that serves a row and is no rule. ``code``, ``test``: paths from the project's root."""

    what: str
    code: str
    test: str


def _web(what: str, name: str) -> Part:
    return Part(what, f"amo_bridge/web/pages/{name}.py", f"tests/web/pages/test_{name}.py")


def _intake(what: str, name: str) -> Part:
    return Part(what, f"amo_bridge/intake/{name}.py", f"tests/intake/test_{name}.py")


def _webinars(what: str, name: str) -> Part:
    return Part(what, f"amo_bridge/webinars/{name}.py", f"tests/webinars/test_{name}.py")


PARTS: Final[Mapping[str, Part]] = {
    "A1": _intake("forms of the site are received", "sites"),
    "A2": _intake("Jivo's requests are received", "chats"),
    "A3": _intake("an enquiry is read from a letter", "mail"),
    "A4": _intake("callbacks of VK and Meta are received", "social"),
    "A5": _intake("the exchange's requests are received", "telephony"),
    "A70": _web("the services page", "services"),
    "A120": _web("the overdue report", "reports"),
    "A121": Part("Roistat", "amo_bridge/channels/roistat.py", "tests/channels/test_roistat.py"),
    "A122": Part("a mail service", "amo_bridge/channels/unisender_go.py", "tests/channels/test_unisender_go.py"),
    "A123": _web("the scripts' pages", "scripts"),
    "A124": Part("notices by Telegram and MAX", "amo_bridge/channels/notices.py", "tests/channels/test_notices.py"),
    "W1": _webinars("import of attendees", "plan"),
    "W2": _webinars("sorting of attendees", "sorting"),
    "W3": _webinars("import of attendees", "plan"),
    "M9": _web("exports are uploaded, figures stand against norms, one check a day", "ads"),
    "S1": _web("KPI per person against the plan", "kpi"),
    "S2": Part("the daily report", "amo_bridge/reports/daily.py", "tests/stories/test_daily_report.py"),
    "S3": Part("acknowledgement of rules", "amo_bridge/engine/policies.py", "tests/engine/test_policies.py"),
    "S8": _intake("work in Pipedrive is read and counted", "pipedrive_poll"),
    "S9": Part("beginnings of shifts", "amo_bridge/engine/shift_starts.py", "tests/engine/test_shift_starts.py"),
    "M17": _web("the pay sheet of a month", "pay"),
    "C15": Part(
        "tasks in Megaplan", "amo_bridge/channels/megaplan.py", "tests/channels/test_megaplan_tasks.py"
    ),
    "C14": _web("the page of documents by month", "documents"),
    "C13": Part("the evening list", "amo_bridge/engine/evening_digest.py", "tests/stories/test_evening.py"),
}  # fmt: skip
"""What serves a row alone or beside its rules."""

BY_FILE = "Facebook and Google Ads get a file for upload by hand: the law in Russia"

LACKS: Final[Mapping[str, str]] = {
    "A20": BY_FILE,
    "A66": BY_FILE,
    "A110": BY_FILE,
    "A124": "no notices by Viber, which only takes bots on a paid contract; MAX stands in its place",
}
"""What a row still lacks, with the system that would be needed. A row that nothing serves is missing as a whole."""
