"""How far each list of amoCRM was read, per account: a name and a number."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from amo_bridge.engine.rows import insert_or_replace
from amo_bridge.engine.store import Store
from amo_bridge.engine.tables import cursors


class Cursors:
    def __init__(self, store: Store, account: int) -> None:
        self._store = store
        self._account = account

    def read(self, name: str) -> float | None:
        """Where the reading stopped; None if it never began."""
        with self._store.read() as connection:
            found = connection.execute(
                select(cursors.c.value).where(cursors.c.account == self._account, cursors.c.name == name)
            ).scalar()
        return None if found is None else float(found)

    def write(self, connection: Connection, name: str, value: float) -> None:
        """Within the transaction that keeps what was read: both or neither."""
        row = {"account": self._account, "name": name, "value": value}
        insert_or_replace(connection, cursors, ("account", "name"), [row])

    def forget(self, connection: Connection, *names: str) -> None:
        """As if these readings had never begun."""
        connection.execute(delete(cursors).where(cursors.c.account == self._account, cursors.c.name.in_(names)))
