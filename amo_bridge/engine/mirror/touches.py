"""Touches: who was in contact with a client, when, and whose turn it was. amoCRM has no such list; hooks and its
events list are gathered here.

A call, a letter or a message counts whoever made it, an answer of a bot in a chat excepted. A finished task and a
moved deal count only when a person did it: not a robot, and not the bridge, which works in its token's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from amo_bridge.rules.deal import Direction, Touch
from amo_bridge.storage.database import Store, chunks, insert_new, insert_or_replace
from amo_bridge.storage.tables import touches

Card = tuple[str, int]
"""(deal, contact or company; its id)"""
Kind = Literal["call", "mail", "chat", "sms", "task", "move"]
BY_PEOPLE = ("task", "move")


@dataclass(frozen=True, kw_only=True)
class Noted:
    """One touch as it is kept. ``key`` says what it was (a note, a message, …): told twice, it is one."""

    key: str
    kind: Kind
    direction: Direction
    at: datetime
    card: Card
    user_id: int | None = None
    seconds: int = 0

    def row(self, account: int) -> dict[str, Any]:
        return {
            "account": account,
            "key": self.key[:80],
            "kind": self.kind,
            "direction": self.direction,
            "at": self.at.timestamp(),
            "user_id": self.user_id,
            "entity_type": self.card[0],
            "entity_id": self.card[1],
            "seconds": self.seconds,
        }


def add_touches(connection: Connection, account: int, noted: Sequence[Noted]) -> None:
    """Keep those that are not there yet."""
    insert_new(connection, touches, [one.row(account) for one in noted])


def correct_touches(connection: Connection, account: int, noted: Sequence[Noted]) -> None:
    """Keep them as they are told now."""
    by_key = {one.key: one.row(account) for one in noted}
    insert_or_replace(connection, touches, ("account", "key"), list(by_key.values()))


class TouchLog:
    """One account's touches. ``own_user_id``: in whose name the bridge works, if that is known."""

    def __init__(self, store: Store, account: int, own_user_id: int | None = None) -> None:
        self._store = store
        self._account = account
        self._own_user_id = own_user_id

    def on(self, cards: Iterable[Card], since: datetime | None = None) -> dict[Card, list[Touch]]:
        """Card → its touches, oldest first; cards without any are left out. Raises StoreUnavailable."""
        by_type: dict[str, set[int]] = {}
        for kind, number in cards:
            by_type.setdefault(kind, set()).add(number)
        found: dict[Card, list[Touch]] = {}
        with self._store.read() as connection:
            for kind, numbers in by_type.items():
                for row in self._rows(connection, kind, sorted(numbers), since):
                    if self._counts(row):
                        found.setdefault((row.entity_type, row.entity_id), []).append(_touch(row))
        return found

    def _rows(
        self, connection: Connection, kind: str, ids: Sequence[int], since: datetime | None
    ) -> Iterable[Row[Any]]:
        recent = touches.c.at >= (since.timestamp() if since else 0.0)
        for chunk in chunks(ids):
            mine = (touches.c.account == self._account, touches.c.entity_type == kind, touches.c.entity_id.in_(chunk))
            yield from connection.execute(select(touches).where(*mine, recent).order_by(touches.c.at, touches.c.id))

    def _counts(self, row: Row[Any]) -> bool:
        if row.kind in BY_PEOPLE:
            return row.user_id not in (None, 0, self._own_user_id)
        is_bots = row.kind == "chat" and row.direction == "out" and not row.user_id
        return not is_bots


def in_order(of_cards: Mapping[Card, Sequence[Touch]], cards: Iterable[Card]) -> list[Touch]:
    """The touches of several cards together, oldest first."""
    return sorted((touch for card in cards for touch in of_cards.get(card, ())), key=lambda touch: touch.at)


def _touch(row: Row[Any]) -> Touch:
    return Touch(
        kind=row.kind,
        direction=row.direction,
        at=datetime.fromtimestamp(row.at, UTC),
        user_id=row.user_id or None,
        seconds=row.seconds,
    )
