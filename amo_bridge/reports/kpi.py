"""KPI counted from touches and deals: contacts, talks, letters, tasks, sales of each person (S1, S9).

Figures come from the bridge's own copy of touches and deals; amoCRM is not asked. What counts as a call, a talk, a
letter stands in docs/what-counts.md. A *client* is a contact, a deal's its main one; a deal without contacts is one of
its own. A *new* one was not talked or written with before by anybody, as far as touches are kept. Days that are over
are counted once: kpi_days.py.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, fields
from datetime import UTC, date, datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import LOST, WON
from amo_bridge.events import Card
from amo_bridge.events.calls import by_call, is_missed, is_talk, knows_most
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import deals_of_contacts
from amo_bridge.mirror.touches import TouchLog
from amo_bridge.rules.deal import Touch
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import deals
from amo_bridge.text.names import same_name

WRITTEN = ("mail", "chat", "sms")
NO_REASON = "без причины"


@dataclass
class Figures:
    """Of one person in some days. ``contacts``: new clients; ``worked``: clients of whatever kind; ``unanswered``:
    calls in vain; ``sales``, ``amount``: deals won that are his now; ``lost_by``: reason → deals lost that are his now;
    ``first_at``: when he did his first thing."""

    contacts: int = 0
    worked: int = 0
    talks: int = 0
    unanswered: int = 0
    letters: int = 0
    tasks: int = 0
    sales: int = 0
    amount: int = 0
    lost_by: Counter[str] = field(default_factory=Counter)
    first_at: datetime | None = None

    @property
    def lost(self) -> int:
        """Deals lost."""
        return self.lost_by.total()

    def add(self, other: Figures) -> None:
        """Count another day too; the first thing is that of the first day."""
        for one in fields(self):
            if one.name != "first_at":
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True)
class Sale:
    """``at``: when the deal was won; ``person``: whose it is now."""

    deal_id: int
    at: datetime
    person: int
    price: int


@dataclass(frozen=True)
class Loss:
    """``at``: when the deal was lost; ``person``: whose it is now; ``reason``: empty for none."""

    deal_id: int
    at: datetime
    person: int
    reason: str


@dataclass
class _Day:
    """What one person has done on one day, while it is read."""

    clients: set[Card] = field(default_factory=set)
    calls: list[tuple[Card, Touch]] = field(default_factory=list)
    reached: list[tuple[Card, datetime]] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)


Person = int
PerDay = Mapping[date, Mapping[Person, Figures]]


def per_day(
    store: AccountStore,
    midnights: Mapping[date, datetime],
    end: datetime,
    *,
    own_user_id: int | None,
    talk_seconds: int,
    sellers: Mapping[int, Person] | None = None,
) -> PerDay:
    """Day → person's id → figures. ``midnights``: day → when it begins; ``end``: of the last one; ``sellers``: deal →
    whose sale it is, if not of whoever has the deal now. Without lost deals. Raises StoreUnavailable."""
    told = of_touches(store, midnights, end, own_user_id=own_user_id, talk_seconds=talk_seconds)
    add_sales(store, told, midnights, end, sellers)
    return told


def of_touches(
    store: AccountStore,
    midnights: Mapping[date, datetime],
    end: datetime,
    *,
    own_user_id: int | None,
    talk_seconds: int,
) -> dict[date, dict[Person, Figures]]:
    """The same without sales and lost deals."""
    days = sorted(midnights)
    edges = [midnights[day] for day in days]
    found: dict[tuple[date, Person], _Day] = {}
    for card, touch in TouchLog(store, own_user_id).between(edges[0], end):
        if touch.user_id:
            own = found.setdefault((days[bisect_right(edges, touch.at) - 1], touch.user_id), _Day())
            _count(own, card, touch)
    with store.read() as connection:
        client_of = _clients(connection, store.account_id, {card for own in found.values() for card in own.clients})
    for own in found.values():
        _count_calls(own, talk_seconds)
        own.figures.worked = len({client_of(card) for card in own.clients})
    _count_new(store, found, client_of, talk_seconds, edges[0])
    told: dict[date, dict[Person, Figures]] = {day: {} for day in days}
    for (day, person), own in found.items():
        told[day][person] = own.figures
    return told


def add_sales(
    store: AccountStore,
    told: Mapping[date, dict[Person, Figures]],
    midnights: Mapping[date, datetime],
    end: datetime,
    sellers: Mapping[int, Person] | None = None,
) -> None:
    """Add what was sold to the figures of these days. Raises StoreUnavailable."""
    days = sorted(midnights)
    edges = [midnights[day] for day in days]
    for sale in sales_between(store, edges[0], end):
        person = (sellers or {}).get(sale.deal_id, sale.person)
        figures = told[days[bisect_right(edges, sale.at) - 1]].setdefault(person, Figures())
        figures.sales += 1
        figures.amount += sale.price


def add_losses(
    store: AccountStore,
    told: Mapping[date, dict[Person, Figures]],
    midnights: Mapping[date, datetime],
    end: datetime,
    names: Mapping[int, str],
) -> None:
    """Add what was lost, and why, to the figures of these days; ``names``: of reasons, as they are now called. Raises
    StoreUnavailable."""
    days = sorted(midnights)
    edges = [midnights[day] for day in days]
    for loss in losses_between(store, edges[0], end, names):
        figures = told[days[bisect_right(edges, loss.at) - 1]].setdefault(loss.person, Figures())
        figures.lost_by[loss.reason or NO_REASON] += 1


def losses_between(store: AccountStore, begin: datetime, end: datetime, names: Mapping[int, str]) -> list[Loss]:
    """Raises StoreUnavailable."""
    return [
        Loss(number, at, person, names.get(record.get("loss_reason_id") or 0) or str(record.get("loss_reason") or ""))
        for number, at, person, record in _closed(store, LOST, begin, end)
    ]


def in_words(lost_by: Mapping[str, int]) -> str:
    """«Дорого — 3; без причины — 1», the most frequent first."""
    told = sorted(lost_by.items(), key=lambda one: (-one[1], one[0]))
    return "; ".join(f"{reason} — {count}" for reason, count in told)


def sales_between(store: AccountStore, begin: datetime, end: datetime) -> list[Sale]:
    """Raises StoreUnavailable."""
    found = _closed(store, WON, begin, end)
    return [Sale(number, at, person, int(record.get("price") or 0)) for number, at, person, record in found]


def summed(days: Iterable[Mapping[Person, Figures]]) -> dict[Person, Figures]:
    """Person → all days together."""
    told: dict[Person, Figures] = {}
    for day in days:
        for person, figures in day.items():
            told.setdefault(person, Figures(first_at=figures.first_at)).add(figures)
    return told


def shown_people(wanted: Iterable[str], names: Mapping[Person, str], active: Iterable[Person]) -> dict[Person, str]:
    """Id → name, in the order of names; of those whom the config names (``wanted``), else of all who did something or
    have a plan of their own (``active``)."""
    if people := list(wanted):
        found = {number: name for number, name in names.items() if any(same_name(name, one) for one in people)}
    else:
        found = {number: names.get(number, str(number)) for number in active if number}
    return dict(sorted(found.items(), key=lambda one: one[1]))


def _count(own: _Day, card: Card, touch: Touch) -> None:
    """One thing; calls wait until all notes of the day are there."""
    figures = own.figures
    if touch.kind == "call":
        own.calls.append((card, touch))
    elif touch.kind == "task":
        figures.tasks += 1
    elif touch.kind in WRITTEN and touch.direction == "out":
        figures.letters += 1
        own.reached.append((card, touch.at))
    if touch.direction != "in":
        figures.first_at = min(figures.first_at or touch.at, touch.at)
    own.clients.add(card)


def _count_calls(own: _Day, talk_seconds: int) -> None:
    card_of = {id(note): card for card, note in own.calls}
    for notes in by_call(own.calls):
        best = max(notes, key=knows_most)
        if is_talk(best, talk_seconds):
            own.figures.talks += 1
            own.reached.append((card_of[id(best)], notes[0].at))
        elif is_missed(best, talk_seconds):
            own.figures.unanswered += 1


class _ClientOf:
    """Card → the client that it is about."""

    def __init__(self, contact_of_deal: Mapping[int, int]) -> None:
        self._contact_of_deal = contact_of_deal

    def __call__(self, card: Card) -> Card:
        kind, number = card
        contact = self._contact_of_deal.get(number) if kind == "deal" else None
        return ("contact", contact) if contact is not None else card

    def cards(self, clients: Iterable[Card]) -> set[Card]:
        """All cards of these clients that are known here."""
        wanted = set(clients)
        others = {("deal", deal) for deal, contact in self._contact_of_deal.items() if ("contact", contact) in wanted}
        return wanted | others


def _clients(connection: Connection, account: int, cards: Iterable[Card]) -> _ClientOf:
    told = list(cards)
    touched = {number for kind, number in told if kind == "contact"}
    contact_of_deal = dict(_main_contacts(connection, account, [number for kind, number in told if kind == "deal"]))
    linked = deals_of_contacts(connection, account, touched | set(contact_of_deal.values()))
    for contact, own in linked.items():
        for deal in own:
            # Whoever was touched himself in these days is the client, though another one is the deal's first.
            if contact in touched or deal not in contact_of_deal:
                contact_of_deal[deal] = contact
    return _ClientOf(contact_of_deal)


def _main_contacts(connection: Connection, account: int, deal_ids: Iterable[int]) -> Iterator[tuple[int, int]]:
    for chunk in chunks(sorted(deal_ids)):
        mine = (deals.c.account == account, deals.c.deal_id.in_(chunk))
        for row in connection.execute(select(deals.c.deal_id, deals.c.record).where(*mine)):
            if contacts := json.loads(row.record).get("contact_ids"):
                yield row.deal_id, contacts[0]


def _count_new(
    store: AccountStore,
    found: Mapping[tuple[date, Person], _Day],
    client_of: _ClientOf,
    talk_seconds: int,
    begin: datetime,
) -> None:
    """A new client counts once, for whoever reached him first."""
    reached = sorted(
        ((at, client_of(card), own) for own in found.values() for card, at in own.reached), key=lambda one: one[0]
    )
    before = _known_before(store, client_of, {client for _, client, _ in reached}, talk_seconds, begin)
    for _, client, own in reached:
        if client not in before:
            before.add(client)
            own.figures.contacts += 1


def _known_before(
    store: AccountStore, client_of: _ClientOf, clients: Iterable[Card], talk_seconds: int, begin: datetime
) -> set[Card]:
    """Those of the clients who were talked or written with before."""
    earlier = TouchLog(store).on(client_of.cards(clients), until=begin)
    return {
        client_of(card)
        for card, touches in earlier.items()
        if any(one.kind in WRITTEN or (one.kind == "call" and is_talk(one, talk_seconds)) for one in touches)
    }


def _closed(
    store: AccountStore, status: int, begin: datetime, end: datetime
) -> Iterator[tuple[int, datetime, Person, Mapping[str, Any]]]:
    """Deals that were closed so in that time: (number, when, whose it is now, the record as it is kept)."""
    closed = (deals.c.status_id == status, deals.c.closed_at >= begin.timestamp(), deals.c.closed_at < end.timestamp())
    columns = (deals.c.deal_id, deals.c.closed_at, deals.c.responsible_user_id, deals.c.record)
    query = select(*columns).where(store.owns(deals), *closed).order_by(deals.c.closed_at)
    with store.read() as connection:
        rows = connection.execute(query).all()
    # Thousands a month: read as one text, and only what is asked for is taken out of it.
    records = from_json(f"[{','.join(text for *_, text in rows)}]")
    for (number, at, person, _), record in zip(rows, records, strict=True):
        if not record.get("is_deleted"):
            yield number, datetime.fromtimestamp(at, UTC), person, record
