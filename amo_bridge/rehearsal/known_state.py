"""State that only the bridge knows (stages' dates, fired steps, touches), carried into a rehearsal.

Everything is JSON, times are Unix seconds. Enquiries of the past weeks are brought on the same weekday at the same
time: what was under way when the rehearsal begins is judged at once; of what is settled, who has a deal has one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Table, bindparam, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import Enquiry, PbxCall, from_json
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store, chunks
from amo_bridge.storage.tables import OPEN_ENQUIRY_STATES, deals, enquiries, made, schedules, touches, waiting_events

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


WEEK = timedelta(days=7)
WEEKS_BACK = 13
"""Older ones are not taken along; of a longer rehearsal only the first weeks have enquiries."""
Row = dict[str, Any]
_CARRIED = ("kind", "source", "key", "received_at", "body", "state", "contact_id", "deal_id")
AGAIN = "again:"


def recalled_enquiries(store: AccountStore, now: datetime, deal_id: int | None = None) -> list[Row]:
    """Enquiries and calls of the last weeks; with ``deal_id`` those of this deal. Raises StoreUnavailable."""
    since = (now - WEEKS_BACK * WEEK).timestamp()
    wanted = [store.owns(enquiries), enquiries.c.received_at >= since, enquiries.c.kind.in_(("enquiry", "call"))]
    if deal_id is not None:
        wanted.append(enquiries.c.deal_id == deal_id)
    query = select(*(enquiries.c[name] for name in _CARRIED)).where(*wanted).order_by(enquiries.c.id)
    with store.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def bring_enquiries(
    store: AccountStore, clock: Clock, home: str, rows: Sequence[Mapping[str, Any]], days: float
) -> None:
    """Put them into the store of a rehearsal of so many days that begins now. Raises StoreUnavailable."""
    repository = EnquiryRepository(store, clock, home)
    now = clock.now().timestamp()
    with store.write() as connection:
        for row in rows:
            outcome = from_json(row["kind"], json.loads(row["body"]))
            is_open = row["state"] in OPEN_ENQUIRY_STATES and not _wants_more(outcome)
            repository.add(
                connection,
                outcome,
                request_id=None,
                received_at=row["received_at"],
                state="new" if is_open else "done",
            )
            known = enquiries.c.source == outcome.source, enquiries.c.key == outcome.key
            settled = {"contact_id": row["contact_id"], "deal_id": row["deal_id"]} if not is_open else {}
            connection.execute(enquiries.update().where(store.owns(enquiries), *known).values(**settled, due_at=now))
        for at, row in _returning(rows, now, days):
            outcome = from_json(row["kind"], {**json.loads(row["body"]), "key": f"{AGAIN}{row['key']}"})
            if repository.add(connection, outcome, request_id=None, received_at=at):
                known = enquiries.c.source == outcome.source, enquiries.c.key == outcome.key
                connection.execute(enquiries.update().where(store.owns(enquiries), *known).values(due_at=at))


def _returning(rows: Sequence[Mapping[str, Any]], now: float, days: float) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """(when, what) of those that come once more within the rehearsal."""
    later = min(math.ceil(days / WEEK.days), WEEKS_BACK) * WEEK.total_seconds()
    for row in rows:
        at = float(row["received_at"]) + later
        is_known = row["state"] in OPEN_ENQUIRY_STATES
        if now <= at < now + days * 86400 and not is_known:
            outcome = from_json(row["kind"], json.loads(row["body"]))
            if not _wants_more(outcome):
                yield at, row


def _wants_more(outcome: Enquiry | PbxCall) -> bool:
    """Its vendor would have to be asked for the rest, and a rehearsal asks nobody."""
    return isinstance(outcome, Enquiry) and outcome.fetch is not None
