"""Touches: who was in contact with a client and when, gathered from webhooks and amoCRM's events.

amoCRM has no such list.

A call, a letter or a message counts whoever made it, an answer of a bot in a chat excepted. A finished task and a
moved deal count only when a person did it: not a robot, and not the bridge, which works in its token's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.records import DealRecord
from amo_bridge.events import Card, ClientAnswered, ClientDeleted, Event, TouchRecord
from amo_bridge.events.calls import by_call, knows_most
from amo_bridge.mirror.contacts import forget_contacts, known_contacts
from amo_bridge.mirror.facts import mark_stale
from amo_bridge.rules.deal import Touch, Touches
from amo_bridge.storage.database import AccountStore, chunks, insert_new, insert_or_replace
from amo_bridge.storage.tables import deals, touches

BY_PEOPLE = ("task", "move")
UNKNOWN_LENGTH = -1


def _row(touch: TouchRecord, account: int) -> dict[str, Any]:
    return {
        "account": account,
        "key": touch.key[:80],
        "kind": touch.kind,
        "direction": touch.direction,
        "at": touch.at.timestamp(),
        "user_id": touch.user_id,
        "entity_type": touch.card[0],
        "entity_id": touch.card[1],
        "seconds": UNKNOWN_LENGTH if touch.seconds is None else touch.seconds,
        "status": touch.status,
        "phone": touch.phone[:40] if touch.phone else None,
        "uniq": touch.uniq[:80] if touch.uniq else None,
        "result": touch.result[:80] if touch.result else None,
    }


def add_touches(connection: Connection, account: int, noted: Sequence[TouchRecord]) -> None:
    """Keep those that are not there yet."""
    insert_new(connection, touches, [_row(one, account) for one in noted])


def correct_touches(connection: Connection, account: int, noted: Sequence[TouchRecord]) -> None:
    """Keep them as they are told now; days of KPI that counted what is corrected are counted anew."""
    by_key = {one.key[:80]: _row(one, account) for one in noted}
    other_at = []
    for some in chunks(sorted(by_key)):
        query = select(touches).where(touches.c.account == account, touches.c.key.in_(some))
        for row in connection.execute(query).mappings():
            told = by_key[row["key"]]
            if any(row[name] != told[name] for name in told):
                other_at.append(min(row["at"], told["at"]))
    if other_at:
        mark_stale(connection, account, min(other_at))
    insert_or_replace(connection, touches, ("account", "key"), list(by_key.values()))


class TouchLog:
    """One account's touches. ``own_user_id``: in whose name the bridge works, if that is known."""

    def __init__(self, store: AccountStore, own_user_id: int | None = None) -> None:
        self._store = store
        self._own_user_id = own_user_id

    def on(
        self, cards: Iterable[Card], since: datetime | None = None, until: datetime | None = None
    ) -> dict[Card, list[Touch]]:
        """Card → its touches before ``until``, oldest first; cards without any are left out. Raises
        StoreUnavailable."""
        with self._store.read() as connection:
            rows = _rows(connection, self._store.account_id, cards, since, until)
            return _by_card(row for row in rows if self._counts(row))

    def between(self, begin: datetime, end: datetime) -> list[tuple[Card, Touch]]:
        """All touches from ``begin`` until before ``end``, oldest first. Raises StoreUnavailable."""
        span = (touches.c.at >= begin.timestamp(), touches.c.at < end.timestamp())
        query = select(touches).where(self._store.owns(touches), *span).order_by(touches.c.at, touches.c.id)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [((row.entity_type, row.entity_id), _touch(row)) for row in rows if self._counts(row)]

    def _counts(self, row: Row[Any]) -> bool:
        if row.kind in BY_PEOPLE:
            return row.user_id not in (None, 0, self._own_user_id)
        return not _is_bots(row)


def _rows(
    connection: Connection,
    account: int,
    cards: Iterable[Card],
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Row[Any]]:
    """What is kept of these cards, before ``until``; of each card the oldest first."""
    by_type: dict[str, set[int]] = {}
    for kind, number in cards:
        by_type.setdefault(kind, set()).add(number)
    recent = [touches.c.at >= (since.timestamp() if since else 0.0)]
    recent += [touches.c.at < until.timestamp()] if until else []
    for kind, numbers in by_type.items():
        for chunk in chunks(sorted(numbers)):
            mine = (touches.c.account == account, touches.c.entity_type == kind, touches.c.entity_id.in_(chunk))
            # Sorted here: for the sake of an ORDER BY SQLite reads all touches of the account by their time.
            rows = connection.execute(select(touches).where(*mine, *recent)).all()
            yield from sorted(rows, key=lambda row: (row.at, row.id))


def _by_card(rows: Iterable[Row[Any]]) -> dict[Card, list[Touch]]:
    found: dict[Card, list[Touch]] = {}
    for row in rows:
        found.setdefault((row.entity_type, row.entity_id), []).append(_touch(row))
    return found


def in_order(of_cards: Mapping[Card, Sequence[Touch]], cards: Iterable[Card]) -> list[Touch]:
    """The touches of several cards together, oldest first; a call that is noted several times is one."""
    found = [(card, touch) for card in cards for touch in of_cards.get(card, ())]
    others = [touch for _, touch in found if touch.kind != "call"]
    noted = by_call((card, touch) for card, touch in found if touch.kind == "call")
    calls = [replace(max(notes, key=knows_most), at=notes[0].at) for notes in noted]
    return sorted((*others, *calls), key=lambda touch: touch.at)


def _touch(row: Row[Any]) -> Touch:
    return Touch(
        kind=row.kind,
        direction=row.direction,
        at=datetime.fromtimestamp(row.at, UTC),
        user_id=row.user_id or None,
        seconds=None if row.seconds == UNKNOWN_LENGTH else row.seconds,
        status=row.status,
        phone=row.phone,
        uniq=row.uniq,
        result=row.result,
    )


def unanswered_touches(connection: Connection, account: int, records: Iterable[DealRecord]) -> dict[int, Touches]:
    """Deal → what its client waits for an answer to, oldest first; a deal whose client waits for none is left out."""
    cards = {record.id: cards_of(record) for record in records}
    rows = _rows(connection, account, (card for own in cards.values() for card in own))
    found = _by_card(row for row in rows if not _is_bots(row))
    waiting = {deal_id: Touches(in_order(found, own)).unanswered() for deal_id, own in cards.items()}
    return {deal_id: unanswered for deal_id, unanswered in waiting.items() if unanswered}


def cards_of(record: DealRecord) -> list[Card]:
    """The cards on which a deal's touches are: its own, its contacts' and its company's."""
    company = [("company", record.company_id)] if record.company_id else []
    return [("deal", record.id), *(("contact", contact_id) for contact_id in record.contact_ids), *company]


def _is_bots(row: Row[Any]) -> bool:
    """An answer of a bot in a chat is nobody's."""
    return row.kind == "chat" and row.direction == "out" and not row.user_id


# The client called or wrote: told on the deal, and on each open deal of the contact on whose card it lies.


def answers_in(connection: Connection, account: int, told: Sequence[Event]) -> Iterator[list[ClientAnswered]]:
    """For each event what of it was the client's answer, and on which deals. What only looks like one (``no_answer``)
    is among them: the journal is to say why nothing was done."""
    answers = [touch if (touch := event.touch) and touch.direction == "in" else None for event in told]
    people = {touch.card[1] for touch in answers if touch and touch.card[0] == "contact"}
    deals_of = _open_deals(connection, account, people) if people else {}
    for event, touch in zip(told, answers, strict=True):
        yield list(_answer_on_deals(event, touch, deals_of)) if touch else []


def _answer_on_deals(
    event: Event, touch: TouchRecord, deals_of: Mapping[int, Sequence[int]]
) -> Iterator[ClientAnswered]:
    kind, number = touch.card
    for deal_id in [number] if kind == "deal" else deals_of.get(number, ()) if kind == "contact" else ():
        yield ClientAnswered(
            at=event.at,
            account_id=event.account_id,
            caught_up=event.caught_up,
            made_by=event.made_by or ("" if event.usual_origin == "webhook" else event.usual_origin),
            deal_id=deal_id,
            by=touch.kind,
            source=touch.key,
            contact_id=number if kind == "contact" else touch.contact_id,
            text=touch.text,
            files=touch.files,
            file_names=touch.file_names,
            no_answer=touch.no_answer,
            doubt=touch.doubt,
            on_contact=kind == "contact",
        )


def _open_deals(connection: Connection, account: int, contact_ids: Iterable[int]) -> dict[int, list[int]]:
    known = known_contacts(connection, account, contact_ids)
    linked = sorted({deal_id for one in known.values() for deal_id in one.deal_ids})
    are_open = set(_open_ones(connection, account, linked))
    return {one.id: [deal_id for deal_id in one.deal_ids if deal_id in are_open] for one in known.values()}


def _open_ones(connection: Connection, account: int, deal_ids: Sequence[int]) -> Iterator[int]:
    for chunk in chunks(deal_ids):
        mine = (deals.c.account == account, deals.c.deal_id.in_(chunk), deals.c.status_id.not_in((WON, LOST)))
        yield from connection.execute(select(deals.c.deal_id).where(*mine)).scalars()


# What the mirror learns from events as they come in, in the transaction that keeps them.
#
# Deals and contacts are learnt later, by a fresh read; tasks at the door (``task_door``).


def record_touches(connection: Connection, account: int, told: Sequence[Event]) -> None:
    """Touches are counted; who is deleted is forgotten."""
    touches = [(event.caught_up, touch) for event in told if (touch := event.touch) and touch.is_contact]
    add_touches(connection, account, [touch for caught_up, touch in touches if not caught_up])
    # amoCRM's own list knows who it was; a hook does not always.
    correct_touches(connection, account, [touch for caught_up, touch in touches if caught_up])
    gone = [event.client_id for event in told if isinstance(event, ClientDeleted) and event.kind == "contact"]
    forget_contacts(connection, account, gone)
