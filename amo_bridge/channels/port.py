"""A port: how one kind of thing leaves the house. The vendors stand behind it, in ``amo_bridge/channels``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.engine import Connection

from amo_bridge.engine.effects import Channel, Effect
from amo_bridge.engine.outbox import Sendable


@dataclass(frozen=True)
class Sent:
    """It is out. ``told``: to whom and how, in Russian, for the journal (no addresses). ``then``: what follows in
    amoCRM."""

    told: str = ""
    then: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class NotSent:
    """It is not to go out at all, and why; ``then``: as in Sent."""

    why: str
    then: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Later:
    """Not now: ``until`` (UTC, the account's clock)."""

    until: datetime
    why: str


Outcome = Sent | NotSent | Later
Job = Callable[[], Outcome]
"""Sends one. Raises ChannelDown, ChannelBusy, ChannelUncertain, ChannelRefused."""


class Port(Protocol):
    """``in_order``: of one deal the older goes first. ``is_far``: it waits for somebody else's server, so it gets a
    thread of its own. ``repeats_doubtful``: what was perhaps sent is sent again. ``gives_up_after``: what could not be
    sent for so long is not sent any more by itself."""

    @property
    def channel(self) -> Channel: ...

    @property
    def in_order(self) -> bool: ...

    @property
    def is_far(self) -> bool: ...

    @property
    def repeats_doubtful(self) -> bool: ...

    @property
    def gives_up_after(self) -> timedelta: ...

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        """Row id → its outcome, or how to send it; asks amoCRM what it needs for all of them together.

        Raises CrmError; then all wait."""

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        """What the port itself remembers of it, in the transaction that settles the row."""

    def rest(self) -> None:
        """Nothing more to send for now: connections may be closed."""
