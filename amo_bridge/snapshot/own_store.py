"""What the bridge's own store knows of the config's account, if there is such a store."""

from __future__ import annotations

from datetime import datetime

from amo_bridge.config.model import Config
from amo_bridge.snapshot.known import NOTHING, Known, recall
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import Store


def recalled(config: Config, now: datetime, deal_id: int | None = None) -> Known:
    """See known.recall; nothing if the bridge has never worked for this account. Raises StoreUnavailable."""
    if not config.bridge.database and not config.data_folder.is_dir():
        return NOTHING
    store = Store.at(config.bridge.database, config.data_folder)
    try:
        store.prepare()
        key = known_key(store, config.account.url)
        return NOTHING if key is None else recall(store, key, now, deal_id)
    finally:
        store.close()
