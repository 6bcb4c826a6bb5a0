"""The port of a kind of channel that has no vendor: the journal says plainly that nothing was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy.engine import Connection

from amo_bridge.engine.effects import Lane
from amo_bridge.engine.lanes.port import Job, NotSent, Outcome
from amo_bridge.engine.outbox import Sendable

NAMES: Mapping[Lane, str] = {
    "mail": "почта",
    "notices": "уведомления",
    "audiences": "аудитории",
    "sms": "SMS",
    "dial": "автодозвон",
    "series": "серии писем",
    "ledger": "учёт нарушений",
    "storage": "хранилище документов",
}
"""How people call the lanes."""
NOTHING_SENT = "никуда не отправлено: канал «{}» не подключён"


class NotConnected:
    in_order = True
    is_far = False
    repeats_doubtful = True
    gives_up_after = timedelta(days=36500)

    def __init__(self, lane: Lane) -> None:
        self.lane: Lane = lane

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        return {row.id: NotSent(NOTHING_SENT.format(NAMES[self.lane])) for row in rows}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        """There is nothing to remember."""

    def rest(self) -> None:
        """There is no connection to close."""
