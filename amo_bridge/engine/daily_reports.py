"""Daily reports: what a person reports of a working day and confirms, with every change kept.

::

    made ─► (figures, plan change) ─► confirmed ─► (figures, plan change: a correction)

A report is one row for a person and day. Every change makes a new version; the versions before it are never rewritten,
so a sale that came after the confirmation is seen as a correction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.effects import NO_DEAL, Effect, Kind
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.sheet_writes import SheetWrites
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, chunks, insert_new
from amo_bridge.storage.tables import daily_report_sales, daily_report_versions, daily_reports
from amo_bridge.text.typography import money

What = Literal["made", "figures", "plan", "confirmed"]
"""Stored names of what changed."""
Confirmation = Literal["done", "already", "changed", "no plan"]
Planning = Literal["saved", "same", "changed", "no plan"]
RULE = "daily_report"
ABOUT = "Отчёт за день"
LONGEST_PLAN = 1000
LONGEST_WHO = 160


@dataclass(frozen=True)
class Sums:
    """What the document asks for. ``amount``: whole units of the account's currency; ``talks``: «дозвоны»."""

    amount: int = 0
    sales: int = 0
    talks: int = 0


@dataclass(frozen=True)
class Change:
    """A version of a report: what it said from ``at`` on. ``who``: empty for the bridge."""

    version: int
    at: datetime
    who: str
    what: What
    sums: Sums
    plan: str


@dataclass(frozen=True, kw_only=True)
class DailyReport:
    """As it stands now. ``due``: when that shift ended; ``told_at``: when the person was sent it, None until he was;
    ``shown_version``: the one that was passed on last, 0 for none; ``changes``: oldest first."""

    number: int
    day: date
    user_id: int
    person: str
    sums: Sums
    plan: str
    version: int
    due: datetime
    confirmed_at: datetime | None
    confirmed_by: str
    shown_version: int
    told_at: datetime | None
    reminded_at: datetime | None
    escalated_at: datetime | None
    changes: tuple[Change, ...] = ()

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None

    @property
    def confirmed(self) -> Change | None:
        """What was confirmed."""
        return next((one for one in self.changes if one.what == "confirmed"), None)

    @property
    def corrections(self) -> tuple[Change, ...]:
        """What was changed after the confirmation."""
        confirmed = self.confirmed
        return tuple(one for one in self.changes if confirmed is not None and one.version > confirmed.version)


def report_text(sums: Sums, plan: str, currency: str) -> str:
    """The report in the form of the document (Russian)."""
    lines = [
        f"✅ Сумма продаж – {money(sums.amount, currency)}",
        f"✅ Кол-во продаж – {sums.sales} шт",
        f"✅ Кол-во дозвонов – {sums.talks} шт",
        *(["План на завтра:", plan] if plan else []),
    ]
    return "\n".join(lines)


def correction_text(before: Change, after: DailyReport, currency: str) -> str:
    """What of a confirmed report has changed since it was shown last (Russian); empty if nothing has."""
    was, now = before.sums, after.sums
    lines = []
    if was.amount != now.amount:
        lines.append(f"Сумма продаж – {money(now.amount, currency)} (было {money(was.amount, currency)})")
    if was.sales != now.sales:
        lines.append(f"Кол-во продаж – {now.sales} шт (было {was.sales})")
    if was.talks != now.talks:
        lines.append(f"Кол-во дозвонов – {now.talks} шт (было {was.talks})")
    if before.plan != after.plan:
        lines += ["План на завтра:", after.plan]
    return "\n".join(lines)


def report_page(pages_url: str, number: int) -> str:
    """Where a report is confirmed; empty while the bridge does not know its own address."""
    return f"{pages_url}/reports/daily/{number}" if pages_url else ""


def planned(report: DailyReport, step: str, whom: int, kind: Kind, body: Mapping[str, Any], words: str) -> Planned:
    """What is done about a report: once for a step and a person. Each report is a rule of its own, as the outbox sees
    it: reports of several people must not become one notice with a list."""
    rule = f"{RULE}.{report.number}"
    return Planned(None, rule, f"{rule}|{step}|{whom}", Effect(kind, NO_DEAL, body, words))


def notice_of(report: DailyReport, step: str, whom: int, text: str, url: str) -> Planned:
    """A notice with the link to the report."""
    body = {"user_id": whom, "text": text, "urgent": False, "about": ABOUT, "url": url}
    return planned(report, step, whom, "notify", body, text)


class DailyReports:
    """One account's reports. Reads and writes raise StoreUnavailable when the store is."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    # --- reading ---

    def of(self, number: int) -> DailyReport | None:
        """The report of this number, with its changes."""
        with self._store.read() as connection:
            row = self._row(connection, number)
            return self._reports(connection, [row])[0] if row is not None else None

    def between(self, first: date, last: date, user_id: int | None = None) -> list[DailyReport]:
        """Of these days, the newest first, then by name, with their changes; ``user_id``: his only."""
        wanted = [
            self._store.owns(daily_reports),
            daily_reports.c.day >= first.isoformat(),
            daily_reports.c.day <= last.isoformat(),
        ]
        if user_id is not None:
            wanted.append(daily_reports.c.user_id == user_id)
        query = select(daily_reports).where(*wanted).order_by(daily_reports.c.day.desc(), daily_reports.c.person)
        with self._store.read() as connection:
            return self._reports(connection, connection.execute(query).all())

    def open_since(self, since: datetime) -> list[DailyReport]:
        """Those of shifts that ended since then and are not confirmed, oldest first, without their changes."""
        wanted = (
            self._store.owns(daily_reports),
            daily_reports.c.confirmed_at.is_(None),
            daily_reports.c.due_at >= since.timestamp(),
        )
        with self._store.read() as connection:
            rows = connection.execute(select(daily_reports).where(*wanted).order_by(daily_reports.c.id)).all()
        return [_report(row) for row in rows]

    def unshown_since(self, since: datetime) -> list[DailyReport]:
        """Confirmed ones, confirmed since then, whose last version was not passed on yet; with their changes."""
        wanted = (
            self._store.owns(daily_reports),
            daily_reports.c.confirmed_at >= since.timestamp(),
            daily_reports.c.shown_version < daily_reports.c.version,
        )
        with self._store.read() as connection:
            rows = connection.execute(select(daily_reports).where(*wanted).order_by(daily_reports.c.id)).all()
            return self._reports(connection, rows)

    def not_in_sheet(self, writes: SheetWrites, since: datetime, most: int) -> list[DailyReport]:
        """Those of shifts that ended since then whose last version is not in the table that people read, oldest first,
        with their changes."""
        wanted = (
            self._store.owns(daily_reports),
            daily_reports.c.due_at >= since.timestamp(),
            ~writes.has(daily_reports.c.id, daily_reports.c.version),
        )
        query = select(daily_reports).where(*wanted).order_by(daily_reports.c.id).limit(most)
        with self._store.read() as connection:
            return self._reports(connection, connection.execute(query).all())

    def sellers(self, first: date) -> dict[int, tuple[date, int]]:
        """Deal → the day it was won, whose sale it is in the reports; of this day and later."""
        kept = daily_report_sales
        query = select(kept).where(self._store.owns(kept), kept.c.day >= first.isoformat())
        with self._store.read() as connection:
            return {row.deal_id: (date.fromisoformat(row.day), row.user_id) for row in connection.execute(query)}

    # --- writing; in the caller's transaction ---

    def keep_seller(self, connection: Connection, deal_id: int, day: date, user_id: int) -> None:
        kept, values = daily_report_sales, {"day": day.isoformat(), "user_id": user_id}
        mine = (self._store.owns(kept), kept.c.deal_id == deal_id)
        row = {"account": self._store.account_id, "deal_id": deal_id, **values}
        if not insert_new(connection, kept, [row]):
            connection.execute(update(kept).where(*mine).values(values))

    def forget_sellers(self, connection: Connection, before: date) -> None:
        kept = daily_report_sales
        connection.execute(delete(kept).where(self._store.owns(kept), kept.c.day < before.isoformat()))

    def make(
        self, connection: Connection, day: date, due: datetime, plan: str, people: Iterable[tuple[int, str, Sums]]
    ) -> None:
        """Reports of these people (id, name, figures), each once for a day."""
        for user_id, person, sums in people:
            row = {
                "account": self._store.account_id, "day": day.isoformat(), "user_id": user_id, "person": person[:255],
                "amount": sums.amount, "sales": sums.sales, "talks": sums.talks, "plan": plan, "version": 0,
                "due_at": due.timestamp(), "confirmed_by": "", "shown_version": 0,
            }  # fmt: skip
            if insert_new(connection, daily_reports, [row]):
                same = (
                    self._store.owns(daily_reports),
                    daily_reports.c.day == day.isoformat(),
                    daily_reports.c.user_id == user_id,
                )
                self._change(connection, connection.execute(select(daily_reports).where(*same)).one(), "made", "")

    def recount(self, connection: Connection, number: int, sums: Sums) -> bool:
        """Put other figures into it; False if they are the same."""
        row = self._row(connection, number)
        if row is None or _sums(row) == sums:
            return False
        values = {"amount": sums.amount, "sales": sums.sales, "talks": sums.talks}
        return self._change(connection, row, "figures", "", **values)

    def set_plan(
        self, connection: Connection, number: int, plan: str, who: str, *, version: int | None = None
    ) -> Planning:
        """``version``: the one that whoever plans has seen; None: whichever it is. A confirmed report keeps a plan."""
        row = self._row(connection, number)
        if row is None or (version is not None and row.version != version):
            return "changed"
        if row.plan == plan:
            return "same"
        if row.confirmed_at is not None and not plan.strip():
            return "no plan"
        return "saved" if self._change(connection, row, "plan", who, plan=plan) else "changed"

    def confirm(self, connection: Connection, number: int, who: str, *, version: int | None = None) -> Confirmation:
        """``version``: the one that whoever confirms has seen; None: whichever it is."""
        row = self._row(connection, number)
        if row is None:
            return "changed"
        if row.confirmed_at is not None:
            return "already"
        if version is not None and row.version != version:
            return "changed"
        if not row.plan.strip():
            return "no plan"
        at = self._clock.now().timestamp()
        done = self._change(connection, row, "confirmed", who, confirmed_at=at, confirmed_by=who[:LONGEST_WHO])
        return "done" if done else "changed"

    def mark_open(self, connection: Connection, number: int, **values: object) -> bool:
        """As ``mark``, of one that is not confirmed; False if it has just been."""
        is_open = (*self._is(number), daily_reports.c.confirmed_at.is_(None))
        return bool(connection.execute(update(daily_reports).where(*is_open).values(**values)).rowcount)

    def mark(self, connection: Connection, number: int, **values: object) -> None:
        """``reminded_at``, ``shown_version`` and the like: no change of the report itself."""
        connection.execute(update(daily_reports).where(*self._is(number)).values(**values))

    # --- rows ---

    def _is(self, number: int) -> tuple[Any, ...]:
        return (self._store.owns(daily_reports), daily_reports.c.id == number)

    def _row(self, connection: Connection, number: int) -> Row[Any] | None:
        return connection.execute(select(daily_reports).where(*self._is(number))).first()

    def _change(self, connection: Connection, row: Row[Any], what: What, who: str, **values: Any) -> bool:
        """Make the next version; False if another process was faster."""
        version = row.version + 1
        seen = (*self._is(row.id), daily_reports.c.version == row.version)
        if not connection.execute(update(daily_reports).where(*seen).values(version=version, **values)).rowcount:
            return False
        kept = {name: values.get(name, getattr(row, name)) for name in ("amount", "sales", "talks", "plan")}
        version_row = {
            "report_id": row.id, "version": version, "account": self._store.account_id,
            "at": self._clock.now().timestamp(), "who": who[:LONGEST_WHO], "what": what, **kept,
        }  # fmt: skip
        connection.execute(insert(daily_report_versions).values(version_row))
        return True

    def _reports(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[DailyReport]:
        changes = self._changes(connection, [row.id for row in rows])
        return [_report(row, tuple(changes.get(row.id, ()))) for row in rows]

    def _changes(self, connection: Connection, numbers: Collection[int]) -> dict[int, list[Change]]:
        found: dict[int, list[Change]] = {}
        versions = daily_report_versions
        for some in chunks(sorted(numbers)):
            query = select(versions).where(versions.c.report_id.in_(some)).order_by(versions.c.version)
            for row in connection.execute(query):
                at = datetime.fromtimestamp(row.at, UTC)
                one = Change(row.version, at, row.who, row.what, _sums(row), row.plan)
                found.setdefault(row.report_id, []).append(one)
        return found


def _sums(row: Row[Any]) -> Sums:
    return Sums(row.amount, row.sales, row.talks)


def _report(row: Row[Any], changes: tuple[Change, ...] = ()) -> DailyReport:
    def moment(at: float | None) -> datetime | None:
        return None if at is None else datetime.fromtimestamp(at, UTC)

    return DailyReport(
        number=row.id,
        day=date.fromisoformat(row.day),
        user_id=row.user_id,
        person=row.person,
        sums=_sums(row),
        plan=row.plan,
        version=row.version,
        due=datetime.fromtimestamp(row.due_at, UTC),
        confirmed_at=moment(row.confirmed_at),
        confirmed_by=row.confirmed_by,
        shown_version=row.shown_version,
        told_at=moment(row.told_at),
        reminded_at=moment(row.reminded_at),
        escalated_at=moment(row.escalated_at),
        changes=changes,
    )
