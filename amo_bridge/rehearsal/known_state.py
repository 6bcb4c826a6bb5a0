"""State that only the bridge knows (stages' dates, fired steps, touches), carried into a rehearsal.

Everything is JSON, times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Table, bindparam, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.config.model import Config
from amo_bridge.rehearsal.enquiries import recalled_enquiries
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store, chunks
from amo_bridge.storage.tables import deals, made, schedules, touches, waiting_events

Known = dict[str, Any]
# Further back no regulation asks for a touch.
TOUCHES_BACK = timedelta(days=120)
NOTHING: Known = {"stages": [], "rules": [], "made": [], "waiting": [], "touches": [], "enquiries": []}


def recall(store: AccountStore, now: datetime, deal_id: int | None = None) -> Known:
    """All of it; with ``deal_id`` only what is about this deal. Raises StoreUnavailable."""
    since = (now - TOUCHES_BACK).timestamp()
    of_deal = {
        table: [] if deal_id is None else [table.c.deal_id == deal_id] for table in (deals, made, waiting_events)
    }
    with store.read() as connection:
        stages = select(deals.c.deal_id, deals.c.stage_since, deals.c.came_by)
        return {
            "stages": [list(row) for row in connection.execute(stages.where(store.owns(deals), *of_deal[deals]))],
            "rules": _rows(connection, schedules, store.account_id),
            "made": _rows(connection, made, store.account_id, *of_deal[made]),
            "waiting": _rows(connection, waiting_events, store.account_id, *of_deal[waiting_events]),
            "touches": _rows(connection, touches, store.account_id, touches.c.at > since),
            "enquiries": recalled_enquiries(store, now, deal_id),
        }


def without_texts(known: Known) -> Known:
    """The same without what people or rules have written: texts of tasks, events, which may name files and more, and
    enquiries."""
    return {**known, "made": [{**row, "text": None} for row in known["made"]], "waiting": [], "enquiries": []}


def on_since(known: Known, rules: Iterable[str], since: datetime) -> Known:
    """The same, but these rules have been on since then."""
    return {**known, "rules": [{"rule": rule, "since": since.timestamp()} for rule in rules]}


def begin_rules(store: AccountStore, known: Known) -> None:
    """The rules have been on since then, though this store has never seen them. To be called before they begin.

    They have planned nothing here yet: no digest fits."""
    with store.write() as connection:
        _insert(
            connection, schedules, store.account_id, [{**row, "digest": "", "is_planned": 0} for row in known["rules"]]
        )


def remember(store: AccountStore, known: Known) -> None:
    """Into a store whose mirror has just been filled: the deals are on their stages since then."""
    as_known: dict[str, Any] = {"stage_since": bindparam("since"), "came_by": bindparam("way")}
    ours = (store.owns(deals), deals.c.deal_id == bindparam("deal"))
    with store.write() as connection:
        told = [{"deal": deal, "since": since, "way": way} for deal, since, way in known["stages"]]
        if told:
            connection.execute(update(deals).where(*ours).values(**as_known), told)
        _insert(connection, made, store.account_id, known["made"])
        _insert(connection, waiting_events, store.account_id, known["waiting"])
        _insert(connection, touches, store.account_id, known["touches"])


def _carried(table: Table) -> list[Column[Any]]:
    """Not the account's number, which is another one there, nor the rows' own."""
    return [column for column in table.columns if column.name not in ("account", "id")]


def _rows(connection: Connection, table: Table, key: int, *which: Any) -> list[dict[str, Any]]:
    query = select(*_carried(table)).where(table.c.account == key, *which)
    return [dict(row) for row in connection.execute(query).mappings()]


def _insert(connection: Connection, table: Table, key: int, rows: list[dict[str, Any]]) -> None:
    for some in chunks(rows):
        connection.execute(insert(table), [{**row, "account": key} for row in some])


# What the bridge's own store knows of the config's account, if there is such a store.


def recalled(config: Config, now: datetime, deal_id: int | None = None) -> Known:
    """See known.recall; nothing if the bridge has never worked for this account. Raises StoreUnavailable."""
    if not config.bridge.database and not config.data_folder.is_dir():
        return NOTHING
    store = Store.at(config.bridge.database, config.data_folder)
    try:
        store.prepare()
        key = known_key(store, config.account.url)
        return NOTHING if key is None else recall(AccountStore(store, key), now, deal_id)
    finally:
        store.close()
