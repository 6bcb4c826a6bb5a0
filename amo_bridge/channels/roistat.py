"""Roistat: states and sums of deals that came from a visit go out, what their clients cost comes back.

Deals go by pushes and at an address that Roistat asks. A push is repeated as often as anybody likes: an order with the
same number is changed, not added. So what was sent is kept as the moment up to which the mirror's deals were, and a
lost answer means the same orders once more.

What a client cost: the expenses of his advertising channel on the day of the deal, divided by the leads that the
channel brought on that day. Roistat knows no expenses of a single lead (help-ru.roistat.com, API/methods/analytics).
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.clock import Clock
from amo_bridge.config.advertising import ROISTAT_KEY, RoistatSection
from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Planned
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
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.deals import Mirror
from amo_bridge.retry import Backoff
from amo_bridge.rules.actions import SetFields
from amo_bridge.storage.accounts import (
    ROISTAT_COSTS_READ,
    ROISTAT_SENT_DEAL,
    ROISTAT_SENT_UNTIL,
    ROISTAT_STATES,
    Cursors,
)
from amo_bridge.storage.database import AccountStore, chunks, insert_new, notify
from amo_bridge.storage.tables import deals, outbox

BATCH_SIZE = 100
TIMEOUT = (5.0, 10.0)
PACE_SECONDS = 0.25
PERIOD_SECONDS = 60
MOST_CALLS = 60
"""Batches and parts of refused ones in one round; the next round goes on."""
SETTLED_SECONDS = 10
"""A deal is sent so long after it was read: what other threads have read is in the store by then, in its order."""
DOWN = ("authentication_failed", "authorization_failed", "access_denied")
JOURNAL = "Roistat"
FIELDS_ADVICE = "; проверьте visit_field, cost_field и attraction_field в [roistat]"
ORDERS_PACE_SECONDS = 6.0
"""Ten requests a minute for up to a hundred orders with their visits (help-ru.roistat.com, API/methods/orders)."""
COSTS_FROM_HOUR = 6
"""Expenses of the day before are there by the morning."""
MOST_PAGES = 200
COSTS_RULE = "roistat_costs"
CHANNEL = "marker_level_1"


class Roistat:
    """The API of one project. An error comes with HTTP 200, so the body is read."""

    def __init__(
        self,
        section: RoistatSection,
        key: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._wait = wait
        self._next_at = 0.0
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

    def channel_costs(self, begin: datetime, end: datetime, cost: str, leads: str) -> dict[str, ChannelCosts]:
        """Advertising channel's marker → what it cost and brought from ``begin`` to before ``end``.

        ``cost``, ``leads``: the names of the two metrics. Raises ChannelError."""
        period = {"from": _stamp(begin), "to": _stamp(end - timedelta(seconds=1))}
        wanted = {"dimensions": [CHANNEL], "metrics": [cost, leads], "period": period}
        told = self._ask("POST", "/project/analytics/data", "", wanted)
        try:
            items = [item for part in told["data"] for item in part["items"]]
            found = {str(one["dimensions"][CHANNEL]["value"]): _costs_of(one, cost, leads) for one in items}
        except (KeyError, TypeError, ValueError) as error:
            raise ChannelRefused(f"Roistat: расходы в ответе не читаются ({error}); проверьте метрики") from error
        known = {name: one for name, one in found.items() if one is not None}
        if found and not known:
            raise ChannelRefused(f"Roistat: в ответе нет метрик {cost} и {leads}; проверьте cost_metric и lead_metric")
        return known

    def markers(self, begin: datetime, end: datetime) -> dict[int, str]:
        """Order's number → the marker of the advertising that its visit came by, of orders made from ``begin`` to
        before ``end``; empty if Roistat knows no visit. Numbers of other systems are left out. Raises ChannelError."""
        made = [["creation_date", ">", _stamp(begin - timedelta(seconds=1))], ["creation_date", "<", _stamp(end)]]
        found: dict[int, str] = {}
        for page in range(MOST_PAGES):
            if page:
                self._next_at = max(self._next_at, self._monotonic() + ORDERS_PACE_SECONDS)
            wanted = {"filters": {"and": made}, "extend": ["visit"], "limit": BATCH_SIZE, "offset": page * BATCH_SIZE}
            rows = self._ask("POST", "/project/integration/order/list", "", wanted).get("data")
            if not isinstance(rows, list):
                raise self._http.unreadable(ValueError("в ответе нет списка заказов"))
            for row in rows:
                number = str(row.get("id", "")) if isinstance(row, dict) else ""
                if number.isascii() and number.isdecimal():
                    found[int(number)] = _marker(row)
            if len(rows) < BATCH_SIZE:
                return found
        raise ChannelRefused(f"Roistat: заказов за несколько дней больше {MOST_PAGES * BATCH_SIZE}")

    def _ask(self, method: str, path: str, more: str, body: Any = None) -> Mapping[str, Any]:
        if (early := self._next_at - self._monotonic()) > 0:
            self._wait(early)
        self._next_at = self._monotonic() + PACE_SECONDS
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


class ChannelCosts(NamedTuple):
    """Of one advertising channel on one day. ``title``: for people. ``cost``: in the project's currency."""

    title: str
    cost: float
    leads: int

    @property
    def of_lead(self) -> float | None:
        """None if nothing was spent, or nobody came."""
        return round(self.cost / self.leads, 2) if self.cost > 0 and self.leads > 0 else None


def _costs_of(item: Mapping[str, Any], cost: str, leads: str) -> ChannelCosts | None:
    """None for a channel of which one of the metrics is not told."""
    values = {one["metric_name"]: float(one["value"] or 0) for one in item["metrics"]}
    if cost not in values or leads not in values:
        return None
    return ChannelCosts(str(item["dimensions"][CHANNEL].get("title") or ""), values[cost], int(values[leads]))


def _marker(order: Mapping[str, Any]) -> str:
    visit = order.get("visit")
    source = visit.get("source") if isinstance(visit, dict) else None
    return str(source.get("system_name") or "") if isinstance(source, dict) else ""


def channel_of(marker: str, channels: Mapping[str, ChannelCosts]) -> ChannelCosts | None:
    """A visit's marker begins with its channel's («direct1_search_8731»); the longest that fits."""
    fitting = [name for name in channels if marker == name or marker.startswith((f"{name}_", f"{name}:"))]
    return channels[max(fitting, key=len)] if fitting else None


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S%z")


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
            "date_create": _stamp(deal.created_at.astimezone(self._zone)),
            "status": state_id(deal.pipeline_id, deal.status_id),
            "price": str(deal.price or 0),
            "cost": cost,
            "roistat": visit,
            "client_id": str(deal.main_contact_id or ""),
            "fields": {"Менеджер": users.get(deal.responsible_user_id, "")},
        }


def _wait(error: BridgeError, backoff: Backoff, alerts: Alerts, words: str, subject: str) -> None:
    """Try later; of what doesn't pass by itself a person is told. ``words``: what does not happen (Russian)."""
    backoff.fail(error)
    log.warning("roistat waits", subject=subject, error=str(error))
    if not isinstance(error, ChannelBusy | ChannelUncertain):
        advice = FIELDS_ADVICE if isinstance(error, UnknownName) else ""
        alerts.tell(f"{words}: {error}{advice}", subject)


class RoistatJob:
    """Every minute, in a thread of its own: the dictionary of states when it has changed, then the deals that have."""

    name = "roistat"

    def __init__(
        self, roistat: Roistat, store: AccountStore, rule_engine: Callable[[], RuleEngine], clock: Clock
    ) -> None:
        self._roistat = roistat
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._cursors = Cursors(store)
        self._backoff = Backoff(clock, patience=4)
        self._ran_at = 0.0

    @property
    def is_put_off(self) -> bool:
        """After an error, until orders went out again."""
        return self._backoff.failures > 0

    def recover(self) -> None:
        """Nothing is in doubt: orders are sent again."""

    def send(self) -> int:
        """A round, if its time has come. Raises LeadLost, StoreUnavailable."""
        now = self._clock.now().timestamp()
        if 0 <= now - self._ran_at < PERIOD_SECONDS:
            return 0
        self._ran_at = now
        return self.run()

    def run(self) -> int:
        """How many orders went out; nothing is lost by an error, it is tried again."""
        if self._rule_engine().config.bridge.dry_run or self._backoff.lasts:
            return 0
        try:
            self._send_states()
            sent = self._send_orders()
        except (LeadLost, StoreUnavailable):
            raise
        except BridgeError as error:
            # A field that the account has not, too.
            alerts = Alerts(self._store, CurrentRules(self._rule_engine()), self._clock)
            _wait(error, self._backoff, alerts, "сделки не уходят в Roistat", self.name)
            return 0
        self._backoff.rest()
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
        parts: list[Sequence[ChangedDeal]] = []
        for _ in range(MOST_CALLS):
            part = parts.pop(0) if parts else self._changed(orders)
            if not part:
                break
            wanted = [one.order for one in part if one.order is not None]
            why = self._refusal(wanted) if wanted else ""
            if why and len(wanted) > 1:
                middle = len(part) // 2
                parts[:0] = [part[:middle], part[middle:]]
                continue
            sent += 0 if why else len(wanted)
            self._settle(part, why)
        return sent

    def _refusal(self, orders: Sequence[Mapping[str, Any]]) -> str:
        """Send; why they were refused (Russian), one or all of them. Raises ChannelError."""
        try:
            self._roistat.add_orders(orders)
        except ChannelRefused as error:
            return str(error)
        return ""

    def _settle(self, part: Sequence[ChangedDeal], why: str) -> None:
        """All before the part's end are done with; ``why``: its only order was refused."""
        with self._store.write() as connection:
            if why:
                notes = {one.deal_id: f"не принято: {why}" for one in part if one.order is not None}
                Journal(self._store).note(connection, self._clock.now(), JOURNAL, notes)
            self._cursors.write(connection, ROISTAT_SENT_UNTIL, part[-1].read_at)
            self._cursors.write(connection, ROISTAT_SENT_DEAL, part[-1].deal_id)

    def _changed(self, orders: Orders) -> list[ChangedDeal]:
        """A batch of deals read since the last push, oldest first."""
        since = self._cursors.read(ROISTAT_SENT_UNTIL) or 0.0
        after = int(self._cursors.read(ROISTAT_SENT_DEAL) or 0)
        query = changed_deals(self._store, since, after, self._clock.now().timestamp() - SETTLED_SECONDS)
        with self._store.read() as connection:
            rows = list(connection.execute(query))
        copies = Mirror(self._store).get(row.deal_id for row in rows)
        found = []
        for row in rows:
            copy = copies.get(row.deal_id)
            found.append(ChangedDeal(row.deal_id, row.read_at, orders.of(copy.record) if copy else None))
        return found


class RoistatCostsJob:
    """Every morning, in a thread of its own: what the clients of the last days cost, into the deals' field.

    Expenses come to Roistat late and are put right later, so each day is read again for ``attraction_days``. A deal is
    written only if the figure has changed; what a person has put into the field stays.
    """

    name = "roistat_costs"

    def __init__(
        self, roistat: Roistat, store: AccountStore, rule_engine: Callable[[], RuleEngine], clock: Clock
    ) -> None:
        self._roistat = roistat
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._cursors = Cursors(store)
        self._backoff = Backoff(clock, patience=4)

    @property
    def is_put_off(self) -> bool:
        return self._backoff.failures > 0

    def recover(self) -> None:
        """A morning that broke off is read anew; what it has written is not written again."""

    def send(self) -> int:
        """How many deals get a figure. Raises LeadLost, StoreUnavailable."""
        rule_engine = self._rule_engine()
        here = self._clock.now().astimezone(ZoneInfo(rule_engine.account.timezone))
        if rule_engine.config.bridge.dry_run or self._backoff.lasts or here.hour < COSTS_FROM_HOUR:
            return 0
        if self._cursors.read(ROISTAT_COSTS_READ) == here.date().toordinal():
            return 0
        try:
            written = self._read(rule_engine, here)
        except (LeadLost, StoreUnavailable):
            raise
        except BridgeError as error:
            alerts = Alerts(self._store, CurrentRules(self._rule_engine()), self._clock)
            _wait(error, self._backoff, alerts, "стоимость привлечения из Roistat не записана", self.name)
            return 0
        self._backoff.rest()
        return written

    def _read(self, rule_engine: RuleEngine, here: datetime) -> int:
        section = rule_engine.config.channels.roistat
        assert section is not None
        assert section.attraction_field is not None
        field = rule_engine.account.field(section.attraction_field)
        today = here.date()
        days = [today - timedelta(days=back) for back in range(section.attraction_days, 0, -1)]
        midnights = {day: datetime.combine(day, datetime.min.time(), here.tzinfo) for day in (*days, today)}
        markers = self._roistat.markers(midnights[days[0]], midnights[today])
        costs = {
            day: self._roistat.channel_costs(
                midnights[day], midnights[day + timedelta(days=1)], section.cost_metric, section.lead_metric
            )
            for day in days
        }
        figures: dict[int, float] = {}
        unknown: set[str] = set()
        copies = Mirror(self._store).get(number for number, marker in markers.items() if marker)
        for number, copy in copies.items():
            channels = costs.get(copy.record.created_at.astimezone(here.tzinfo).date(), {})
            channel = channel_of(markers[number], channels)
            if channel is None:
                unknown.add(markers[number])
            elif channel.of_lead is not None:
                figures[number] = channel.of_lead
        if unknown:
            log.warning("roistat has no costs of a source", sources=sorted(unknown)[:20], count=len(unknown))
        return self._write(rule_engine, field, figures, today)

    def _write(self, rule_engine: RuleEngine, field: Field, figures: Mapping[int, float], today: date) -> int:
        """All of the morning at once, so that it is either done with or read anew."""
        now, rows = self._clock.now(), []
        ours = self._written(figures)
        reader = FieldReader(rule_engine.account)
        for number, copy in Mirror(self._store).get(figures).items():
            value = reader.texts(copy.record).get(field.name)
            # Once a person has written another figure, it is that person's.
            if copy.record.is_deleted or (value is not None and value != ours.get(number)):
                continue
            deal = rule_engine.viewer.deal(copy.record)
            if deal.has_tag(rule_engine.config.bridge.opt_out_tag):
                continue
            action = SetFields(deal_id=number, values={field.name: _as_value(figures[number], field)})
            for effect in rule_engine.resolver.effects(action, deal, copy.record, now):
                key = f"{COSTS_RULE}|{number}|{today.isoformat()}"
                rows.append((number, effect.words, Planned(None, COSTS_RULE, key, effect)))
        with self._store.write() as connection:
            insert_new(connection, outbox, [planned.row(self._store.account_id, now) for _, _, planned in rows])
            notes = {number: f"стоимость привлечения: {words}" for number, words, _ in rows}
            Journal(self._store).note(connection, now, JOURNAL, notes)
            self._cursors.write(connection, ROISTAT_COSTS_READ, today.toordinal())
            notify(connection, self._store.account_id)
        return len(rows)

    def _written(self, numbers: Iterable[int]) -> dict[int, str]:
        """Deal → what the bridge has last put into its field, as a text."""
        found: dict[int, str] = {}
        query = select(outbox.c.deal_id, outbox.c.payload).where(
            self._store.owns(outbox), outbox.c.rule == COSTS_RULE, outbox.c.state == "done", outbox.c.error.is_(None)
        )
        with self._store.read() as connection:
            for chunk in chunks(sorted(numbers)):
                for row in connection.execute(query.where(outbox.c.deal_id.in_(chunk)).order_by(outbox.c.id)):
                    (values,) = json.loads(row.payload)["body"]["custom_fields_values"]
                    found[row.deal_id] = str(values["values"][0]["value"])
        return found


def _as_value(figure: float, field: Field) -> int | float | str:
    """As amoCRM shows it again: without decimals that are nothing, and as a text in a field of texts."""
    number = int(figure) if figure.is_integer() else figure
    return number if field.type in ("numeric", "price", "monetary") else str(number)


@dataclass(frozen=True)
class ChangedDeal:
    """``order``: None for a deal without a visit's number."""

    deal_id: int
    read_at: float
    order: Mapping[str, Any] | None


def changed_deals(store: AccountStore, since: float, after: int, until: float) -> Select[tuple[int, float]]:
    """A batch of deals read after ``since``, or at that moment with a number above ``after``, and up to ``until``."""
    is_next = (deals.c.read_at > since) | (deals.c.deal_id > after)
    return (
        select(deals.c.deal_id, deals.c.read_at)
        .where(store.owns(deals), deals.c.read_at >= since, deals.c.read_at <= until, is_next)
        .order_by(deals.c.read_at, deals.c.deal_id)
        .limit(BATCH_SIZE)
    )


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
