"""What a rehearsal comes to: what was done to which deal, by which rule, when; and what rules could not do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select

from amo_bridge.engine.store import Store, journal
from amo_bridge.sheet_text import as_csv

COLUMNS = {
    "at": "Когда", "deal": "Номер сделки", "deal_name": "Сделка", "clause": "Пункт", "rule": "Правило",
    "because": "Что произошло", "does": "Что сделает", "trouble": "Почему не сможет",
}  # fmt: skip
"""Key of ``Deed.to_json`` → title of the column."""


@dataclass(frozen=True)
class Deed:
    """Something that rules did, or could not do (``trouble``: why). ``at`` is aware, UTC."""

    at: datetime
    deal_id: int
    rule: str
    clause: str
    because: str
    does: tuple[str, ...] = ()
    trouble: str = ""

    def to_json(self, zone: ZoneInfo, deals: Mapping[int, str]) -> dict[str, object]:
        """For programs and pages: local time in ISO 8601."""
        return {
            "at": self.at.astimezone(zone).isoformat(),
            "deal": self.deal_id,
            "deal_name": deals.get(self.deal_id, ""),
            "rule": self.rule,
            "clause": self.clause,
            "because": self.because,
            "does": list(self.does),
            "trouble": self.trouble,
        }


def last_line(store: Store, key: int) -> int:
    """The number of the journal's newest line; what comes after it is new."""
    with store.read() as connection:
        newest = select(journal.c.id).where(journal.c.account == key).order_by(journal.c.id.desc()).limit(1)
        return int(connection.execute(newest).scalar() or 0)


def deeds_after(store: Store, key: int, line: int, deal_id: int | None = None) -> list[Deed]:
    """What the journal says since that line, in the order of time."""
    wanted = [journal.c.account == key, journal.c.id > line, journal.c.verdict.in_(("acts", "held", "failed"))]
    if deal_id is not None:
        wanted.append(journal.c.deal_id == deal_id)
    with store.read() as connection:
        rows = connection.execute(select(journal).where(*wanted).order_by(journal.c.at, journal.c.id)).all()
    return [
        Deed(
            at=datetime.fromtimestamp(row.at, UTC),
            deal_id=row.deal_id or 0,
            rule=row.rule,
            clause=row.clause,
            because=row.what,
            does=tuple(json.loads(row.actions)) if row.verdict == "acts" else (),
            trouble="" if row.verdict == "acts" else row.reason,
        )
        for row in rows
    ]


def sheet(deeds: Iterable[Mapping[str, object]]) -> bytes:
    """All of them, as ``Deed.to_json`` tells them, as CSV for Excel."""
    return as_csv(list(COLUMNS.values()), [[_cell(deed[column]) for column in COLUMNS] for deed in deeds])


def _cell(told: object) -> str:
    return "; ".join(map(str, told)) if isinstance(told, list) else str(told)


def by_day(deeds: Iterable[Deed], zone: ZoneInfo) -> Iterator[tuple[str, list[Deed]]]:
    """(«пт 04.12.2026», what happens that day), in local time."""
    days: dict[str, list[Deed]] = {}
    for deed in deeds:
        days.setdefault(day_title(deed.at, zone), []).append(deed)
    yield from days.items()


def day_title(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{WEEKDAYS[local.weekday()]} {local:%d.%m.%Y}"


WEEKDAYS = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")
