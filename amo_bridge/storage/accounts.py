"""Accounts of a store: their rows, cursors and known names; a new sandbox is a new account."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Self

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import Account
from amo_bridge.storage.database import AccountStore, Store, insert_new, insert_or_replace
from amo_bridge.storage.tables import accounts, cursors, known_names, made, timers
from amo_bridge.text.names import normalise

if TYPE_CHECKING:
    # A command that reads the store compares no names, and starts without the templates of letters behind it.
    from amo_bridge.config.account_fit import KnownId


def key_of(store: Store, account: Account, url: str) -> int:
    """The store's own number for this account; a new one for an account it meets for the first time."""
    same = (accounts.c.amo_id == account.id, accounts.c.amojo_id == (account.amojo_id or ""))
    with store.write() as connection:
        insert_new(connection, accounts, [{"amo_id": account.id, "amojo_id": account.amojo_id or "", "url": url}])
        connection.execute(update(accounts).where(*same).values(url=url))
        return int(connection.execute(select(accounts.c.id).where(*same)).scalar_one())


def amo_id_of(store: AccountStore) -> int:
    """amoCRM's own number of the account."""
    with store.read() as connection:
        return int(connection.execute(select(accounts.c.amo_id).where(accounts.c.id == store.account_id)).scalar_one())


def known_key(store: Store, url: str) -> int | None:
    """The number of the account last seen at this address, for commands that work without amoCRM."""
    with store.read() as connection:
        found = connection.execute(select(accounts.c.id).where(accounts.c.url == url).order_by(accounts.c.id.desc()))
        return found.scalars().first()


# How far each list of amoCRM was read, per account: a name and a number.

# Names of the cursors. They are stored: a renamed one would begin anew.
RECONCILED_UNTIL = "reconciled_until"
RECONCILED_AT = "reconciled_at"
HOOK_SEEN = "hook_seen"
HOOK_MENDED = "hook_mended"
CLOCK_AHEAD = "clock_ahead"
REPLANNED_TO = "replanned_to"
EVENING_LIST_SENT = "evening_list"
DAILY_REPORTS_MADE = "daily_reports"
TIDIED_AT = "tidied_at"
DEALS_MET_AT = "met_at"
DEALS_FILLED_PAGES = "filled_pages"
DEALS_FILLED = "filled"
TASKS_FILLED_PAGES = "tasks_pages"
TASKS_FILLED = "tasks_filled"
CONTACTS_FILLED_PAGES = "contacts_pages"
CONTACTS_FILLED = "contacts_filled"
MIRROR_MET_AT = "mirror_met_at"
TOUCHES_FROM = "touches_from"
TOUCHES_FILLED = "touches_filled"
CONTACTS_FIELDS = "contacts_fields"
RESTORED_COPY_OF = "restored_copy_of"
RESTORED_AT = "restored_at"
DIAL_STOPPED = "dial_stopped"
ROISTAT_SENT_UNTIL = "roistat_sent_until"
ROISTAT_SENT_DEAL = "roistat_sent_deal"
ROISTAT_STATES = "roistat_states"
WEEKLY_LETTER_SENT = "weekly_letter_sent"
ROISTAT_COSTS_READ = "roistat_costs_read"
SPEND_SHEET_READ = "spend_sheet_read"
SPEND_SHEET_TOLD = "spend_sheet_told:{}"
KPI_SEEN = "kpi_seen"
UPDATE_ASKED_AT = "update_asked_at"
UPDATE_SEEN = "update_seen"


class Cursors:
    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def read(self, name: str) -> float | None:
        """Where the reading stopped; None if it never began."""
        with self._store.read() as connection:
            found = connection.execute(
                select(cursors.c.value).where(self._store.owns(cursors), cursors.c.name == name)
            ).scalar()
        return None if found is None else float(found)

    def read_some(self, *names: str) -> dict[str, float]:
        """Of these readings those that ever began, in one statement."""
        query = select(cursors.c.name, cursors.c.value).where(self._store.owns(cursors), cursors.c.name.in_(names))
        with self._store.read() as connection:
            return {name: float(value) for name, value in connection.execute(query)}

    def write(self, connection: Connection, name: str, value: float) -> None:
        """Within the transaction that keeps what was read: both or neither."""
        row = {"account": self._store.account_id, "name": name, "value": value}
        insert_or_replace(connection, cursors, ("account", "name"), [row])

    def forget(self, connection: Connection, *names: str) -> None:
        """As if these readings had never begun."""
        connection.execute(delete(cursors).where(self._store.owns(cursors), cursors.c.name.in_(names)))


class RestoredCopy(NamedTuple):
    """The store was restored from a copy: what happened from ``made_at`` to ``restored_at`` (account's clock) may have
    been acted on by the bridge that wrote the lost rows, so rules do not act on it."""

    made_at: datetime
    restored_at: datetime

    @classmethod
    def read(cls, cursors: Cursors) -> Self | None:
        """None if the store was never restored, or is to catch up on what happened."""
        made_at, restored_at = cursors.read(RESTORED_COPY_OF), cursors.read(RESTORED_AT)
        if made_at is None or restored_at is None:
            return None
        return cls(datetime.fromtimestamp(made_at, UTC), datetime.fromtimestamp(restored_at, UTC))

    def covers(self, at: datetime) -> bool:
        return at < self.restored_at


LONGEST = 255
FIELD_KINDS = ("field", "contact_field")
# As much of a field's name as the marks of steps have room for.
LONGEST_MARK = 80


class KnownNames:
    """What the config's names meant when they were resolved last."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def read(self) -> dict[tuple[str, str], str]:
        """(kind, normalised name) → id."""
        query = select(known_names).where(self._store.owns(known_names))
        with self._store.read() as connection:
            return {(row.kind, row.name): row.known_id for row in connection.execute(query)}

    def remember(self, found: Iterable[KnownId]) -> None:
        """Keep what is new or different; ids of names that are not there now stay. Raises StoreUnavailable.

        Rules mark their tasks and steps by fields' names: where a field is called otherwise now, so are the marks."""
        with self._store.read() as connection:
            rows = connection.execute(select(known_names).where(self._store.owns(known_names))).all()
        known = {(row.kind, row.name): (row.known_id, row.called) for row in rows}
        called = {(row.kind, row.known_id): row.called for row in rows}
        new = [one for one in found if known.get((one.kind, one.name[:LONGEST])) != (one.id, one.called[:LONGEST])]
        if not new:
            return
        with self._store.write() as connection:
            for one in new:
                before = called.get((one.kind, one.id), one.called)
                if one.kind in FIELD_KINDS and normalise(before) != normalise(one.called):
                    self._rename_marks(connection, before, one.called)
            insert_or_replace(connection, known_names, ("account", "kind", "name"), [self._row(one) for one in new])

    def _row(self, one: KnownId) -> dict[str, object]:
        called, name = one.called[:LONGEST], one.name[:LONGEST]
        return {"account": self._store.account_id, "kind": one.kind, "name": name, "known_id": one.id, "called": called}

    def _rename_marks(self, connection: Connection, old: str, new: str) -> None:
        """Slots are «Поле», «Поле.1» or «шаг@Поле», anchors «Поле=2026-12-01»."""
        wanted = re.compile(rf"(^|@){re.escape(old[:LONGEST_MARK])}(?=$|[.=])")
        for table, column in ((made, made.c.slot), (timers, timers.c.anchor)):
            mine = self._store.owns(table)
            marks = select(column).where(mine, column.contains(old[:LONGEST_MARK], autoescape=True)).distinct()
            for mark in connection.execute(marks).scalars().all():
                renamed = wanted.sub(lambda found: found[1] + new[:LONGEST_MARK], mark)
                if renamed != mark:
                    connection.execute(update(table).where(mine, column == mark).values({column.name: renamed}))
