"""World of one sandbox: the account, its records, its clock, the listeners to changes.

Records are the objects amoCRM's API v4 shows, without ``_links`` and ``_embedded``, and with these differences:

* ``leads``, ``contacts``, ``companies``: ``tags`` is in the record, ``[{"id", "name", "color"}]``; a deleted one stays,
  with ``is_deleted``; a contact of an unaccepted incoming lead has ``is_unsorted``. ``custom_fields_values`` is None or
  a list in the form the API answers with. ``closest_task_at`` is computed when asked for and not kept.
* ``tasks``: ``result`` is None or ``{"id": <note id>, "text": …}``.
* ``notes``: ``entity_type`` is kept beside ``entity_id`` (plural; ``tasks`` for a task's result).
* ``links``: key ``"leads/5"`` → ``{"contacts": [{"id": 7, "is_main": True}], "companies": [{"id": 3}]}``, kept in both
  directions (``sandbox/links.py`` reads and writes it).
* ``statuses``: key ``"<pipeline id>/<status id>"``, because 142 and 143 are the same in every pipeline.
* ``custom_fields/leads``, ``…/contacts``, ``…/companies``; ``tags/leads`` and so on: one dictionary per entity type.
* ``webhooks``: as the API shows them; ``tokens``: key = the bearer, ``{"token", "user_id", "client_id", "expires_at"}``
  (``expires_at`` None: it does not end); ``oauth_clients``: key = client_id, ``{"client_id", "client_secret",
  "redirect_uri", "name"}``; ``groups``, ``task_types``, ``loss_reasons``, ``pipelines``: by id;
  ``users``: by id, what the API nests in ``rights`` lies flat (``is_admin``, ``is_active``, ``is_free``, ``group_id``).
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar, overload

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.clock import SandboxClock
from amo_bridge.sandbox.state_file import StateFile

Record = Mapping[str, Any]
"""One record. A record is replaced, never altered in place: a Change must be able to show the one before."""

Default = TypeVar("Default")
Listener = Callable[[Change], None]
Filler = Callable[["World"], None]

FIRST_IDS = {
    "leads": 30_000_001,
    "contacts": 40_000_001,
    "companies": 41_000_001,
    "notes": 400_000_001,
    "users": 10_000_001,
    "statuses": 70_000_001,
    "pipelines": 9_000_001,
    "tasks": 1_500_001,
    "custom_fields": 700_001,
    "enums": 500_001,
    "tags": 100_001,
    "groups": 600_001,
    "task_types": 2_600_001,
    "loss_reasons": 17_000_001,
    "webhooks": 1_000_001,
    "files": 900_001,
    "catalogs": 4_001,
    "catalog_elements": 500_001,
    "customers": 130_001,
    "roles": 107_001,
    "sources": 9_001,
}
"""Ids of a magnitude amoCRM itself gives, so that mixed-up kinds show; kinds not named here start at 1."""


class Table(dict[Any, Record]):
    """The records of one kind by id, remembering which of them the state file doesn't have yet."""

    def __init__(self) -> None:
        super().__init__()
        self.unsaved: set[Any] = set()

    def __setitem__(self, key: Any, record: Record) -> None:
        super().__setitem__(key, record)
        self.unsaved.add(key)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self.unsaved.add(key)

    def pop(self, key: Any, *default: Any) -> Any:
        self.unsaved.add(key)
        return super().pop(key, *default)

    def clear(self) -> None:
        self.unsaved.update(self)
        super().clear()

    def update(self, *others: Any, **named: Any) -> None:
        for key, record in dict(*others, **named).items():
            self[key] = record

    # Requests name records by anything JSON has; a list names none.
    @overload  # type: ignore[override]
    def get(self, key: Any) -> Record | None: ...

    @overload
    def get(self, key: Any, default: Default) -> Record | Default: ...

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key, default) if isinstance(key, Hashable) else default

    def __contains__(self, key: object) -> bool:
        return isinstance(key, Hashable) and super().__contains__(key)

    def setdefault(self, key: Any, default: Any = None) -> Record:
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self) -> NoReturn:
        raise NotImplementedError("say which record to take away")


class World:
    """One account. A thread that reads or writes it holds ``lock``."""

    def __init__(self) -> None:
        self.clock = SandboxClock()
        self.account: dict[str, Any] = {}
        self.lock = threading.RLock()
        self._tables: dict[str, Table] = {}
        self._listeners: list[Listener] = []
        self._start: Callable[[], Filler] = lambda: lambda world: None
        self._state: StateFile | None = None
        self._saved_apart = ""

    @classmethod
    def opened(cls, start: Callable[[], Filler], state_file: Path | None = None) -> World:
        """The account of ``state_file`` if that has one, else a new one.

        ``start`` gives at every new start what
        fills the account; when it raises, everything stays as it was.

        Without a state file everything is in memory only.
        """
        world = cls()
        world._start = start
        if state_file is not None:
            world._state = StateFile(state_file)
            world._restore(world._state)
        if not world.account:
            world.start_anew()
        return world

    def table(self, kind: str) -> Table:
        """The records of a kind by id; an unknown kind is an empty table."""
        table = self._tables.get(kind)
        if table is None:
            table = self._tables.setdefault(kind, Table())
        return table

    def kinds(self) -> Iterable[str]:
        return sorted(self._tables)

    def next_id(self, kind: str) -> int:
        counters = self.table("counters")
        number = counters[kind]["next"] if kind in counters else FIRST_IDS.get(kind, 1)
        counters[kind] = {"next": number + 1}
        return int(number)

    def reserve(self, kind: str, number: int) -> int:
        """Takes an id given from outside, so that ``next_id`` never gives it again."""
        counters = self.table("counters")
        following = counters[kind]["next"] if kind in counters else FIRST_IDS.get(kind, 1)
        counters[kind] = {"next": max(number + 1, following)}
        return number

    def subscribe(self, listener: Listener) -> None:
        """``listener(change)`` is called for every change, in the order of the changes, under the lock."""
        self._listeners.append(listener)

    def record(self, change: Change) -> None:
        """Call every listener with a change that the tables already show."""
        for listener in self._listeners:
            listener(change)

    def start_anew(self) -> None:
        """Forgets everything and is filled again, as a NEW account: ``amojo_id`` differs."""
        fill = self._start()
        with self.lock:
            for table in self._tables.values():
                table.clear()
            self.account.clear()
            self.clock.restore(0.0, None)
            # The only random thing: a client that kept ids of another sandbox can tell that they mean nothing here.
            self.account["amojo_id"] = str(uuid.uuid4())
            fill(self)
            self.save()

    def save(self) -> None:
        """Writes what changed since the last save; does nothing without a state file."""
        if self._state is None:
            return
        with self.lock:
            dirty = [(kind, key) for kind, table in self._tables.items() for key in table.unsaved]
            apart = {"account": self.account, "clock": self.clock.state()}
            text = json.dumps(apart)
            if not dirty and text == self._saved_apart:
                return
            for kind, key in dirty:
                if key in self._tables[kind]:
                    self._state.put(kind, key, self._tables[kind][key])
                else:
                    self._state.drop(kind, key)
            self._state.put("world", "apart", apart)
            self._state.commit()
            self._saved_apart = text
            for table in self._tables.values():
                table.unsaved.clear()

    def close(self) -> None:
        """Saves and lets go of the state file."""
        self.save()
        if self._state is not None:
            self._state.close()
            self._state = None

    def _restore(self, state: StateFile) -> None:
        for kind, key, record in state:
            if kind == "world":
                self.account.update(record["account"])
                self.clock.restore(**record["clock"])
            else:
                self.table(kind)[key] = record
        for table in self._tables.values():
            table.unsaved.clear()
