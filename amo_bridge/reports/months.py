"""Monthly tasks: what rules with ``month`` have set for a month, by deal, and its state (C14).

Figures come from the bridge's store: which tasks its rules set, and its copy of the tasks; amoCRM is not asked. A
finished task leaves that copy after some days, its history stays: so an old month is shown as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Row, and_, select

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.violations import Month
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import deals, made, task_history, tasks
from amo_bridge.text.csv_table import as_csv

State = Literal["done", "open", "late", "deleted"]
STATES: Mapping[State, str] = {"done": "сделано", "open": "ждёт", "late": "просрочено", "deleted": "удалено"}
SLOT = re.compile(r"(?P<step>.*)@(?P<month>\d{4}-\d{2})(?:\.\d+)?")


@dataclass(frozen=True)
class Cell:
    """A task. ``at``: when it was finished or deleted, or is due; None if nobody knows."""

    state: State
    at: datetime | None = None

    def in_words(self, zone: Any) -> str:
        """«сделано 03.04.2026»."""
        return " ".join(filter(None, [STATES[self.state], f"{self.at.astimezone(zone):%d.%m.%Y}" if self.at else ""]))


@dataclass(frozen=True)
class Line:
    """A deal. ``cells``: what is done → its task; what was not asked of this deal is left out."""

    deal_id: int
    deal_name: str
    cells: Mapping[str, Cell]

    @property
    def is_done(self) -> bool:
        return all(cell.state == "done" for cell in self.cells.values())


@dataclass(frozen=True)
class MonthlyTable:
    """The tasks of one rule. ``columns``: their texts without the month, as the rule sets them."""

    rule: str
    words: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def is_monthly(rule: Rule) -> bool:
    """Does it set tasks about a month?"""
    return any(getattr(step, "month", None) for step in getattr(rule.options, "steps", ()))


def monthly_tables(store: AccountStore, rules: Iterable[Rule], month: Month, now: datetime) -> list[MonthlyTable]:
    """Of each rule that has set tasks about this month. Raises StoreUnavailable."""
    known = {rule.name: rule.words for rule in rules if is_monthly(rule)}
    about = made.c.slot.like(f"%@{month}%")
    query = select(made).where(store.owns(made), made.c.kind == "create_task", made.c.rule.in_(known), about)
    with store.read() as connection:
        rows = [row for row in connection.execute(query.order_by(made.c.slot, made.c.id)) if _month(row) == str(month)]
        ids, deal_ids = [row.entity_id for row in rows], sorted({row.deal_id for row in rows})
        cells: dict[int, Cell] = {}
        names: dict[int, str] = {}
        for some in chunks(ids):
            past = and_(store.owns(task_history), task_history.c.task_id.in_(some))
            for row in connection.execute(select(task_history).where(past).order_by(task_history.c.id)):
                cells[row.task_id] = _cell(row.state, row.since, row.due_at, now)
            there = select(tasks).where(store.owns(tasks), tasks.c.task_id.in_(some))
            for row in connection.execute(there):
                done_at = row.completed_at or row.updated_at
                cells[row.task_id] = _cell("done" if row.is_completed else "open", done_at, row.due_at, now)
        for some in chunks(deal_ids):
            for row in connection.execute(select(deals).where(store.owns(deals), deals.c.deal_id.in_(some))):
                names[row.deal_id] = json.loads(row.record)["name"]
    # What is in neither has been finished so long ago that nobody remembers when.
    by_rule: dict[str, list[Row[Any]]] = {}
    for row in rows:
        by_rule.setdefault(row.rule, []).append(row)
    return [_table(rule, known[rule], own, cells, names) for rule, own in sorted(by_rule.items())]


def sheet(tables: Sequence[MonthlyTable], zone: Any) -> bytes:
    """All of them as CSV for Excel; a line a deal and task."""
    lines = (
        [line.deal_id, line.deal_name, column, cell.in_words(zone)]
        for table in tables
        for line in table.lines
        for column, cell in line.cells.items()
    )
    return as_csv(("Сделка", "Название", "Что", "Состояние"), lines)


def _table(
    rule: str, words: str, rows: Sequence[Row[Any]], cells: Mapping[int, Cell], names: Mapping[int, str]
) -> MonthlyTable:
    found: dict[int, dict[str, Cell]] = {}
    for row in rows:
        found.setdefault(row.deal_id, {})[_column(row)] = cells.get(row.entity_id, Cell("done"))
    lines = [Line(deal_id, names.get(deal_id, ""), own) for deal_id, own in found.items()]
    # What is not done yet comes first.
    lines.sort(key=lambda line: (line.is_done, line.deal_name, line.deal_id))
    return MonthlyTable(rule, words, tuple(dict.fromkeys(map(_column, rows))), tuple(lines))


def _cell(state: str, since: float, due_at: float, now: datetime) -> Cell:
    if state in ("done", "deleted"):
        return Cell("done" if state == "done" else "deleted", datetime.fromtimestamp(since, UTC))
    return Cell("late" if due_at < now.timestamp() else "open", datetime.fromtimestamp(due_at, UTC))


def _month(row: Row[Any]) -> str:
    found = SLOT.fullmatch(row.slot)
    return found["month"] if found else ""


def _column(row: Row[Any]) -> str:
    """«Закрывающие документы: отправить», without the month in brackets."""
    return str(row.text or "").rpartition(" (")[0] or str(row.text or row.slot)
