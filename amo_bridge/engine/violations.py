"""Ledger of violations: written by rules, read by commands, pages, the pay sheet; forgiven by people.

A violation is never deleted. Who forgives one says why, and may take it back; every such decision stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Row, func, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, chunks, insert_new, values_of
from amo_bridge.storage.tables import violation_decisions, violations
from amo_bridge.text.names import normalise

State = Literal["counts", "forgiven"]
LONGEST_CLAUSE = 40
LONGEST_WHO = 120


class NoSuchViolation(LookupError):
    """A number that is nobody's; the text says which (Russian)."""


@dataclass(frozen=True, kw_only=True)
class Breach:
    """What a rule found. ``at``: when (UTC, account's clock). ``penalty``: whole units of ``currency``; None: none."""

    at: datetime
    user_id: int
    person: str
    clause: str
    deal_id: int
    deal_name: str
    rule: str
    why: str
    penalty: int | None
    currency: str


@dataclass(frozen=True)
class Decided:
    """What somebody decided about a violation, and why."""

    at: datetime
    who: str
    state: State
    why: str


@dataclass(frozen=True, kw_only=True)
class Violation(Breach):
    """``number``: by which people name it. ``decisions``: oldest first."""

    number: int
    state: State
    decisions: tuple[Decided, ...] = ()

    @property
    def owed(self) -> int:
        """What it takes off the pay: nothing if it was forgiven, or has no penalty."""
        return self.penalty or 0 if self.state == "counts" else 0

    @property
    def total(self) -> Total:
        """Of this one alone."""
        return Total(self.person, self.currency, self.state, 1, self.owed)

    def to_json(self) -> dict[str, Any]:
        decisions = [{**asdict(one), "at": one.at.isoformat()} for one in self.decisions]
        return {**asdict(self), "at": self.at.isoformat(), "decisions": decisions}


class Total(NamedTuple):
    """So many violations of one person in one state. ``owed``: what they take off the pay."""

    person: str
    currency: str
    state: State
    many: int
    owed: int


class Counting(NamedTuple):
    """A violation that counts, as a month's pay needs it: some thousand at once. ``at``: Unix seconds."""

    number: int
    at: float
    user_id: int
    person: str
    clause: str
    deal_id: int
    deal_name: str
    rule: str
    why: str
    penalty: int | None
    currency: str


class Violations:
    """One account's ledger. Reads and writes raise StoreUnavailable when the store is."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def record(self, connection: Connection, key: str, breach: Breach) -> None:
        """Once for a key, in the caller's transaction."""
        row = {**asdict(breach), "clause": breach.clause[:LONGEST_CLAUSE], "at": breach.at.timestamp()}
        insert_new(connection, violations, [{**row, "account": self._store.account_id, "key": key, "state": "counts"}])

    def between(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        person: str | None = None,
        clause: str | None = None,
        user_id: int | None = None,
        most: int | None = None,
        passed: int = 0,
    ) -> list[Violation]:
        """From ``since`` on and before ``until``, the oldest first; ``person``: his only, by the name he had then;
        ``clause``: of this clause only. ``most``: so many, after the first ``passed``. ``user_id``: of this person."""
        query = select(violations).where(*self._wanted(since, until, person, clause))
        if user_id is not None:
            query = query.where(violations.c.user_id == user_id)
        query = query.order_by(violations.c.at, violations.c.id).limit(most).offset(passed)
        with self._store.read() as connection:
            return self._violations(connection, connection.execute(query).all())

    def counting(self, since: datetime, until: datetime) -> list[Counting]:
        """Those between that nobody has taken back, the oldest first."""
        columns = [violations.c.id if name == "number" else violations.c[name] for name in Counting._fields]
        query = select(*columns).where(*self._wanted(since, until, None, None), violations.c.state == "counts")
        with self._store.read() as connection:
            found = connection.execute(query.order_by(violations.c.at, violations.c.id)).all()
        return [Counting(*row) for row in found]

    def count(
        self, since: datetime | None, until: datetime | None, person: str | None = None, clause: str | None = None
    ) -> int:
        """How many ``between`` finds."""
        query = select(func.count()).select_from(violations).where(*self._wanted(since, until, person, clause))
        with self._store.read() as connection:
            return int(connection.execute(query).scalar_one())

    def _wanted(
        self, since: datetime | None, until: datetime | None, person: str | None, clause: str | None
    ) -> list[ColumnElement[bool]]:
        wanted = [self._store.owns(violations)]
        if since is not None:
            wanted.append(violations.c.at >= since.timestamp())
        if until is not None:
            wanted.append(violations.c.at < until.timestamp())
        if person is not None:
            wanted.append(violations.c.person.in_([one for one in self.people() if _is(one, person)]))
        if clause is not None:
            wanted.append(violations.c.clause.in_([one for one in self.clauses() if _is(one, clause)]))
        return wanted

    def totals(
        self, since: datetime | None, until: datetime | None, person: str | None = None, clause: str | None = None
    ) -> list[Total]:
        """Of what ``between`` finds."""
        columns = (violations.c.person, violations.c.currency, violations.c.state)
        query = select(*columns, func.count(), func.coalesce(func.sum(violations.c.penalty), 0))
        query = query.where(*self._wanted(since, until, person, clause)).group_by(*columns)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [
            Total(whose, currency, state, many, int(owed) if state == "counts" else 0)
            for whose, currency, state, many, owed in rows
        ]

    def people(self) -> list[str]:
        """Everybody who stands in the ledger."""
        with self._store.read() as connection:
            query = values_of(violations.c.person, self._store.owns(violations))
            return sorted(connection.execute(query).scalars())

    def clauses(self) -> list[str]:
        """Every clause that was ever broken."""
        with self._store.read() as connection:
            query = values_of(violations.c.clause, self._store.owns(violations))
            return sorted(connection.execute(query).scalars())

    def first_at(self) -> datetime | None:
        """When the ledger begins; None: it is empty."""
        with self._store.read() as connection:
            query = select(func.min(violations.c.at)).where(self._store.owns(violations))
            at = connection.execute(query).scalar()
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def forgive(self, numbers: Iterable[int], who: str, why: str) -> list[Violation]:
        """They don't count any more. Raises NoSuchViolation; then nothing was changed."""
        return self._decide(numbers, "forgiven", who, why)

    def restore(self, numbers: Iterable[int], who: str, why: str) -> list[Violation]:
        """They count again. Raises as ``forgive``."""
        return self._decide(numbers, "counts", who, why)

    def _decide(self, numbers: Iterable[int], state: State, who: str, why: str) -> list[Violation]:
        asked = sorted(set(numbers))
        with self._store.write() as connection:
            rows = self._rows(connection, asked)
            missing = [number for number in asked if number not in {row.id for row in rows}]
            if missing:
                raise NoSuchViolation(f"нарушений с такими номерами нет: {', '.join(map(str, missing))}")
            changed = [row.id for row in rows if row.state != state]
            self._set(connection, changed, state, who, why)
            return self._violations(connection, self._rows(connection, asked))

    def _set(self, connection: Connection, ids: Sequence[int], state: State, who: str, why: str) -> None:
        if not ids:
            return
        for some in chunks(ids):
            connection.execute(update(violations).where(violations.c.id.in_(some)).values(state=state))
        told = {
            "account": self._store.account_id,
            "at": self._clock.now().timestamp(),
            "who": who[:LONGEST_WHO],
            "why": why,
        }
        connection.execute(
            insert(violation_decisions), [{**told, "violation_id": number, "state": state} for number in ids]
        )

    def _rows(self, connection: Connection, ids: Sequence[int]) -> list[Row[Any]]:
        mine = select(violations).where(self._store.owns(violations)).order_by(violations.c.at, violations.c.id)
        return [row for some in chunks(ids) for row in connection.execute(mine.where(violations.c.id.in_(some)))]

    def _violations(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Violation]:
        decisions = self._decisions(connection, [row.id for row in rows])
        return [_violation(row, decisions.get(row.id, [])) for row in rows]

    def _decisions(self, connection: Connection, ids: Collection[int]) -> dict[int, list[Decided]]:
        found: dict[int, list[Decided]] = {}
        for some in chunks(sorted(ids)):
            about = violation_decisions.c.violation_id.in_(some)
            for row in connection.execute(select(violation_decisions).where(about).order_by(violation_decisions.c.id)):
                decided = Decided(datetime.fromtimestamp(row.at, UTC), row.who, row.state, row.why)
                found.setdefault(row.violation_id, []).append(decided)
        return found


def _is(told: str, asked: str) -> bool:
    return normalise(told) == normalise(asked)


def _violation(row: Row[Any], decisions: Sequence[Decided]) -> Violation:
    return Violation(
        at=datetime.fromtimestamp(row.at, UTC),
        user_id=row.user_id,
        person=row.person,
        clause=row.clause,
        deal_id=row.deal_id,
        deal_name=row.deal_name,
        rule=row.rule,
        why=row.why,
        penalty=row.penalty,
        currency=row.currency,
        number=row.id,
        state=row.state,
        decisions=tuple(decisions),
    )
