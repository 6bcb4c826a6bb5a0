"""On which stage a deal was made that has been moved since: told by its moves, while lists are read back to its making.

A deal that the mirror never knew is judged as it is now. Without its origin it would seem to have been made there, and
no gate would have anything to put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from amo_bridge.events import DealAdded, DealMoved, Event

Stage = tuple[int | None, int | None]


class Origins:
    """Of one look: its events have to come from the newest to the oldest."""

    def __init__(self) -> None:
        self._oldest: dict[int, list[DealMoved]] = {}

    def learn(self, newest_first: Iterable[Event]) -> None:
        """The oldest move tells where the deal was before all others; of several in one second, all are kept."""
        for event in newest_first:
            if isinstance(event, DealMoved) and event.old_status_id is not None:
                moves = self._oldest.setdefault(event.deal_id, [])
                if moves and moves[-1].at != event.at:
                    moves.clear()
                moves.append(event)

    def told_with(self, newest_first: Sequence[Event]) -> list[Event]:
        """The same, where a deal that was made says on which stage. Within one second amoCRM lists in any order."""
        self.learn(newest_first)
        return [self._as_made(event) if isinstance(event, DealAdded) else event for event in newest_first]

    def _as_made(self, event: DealAdded) -> DealAdded:
        if event.deal_id not in self._oldest:
            return event
        pipeline_id, status_id = _origin(self._oldest[event.deal_id])
        return replace(event, pipeline_id=pipeline_id, status_id=status_id)


def _origin(moves: Sequence[DealMoved]) -> Stage:
    """Where the first of these moves, all of one second, began: where none of the others has led. Where they go round
    in a circle, the oldest in the list is believed."""
    led_to = {(move.pipeline_id, move.status_id) for move in moves}
    began = [(move.old_pipeline_id, move.old_status_id) for move in moves]
    return next((stage for stage in began if stage not in led_to), began[-1])
