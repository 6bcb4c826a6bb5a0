"""The key under which an event is acted on."""

from __future__ import annotations

import hashlib

from amo_bridge.events import DealObserved, Event, FieldChanged, StageEntered, TaskAnswered, TaskObserved


def event_key(event: Event, told_key: str) -> str:
    """The same however often the event is judged again. That one thing is told of by several hooks is the mirror's
    matter: only the first of them finds something changed."""
    if not isinstance(event, DealObserved):
        return told_key
    moment = int(event.at.timestamp()) if event.at else 0
    what = type(event).__name__
    if isinstance(event, StageEntered):
        return f"{what}:{event.deal_id}:{event.stage[0]}.{event.stage[1]}:{moment}:{told_key}"
    if isinstance(event, FieldChanged):
        return f"{what}:{event.deal_id}:{_digest(event.field_name, event.old, event.new)}:{moment}:{told_key}"
    if isinstance(event, TaskAnswered):
        # An answer is one, whichever of the two hooks told of it, or if it had to be looked for.
        return f"{what}:{event.task_id}:{_digest(event.result)}"
    if isinstance(event, TaskObserved):
        return f"{what}:{event.task_id}:{moment}:{told_key}"
    return f"{what}:{event.deal_id}:{moment}:{told_key}"


def _digest(*parts: str | None) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]
