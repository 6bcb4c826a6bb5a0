"""Deals as they were last seen, to see what changed; open deals by the fields that are asked for.

What is about to be written is always judged by a fresh read; this copy only says what was before. Which open deals
have a value in a field is kept from the moment the field is followed (``follow_fields``), in the transactions that
change the mirror, so that a question about some deals does not read the records of all that are open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, delete, func, insert, or_, select, text, update
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.records import DealRecord
from amo_bridge.events import DealReported, DealUpdated
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.facts import Source, mark_sales, record_changes, watched
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, chunks, insert_or_replace
from amo_bridge.storage.tables import cursors, deals, open_deal_fields
from amo_bridge.text.names import normalise

# As far back as a regulation may count.
MOST_STAYS = 20
RECORDS_AT_ONCE = 500
BY_BRIDGE: Source = "bridge"
LONGEST_NAME = 250


@dataclass(frozen=True)
class Stay:
    """A deal was on a stage, a (pipeline id, status id) pair, from then on."""

    stage: tuple[int, int]
    since: datetime


@dataclass(frozen=True)
class MirroredDeal:
    """A deal as it was when last seen. ``stage_since``: when it came onto its stage (account's clock).

    ``came_by``: where it was before, the latest first, ``MOST_STAYS`` at most."""

    record: DealRecord
    stage_since: datetime
    came_by: tuple[Stay, ...] = ()

    @property
    def stage(self) -> tuple[int, int]:
        return (self.record.pipeline_id, self.record.status_id)

    @property
    def stays(self) -> tuple[Stay, ...]:
        """The deal's way, the present stage first."""
        return (Stay(self.stage, self.stage_since), *self.came_by)

    def became(self, record: DealRecord, since: datetime) -> MirroredDeal:
        """The copy after this one: ``record`` is the deal now, which came onto its stage at ``since``, if it is another
        one."""
        if self.stage == (record.pipeline_id, record.status_id):
            return replace(self, record=record)
        return MirroredDeal(record, since, self.stays[:MOST_STAYS])

    def put_back(self, record: DealRecord, moved_at: datetime | None = None) -> MirroredDeal:
        """The copy after the bridge changed the deal. Back on the stage it came from it is as if it had never left;
        ``moved_at``: on another one it is since then."""
        if self.stage == (record.pipeline_id, record.status_id):
            return replace(self, record=record)
        stage = (record.pipeline_id, record.status_id)
        if self.came_by and self.came_by[0].stage == stage:
            return MirroredDeal(record, self.came_by[0].since, self.came_by[1:])
        if moved_at is not None:
            return self.became(record, moved_at)
        return MirroredDeal(record, self.stage_since, self.came_by)

    def covers(self, event: DealReported) -> bool:
        """Is what the event says already in this copy? Then no read is needed: it is a repeat, or an old hook that
        came late. amoCRM's times have whole seconds, so within the same second the contents decide."""
        seen = self.record.updated_at
        if event.at is None or seen is None or event.at > seen:
            return False
        return event.at < seen or self._agrees(event)

    def misses(self, record: DealRecord) -> bool:
        """Is the record of the copy's second, and another one in what no event tells?"""
        return self.record.updated_at == record.updated_at and _untold(self.record) != _untold(record)

    def _agrees(self, event: DealReported) -> bool:
        record = self.record
        pairs = (
            (event.status_id, record.status_id),
            (event.pipeline_id, record.pipeline_id),
            (event.responsible_user_id, record.responsible_user_id),
            (event.name or None, record.name),
            (event.price, record.price),
        )
        if any(told is not None and told != known for told, known in pairs):
            return False
        if event.name is None:
            # Not a full hook: it says nothing of tags and fields, so it can't disagree about them. Where it tells only
            # that something was changed, what that was may not be in the copy yet.
            return not isinstance(event, DealUpdated) or any(told is not None for told, _ in pairs)
        told_fields = {field.field_id: tuple(text for text, _ in field.values) for field in event.fields}
        return set(event.tags) == set(record.tags) and told_fields == hook_texts(record)


def _untold(record: DealRecord) -> tuple[object, ...]:
    return record.loss_reason_id, record.main_contact_id, frozenset(record.contact_ids)


def hook_texts(record: DealRecord) -> dict[int, tuple[str, ...]]:
    """The record's filled fields as a hook would tell them."""
    return {
        field_id: tuple(_hook_text(value) for value in values) for field_id, values in record.fields.items() if values
    }


def _hook_text(value: object) -> str:
    if isinstance(value, Mapping):
        # Of an address in parts a hook tells each part's text.
        return str(value.get("value", value))
    return str(int(value)) if isinstance(value, bool) else str(value)


class Mirror:
    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def get(self, deal_ids: Iterable[int]) -> dict[int, MirroredDeal]:
        with self._store.read() as connection:
            return self.among(connection, deal_ids)

    def among(self, connection: Connection, deal_ids: Iterable[int]) -> dict[int, MirroredDeal]:
        """As ``get``, as the connection's transaction sees them."""
        found: dict[int, MirroredDeal] = {}
        for chunk in chunks(sorted(set(deal_ids))):
            rows = connection.execute(self._copies().where(deals.c.deal_id.in_(chunk)))
            found |= {row.deal_id: _mirrored(row) for row in rows}
        return found

    def records_of(self, deal_ids: Iterable[int]) -> dict[int, DealRecord]:
        """Deals as they were last seen; those that are not known are left out."""
        found: dict[int, DealRecord] = {}
        with self._store.read() as connection:
            for chunk in chunks(sorted(set(deal_ids))):
                query = select(deals.c.deal_id, deals.c.record).where(
                    self._store.owns(deals), deals.c.deal_id.in_(chunk)
                )
                found |= {number: DealRecord.from_json(json.loads(text)) for number, text in connection.execute(query)}
        return found

    def record(self, deal_id: int) -> DealRecord | None:
        """One deal as it was last seen."""
        known = self.get([deal_id]).get(deal_id)
        return known.record if known else None

    def next_after(self, connection: Connection, deal_id: int, most: int) -> list[MirroredDeal]:
        """The copies of the deals whose ids come next, in the order of ids; empty at the end."""
        rows = connection.execute(self._copies().where(deals.c.deal_id > deal_id).order_by(deals.c.deal_id).limit(most))
        return [_mirrored(row) for row in rows]

    def records(self) -> Iterator[list[DealRecord]]:
        """All deals as they were last seen, some at a time."""
        last = 0
        while True:
            with self._store.read() as connection:
                some = self.next_after(connection, last, RECORDS_AT_ONCE)
            if not some:
                return
            yield [copy.record for copy in some]
            last = some[-1].record.id

    def _copies(self) -> Select[Any]:
        columns = (deals.c.deal_id, deals.c.record, deals.c.stage_since, deals.c.came_by)
        return select(*columns).where(self._store.owns(deals))

    def named(self, words: str, most: int) -> list[int]:
        """Numbers of deals whose names hold all these words, in any spelling of them; the newest deals first."""
        parts = normalise(words).split()
        if not parts:
            return []
        holds = [deals.c.plain_name.contains(part, autoescape=True) for part in parts]
        query = select(deals.c.deal_id).where(self._store.owns(deals), *holds)
        with self._store.read() as connection:
            return list(connection.execute(query.order_by(deals.c.deal_id.desc()).limit(most)).scalars())

    def count(self) -> int:
        with self._store.read() as connection:
            return connection.execute(
                select(func.count()).select_from(deals).where(self._store.owns(deals))
            ).scalar_one()

    def put(
        self,
        connection: Connection,
        copies: Iterable[MirroredDeal],
        read_at: datetime,
        found: Container[int] = (),
    ) -> None:
        """``found``: deals of whose last change no webhook has told."""
        copies = list(copies)
        self._keep_facts(connection, copies, found)
        rows = [
            {
                "account": self._store.account_id,
                "deal_id": copy.record.id,
                "pipeline_id": copy.record.pipeline_id,
                "status_id": copy.record.status_id,
                "stage_since": copy.stage_since.timestamp(),
                "came_by": _stays_json(copy.came_by),
                "updated_at": copy.record.updated_at.timestamp() if copy.record.updated_at else 0.0,
                "read_at": read_at.timestamp(),
                "record": _json(copy.record),
                "plain_name": _plain(copy.record.name),
                "responsible_user_id": copy.record.responsible_user_id,
                "closed_at": _closed_at(copy.record),
            }
            for copy in copies
        ]
        self._mark_sales(connection, [copy.record for copy in copies])
        insert_or_replace(connection, deals, ("account", "deal_id"), rows)
        keep_open_fields(connection, self._store.account_id, [copy.record for copy in copies])

    def _keep_facts(self, connection: Connection, copies: Sequence[MirroredDeal], found: Container[int]) -> None:
        if not watched(connection, self._store.account_id):
            return
        known = self.among(connection, [copy.record.id for copy in copies])
        record_changes(
            connection,
            self._store.account_id,
            [
                (
                    known[copy.record.id].record if copy.record.id in known else None,
                    copy.record,
                    copy.record.updated_at,
                    copy.stage_since,
                    "found" if copy.record.id in found else "hook",
                )
                for copy in copies
            ],
        )

    def _mark_sales(self, connection: Connection, records: Iterable[DealRecord], gone: Iterable[int] = ()) -> None:
        """Days of KPI on which these deals were or are closed hear of it. ``records``: as they are going to be kept."""
        after = {record.id: record for record in records}
        told = {number: {at} for number, record in after.items() if (at := _closed_at(record)) is not None}
        columns = (deals.c.deal_id, deals.c.closed_at, deals.c.record)
        for some in chunks(sorted({*after, *gone})):
            mine = (self._store.owns(deals), deals.c.deal_id.in_(some), deals.c.closed_at.is_not(None))
            for row in connection.execute(select(*columns).where(*mine)):
                if row.deal_id in after and row.record == _json(after[row.deal_id]):
                    told.pop(row.deal_id, None)
                else:
                    told.setdefault(row.deal_id, set()).add(row.closed_at)
        mark_sales(connection, self._store.account_id, [at for moments in told.values() for at in moments])

    def amend(self, connection: Connection, deal_id: int, change: Callable[[DealRecord], DealRecord]) -> None:
        """Write down what the bridge itself changed on a deal; does nothing if the deal is not known here."""
        self.amend_all(connection, [(deal_id, change)])

    def amend_all(
        self,
        connection: Connection,
        changes: Sequence[tuple[int, Callable[[DealRecord], DealRecord]]],
        moved_at: Mapping[int, datetime] | None = None,
        *,
        written_at: Mapping[int, datetime] = MappingProxyType({}),
    ) -> None:
        """As ``amend``, for many deals in few statements; changes of one deal follow each other. ``moved_at``: as in
        ``put_back``, of these deals. ``written_at``: deal → when it was changed, by amoCRM's clock."""
        known = self.among(connection, [deal_id for deal_id, _ in changes])
        before_all = dict(known)
        for deal_id, change in changes:
            if before := known.get(deal_id):
                known[deal_id] = before.put_back(change(before.record), (moved_at or {}).get(deal_id))
        told = []
        for deal_id, after in known.items():
            at = written_at.get(deal_id, after.record.updated_at)
            told.append((before_all[deal_id].record, replace(after.record, updated_by=0), at, at, BY_BRIDGE))
        record_changes(connection, self._store.account_id, told)
        rows = [
            {
                "of_deal": deal_id,
                "new_pipeline": after.record.pipeline_id,
                "new_status": after.record.status_id,
                "new_since": after.stage_since.timestamp(),
                "new_came_by": _stays_json(after.came_by),
                "new_updated": after.record.updated_at.timestamp(),
                "new_record": _json(after.record),
                "new_name": _plain(after.record.name),
                "new_person": after.record.responsible_user_id,
                "new_closed": _closed_at(after.record),
            }
            for deal_id, after in known.items()
        ]
        if rows:
            self._mark_sales(connection, [after.record for after in known.values()])
            connection.execute(
                update(deals)
                .where(self._store.owns(deals), deals.c.deal_id == bindparam("of_deal"))
                .values(
                    pipeline_id=bindparam("new_pipeline"),
                    status_id=bindparam("new_status"),
                    stage_since=bindparam("new_since"),
                    came_by=bindparam("new_came_by"),
                    updated_at=bindparam("new_updated"),
                    record=bindparam("new_record"),
                    plain_name=bindparam("new_name"),
                    responsible_user_id=bindparam("new_person"),
                    closed_at=bindparam("new_closed"),
                ),
                rows,
            )
            keep_open_fields(connection, self._store.account_id, [after.record for after in known.values()])

    def forget(self, connection: Connection, deal_id: int) -> None:
        self._mark_sales(connection, (), gone=[deal_id])
        connection.execute(delete(deals).where(self._store.owns(deals), deals.c.deal_id == deal_id))
        keep_open_fields(connection, self._store.account_id, (), gone=[deal_id])


def _mirrored(row: Row[Any]) -> MirroredDeal:
    came_by = tuple(Stay((pipeline, status), _moment(since)) for pipeline, status, since in json.loads(row.came_by))
    return MirroredDeal(DealRecord.from_json(json.loads(row.record)), _moment(row.stage_since), came_by)


def _json(record: DealRecord) -> str:
    return json.dumps(record.to_json(), ensure_ascii=False)


def _closed_at(record: DealRecord) -> float | None:
    """When it was won or lost (Unix seconds)."""
    is_closed = record.status_id in (WON, LOST) and record.closed_at is not None
    return record.closed_at.timestamp() if is_closed and record.closed_at else None


def _plain(name: str) -> str:
    """What a deal is found by; cut to what fits into an index."""
    return normalise(name)[:LONGEST_NAME]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _stays_json(stays: Iterable[Stay]) -> str:
    return json.dumps([[*stay.stage, stay.since.timestamp()] for stay in stays])


# --- open deals by field ----------------------------------------------------------------------------------------------

OPEN_FIELD = "open_field:"
"""Cursors «open_field:7»: deals are kept by this field."""


def followed_fields(connection: Connection, account_id: int) -> list[int]:
    """The fields."""
    mine = (cursors.c.account == account_id, cursors.c.name.like(f"{OPEN_FIELD}%"))
    return [
        int(name.removeprefix(OPEN_FIELD)) for name in connection.execute(select(cursors.c.name).where(*mine)).scalars()
    ]


def keep_open_fields(
    connection: Connection, account_id: int, records: Iterable[DealRecord], gone: Iterable[int] = ()
) -> None:
    """These deals are so from now on; ``gone``: numbers of deals that are no more. To be called when the deals are
    written, in their transaction: others that write them, and ``follow``, wait for its end by then."""
    fields = followed_fields(connection, account_id)
    if not fields:
        return
    found = {record.id: record for record in records}
    for some in chunks(sorted({*found, *gone})):
        mine = (open_deal_fields.c.account == account_id, open_deal_fields.c.field_id.in_(fields))
        connection.execute(delete(open_deal_fields).where(*mine, open_deal_fields.c.deal_id.in_(some)))
    rows = [
        {"account": account_id, "field_id": field_id, "deal_id": record.id}
        for record in found.values()
        if record.status_id not in (WON, LOST) and not record.is_deleted
        for field_id in fields
        if record.fields.get(field_id)
    ]
    for part in chunks(rows):
        connection.execute(insert(open_deal_fields), part)


def follow_fields(store: AccountStore, field_ids: Iterable[int]) -> None:
    """Keep open deals by these fields from now on, and by no others. Raises StoreUnavailable."""
    wanted = set(field_ids)
    with store.read() as connection:
        known = set(followed_fields(connection, store.account_id))
    if wanted == known:
        return
    with store.write() as connection:
        if connection.dialect.name == "postgresql":
            # What others write meanwhile would be seen by nobody.
            connection.execute(text("LOCK TABLE deals IN SHARE ROW EXCLUSIVE MODE"))
        own = Cursors(store)
        for field_id in sorted(known - wanted):
            of_field = (store.owns(open_deal_fields), open_deal_fields.c.field_id == field_id)
            connection.execute(delete(open_deal_fields).where(*of_field))
            own.forget(connection, f"{OPEN_FIELD}{field_id}")
        for field_id in sorted(wanted - known):
            numbers = connection.execute(_with_value(store, field_id, deals.c.deal_id)).scalars().all()
            rows = [{"account": store.account_id, "field_id": field_id, "deal_id": number} for number in numbers]
            for part in chunks(rows):
                connection.execute(insert(open_deal_fields), part)
            own.write(connection, f"{OPEN_FIELD}{field_id}", 1.0)


def open_deals_with(connection: Connection, store: AccountStore, field_id: int) -> list[tuple[int, str]]:
    """(number, record as JSON) of the open deals that may have a value in the field, by number. Raises
    StoreUnavailable."""
    columns = (deals.c.deal_id, deals.c.record)
    query = _with_value(store, field_id, *columns)
    if field_id in followed_fields(connection, store.account_id):
        same = and_(deals.c.account == open_deal_fields.c.account, deals.c.deal_id == open_deal_fields.c.deal_id)
        mine = (store.owns(open_deal_fields), open_deal_fields.c.field_id == field_id)
        query = select(*columns).join_from(open_deal_fields, deals, same).where(*mine)
    return sorted((number, record) for number, record in connection.execute(query))


def _with_value(store: AccountStore, field_id: int, *columns: ColumnElement[Any]) -> Select[Any]:
    """Of a field that is not followed. Most deals have no value there: those are passed by without being decoded."""
    # Numbers of stages lie on both sides of won and lost, which are neighbours: of an index two ranges, where «not in»
    # would read every deal that was ever closed.
    is_open = or_(deals.c.status_id < WON, deals.c.status_id > LOST)
    return select(*columns).where(store.owns(deals), is_open, deals.c.record.like(f'%"{field_id}":%'))
