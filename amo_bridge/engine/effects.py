"""Effects: actions in amoCRM's ids, ready to be kept in the outbox and sent.

One effect is one change of one thing in amoCRM. ``payload`` is JSON; it holds all that is needed to send it, to look
for it when an answer was lost, and to see that it is not needed any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, FromClause

from amo_bridge.crm.writes import CrmKind
from amo_bridge.storage.tables import outbox

ChannelKind = Literal[
    "send_letter", "notify", "join_audience", "leave_audience", "send_sms",
    "start_auto_dial", "stop_auto_dial", "start_series", "stop_series", "record_violation", "store_file",
]  # fmt: skip
Kind = CrmKind | ChannelKind
"""Stored names. Those of writes into amoCRM are rows of ``crm/writes.WRITE_KINDS``."""

Channel = Literal["crm", "mail", "notices", "audiences", "sms", "dial", "series", "ledger", "storage"]
"""Effects of different lanes don't wait for each other: a dead mail server holds up letters and nothing else."""

OUTSIDE: Mapping[str, Channel] = {
    "send_letter": "mail",
    "notify": "notices",
    "join_audience": "audiences",
    "leave_audience": "audiences",
    "send_sms": "sms",
    "start_auto_dial": "dial",
    "stop_auto_dial": "dial",
    "start_series": "series",
    "stop_series": "series",
    "record_violation": "ledger",
    "store_file": "storage",
}
"""Kind → lane, of what goes past amoCRM's API."""

# The payload keys that tell people and the engine about the effect; the rest goes to amoCRM as it is.
NEW_URL, NEW_ID = "{new.url}", "{new.id}"


@dataclass(frozen=True)
class Effect:
    """``words``: what it does, in Russian, for the journal. ``body``: the object for amoCRM's API.

    ``slot``: the rule's own mark. ``once``: made once per rule, deal and slot, whatever happens to the deal.
    ``expects``: for a patch of a deal, the (pipeline, status) it was decided on; if the deal has left, it is dropped.
    ``rolls_back``: entering the stage is no event. ``then``: to be done after this one exists.
    """

    kind: Kind
    deal_id: int
    body: Mapping[str, Any]
    words: str
    slot: str = ""
    once: bool = False
    expects: tuple[int, int] | None = None
    rolls_back: bool = False
    then: tuple[Effect, ...] = ()
    not_before: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def all_words(self) -> list[str]:
        """Its words and those of what is done after it."""
        return [self.words, *(words for follow in self.then for words in follow.all_words)]

    def payload(self) -> dict[str, Any]:
        return {
            "body": dict(self.body),
            "words": self.words,
            "slot": self.slot,
            "expects": list(self.expects) if self.expects else None,
            "rolls_back": self.rolls_back,
            "not_before": self.not_before,
            **self.extra,
        }


# Which rows of the outbox are a lane's: told by their kind.


def in_lane(lane: Channel, rows: FromClause = outbox) -> ColumnElement[bool]:
    """Rows of ``outbox`` (or an alias of it) that are of this lane."""
    if lane == "crm":
        return rows.c.kind.not_in(list(OUTSIDE))
    return rows.c.kind.in_([kind for kind, its_lane in OUTSIDE.items() if its_lane == lane])
