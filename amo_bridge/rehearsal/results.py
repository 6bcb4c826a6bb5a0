"""Results of a rehearsal: what was done to which deal, by which rule, when; what rules could not do."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import journal, outbox
from amo_bridge.text.csv_table import as_csv
from amo_bridge.text.typography import action_words, nested_quotes

COLUMNS = {
    "at": "Когда", "deal": "Номер сделки", "deal_name": "Сделка", "clause": "Пункт", "rule": "Правило",
    "because": "Что произошло", "does": "Что сделает", "trouble": "Почему не сможет",
}  # fmt: skip
"""Key of ``Deed.to_json`` → title of the column."""


NOWHERE = "(канал не подключён)"


@dataclass(frozen=True)
class SimulatedAction:
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


def last_line(store: AccountStore) -> int:
    """The number of the journal's newest line; what comes after it is new."""
    with store.read() as connection:
        newest = select(journal.c.id).where(store.owns(journal)).order_by(journal.c.id.desc()).limit(1)
        return int(connection.execute(newest).scalar() or 0)


def actions_after(
    store: AccountStore, line: int, deal_id: int | None = None, silent: Collection[str] = ()
) -> list[SimulatedAction]:
    """What the journal says since that line, in the order of time. ``silent``: kinds of effects that would go nowhere;
    the words of such say so."""
    wanted = [store.owns(journal), journal.c.id > line, journal.c.verdict.in_(("acts", "held", "failed"))]
    if deal_id is not None:
        wanted.append(journal.c.deal_id == deal_id)
    with store.read() as connection:
        rows = connection.execute(select(journal).where(*wanted).order_by(journal.c.at, journal.c.id)).all()
        unsent = _unsent(connection, store.account_id, silent)
    return [
        SimulatedAction(
            at=datetime.fromtimestamp(row.at, UTC),
            deal_id=row.deal_id or 0,
            rule=row.rule,
            clause=row.clause,
            because=nested_quotes(row.what),
            does=tuple(_does(row, unsent)) if row.verdict == "acts" else (),
            trouble="" if row.verdict == "acts" else row.reason,
        )
        for row in rows
    ]


def _unsent(connection: Connection, key: int, silent: Collection[str]) -> set[tuple[int | None, str, str]]:
    """(event, rule, words) of what goes nowhere."""
    mine = (outbox.c.account == key, outbox.c.kind.in_(list(silent)))
    rows = connection.execute(select(outbox.c.event_id, outbox.c.rule, outbox.c.payload).where(*mine))
    return {(row.event_id, row.rule, action_words(json.loads(row.payload)["words"])) for row in rows}


def _does(row: Row[Any], unsent: Collection[tuple[int | None, str, str]]) -> Iterator[str]:
    for words in map(action_words, json.loads(row.actions)):
        goes_nowhere = (row.event_id, row.rule, words) in unsent
        yield f"{words} {NOWHERE}" if goes_nowhere else words


def sheet(deeds: Iterable[Mapping[str, object]]) -> bytes:
    """All of them, as ``Deed.to_json`` tells them, as CSV for Excel."""
    return as_csv(list(COLUMNS.values()), [[_cell(deed[column]) for column in COLUMNS] for deed in deeds])


def _cell(told: object) -> str:
    return "; ".join(map(str, told)) if isinstance(told, list) else str(told)


def by_day(deeds: Iterable[SimulatedAction], zone: ZoneInfo) -> Iterator[tuple[str, list[SimulatedAction]]]:
    """(«пт 04.12.2026», what happens that day), in local time."""
    days: dict[str, list[SimulatedAction]] = {}
    for deed in deeds:
        days.setdefault(day_title(deed.at, zone), []).append(deed)
    yield from days.items()


def day_title(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{WEEKDAYS[local.weekday()]} {local:%d.%m.%Y}"


WEEKDAYS = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")
