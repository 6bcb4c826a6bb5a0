"""Decisions about pay sheets: months closed and reopened, corrections, comments. Nothing is deleted.

A month that is closed is a copy of its sheet: later events, another config, a new correction don't change it.
"""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from amo_bridge.clock import Clock
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.pay import Correction, Line, Sheet, Uncounted
from amo_bridge.reports.violations import Month
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import pay_comments, pay_corrections, pay_lines, pay_months

LONGEST_WHO = 120


class PayRefused(Exception):
    """What was asked for makes no sense now; the text says why (Russian)."""


@dataclass(frozen=True)
class Comment:
    line_key: str
    words: str
    who: str
    at: datetime


@dataclass(frozen=True)
class Closing:
    """Once a month was closed. ``reopened_at``: None while it is."""

    number: int
    closed_at: datetime
    closed_by: str
    reopened_at: datetime | None
    reopened_by: str
    why: str


class PayLedger:
    """One account's. Everything raises StoreUnavailable."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    # --- closed months ---

    def closings(self, month: Month) -> list[Closing]:
        """The latest first."""
        mine = (self._store.owns(pay_months), pay_months.c.month == str(month))
        with self._store.read() as connection:
            rows = connection.execute(select(pay_months).where(*mine).order_by(pay_months.c.id.desc()))
            return [_closing(row) for row in rows]

    def frozen(self, month: Month) -> Sheet | None:
        """The sheet as it was closed; None while the month is open."""
        with self._store.read() as connection:
            row = self._closed(connection, month)
            if row is None:
                return None
            mine = (self._store.owns(pay_lines), pay_lines.c.pay_month_id == row.id)
            lines = [_line(one) for one in connection.execute(select(pay_lines).where(*mine).order_by(pay_lines.c.id))]
        told = json.loads(row.notes)
        uncounted = [Uncounted(**{**one, "day": date.fromisoformat(one["day"])}) for one in told["uncounted"]]
        people = {int(number): name for number, name in told["people"].items()}
        return Sheet(month, row.currency, people, lines, uncounted, list(told["notes"]))

    def close(self, sheet: Sheet, who: str) -> None:
        """Raises PayRefused: it is closed already, or somebody has corrected something meanwhile."""
        told = {
            "people": dict(sheet.people),
            "notes": sheet.notes,
            "uncounted": [{**_plain(one), "day": one.day.isoformat()} for one in sheet.uncounted],
        }
        row = {
            "account": self._store.account_id, "month": str(sheet.month), "currency": sheet.currency,
            "notes": json.dumps(told, ensure_ascii=False), "closed_at": self._now(), "closed_by": who[:LONGEST_WHO],
        }  # fmt: skip
        try:
            with self._store.write() as connection:
                self._refuse_closed(connection, sheet.month)
                if {one.number for one in self._corrections(connection, sheet.month)} != _corrected(sheet):
                    raise PayRefused("пока вы смотрели, добавили поправку: посмотрите ведомость ещё раз и закройте")
                (number,) = connection.execute(insert(pay_months).values(row).returning(pay_months.c.id)).one()
                own = {"account": self._store.account_id, "pay_month_id": number}
                for some in chunks([{**own, **_plain(one), "day": one.day.isoformat()} for one in sheet.lines]):
                    connection.execute(insert(pay_lines), list(some))
        except IntegrityError as error:
            # On PostgreSQL two may close it in the same moment.
            raise PayRefused(_closed_words(sheet.month)) from error

    def reopen(self, month: Month, who: str, why: str) -> None:
        """Its rows stay. Raises PayRefused: it is not closed."""
        values = {"reopened_at": self._now(), "reopened_by": who[:LONGEST_WHO], "why": why}
        mine = (self._store.owns(pay_months), pay_months.c.month == str(month), pay_months.c.reopened_at.is_(None))
        with self._store.write() as connection:
            if not connection.execute(update(pay_months).where(*mine).values(values)).rowcount:
                raise PayRefused(f"ведомость за {month} не закрыта")

    # --- corrections and comments ---

    def corrections(self, month: Month) -> list[Correction]:
        """The oldest first."""
        with self._store.read() as connection:
            return self._corrections(connection, month)

    def correct(
        self, month: Month, user_id: int, person: str, amount: int, why: str, who: str, deal_id: int | None = None
    ) -> None:
        """Raises PayRefused: the month is closed."""
        row = {
            "account": self._store.account_id, "month": str(month), "user_id": user_id, "person": person,
            "amount": amount, "deal_id": deal_id, "why": why, "who": who[:LONGEST_WHO], "at": self._now(),
        }  # fmt: skip
        with self._store.write() as connection:
            self._refuse_closed(connection, month)
            connection.execute(insert(pay_corrections).values(row))

    def comments(self, month: Month) -> dict[str, list[Comment]]:
        """A line's key → what was said about it, the oldest first."""
        mine = (self._store.owns(pay_comments), pay_comments.c.month == str(month))
        found: dict[str, list[Comment]] = {}
        with self._store.read() as connection:
            for row in connection.execute(select(pay_comments).where(*mine).order_by(pay_comments.c.id)):
                comment = Comment(row.line_key, row.words, row.who, datetime.fromtimestamp(row.at, UTC))
                found.setdefault(row.line_key, []).append(comment)
        return found

    def comment(self, month: Month, line_key: str, words: str, who: str) -> None:
        """About a line of an open month or a closed one: it changes nothing of the sheet."""
        row = {"account": self._store.account_id, "month": str(month), "line_key": line_key, "words": words}
        with self._store.write() as connection:
            connection.execute(insert(pay_comments).values({**row, "who": who[:LONGEST_WHO], "at": self._now()}))

    def _corrections(self, connection: Connection, month: Month) -> list[Correction]:
        mine = (self._store.owns(pay_corrections), pay_corrections.c.month == str(month))
        rows = connection.execute(select(pay_corrections).where(*mine).order_by(pay_corrections.c.id))
        return [
            Correction(
                row.id, row.user_id, row.person, row.amount, row.deal_id, row.why, row.who,
                datetime.fromtimestamp(row.at, UTC),
            )
            for row in rows
        ]  # fmt: skip

    def _closed(self, connection: Connection, month: Month) -> Row[Any] | None:
        mine = (self._store.owns(pay_months), pay_months.c.month == str(month), pay_months.c.reopened_at.is_(None))
        return connection.execute(select(pay_months).where(*mine)).first()

    def _refuse_closed(self, connection: Connection, month: Month) -> None:
        if self._closed(connection, month) is not None:
            raise PayRefused(_closed_words(month))

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _closed_words(month: Month) -> str:
    return f"ведомость за {month} закрыта: сначала откройте её снова"


def _corrected(sheet: Sheet) -> set[int]:
    """The corrections that are among its lines."""
    return {int(line.key.partition("|")[2]) for line in sheet.lines if line.kind == "correction"}


def _plain(one: Line | Uncounted) -> dict[str, Any]:
    return {name.name: getattr(one, name.name) for name in fields(one)}


def _line(row: Row[Any]) -> Line:
    return Line(**{name.name: getattr(row, name.name) for name in fields(Line)} | {"day": date.fromisoformat(row.day)})


def _closing(row: Row[Any]) -> Closing:
    reopened_at = None if row.reopened_at is None else datetime.fromtimestamp(row.reopened_at, UTC)
    closed_at = datetime.fromtimestamp(row.closed_at, UTC)
    return Closing(row.id, closed_at, row.closed_by, reopened_at, row.reopened_by, row.why)
