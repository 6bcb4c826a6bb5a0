"""New deals of the bridge's own: known by what was written, so that they need not be read.

Only what amoCRM has just confirmed counts, for as long as a read would count as fresh, and as long as no webhook says
anything else: amoCRM's own robots may work on a new deal at once. A restart forgets it, and the deal is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from amo_bridge.clock import Clock
from amo_bridge.crm.lost_writes import Written
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.freshness import MAX_READ_AGE_SECONDS
from amo_bridge.engine.outbox import Sendable
from amo_bridge.events import DealAdded, DealReported, Event
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.deals import MirroredDeal

# So late the webhook about the new deal is still taken for its echo.
ECHO_WITHIN_SECONDS = 120.0
# amoCRM's clock is known by answers whose times have whole seconds.
CLOCK_ERROR = timedelta(seconds=5)
# Kinds of writes that leave the deal itself as it is.
BESIDE_THE_DEAL = ("add_note", "create_task", "add_call")


@dataclass(frozen=True)
class _NewDeal:
    record: DealRecord
    known_at: float


class NewDeals:
    """Of one account; the worker's thread alone uses it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[int, _NewDeal] = {}

    def put(self, row: Sendable, written: Written, asked_at: datetime, user_id: int) -> None:
        """A client's deal is there. ``asked_at``: when it was asked for, by amoCRM's clock; ``user_id``: as whom."""
        body = row.body
        contact_id = body["_embedded"]["contacts"][0].get("id") or written.contact_id
        if contact_id is None:
            return
        # Surely not later than it was made: whatever comes later is news.
        at = asked_at.replace(microsecond=0) - CLOCK_ERROR
        record = DealRecord(
            id=written.id,
            name=body["name"],
            pipeline_id=body["pipeline_id"],
            status_id=body["status_id"],
            responsible_user_id=body["responsible_user_id"],
            created_by=user_id,
            updated_by=user_id,
            created_at=at,
            updated_at=at,
            tags=tuple(tag["name"] for tag in body["_embedded"]["tags"]),
            contact_ids=(contact_id,),
            main_contact_id=contact_id,
            fields={
                one["field_id"]: tuple(value["value"] for value in one["values"] or ())
                for one in body.get("custom_fields_values") or ()
            },
        )
        self._forget_old()
        self._known[written.id] = _NewDeal(record, self._clock.now().timestamp())

    def forget(self, written: Iterable[Sendable]) -> None:
        """These writes have changed deals."""
        for row in written:
            if row.kind not in BESIDE_THE_DEAL:
                self._known.pop(row.deal_id, None)

    def fresh(self, deal_id: int, events: Sequence[Event]) -> DealRecord | None:
        """The deal, as good as read just now; None if it has to be read. ``events``: all that a round knows of it."""
        known = self._known.get(deal_id)
        if known is None or self._age(known) > MAX_READ_AGE_SECONDS:
            return None
        reported = [event for event in events if isinstance(event, DealReported)]
        if not all(_is_echo(known.record, event) for event in reported):
            del self._known[deal_id]
            return None
        # A webhook's time is amoCRM's own; that of the event which the sender has queued is not.
        told = (event.at for event in reported if event.name is not None)
        return replace(known.record, updated_at=max([known.record.updated_at, *filter(None, told)]))

    def __contains__(self, deal_id: int) -> bool:
        return deal_id in self._known

    def confirmed(self, event: Event, copy: MirroredDeal | None) -> MirroredDeal | None:
        """The mirror's copy once the webhook about the new deal says the same as it; None for anything else."""
        if copy is None or not isinstance(event, DealAdded) or event.at is None:
            return None
        known = self._known.get(event.deal_id)
        is_new = known is not None and self._age(known) <= ECHO_WITHIN_SECONDS
        if not is_new or event.at <= copy.record.updated_at or not _is_echo(copy.record, event):
            return None
        return replace(copy, record=replace(copy.record, updated_at=event.at))

    def _age(self, known: _NewDeal) -> float:
        return abs(self._clock.now().timestamp() - known.known_at)

    def _forget_old(self) -> None:
        self._known = {number: one for number, one in self._known.items() if self._age(one) <= ECHO_WITHIN_SECONDS}


def _is_echo(record: DealRecord, event: DealReported) -> bool:
    """Does it tell of the creation, and nothing else than what was written?"""
    if not isinstance(event, DealAdded):
        return False
    at = event.at or record.updated_at
    return MirroredDeal(replace(record, updated_at=at), at).covers(replace(event, at=at))
