"""A step's name on a page: its spans of time in the reader's language."""

from __future__ import annotations

from flask_babel import ngettext

from amo_bridge.dates.duration import step_in_words as written_out


def step_in_words(name: str) -> str:
    """Every span of time in it written out; whatever else a person has called it stays."""
    return written_out(name, lambda one, many, count: str(ngettext(one, many, count)))
