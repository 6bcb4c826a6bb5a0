"""Advertising statistics as they last came: campaigns' figures by day, and days that somebody checked.

What comes in a second time replaces what was there: figures of a day are final only when the service says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import AdDay
from amo_bridge.storage.database import AccountStore, chunks, insert_new, values_of
from amo_bridge.storage.tables import ad_checks, ad_statistics
from amo_bridge.text.names import normalise

LONGEST_NAME = 255
_FIGURES = tuple(ad_statistics.c[name] for name in AdDay._fields)


@dataclass(frozen=True)
class CampaignDay:
    """One row of statistics. ``campaign``: its name as the service or the file has it."""

    campaign: str
    figures: AdDay

    @property
    def folded(self) -> str:
        return folded(self.campaign)


@dataclass(frozen=True)
class Loading:
    """The newest statistics of a service. ``source``: where they came from last; ``at``: when."""

    service: str
    last: date
    source: str
    at: datetime


def folded(campaign: str) -> str:
    """A campaign's name as it is compared."""
    return normalise(campaign)[:LONGEST_NAME]


def together(rows: Iterable[CampaignDay]) -> list[CampaignDay]:
    """The rows with each campaign, day and placement once: what a service tells apart and names do not is summed."""
    found: dict[tuple[object, ...], CampaignDay] = {}
    for row in rows:
        key = (row.folded, *_key(row.figures))
        before = found.get(key)
        found[key] = row if before is None else CampaignDay(before.campaign, _sum(before.figures, row.figures))
    return list(found.values())


def _key(figures: AdDay) -> tuple[object, ...]:
    return figures.day, figures.service, figures.placement, figures.currency


def _sum(one: AdDay, other: AdDay) -> AdDay:
    leads = None if one.leads is None or other.leads is None else one.leads + other.leads
    return AdDay(
        day=one.day,
        shows=one.shows + other.shows,
        clicks=one.clicks + other.clicks,
        cost=one.cost + other.cost,
        leads=leads,
        placement=one.placement,
        currency=one.currency,
        service=one.service,
    )


def digest(rows: Iterable[AdDay]) -> str:
    """Equal for equal figures, 16 characters."""
    told = sorted(repr((*map(str, _key(row)), row.shows, row.clicks, row.cost, row.leads)) for row in rows)
    return hashlib.blake2b("\n".join(told).encode(), digest_size=8).hexdigest()


_day = lru_cache(maxsize=1024)(date.fromisoformat)
"""Thousands of rows are of some dozens of days."""


class AdStatistics:
    """Everything raises StoreUnavailable."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def keep(self, connection: Connection, rows: Sequence[CampaignDay], source: str, at: datetime) -> int:
        """Write the rows (``together``) down. Of a campaign's day they replace all that the service said before, in
        whatever placements; how many rows that were."""
        known = 0
        days: dict[tuple[str, str], set[str]] = {}
        for row in rows:
            days.setdefault((row.figures.day.isoformat(), row.figures.service), set()).add(row.folded)
        for (day, service), names in days.items():
            for chunk in chunks(sorted(names)):
                columns = ad_statistics.c
                same = (columns.day == day, columns.service == service, columns.folded.in_(chunk))
                known += connection.execute(
                    delete(ad_statistics).where(self._store.owns(ad_statistics), *same)
                ).rowcount
        values = [
            {
                "account": self._store.account_id,
                "day": row.figures.day.isoformat(),
                "service": row.figures.service,
                "folded": row.folded,
                "placement": row.figures.placement,
                "currency": row.figures.currency,
                "campaign": row.campaign,
                "shows": row.figures.shows,
                "clicks": row.figures.clicks,
                "cost": row.figures.cost,
                "leads": row.figures.leads,
                "source": source,
                "loaded_at": at.timestamp(),
            }
            for row in rows
        ]
        insert_new(connection, ad_statistics, values)
        return known

    def days_of(self, connection: Connection, campaigns: Iterable[str], since: date) -> dict[str, list[AdDay]]:
        """Folded name → figures since then, oldest first; those without any are left out."""
        found: dict[str, list[AdDay]] = {}
        for chunk in chunks(sorted(set(campaigns))):
            mine = (self._store.owns(ad_statistics), ad_statistics.c.folded.in_(chunk))
            query = select(ad_statistics.c.folded, *_FIGURES).where(*mine, ad_statistics.c.day >= since.isoformat())
            rows = connection.execute(query.order_by(ad_statistics.c.day, ad_statistics.c.id)).all()
            for name, day, *figures in rows:
                found.setdefault(name, []).append(AdDay(_day(day), *figures))
        return found

    def newest(self, connection: Connection, campaigns: Iterable[str]) -> date | None:
        """The last day that is known of any of these; None if nothing is."""
        found = [
            connection.execute(
                select(func.max(ad_statistics.c.day)).where(
                    self._store.owns(ad_statistics), ad_statistics.c.folded.in_(chunk)
                )
            ).scalar()
            for chunk in chunks(sorted(set(campaigns)))
        ]
        return max((date.fromisoformat(day) for day in found if day), default=None)

    def names(self, connection: Connection, since: date) -> dict[str, str]:
        """Folded name → the name as it came last, of all campaigns with figures since then."""
        query = select(ad_statistics.c.folded, ad_statistics.c.campaign).where(
            self._store.owns(ad_statistics), ad_statistics.c.day >= since.isoformat()
        )
        return {name: campaign for name, campaign in connection.execute(query.order_by(ad_statistics.c.loaded_at))}

    def checks_of(self, connection: Connection, campaigns: Iterable[str], since: date) -> Mapping[str, frozenset[date]]:
        """Folded name → the days that somebody looked at."""
        found: dict[str, set[date]] = {}
        for chunk in chunks(sorted(set(campaigns))):
            mine = (self._store.owns(ad_checks), ad_checks.c.folded.in_(chunk), ad_checks.c.day >= since.isoformat())
            for row in connection.execute(select(ad_checks.c.folded, ad_checks.c.day).where(*mine)):
                found.setdefault(row.folded, set()).add(date.fromisoformat(row.day))
        return {name: frozenset(days) for name, days in found.items()}

    def check(self, campaign: str, day: date, who: str, at: datetime) -> bool:
        """Somebody looked at this day of the campaign; False if somebody had before."""
        row = {
            "account": self._store.account_id, "day": day.isoformat(), "folded": folded(campaign),
            "who": who, "at": at.timestamp(),
        }  # fmt: skip
        with self._store.write() as connection:
            return insert_new(connection, ad_checks, [row]) > 0

    def loadings(self, connection: Connection) -> list[Loading]:
        """Where the newest figures of each service came from."""
        columns, mine, found = ad_statistics.c, self._store.owns(ad_statistics), []
        for service in connection.execute(values_of(columns.service, mine)).scalars().all():
            own = (mine, columns.service == service)
            last = select(columns.loaded_at, columns.source).where(*own).order_by(columns.loaded_at.desc()).limit(1)
            at, source = connection.execute(last).one()
            # By the days, the newest first: an index of the service has them in the order of loading.
            days = select(columns.day).where(mine, columns.service + "" == service).order_by(columns.day.desc())
            day = connection.execute(days.limit(1)).scalar_one()
            found.append(Loading(service, date.fromisoformat(day), source, datetime.fromtimestamp(at, UTC)))
        return found
