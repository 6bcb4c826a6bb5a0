"""Port: the interface by which one channel sends, whichever vendor stands behind it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sqlalchemy.engine import Connection

from amo_bridge.engine.effects import Channel, Effect
from amo_bridge.engine.outbox import Sendable
from amo_bridge.errors import ChannelRefused
from amo_bridge.lazy.dataclasses import dataclass


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


def refusal(why: str) -> Job:
    """A job that does not send: the config has to be mended first; then a person has it tried again. ``why``:
    Russian."""

    def refuse() -> Outcome:
        raise ChannelRefused(why)

    return refuse


LostAnswer = Literal["repeat", "find", "leave"]
"""What becomes of an effect whose answer was lost: sent again; looked for at the vendor's first; left to a person."""


class Port(Protocol):
    """What every vendor's port has; the vendor's own subclasses this and keeps what suits it.

    ``channel``: which way out it serves. ``in_order``: of one deal the older goes first. ``is_far``: it waits for
    somebody else's server, so it gets a thread of its own. ``batch_size``: so many are planned and sent in one go.
    ``gives_up_after``: what could not be sent for so long is not sent any more by itself.
    """

    channel: Channel
    in_order: bool = True
    is_far: bool = True
    batch_size: int = 50
    lost_answer: LostAnswer = "leave"
    gives_up_after: timedelta = timedelta(hours=24)

    @abstractmethod
    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        """Row id → its outcome, or how to send it; asks amoCRM what it needs for all of them together. A row that is
        left out waits for the next round.

        Raises CrmError; then all wait."""

    def given_up(self, row: Sendable, why: str, *, is_known: bool) -> tuple[Effect, ...]:
        """What follows in amoCRM from giving up a row. ``is_known``: it surely did not go out; otherwise nobody can
        tell. ``why``: Russian."""
        return ()

    def find_lost(self, row: Sendable) -> Sent | None:
        """What became of a row that was perhaps sent; None: the vendor does not have it. Asked only if ``lost_answer``
        is "find". Raises ChannelError."""
        raise ChannelRefused("у поставщика не спросить, дошло ли")

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        """What the port itself remembers of it, in the transaction that settles the row."""
        return

    def run_due(self) -> int:
        """What the port has to do by the clock, beside rows of the outbox; how much was moved on. Raises BridgeError,
        as ``plan`` and a Job do."""
        return 0

    def recover(self) -> None:
        """The process died, or a round broke off: whatever was just being sent is in doubt."""
        return

    def rest(self) -> None:
        """Nothing more to send for now: connections may be closed."""
        return


FOREVER = timedelta(days=36500)


class LocalPort(Port, Protocol):
    """A port that needs nobody's server: it runs with the worker's rounds, never gives up, and repeats what a crash
    has interrupted."""

    is_far: bool = False
    lost_answer: LostAnswer = "repeat"
    gives_up_after: timedelta = FOREVER
