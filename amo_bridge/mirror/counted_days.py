"""Marks on days of KPI that were counted: something of them has become another one since.

Set in the transaction that changes what was counted: touches, and deals that are or were won or lost. A day is counted
anew when its touches change; sales are read afresh each time, so of them a table alone has to hear.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from amo_bridge.storage.database import chunks
from amo_bridge.storage.tables import kpi_days

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
