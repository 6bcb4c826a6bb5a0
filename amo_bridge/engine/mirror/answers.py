"""The client called or wrote: told on the deal, and on each open deal of the contact on whose card it lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import LOST, WON
from amo_bridge.engine.mirror.contacts import known_contacts
from amo_bridge.engine.mirror.touch_of import touch_of
from amo_bridge.events import ClientAnswered, Event, MailLogged, MessageReceived, SmsLogged
from amo_bridge.storage.database import chunks
from amo_bridge.storage.tables import deals


def answers_in(connection: Connection, account: int, told: Sequence[Event]) -> list[ClientAnswered]:
    """What of this was the client's answer, and on which deals; each once, in the order in which it was told."""
    found = [(event, touch) for event in told if (touch := touch_of(event)) and touch.direction == "in"]
    people = {touch.card[1] for _, touch in found if touch.card[0] == "contact"}
    deals_of = _open_deals(connection, account, people) if people else {}
    answers = []
    for event, touch in found:
        kind, number = touch.card
        for deal_id in [number] if kind == "deal" else deals_of.get(number, ()) if kind == "contact" else ():
            answers.append(
                ClientAnswered(
                    at=event.at,
                    account_id=event.account_id,
                    caught_up=event.caught_up,
                    deal_id=deal_id,
                    by=touch.kind,
                    source=touch.key,
                    contact_id=number if kind == "contact" else getattr(event, "contact_id", None),
                    text=_words(event),
                    files=event.attachments if isinstance(event, MailLogged) else 0,
                )
            )
    return answers


def _words(event: Event) -> str:
    if isinstance(event, MailLogged):
        return event.subject
    return event.text if isinstance(event, MessageReceived | SmsLogged) else ""


def _open_deals(connection: Connection, account: int, contact_ids: Iterable[int]) -> dict[int, list[int]]:
    known = known_contacts(connection, account, contact_ids)
    linked = sorted({deal_id for one in known.values() for deal_id in one.deal_ids})
    are_open = set(_open_ones(connection, account, linked))
    return {one.id: [deal_id for deal_id in one.deal_ids if deal_id in are_open] for one in known.values()}


def _open_ones(connection: Connection, account: int, deal_ids: Sequence[int]) -> Iterator[int]:
    for chunk in chunks(deal_ids):
        mine = (deals.c.account == account, deals.c.deal_id.in_(chunk), deals.c.status_id.not_in((WON, LOST)))
        yield from connection.execute(select(deals.c.deal_id).where(*mine)).scalars()
