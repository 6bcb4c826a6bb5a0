"""What the accounts of one process stand on together: the opened store, the locks by which processes share it, and
the notifier by which they wake each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from amo_bridge.config.model import Config
from amo_bridge.storage.database import Store
from amo_bridge.storage.locks import Locks, locks_for
from amo_bridge.storage.notify import Notifier


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
