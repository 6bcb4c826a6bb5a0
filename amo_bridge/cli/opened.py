"""The store of a config's account, for commands that work beside the bridge or without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from amo_bridge.cli.russian import Stop
from amo_bridge.config.model import Config
from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import Store


class NoStore(Stop):
    """The bridge's database can't be used."""

    exit_code = 3


@contextmanager
def opened(config: Config) -> Iterator[tuple[Store, int]]:
    """The store and the account's number in it. Ends the command with code 3 when there is no such thing."""
    if not config.bridge.database and not config.data_folder.is_dir():
        raise NoStore(f"базы ещё нет: её заводит мост (amo-bridge serve) в папке {config.data_folder}")
    store = Store.at(config.bridge.database, config.data_folder)
    try:
        store.prepare()
        key = known_key(store, config.account.url)
        if key is None:
            raise NoStore(f"в базе {store.address} нет аккаунта {config.account.url}: мост с ним ещё не работал")
        yield store, key
    except (StoreUnavailable, OSError) as error:
        raise NoStore(str(error)) from error
    finally:
        store.close()
