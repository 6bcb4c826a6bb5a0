"""The audit: who changed what by the pages, in words, newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import audit


@dataclass(frozen=True)
class AuditEntry:
    """``deed``: its kind, «user.add». ``words``: what was done (Russian). ``account``: empty if it is about none."""

    id: int
    at: datetime
    who: str
    account: str
    deed: str
    words: str
    details: str


class Audit:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def write(
        self,
        who: str,
        deed: str,
        words: str,
        *,
        account: str = "",
        details: str = "",
        connection: Connection | None = None,
    ) -> None:
        """``connection``: of the transaction in which it is done, if it is done in the same store."""
        row = {"at": self._clock.now().timestamp(), "who": who, "account": account, "deed": deed}
        statement = insert(audit).values(**row, words=words, details=details)
        if connection is not None:
            connection.execute(statement)
            return
        with self._store.write() as own:
            own.execute(statement)

    def has(self, deed: str, words: str, since: datetime) -> bool:
        """Was this very thing written down since then?"""
        mine = (audit.c.deed == deed, audit.c.words == words, audit.c.at >= since.timestamp())
        with self._store.read() as connection:
            return connection.execute(select(audit.c.id).where(*mine).limit(1)).first() is not None

    def of_kind(self, deed: str, account: str, since: datetime) -> list[AuditEntry]:
        """All deeds of one kind about an account since then, oldest first."""
        mine = (audit.c.deed == deed, audit.c.account == account, audit.c.at >= since.timestamp())
        with self._store.read() as connection:
            return [_entry(row) for row in connection.execute(select(audit).where(*mine).order_by(audit.c.id))]

    def last(self, most: int, *, before: int | None = None) -> list[AuditEntry]:
        """The newest; ``before``: only those older than this one, to turn pages."""
        query = select(audit).order_by(audit.c.id.desc()).limit(most)
        if before is not None:
            query = query.where(audit.c.id < before)
        with self._store.read() as connection:
            return [_entry(row) for row in connection.execute(query)]


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        row.id, datetime.fromtimestamp(row.at, UTC), row.who, row.account, row.deed, row.words, row.details
    )
