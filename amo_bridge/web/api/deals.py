"""``/deals``: the journal of one deal."""

from __future__ import annotations

from datetime import datetime

from flask_babel import lazy_gettext as _l

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api.described import Door
from amo_bridge.web.api.shape import Shape
from amo_bridge.web.api.version import doors
from amo_bridge.web.here import account


class Effect(Shape):
    """``state``: done, ready, waiting, sending, doubt, failed, unsent, unknown, dry or dropped."""

    words: str
    state: str
    error: str


class JournalEntry(Shape):
    """``rule``: empty for what came. ``verdict``: came, acts, would_act, skipped, failed, held, retried, dropped."""

    at: datetime
    event_id: int | None
    what: str
    rule: str
    clause: str
    verdict: str
    reason: str
    effects: list[Effect]


class Journal(Shape):
    """One deal's, oldest first."""

    deal_id: int
    entries: list[JournalEntry]


@doors.open(Door("/deals/<int:deal_id>/journal", "GET", Role.VIEWER, _l("Журнал одной сделки"), Journal))
def journal(deal_id: int) -> Journal:
    entries = [
        JournalEntry(
            at=entry.at,
            event_id=entry.event_id,
            what=entry.what,
            rule=entry.rule,
            clause=entry.clause,
            verdict=entry.verdict,
            reason=entry.reason,
            effects=[Effect(words=words, state=state, error=error) for words, state, error in entry.effects],
        )
        for entry in account().journal.of_deal(deal_id)
    ]
    return Journal(deal_id=deal_id, entries=entries)
