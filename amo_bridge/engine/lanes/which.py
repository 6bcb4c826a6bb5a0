"""Which rows of the outbox are a lane's: told by their kind."""

from __future__ import annotations

from sqlalchemy import ColumnElement, FromClause

from amo_bridge.engine.effects import OUTSIDE, Lane
from amo_bridge.storage.tables import outbox


def in_lane(lane: Lane, rows: FromClause = outbox) -> ColumnElement[bool]:
    """Rows of ``outbox`` (or an alias of it) that are of this lane."""
    if lane == "crm":
        return rows.c.kind.not_in(list(OUTSIDE))
    return rows.c.kind.in_([kind for kind, its_lane in OUTSIDE.items() if its_lane == lane])
