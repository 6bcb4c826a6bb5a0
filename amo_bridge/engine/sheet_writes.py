"""Editions of what stands in tables that people read elsewhere: the one of each item written last."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, String, cast, exists

from amo_bridge.storage.database import AccountStore, insert_or_replace
from amo_bridge.storage.tables import sheet_writes


class SheetWrites:
    """Of one sheet of one account. ``sheet``: the name of the job that writes it."""

    def __init__(self, store: AccountStore, sheet: str) -> None:
        self._store = store
        self._sheet = sheet

    def has(self, item: ColumnElement[object], edition: ColumnElement[int]) -> ColumnElement[bool]:
        """For a query: that edition of the item stands there."""
        table = sheet_writes.c
        same = (table.item == cast(item, String), table.edition == edition)
        return exists().where(self._store.owns(sheet_writes), table.sheet == self._sheet, *same)

    def keep(self, editions: Mapping[str, int]) -> None:
        """Item → its edition that stands there now. Raises StoreUnavailable."""
        place = {"account": self._store.account_id, "sheet": self._sheet}
        rows = [{**place, "item": item, "edition": edition} for item, edition in editions.items()]
        with self._store.write() as connection:
            insert_or_replace(connection, sheet_writes, ("account", "sheet", "item"), rows)
