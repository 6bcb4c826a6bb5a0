"""Shared resources of one process: the store, locks between processes, the notifier."""

from __future__ import annotations

from typing import Self

from amo_bridge.config.model import Config
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import Notifier, Store
from amo_bridge.storage.locks import Locks, locks_for


@dataclass(frozen=True)
class SharedResources:
    store: Store
    locks: Locks
    notifier: Notifier

    @classmethod
    def of(cls, config: Config) -> Self:
        """Opened by the first use, not now. Raises OSError when the data folder can't be made."""
        store = Store.at(config.bridge.database, config.data_folder)
        return cls(store, locks_for(store.engine, config.data_folder), Notifier(store.engine))

    def close(self) -> None:
        self.notifier.close()
        self.locks.close()
        self.store.close()
