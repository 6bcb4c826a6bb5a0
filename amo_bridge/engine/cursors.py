"""How far each list of amoCRM was read, per account: a name and a number."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from amo_bridge.engine.rows import insert_or_replace
from amo_bridge.engine.store import Store
from amo_bridge.engine.tables import cursors

# Names of the cursors. They are stored: a renamed one would begin anew.
RECONCILED_UNTIL = "reconciled_until"
RECONCILED_AT = "reconciled_at"
HOOK_SEEN = "hook_seen"
HOOK_MENDED = "hook_mended"
CLOCK_AHEAD = "clock_ahead"
REPLANNED_TO = "replanned_to"
EVENING_LIST_SENT = "evening_list"
TIDIED_AT = "tidied_at"
DEALS_MET_AT = "met_at"
DEALS_FILLED_PAGES = "filled_pages"
DEALS_FILLED = "filled"
CONTACTS_FILLED = "contacts_filled"
MIRROR_MET_AT = "mirror_met_at"
TOUCHES_FROM = "touches_from"
TOUCHES_FILLED = "touches_filled"
CONTACTS_FIELDS = "contacts_fields"


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
