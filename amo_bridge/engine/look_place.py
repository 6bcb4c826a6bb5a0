"""Where a look for missed changes stands: kept in the store, so that it goes on after a restart."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from sqlalchemy.engine import Connection

from amo_bridge.storage.accounts import Cursors

# The events list lags behind writes by seconds, and a deal may change while its page is being read.
OVERLAP = timedelta(minutes=2)
# What is older than this is in amoCRM's lists for certain. Without it the last busy minute of a quiet account would be
# read again with each look.
LONGEST_LAG = timedelta(minutes=15)
PAGE = 250


@dataclass(frozen=True)
class Place:
    """Of which list (their number) so many rows are passed. Moments are Unix seconds by the account's clock:
    everything ``until`` then was known when the look was ``begun``; ``newest`` is what it has found."""

    until: float
    begun: float
    newest: float
    list: int = 0
    passed: int = 0

    @classmethod
    def at_the_beginning(cls, until: float, now: datetime) -> Self:
        return cls(until=until, begun=now.timestamp(), newest=until)

    @property
    def since(self) -> datetime:
        """How far back the lists are read."""
        return datetime.fromtimestamp(max(self.until - OVERLAP.total_seconds(), 0.0), UTC)

    @property
    def will_be_known(self) -> float:
        """Until when everything is known once this look is over. What happens while it reads page after page may stand
        on pages that it has passed."""
        surely = max(self.newest, self.begun - LONGEST_LAG.total_seconds())
        return max(min(surely, self.begun), self.until)

    def after(self, newest: float, passed: int | None) -> Self:
        """The place when another page has been read; ``passed`` is None where its list ended."""
        newest = max(newest, self.newest)
        if passed is None:
            return replace(self, newest=newest, list=self.list + 1, passed=0)
        return replace(self, newest=newest, passed=passed)

    def a_page_back(self) -> Self:
        """A row deleted meanwhile shifts the rest by one: after a restart the page before is read again."""
        return replace(self, passed=max(self.passed - PAGE, 0))


NAMES = tuple(f"look_{field.name}" for field in fields(Place))


def read_place(cursors: Cursors) -> Place | None:
    """Where the last look broke off, if it did."""
    told = [cursors.read(name) for name in NAMES]
    until, begun, newest, number, passed = told
    if until is None or begun is None or newest is None or number is None or passed is None:
        return None
    return Place(until, begun, newest, int(number), int(passed))


def write_place(cursors: Cursors, connection: Connection, place: Place) -> None:
    """Within the transaction that keeps what was read until there."""
    for name, value in zip(NAMES, astuple(place), strict=True):
        cursors.write(connection, name, value)


def forget_place(cursors: Cursors, connection: Connection) -> None:
    """The look is over."""
    cursors.forget(connection, *NAMES)
