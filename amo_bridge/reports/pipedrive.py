"""Work in Pipedrive: kept as it was read, counted for KPI like the work in amoCRM (S8).

Counted are finished activities (calls, letters, other tasks) by the moment they were marked as done, and won and lost
deals by the moment they were. A client is a person of Pipedrive, else the deal; clients of both systems are not
compared.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from amo_bridge.config.other_crms import PipedriveSection
from amo_bridge.crm.account import Account, User
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.facts import mark_sales
from amo_bridge.reports.kpi import NO_REASON, Figures, PerDay, Person
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, chunks, insert_or_replace
from amo_bridge.storage.tables import pipedrive_items, pipedrive_users
from amo_bridge.text.names import same_name

READ_AT = "pipedrive_read_at"
"""Cursor: when everything was read last (Unix seconds)."""
ACTIVITY, DEAL = "activity", "deal"
CALL, MAIL, LOST = "call", "email", "lost"


@dataclass(frozen=True)
class PipedriveUser:
    id: int
    name: str
    mail: str


@dataclass(frozen=True)
class PipedriveItem:
    """A finished activity, a won or a lost deal. ``client``: «person 5» or «deal 7», empty if neither is known.
    ``kind``: of an activity its type, LOST of a lost deal. ``cost``: of a deal, hundredths of ``currency``;
    ``reason``: why it was lost."""

    item: str
    id: int
    user_id: int
    at: datetime | None
    kind: str = ""
    client: str = ""
    cost: int = 0
    currency: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PipedriveFigures:
    """``days``: as kpi.per_day. ``strangers``: users with work in these days whom nobody here is. ``other_money``:
    currency → how many sales are counted without their sum."""

    days: PerDay
    strangers: Sequence[str]
    other_money: Mapping[str, int]
    read_at: datetime | None


class PipedriveLog:
    """Everything raises StoreUnavailable."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def keep(self, connection: Connection, items: Iterable[PipedriveItem]) -> None:
        """As they are told now; what is not finished or won (any more) counts no longer."""
        rows = {(one.item, one.id): one for one in items}
        values = [
            {
                "account": self._store.account_id, "item": one.item, "item_id": one.id, "user_id": one.user_id,
                "at": one.at.timestamp() if one.at else None, "kind": one.kind[:40], "client": one.client[:40],
                "cost": one.cost, "currency": one.currency[:3],
                "reason": one.reason[:120],
            }
            for one in rows.values()
        ]  # fmt: skip
        self._mark_days(connection, dict(zip(rows, values, strict=True)))
        insert_or_replace(connection, pipedrive_items, ("account", "item", "item_id"), values)

    def forget(self, connection: Connection, item: str, numbers: Iterable[int]) -> None:
        """They are deleted there: they count no longer."""
        gone = sorted(set(numbers))
        self._mark_days(connection, {(item, number): None for number in gone})
        for some in chunks(gone):
            mine = (self._store.owns(pipedrive_items), pipedrive_items.c.item == item)
            forgotten = update(pipedrive_items).where(*mine, pipedrive_items.c.item_id.in_(some))
            connection.execute(forgotten.values(at=None))

    def counted(self, item: str, since: datetime) -> list[int]:
        """Ids of what counts for days since then."""
        mine = (self._store.owns(pipedrive_items), pipedrive_items.c.at >= since.timestamp())
        query = select(pipedrive_items.c.item_id).where(*mine, pipedrive_items.c.item == item)
        with self._store.read() as connection:
            return sorted(connection.execute(query).scalars())

    def _mark_days(self, connection: Connection, becomes: Mapping[tuple[str, int], Mapping[str, Any] | None]) -> None:
        """Days of KPI on which these things counted or count hear that they are other ones, or gone."""
        moments = []
        before: dict[tuple[str, int], Mapping[str, Any]] = {}
        for some in chunks(sorted({number for _, number in becomes})):
            mine = (self._store.owns(pipedrive_items), pipedrive_items.c.item_id.in_(some))
            for row in connection.execute(select(pipedrive_items).where(*mine)):
                before[row.item, row.item_id] = row._asdict()
        for key, now in becomes.items():
            was = before.get(key)
            if was is None or now is None or any(was[name] != value for name, value in now.items()):
                moments += [one["at"] for one in (was, now) if one is not None and one["at"] is not None]
        mark_sales(connection, self._store.account_id, moments)

    def keep_users(self, connection: Connection, users: Iterable[PipedriveUser]) -> None:
        values = [
            {"account": self._store.account_id, "user_id": one.id, "name": one.name[:200], "mail": one.mail[:200]}
            for one in users
        ]
        insert_or_replace(connection, pipedrive_users, ("account", "user_id"), values)

    def figures(
        self,
        midnights: Mapping[date, datetime],
        end: datetime,
        people: Sequence[User],
        named: Mapping[str, str],
        currency: str,
    ) -> PipedriveFigures:
        """What each person has done there. ``midnights``, ``end``: as kpi.per_day. ``named``: mail there → name."""
        days = sorted(midnights)
        edges = [midnights[day].timestamp() for day in days]
        table = pipedrive_items.c
        span = (table.at >= edges[0], table.at < end.timestamp())
        query = select(pipedrive_items).where(self._store.owns(pipedrive_items), *span).order_by(table.at, table.id)
        with self._store.read() as connection:
            mine = select(pipedrive_users).where(self._store.owns(pipedrive_users))
            users = {row.user_id: row for row in connection.execute(mine).all()}
            rows = connection.execute(query).all()
            before = self._known_before(connection, edges[0])
        found: dict[date, dict[Person, Figures]] = {day: {} for day in days}
        clients: dict[tuple[date, Person], set[str]] = {}
        strangers: set[str] = set()
        other: dict[str, int] = {}
        for row in rows:
            there = users.get(row.user_id)
            person = _person(there.mail if there else "", people, named)
            if person is None:
                strangers.add(f"{there.name} ({there.mail})" if there else str(row.user_id))
                continue
            day = days[bisect_right(edges, row.at) - 1]
            own = found[day].setdefault(person, Figures())
            if row.item == DEAL and row.kind == LOST:
                own.lost_by[row.reason or NO_REASON] += 1
                continue
            if row.item == DEAL:
                own.sales += 1
                if row.currency == currency:
                    own.amount += round(row.cost / 100)
                else:
                    other[row.currency] = other.get(row.currency, 0) + 1
                continue
            own.talks += row.kind == CALL
            own.letters += row.kind == MAIL
            own.tasks += row.kind not in (CALL, MAIL)
            at = datetime.fromtimestamp(row.at, UTC)
            own.first_at = min(own.first_at or at, at)
            if row.client:
                clients.setdefault((day, person), set()).add(row.client)
                if row.kind in (CALL, MAIL) and row.client not in before:
                    before.add(row.client)
                    own.contacts += 1
        for (day, person), names in clients.items():
            found[day][person].worked = len(names)
        read_at = Cursors(self._store).read(READ_AT)
        return PipedriveFigures(
            found, sorted(strangers), other, None if read_at is None else datetime.fromtimestamp(read_at, UTC)
        )

    def _known_before(self, connection: Connection, begin: float) -> set[str]:
        """The clients who were talked or written with before."""
        table = pipedrive_items.c
        earlier = (table.at < begin, table.item == ACTIVITY, table.kind.in_((CALL, MAIL)), table.client != "")
        query = select(table.client).where(self._store.owns(pipedrive_items), *earlier).distinct()
        return set(connection.execute(query).scalars())


def _person(mail: str, people: Sequence[User], named: Mapping[str, str]) -> Person | None:
    """Who of ours that is: by the config's table, else by the mail."""
    folded = mail.strip().casefold()
    if not folded:
        return None
    wanted = next((name for address, name in named.items() if address.strip().casefold() == folded), None)
    if wanted is not None:
        return next((one.id for one in people if same_name(one.name, wanted)), None)
    return next((one.id for one in people if one.email.strip().casefold() == folded), None)


def figures_there(
    store: AccountStore,
    section: PipedriveSection | None,
    account: Account,
    midnights: Mapping[date, datetime],
    end: datetime,
) -> PipedriveFigures | None:
    """What the people of the account have done in Pipedrive; None if it is not connected. Raises StoreUnavailable."""
    if section is None:
        return None
    return PipedriveLog(store).figures(midnights, end, account.users, section.people, account.currency)


def together(one: PerDay, other: PerDay) -> dict[date, dict[Person, Figures]]:
    """Both systems' figures of each day and person; the first thing of a day is the earlier one."""
    found: dict[date, dict[Person, Figures]] = {}
    for days in (one, other):
        for day, people in days.items():
            for person, figures in people.items():
                own = found.setdefault(day, {}).setdefault(person, Figures())
                own.add(figures)
                times = [at for at in (own.first_at, figures.first_at) if at is not None]
                own.first_at = min(times, default=None)
            found.setdefault(day, {})
    return found
