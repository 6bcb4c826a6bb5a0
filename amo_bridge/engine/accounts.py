"""Which account the rows belong to: several live in one store, and a new sandbox is another account than the last."""

from __future__ import annotations

from sqlalchemy import select, update

from amo_bridge.crm.account import Account
from amo_bridge.engine.rows import insert_new
from amo_bridge.engine.store import Store
from amo_bridge.engine.tables import accounts


def key_of(store: Store, account: Account, url: str) -> int:
    """The store's own number for this account; a new one for an account it meets for the first time."""
    same = (accounts.c.amo_id == account.id, accounts.c.amojo_id == (account.amojo_id or ""))
    with store.write() as connection:
        insert_new(connection, accounts, [{"amo_id": account.id, "amojo_id": account.amojo_id or "", "url": url}])
        connection.execute(update(accounts).where(*same).values(url=url))
        return int(connection.execute(select(accounts.c.id).where(*same)).scalar_one())


def amo_id_of(store: Store, key: int) -> int:
    """amoCRM's own number of the account."""
    with store.read() as connection:
        return int(connection.execute(select(accounts.c.amo_id).where(accounts.c.id == key)).scalar_one())


def known_key(store: Store, url: str) -> int | None:
    """The number of the account last seen at this address, for commands that work without amoCRM."""
    with store.read() as connection:
        found = connection.execute(select(accounts.c.id).where(accounts.c.url == url).order_by(accounts.c.id.desc()))
        return found.scalars().first()
