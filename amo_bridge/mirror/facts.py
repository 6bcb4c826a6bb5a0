"""Facts about deals: stages, responsible people, watched fields; when, by whom, how it is known.

They are kept from the moment somebody asks for them (``FactLog.begin``), as the mirror changes: no request is made.
What is a fact: stages, responsible users, and the fields that are watched. A report of the past needs them, as the
mirror has only the present. Values are texts as amoCRM gives them: a date is Unix seconds, a checkbox «1» or nothing.

Days of KPI that were counted are marked in the transaction that changes what was counted: touches, and deals that are
or were won or lost. A day is counted anew when its touches change; sales are read afresh each time, so of them a table
alone has to hear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, delete, or_, select, update
from sqlalchemy.engine import Connection

from amo_bridge.crm.records import DealRecord
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, chunks, insert_new
from amo_bridge.storage.tables import cursors, deal_facts, kpi_days

Source = Literal["hook", "found", "bridge", "list", "known"]
"""hook: a webhook told of it; found: seen by reconciliation, so it was at this moment or earlier; bridge: written by
the bridge; list: amoCRM's list of events; known: the value was there already when it began to be kept."""
STAGE, OWNER = "stage", "responsible"
FIELD = "field:"
MARK = "facts:"
"""Cursors «facts:stage», «facts:field:7»: since when each is kept whole."""
LONGEST = 255
BATCH_SIZE = 500


@dataclass(frozen=True)
class Fact:
    """``what``: STAGE (values «pipeline.status»), OWNER (user ids) or a field, see ``field_fact``. ``was``: empty if it
    was empty or nobody knows. ``user_id``: 0 or None: a robot, or nobody knows."""

    deal_id: int
    what: str
    was: str
    now: str
    at: datetime
    user_id: int | None
    source: Source

    @property
    def key(self) -> str:
        """The same for the same fact, whoever tells of it."""
        if self.source == "known":
            return f"{self.what}|known"
        digest = hashlib.sha256(self.now.encode()).hexdigest()[:12]
        return f"{self.what}|{int(self.at.timestamp())}|{digest}"


def field_fact(field_id: int) -> str:
    return f"{FIELD}{field_id}"


def stage_value(pipeline_id: int, status_id: int) -> str:
    return f"{pipeline_id}.{status_id}"


def field_value(values: Sequence[object]) -> str:
    """A field's values as one text; empty for a checkbox that is not set."""
    return ", ".join(filter(None, map(_text, values)))[:LONGEST]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, Mapping):
        return str(value.get("value", value))
    return "" if value is None else str(value)


def watched(connection: Connection, account_id: int) -> dict[str, float]:
    """What is kept → since when (Unix seconds)."""
    query = select(cursors.c.name, cursors.c.value).where(
        cursors.c.account == account_id, cursors.c.name.like(f"{MARK}%")
    )
    return {name.removeprefix(MARK): float(value) for name, value in connection.execute(query)}


def record_facts(connection: Connection, account_id: int, facts: Iterable[Fact]) -> int:
    """Keep those that are not there yet; returns how many were new."""
    rows = [
        {
            "account": account_id, "deal_id": fact.deal_id, "key": fact.key, "what": fact.what,
            "was": fact.was[:LONGEST], "now": fact.now[:LONGEST], "number": _number(fact.now),
            "at": fact.at.timestamp(), "user_id": fact.user_id, "source": fact.source,
        }
        for fact in facts
    ]  # fmt: skip
    return sum(insert_new(connection, deal_facts, some) for some in chunks(rows))


def _number(text: str) -> float | None:
    return float(text) if text.lstrip("-").isdecimal() and text.isascii() and len(text) <= 15 else None


def record_changes(
    connection: Connection,
    account_id: int,
    changes: Iterable[tuple[DealRecord | None, DealRecord, datetime, datetime, Source]],
) -> None:
    """Facts of mirrored deals that become others: (before, after, when it changed, when it came onto its stage,
    source)."""
    kept = watched(connection, account_id)
    if not kept:
        return
    changes = list(changes)
    told = _last_values(connection, account_id, kept, [after.id for before, after, *_ in changes if before is None])
    found = [fact for one in changes for fact in _changed(kept, told.get(one[1].id, {}), *one)]
    record_facts(connection, account_id, found)


def _last_values(
    connection: Connection, account_id: int, kept: Mapping[str, float], deal_ids: Iterable[int]
) -> dict[int, dict[str, str]]:
    """Deal → what is kept → its last value: of deals that are restored, or whose copy was lost. What was told before a
    time that was not kept says nothing any more."""
    found: dict[int, dict[str, str]] = {}
    columns = (deal_facts.c.deal_id, deal_facts.c.what, deal_facts.c.now, deal_facts.c.at)
    for some in chunks(sorted(set(deal_ids))):
        query = select(*columns).where(deal_facts.c.account == account_id, deal_facts.c.deal_id.in_(some))
        for row in connection.execute(query.order_by(deal_facts.c.at, deal_facts.c.id)):
            if row.at >= kept.get(row.what, float("inf")):
                found.setdefault(row.deal_id, {})[row.what] = row.now
    return found


def record_stages(
    connection: Connection, account_id: int, moves: Iterable[tuple[int, tuple[int, int], datetime, int | None]]
) -> None:
    """Moves as amoCRM told them: (deal, stage, when, by whom). Several may come within one read of the deal."""
    told = [Fact(deal, STAGE, "", stage_value(*stage), at, user, "hook") for deal, stage, at, user in moves]
    if told and STAGE in watched(connection, account_id):
        record_facts(connection, account_id, told)


def _changed(
    kept: Mapping[str, float],
    told: Mapping[str, str],
    before: DealRecord | None,
    after: DealRecord,
    at: datetime,
    stage_since: datetime,
    source: Source,
) -> Iterator[Fact]:
    """``told``: the last values of a deal without ``before``, as far as there are facts about it."""
    old = _values(before, kept) if before else told
    # A deal that was there before and is met only now: nobody knows since when its values are what they are.
    is_old = before is None and after.created_at.timestamp() < max(kept.values())
    for what, now in _values(after, kept).items():
        was = old.get(what, "")
        is_unknown = is_old and what not in told
        if was == now or (is_unknown and what in (STAGE, OWNER)):
            continue
        if is_unknown:
            since = datetime.fromtimestamp(kept[what], UTC)
            yield Fact(after.id, what, was, now, max(at, since), None, "known")
            continue
        yield Fact(after.id, what, was, now, stage_since if what == STAGE else at, after.updated_by or None, source)


def _values(record: DealRecord, kept: Iterable[str]) -> dict[str, str]:
    found = {}
    for what in kept:
        if what == STAGE:
            found[what] = stage_value(record.pipeline_id, record.status_id)
        elif what == OWNER:
            found[what] = str(record.responsible_user_id)
        else:
            found[what] = value_in(record, what)
    return found


def value_in(record: DealRecord, what: str) -> str:
    """A watched field's value on the deal."""
    return field_value(record.fields.get(int(what.removeprefix(FIELD)), ()))


class FactLog:
    """One account's facts. Everything raises StoreUnavailable."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._cursors = Cursors(store)

    def begin(self, fields: Iterable[int] | None, now: datetime, present: Iterator[Sequence[DealRecord]]) -> None:
        """Keep stages, responsible users and these fields from now on; None: nothing. What was kept goes on.

        ``now``: amoCRM's clock. ``present``: the mirror's deals, asked only for what is new: their values become known.
        """
        wanted = [] if fields is None else [STAGE, OWNER, *map(field_fact, sorted(set(fields)))]
        with self._store.read() as connection:
            kept = watched(connection, self._store.account_id)
        new, gone = [what for what in wanted if what not in kept], [what for what in kept if what not in wanted]
        new_fields = [what for what in new if what.startswith(FIELD)]
        for records in present if new_fields else ():
            known = [
                Fact(record.id, what, "", value, now, None, "known")
                for record in records
                for what in new_fields
                if (value := value_in(record, what))
            ]
            with self._store.write() as connection:
                record_facts(connection, self._store.account_id, known)
        if new or gone:
            with self._store.write() as connection:
                for what in new:
                    self._cursors.write(connection, MARK + what, now.timestamp())
                self._cursors.forget(connection, *(MARK + what for what in gone))
                self._forget_known(connection, gone)

    def kept_since(self) -> dict[str, datetime]:
        """What is kept → since when nothing of it is missing."""
        with self._store.read() as connection:
            found = watched(connection, self._store.account_id)
        return {what: datetime.fromtimestamp(since, UTC) for what, since in found.items()}

    def deals_with(
        self,
        whats: Iterable[str],
        since: datetime,
        until: datetime,
        *,
        by_value: bool = False,
        values: Iterable[str] | None = None,
    ) -> set[int]:
        """Deals with such facts from ``since`` on and before ``until``; ``by_value``: whose value is a date there;
        ``values``: with one of these values only."""
        column = deal_facts.c.number if by_value else deal_facts.c.at
        wanted = list(whats)
        if not wanted:
            # An empty list would be compared with every row.
            return set()
        mine = [self._store.owns(deal_facts), deal_facts.c.what.in_(wanted)]
        mine += [column >= since.timestamp(), column < until.timestamp()]
        if values is not None:
            mine.append(deal_facts.c.now.in_(list(values)))
        query = select(deal_facts.c.deal_id).where(*mine)
        with self._store.read() as connection:
            return set(connection.execute(query).scalars())

    def of_deals(self, deal_ids: Iterable[int]) -> dict[int, list[Fact]]:
        """Deal → all its facts, the oldest first."""
        found: dict[int, list[Fact]] = {}
        with self._store.read() as connection:
            for some in chunks(sorted(set(deal_ids))):
                mine = (self._store.owns(deal_facts), deal_facts.c.deal_id.in_(some))
                for row in connection.execute(
                    select(deal_facts).where(*mine).order_by(deal_facts.c.at, deal_facts.c.id)
                ):
                    found.setdefault(row.deal_id, []).append(_fact(row))
        return found

    def replace(self, since: datetime, until: datetime, told: Sequence[Fact], whats: Iterable[str]) -> int:
        """What amoCRM's list tells of these days takes the place of what was kept of the same things of the same deals,
        and of what was found later to have become the same.

        All of ``whats`` is known from ``since`` on then. Returns how many facts were told."""
        last = {(fact.deal_id, fact.what): fact.now for fact in sorted(told, key=lambda fact: fact.at)}
        about = sorted(last)
        with self._store.write() as connection:
            within = and_(deal_facts.c.at >= since.timestamp(), deal_facts.c.at < until.timestamp())
            for some in chunks(about, BATCH_SIZE // 5):
                same = or_(*(and_(deal_facts.c.deal_id == deal, deal_facts.c.what == what) for deal, what in some))
                mine = (self._store.owns(deal_facts), within, same, deal_facts.c.source != "known")
                connection.execute(delete(deal_facts).where(*mine))
                self._forget_found(connection, until, same, last)
            record_facts(connection, self._store.account_id, told)
            kept = watched(connection, self._store.account_id)
            for what in whats:
                self._cursors.write(connection, MARK + what, min(since.timestamp(), kept.get(what, until.timestamp())))
        return len(told)

    def _forget_found(
        self, connection: Connection, until: datetime, same: ColumnElement[bool], last: Mapping[tuple[int, str], str]
    ) -> None:
        """Of the things in ``last`` the first fact after ``until``, if it was found with the value they had already."""
        mine = (self._store.owns(deal_facts), deal_facts.c.at >= until.timestamp(), same)
        query = select(deal_facts).where(*mine).order_by(deal_facts.c.at, deal_facts.c.id)
        first: dict[tuple[int, str], Row[Any]] = {}
        for row in connection.execute(query):
            first.setdefault((row.deal_id, row.what), row)
        told = [row.id for one, row in first.items() if row.source == "found" and row.now == last[one][:LONGEST]]
        connection.execute(delete(deal_facts).where(deal_facts.c.id.in_(told)))

    def _forget_known(self, connection: Connection, gone: Iterable[str]) -> None:
        """What is watched no more changes unseen: when it is watched again, it is to be known anew."""
        mine = (self._store.owns(deal_facts), deal_facts.c.source == "known", deal_facts.c.what.in_(list(gone)))
        connection.execute(delete(deal_facts).where(*mine))


def _fact(row: Row[Any]) -> Fact:
    at = datetime.fromtimestamp(row.at, UTC)
    return Fact(row.deal_id, row.what, row.was, row.now, at, row.user_id, row.source)


LONGEST_DAY = timedelta(hours=25).total_seconds()


def mark_stale(connection: Connection, account: int, oldest_at: float) -> None:
    """A touch of that moment (Unix seconds) is told later, or otherwise: it may change its day, and who was new on
    later ones."""
    late = (kpi_days.c.account == account, kpi_days.c.ends_at > oldest_at)
    connection.execute(update(kpi_days).where(*late).values(is_stale=True))


def mark_sales(connection: Connection, account: int, moments: Iterable[float]) -> None:
    """Deals that were won or lost at these moments (Unix seconds) are other ones now."""
    told = sorted(set(moments))
    if not told:
        return
    near = (kpi_days.c.ends_at > told[0], kpi_days.c.ends_at <= told[-1] + LONGEST_DAY)
    ends = connection.execute(select(kpi_days.c.day, kpi_days.c.ends_at).where(kpi_days.c.account == account, *near))
    days = [day for day, end in ends if any(end - LONGEST_DAY <= at < end for at in told)]
    for some in chunks(days):
        mine = (kpi_days.c.account == account, kpi_days.c.day.in_(some))
        connection.execute(update(kpi_days).where(*mine).values(edition=kpi_days.c.edition + 1))
