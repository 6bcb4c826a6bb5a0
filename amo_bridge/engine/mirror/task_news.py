"""What is news in a word about a task: compared with what was known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, TypeVar

from amo_bridge.crm.records import EPOCH, TaskRecord
from amo_bridge.engine.mirror.own_writes import DoneWrite
from amo_bridge.engine.mirror.task_copy import TaskCopy
from amo_bridge.events import TaskAdded, TaskCompleted, TaskDeleted, TaskReported, TaskUpdated

# The hook and the events list may date one completion a little differently.
SLACK = timedelta(minutes=2)
NOTHING: Mapping[str, Any] = {}
FACTS = ("text", "task_type_id", "responsible_user_id", "due", "is_completed", "result")

Now = TaskCopy | None
Kind = TypeVar("Kind", bound=TaskReported)


def news_of(
    event: TaskReported, known: Now, made_for: int | None = None, written: Mapping[str, Any] = NOTHING
) -> tuple[TaskReported | None, Now]:
    """The event as rules are to hear it (None: nothing new), and what is known of the task from now on.

    ``made_for``: the deal of a task that a rule made, for a deleted one of which nothing else is known. ``written``:
    what the bridge is writing into the task just now (``own_writes``).
    """
    if isinstance(event, TaskDeleted):
        return _deleted(event, known, made_for), None
    if known is None:
        copy = TaskCopy.of_event(event)
        return event, replace(copy, is_completed=True, completed_at=event.at) if _completes(event) else copy
    if isinstance(event, TaskAdded) and known.created_at == EPOCH:
        # It was overtaken by a word about a later change.
        return event, replace(known, created_at=event.created_at or event.at or EPOCH, created_by=event.user_id or 0)
    if event.at is not None and event.at < known.updated_at:
        return None, known
    changed = differing(event, known)
    if changed and changed.items() <= written.items():
        # The echo of a write that is not yet recorded as done; the copy learns it when it is.
        return None, known
    now = _changed(event, known, changed)
    if changed:
        return _completed_by(event, known, changed), now
    return (_on_its_card(event, known), now) if _is_finished_again(event, known) else (None, now)


def differing(event: TaskReported, known: TaskCopy) -> dict[str, Any]:
    """What the event tells otherwise than it was known."""
    told = {name: getattr(event, name) for name in FACTS if _is_told(getattr(event, name))}
    if isinstance(event, TaskCompleted):
        told["is_completed"] = True
    return {name: value for name, value in told.items() if value != getattr(known, name)}


def is_in_doubt(event: TaskReported, known: TaskCopy, own: Sequence[DoneWrite] = ()) -> bool:
    """Can only a fresh read say whether the event tells what was before or after what is known?

    amoCRM's times have whole seconds, and hooks come in any order: so it is when another thing is told of the very
    second that is known, or of a time before one of our own writes was done. A result is only ever added.
    """
    if isinstance(event, TaskDeleted) or event.at is None or event.at < known.updated_at:
        return False
    if isinstance(event, TaskAdded) and known.created_at == EPOCH:
        return False
    if event.at > max((known.updated_at, *(one.at for one in own))):
        return False
    changed = differing(event, known)
    return bool(changed) and not (changed.keys() == {"result"} and known.result is None)


def settled(
    event: TaskReported,
    known: TaskCopy,
    record: TaskRecord,
    written: Mapping[str, Any] = NOTHING,
    own: Sequence[DoneWrite] = (),
) -> tuple[TaskReported | None, TaskCopy]:
    """As ``news_of`` for an event that is in doubt: ``record``, read after it was told, says what is so."""
    there = TaskCopy.of(record)
    facts = {name: getattr(there, name) for name in FACTS if _is_told(getattr(there, name))}
    changed = {name: value for name, value in facts.items() if value != getattr(known, name)}
    if changed and changed.items() <= written.items():
        return None, known
    at = max(record.updated_at, known.updated_at)
    completed_at = (at if there.is_completed else None) if "is_completed" in changed else known.completed_at
    now = replace(known, **changed, updated_at=at, completed_at=completed_at)
    ours = {name: value for one in own if event.at is None or one.at >= event.at for name, value in one.facts.items()}
    if changed.items() <= ours.items():
        # Nothing, or our own write put right what an older word had changed in the copy.
        return None, now
    if not changed.items() <= differing(event, known).items():
        # It tells of something else than what has become of the task since.
        event = replace(event, at=at, user_id=record.updated_by or None)
    return _completed_by(replace(event, **facts), known, changed), now


def _is_told(value: object) -> bool:
    return value is not None and value != ""


def _completes(event: TaskReported) -> bool:
    return isinstance(event, TaskCompleted) or bool(event.is_completed)


def _is_finished_again(event: TaskReported, known: TaskCopy) -> bool:
    """Nobody told that it was opened again meanwhile."""
    if not isinstance(event, TaskCompleted) or event.at is None:
        return False
    return event.at - (known.completed_at or EPOCH) > SLACK


def _changed(event: TaskReported, known: TaskCopy, changed: dict[str, Any]) -> TaskCopy:
    at = event.at or known.updated_at
    completed_at = known.completed_at
    if changed.get("is_completed") or _is_finished_again(event, known):
        completed_at = at
    elif changed.get("is_completed") is False:
        completed_at = None
    created_by = event.user_id or 0 if isinstance(event, TaskAdded) and not known.created_by else known.created_by
    return replace(
        known, **changed, created_by=created_by, updated_at=max(at, known.updated_at), completed_at=completed_at
    )


def _completed_by(event: TaskReported, known: TaskCopy, changed: dict[str, Any]) -> TaskReported:
    """The event with what was before, as the kind of event that it is by what changed: a hook that finds a task
    finished tells that it was finished, and one that only adds the result does not."""
    kind = TaskCompleted if changed.get("is_completed") else TaskUpdated
    more: dict[str, Any] = {
        "old_text": known.text if "text" in changed else None,
        "old_due": known.due if "due" in changed else None,
        "old_responsible_user_id": known.responsible_user_id if "responsible_user_id" in changed else None,
    }
    return _as(kind, _on_its_card(event, known), **more)


def _deleted(event: TaskDeleted, known: Now, made_for: int | None) -> TaskDeleted:
    if known is None:
        return replace(event, entity_type="deal", entity_id=made_for) if made_for and not event.entity_id else event
    return _as(TaskDeleted, _on_its_card(event, known), is_completed=known.is_completed)


def _on_its_card(event: TaskReported, known: TaskCopy) -> TaskReported:
    """What the event leaves out, as it was known."""
    facts = ("entity_type", "entity_id", "text", "task_type_id", "responsible_user_id", "due", "result")
    missing = {name: getattr(known, name) for name in facts if not _is_told(getattr(event, name))}
    return replace(event, **missing)


def _as(kind: type[Kind], event: TaskReported, **changed: Any) -> Kind:
    told = {one.name: getattr(event, one.name) for one in fields(event)}
    return kind(**(told | changed))
