"""What rules in dry run would have done: summed up from the journal, per rule and per deal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import journal


@dataclass(frozen=True)
class Would:
    """Something that was not done, because the rule (or the whole bridge) is in dry run. ``at`` is aware, UTC."""

    at: datetime
    rule: str
    clause: str
    deal_id: int
    because: str
    does: tuple[str, ...]


def would_have(store: Store, key: int, since: datetime, rule: str | None = None) -> list[Would]:
    """All of it since then, by rule and deal, the oldest first. Raises StoreUnavailable."""
    wanted = [journal.c.account == key, journal.c.at >= since.timestamp(), journal.c.verdict == "would_act"]
    if rule is not None:
        wanted.append(journal.c.rule == rule)
    with store.read() as connection:
        ordered = select(journal).where(*wanted).order_by(journal.c.rule, journal.c.deal_id, journal.c.id)
        return [
            Would(
                at=datetime.fromtimestamp(row.at, UTC),
                rule=row.rule,
                clause=row.clause,
                deal_id=row.deal_id or 0,
                because=row.what,
                does=tuple(json.loads(row.actions)),
            )
            for row in connection.execute(ordered)
        ]
