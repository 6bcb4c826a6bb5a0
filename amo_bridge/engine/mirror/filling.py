"""Reading a list of amoCRM once from its first page to its last: some pages at a time, and on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.engine import Connection

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.values import embedded
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import Store

log = structlog.get_logger()
PAGE = 250

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PagedList:
    """``name`` of its cursors; ``key``: what amoCRM calls it under ``_embedded``; ``keep`` writes a page's rows."""

    name: str
    path: str
    key: str
    params: Mapping[str, Any]
    keep: Callable[[Connection, Sequence[Row]], None]

    @property
    def filled(self) -> str:
        """The cursor that is there when the whole list has been read."""
        return f"{self.name}_filled"


class PagedFill:
    """Pages are counted in the store, in order of id, which old entities never change. Nothing is kept in memory but
    the page in hand."""

    def __init__(self, store: Store, account_key: int, client: CrmClient, what: PagedList) -> None:
        self._store = store
        self._client = client
        self._what = what
        self._cursors = Cursors(store, account_key)
        self._pages = f"{what.name}_pages"

    @property
    def is_done(self) -> bool:
        return self._cursors.read(self._what.filled) is not None

    def step(self) -> None:
        """Read the next page, if one is left. Raises CrmError; then the same page is read again."""
        if self.is_done:
            return
        done = int(self._cursors.read(self._pages) or 0)
        params = {**self._what.params, "order": {"id": "asc"}, "page": done + 1, "limit": PAGE}
        rows = embedded(self._client.get(self._what.path, params) or {}, self._what.key)
        with self._store.write() as connection:
            self._what.keep(connection, rows)
            self._cursors.write(connection, self._pages, done + 1)
            if len(rows) < PAGE:
                self._cursors.write(connection, self._what.filled, 1.0)
        log.info("mirror is being filled", list=self._what.name, page=done + 1, rows=len(rows))

    def begin_anew(self) -> None:
        """Forget how far it was read."""
        with self._store.write() as connection:
            self._cursors.forget(connection, self._pages, self._what.filled)
