"""Roistat: states and sums of deals that came from a visit go out, by pushes and at an address that Roistat asks.

A push is repeated as often as anybody likes: an order with the same number is changed, not added. So what was sent is
kept as the moment up to which the mirror's deals were, and a lost answer means the same orders once more.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Row, func, select

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.clock import Clock
from amo_bridge.config.advertising import ROISTAT_KEY, RoistatSection
from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import (
    BridgeError,
    ChannelBusy,
    ChannelDown,
    ChannelRefused,
    ChannelUncertain,
    LeadLost,
    StoreUnavailable,
    UnknownName,
)
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.retry import delay
from amo_bridge.storage.accounts import ROISTAT_SENT_UNTIL, ROISTAT_STATES, Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import deals

log = structlog.get_logger()
BATCH_SIZE = 100
TIMEOUT = (5.0, 10.0)
"""Seconds: the worker waits meanwhile."""
MOST_BATCHES = 10
DOWN = ("authentication_failed", "authorization_failed", "access_denied")
JOURNAL = "Roistat"
FIELDS_ADVICE = "; проверьте visit_field и cost_field в [roistat]"


class Roistat:
    """The API of one project. An error comes with HTTP 200, so the body is read."""

    def __init__(self, section: RoistatSection, key: str) -> None:
        self._project = section.project
        self._http = HttpClient("Roistat", section.api, key, headers={"Api-key": key}, timeout=TIMEOUT)

    def check(self) -> str:
        self._ask("GET", "/project/proxy-leads", f"&period={datetime.now(UTC):%Y-%m-%d}-{datetime.now(UTC):%Y-%m-%d}")
        return f"Roistat пускает в проект {self._project}"

    def set_states(self, states: Sequence[Mapping[str, str]]) -> None:
        """The whole dictionary of states. Raises ChannelError."""
        self._ask("POST", "/project/set-statuses", "", states)

    def add_orders(self, orders: Sequence[Mapping[str, Any]]) -> None:
        """New orders, or changes of those with the same number. Raises ChannelError."""
        self._ask("POST", "/project/add-orders", "", orders)

    def _ask(self, method: str, path: str, more: str, body: Any = None) -> Mapping[str, Any]:
        told = self._http.ask(method, f"{path}?project={self._project}{more}", body)
        if not isinstance(told, dict):
            raise self._http.unreadable(ValueError("в ответе не объект"))
        if told.get("status") == "error":
            error = str(told.get("error", ""))
            words = f"Roistat: {error} {told.get('description') or ''}".strip()
            if error in DOWN:
                raise ChannelDown(f"{words}; проверьте {ROISTAT_KEY} и project")
            raise ChannelBusy(words) if error == "request_limit_error" else ChannelRefused(words)
        return told


def states_of(account: Account) -> list[dict[str, str]]:
    """The account's stages as Roistat's states. Won and lost have one id in all pipelines, so the pair is named."""
    kinds = {"won": "paid", "lost": "canceled"}
    return [
        {
            "id": state_id(stage.pipeline_id, stage.status_id),
            "name": f"{stage.pipeline} / {stage.name}",
            "type": kinds.get(stage.kind, "progress"),
        }
        for stage in account.stages
    ]


def state_id(pipeline_id: int, status_id: int) -> str:
    return f"{pipeline_id}-{status_id}"


class Orders:
    """Deals as Roistat's orders; None for one without a visit's number."""

    def __init__(self, account: Account, section: RoistatSection) -> None:
        self._account = account
        self._reader = FieldReader(account)
        self._visit = account.field(section.visit_field).name
        self._zone = ZoneInfo(account.timezone)
        self._sums = [account.field(name).name for name in (section.cost_field,) if name is not None]

    def of(self, deal: DealRecord) -> dict[str, Any] | None:
        texts = self._reader.texts(deal)
        visit = texts.get(self._visit, "").strip()
        if not visit:
            return None
        users = {user.id: user.name for user in self._account.users}
        cost = next((texts[name] for name in self._sums if texts.get(name)), "0")
        return {
            "id": str(deal.id),
            "name": deal.name,
            "date_create": deal.created_at.astimezone(self._zone).strftime("%Y-%m-%dT%H:%M:%S%z"),
            "status": state_id(deal.pipeline_id, deal.status_id),
            "price": str(deal.price or 0),
            "cost": cost,
            "roistat": visit,
            "client_id": str(deal.main_contact_id or ""),
            "fields": {"Менеджер": users.get(deal.responsible_user_id, "")},
        }


class RoistatJob:
    """Run every minute: the dictionary of states when it has changed, then the deals that have."""

    def __init__(
        self, roistat: Roistat, store: AccountStore, rule_engine: Callable[[], RuleEngine], clock: Clock
    ) -> None:
        self._roistat = roistat
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._cursors = Cursors(store)
        self._failures = 0
        self._not_before = 0.0

    def run(self) -> int:
        """How many orders went out; nothing is lost by an error, it is tried again."""
        now = self._clock.now().timestamp()
        if self._rule_engine().config.bridge.dry_run or now < self._not_before:
            return 0
        try:
            self._send_states()
            sent = self._send_orders()
        except (LeadLost, StoreUnavailable):
            raise
        except BridgeError as error:
            # A field that the account has not, too: it must not stop the worker, which runs this for the account.
            self._failures += 1
            self._not_before = now + max(getattr(error, "retry_after", None) or 0, delay(self._failures + 4))
            log.warning("roistat waits", error=str(error))
            if not isinstance(error, ChannelBusy | ChannelUncertain):
                advice = FIELDS_ADVICE if isinstance(error, UnknownName) else ""
                alerts = Alerts(self._store, CurrentRules(self._rule_engine()), self._clock)
                alerts.tell(f"сделки не уходят в Roistat: {error}{advice}", "roistat")
            return 0
        self._failures = 0
        return sent

    def _send_states(self) -> None:
        states = states_of(self._rule_engine().account)
        digest = float(zlib.crc32(repr(states).encode()))
        if self._cursors.read(ROISTAT_STATES) != digest:
            self._roistat.set_states(states)
            with self._store.write() as connection:
                self._cursors.write(connection, ROISTAT_STATES, digest)

    def _send_orders(self) -> int:
        rule_engine, sent = self._rule_engine(), 0
        section = rule_engine.config.channels.roistat
        assert section is not None
        orders = Orders(rule_engine.account, section)
        for _ in range(MOST_BATCHES):
            if not (rows := self._changed()):
                break
            some = {row.deal_id: orders.of(copy.record) for row, copy in self._copies(rows)}
            wanted = [order for order in some.values() if order is not None]
            for start in range(0, len(wanted), BATCH_SIZE):
                sent += self._send(wanted[start : start + BATCH_SIZE])
            with self._store.write() as connection:
                self._cursors.write(connection, ROISTAT_SENT_UNTIL, rows[-1].read_at)
        return sent

    def _send(self, orders: Sequence[Mapping[str, Any]]) -> int:
        """All together; where one is refused, the others go out alone."""
        try:
            self._roistat.add_orders(orders)
        except ChannelRefused as error:
            if len(orders) > 1:
                return sum(self._send([one]) for one in orders)
            with self._store.write() as connection:
                deal_id = int(orders[0]["id"])
                Journal(self._store).note(connection, self._clock.now(), JOURNAL, {deal_id: f"не принято: {error}"})
            return 0
        return len(orders)

    def _changed(self) -> list[Row[Any, Any]]:
        """Deals read since the last push, oldest first; of one moment all."""
        since = self._cursors.read(ROISTAT_SENT_UNTIL) or 0.0
        mine = (self._store.owns(deals), deals.c.read_at > since)
        query = select(deals.c.deal_id, deals.c.read_at).where(*mine).order_by(deals.c.read_at, deals.c.deal_id)
        with self._store.read() as connection:
            rows = list(connection.execute(query.limit(BATCH_SIZE)))
            if len(rows) == BATCH_SIZE:
                same = select(deals.c.deal_id, deals.c.read_at).where(
                    self._store.owns(deals), deals.c.read_at == rows[-1].read_at
                )
                first = [row for row in rows if row.read_at < rows[-1].read_at]
                rows = [*first, *connection.execute(same.order_by(deals.c.deal_id))]
        return rows

    def _copies(self, rows: Sequence[Row[Any, Any]]) -> list[tuple[Row[Any, Any], MirroredDeal]]:
        found = Mirror(self._store).get(row.deal_id for row in rows)
        return [(row, found[row.deal_id]) for row in rows if row.deal_id in found]


def export(
    store: AccountStore, account: Account, section: RoistatSection, since: datetime, limit: int, offset: int
) -> dict[str, Any]:
    """What Roistat gets at the address that it asks itself: states, and orders changed since then.

    ``limit`` and ``offset`` count changed deals, with a visit or without: a page may hold fewer orders than its limit.
    Raises UnknownName for a field that the account has not."""
    orders = Orders(account, section)
    changed = (store.owns(deals), deals.c.updated_at >= since.timestamp())
    query = select(deals.c.deal_id).where(*changed).order_by(deals.c.updated_at, deals.c.deal_id)
    with store.read() as connection:
        total = connection.execute(select(func.count()).select_from(deals).where(*changed)).scalar_one()
        ids = list(connection.execute(query.limit(limit).offset(offset)).scalars())
    copies = Mirror(store).get(ids)
    found = [order for number in ids if number in copies and (order := orders.of(copies[number].record)) is not None]
    states = [{"id": one["id"], "name": one["name"]} for one in states_of(account)]
    return {"statuses": states, "orders": found, "pagination": {"total_count": total, "limit": limit}}
