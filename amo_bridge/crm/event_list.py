"""amoCRM's list of events, read back and told in our own events: what happened while nobody was listening.

The list is sorted newest first and lags behind writes by seconds (amoCRM docs, events-and-notes). It tells that a file
was attached or a call logged only by the id of its note, so those notes are read as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.entities import NoteRecord
from amo_bridge.crm.records import embedded
from amo_bridge.crm.values import identifier, integer
from amo_bridge.events import (
    CallLogged,
    DealAdded,
    DealDeleted,
    DealMoved,
    Event,
    FileAttached,
    NoteAdded,
    TaskCompleted,
)

# More than this falls back to 50 (amoCRM docs, events-and-notes).
PAGE = 100
MOVED, ADDED, DELETED, TASK_DONE = "lead_status_changed", "lead_added", "lead_deleted", "task_completed"
NOTES = ("attachment_note_added", "common_note_added", "incoming_call", "outgoing_call")
CHUNK = 50
ATTACHMENT, COMMON, CALL_IN, CALL_OUT = 5, 4, 10, 11


def newest_at(client: CrmClient) -> datetime | None:
    """When the account's newest event happened; None in an account where nothing ever did."""
    rows = embedded(client.get("/api/v4/events", {"limit": 1}) or {}, "events")
    return _at(rows[0]) if rows else None


def events_since(client: CrmClient, since: datetime) -> list[Event]:
    """What happened to deals since a moment (amoCRM's clock), oldest first. Raises CrmError."""
    rows = list(_rows_since(client, since))
    rows.reverse()
    notes = _notes(client, (row for row in rows if row["type"] in NOTES and row.get("entity_type") == "lead"))
    tasks = _tasks(client, (row for row in rows if row["type"] == TASK_DONE))
    found = []
    for row in rows:
        event = _deal_event(row) or notes.get(_note_id(row) or 0) or tasks.get(row.get("entity_id") or 0)
        if event is not None:
            found.append(event)
    return found


def _rows_since(client: CrmClient, since: datetime) -> Iterator[Mapping[str, Any]]:
    start = int(since.timestamp())
    kinds = ",".join((MOVED, ADDED, DELETED, TASK_DONE, *NOTES))
    params = {"filter": {"created_at": {"from": start}, "type": kinds}}
    for row in client.pages("/api/v4/events", params, "events", limit=PAGE):
        # The filter by time is believed only as far as it holds: older rows end the reading.
        if (integer(row.get("created_at")) or 0) < start:
            return
        yield row


def _deal_event(row: Mapping[str, Any]) -> Event | None:
    deal_id = identifier(row.get("entity_id"))
    if deal_id is None or row.get("entity_type") != "lead":
        return None
    common: dict[str, Any] = {
        "at": _at(row),
        "deal_id": deal_id,
        "user_id": integer(row.get("created_by")),
        "caught_up": True,
    }
    if row["type"] == ADDED:
        return DealAdded(**common)
    if row["type"] == DELETED:
        return DealDeleted(**common)
    if row["type"] == MOVED:
        after, before = _stage(row, "value_after"), _stage(row, "value_before")
        return DealMoved(
            pipeline_id=after[0], status_id=after[1], old_pipeline_id=before[0], old_status_id=before[1], **common
        )
    return None


def _stage(row: Mapping[str, Any], side: str) -> tuple[int | None, int | None]:
    for value in row.get(side) or []:
        if isinstance(value, Mapping) and isinstance(status := value.get("lead_status"), Mapping):
            return identifier(status.get("pipeline_id")), identifier(status.get("id"))
    return None, None


def _notes(client: CrmClient, rows: Iterable[Mapping[str, Any]]) -> dict[int, Event]:
    """Note id → the event its note is."""
    authors = {note_id: integer(row.get("created_by")) for row in rows if (note_id := _note_id(row))}
    found: dict[int, Event] = {}
    for chunk in _chunks(sorted(authors)):
        for row in client.pages("/api/v4/leads/notes", {"filter": {"id": chunk}}, "notes"):
            note = NoteRecord.from_api(row)
            if note.id in authors:
                found[note.id] = _note_event(note, authors[note.id])
    return found


def _note_event(note: NoteRecord, author: int | None) -> Event:
    common: dict[str, Any] = {
        "at": note.created_at,
        "caught_up": True,
        "note_id": note.id,
        "entity_type": "deal",
        "entity_id": note.entity_id,
        "user_id": author,
    }
    params = note.params
    if note.note_type == "attachment":
        name = str(params.get("original_name") or params.get("file_name") or params.get("text") or "")
        return FileAttached(file_name=name, file_uuid=params.get("file_uuid"), note_type=ATTACHMENT, **common)
    if note.note_type in ("call_in", "call_out"):
        return CallLogged(
            direction="in" if note.note_type == "call_in" else "out",
            phone=str(params["phone"]) if params.get("phone") else None,
            seconds=max(integer(params.get("duration")) or 0, 0),
            link=params.get("link") or None,
            status=integer(params.get("call_status")),
            result=params.get("call_result") or None,
            note_type=CALL_IN if note.note_type == "call_in" else CALL_OUT,
            **common,
        )
    return NoteAdded(text=note.text, note_type=COMMON, **common)


def _tasks(client: CrmClient, rows: Iterable[Mapping[str, Any]]) -> dict[int, Event]:
    """Task id → its completion. The list names the task alone, so the task is read for its card and its result."""
    done = {task_id: row for row in rows if (task_id := identifier(row.get("entity_id")))}
    found: dict[int, Event] = {}
    for chunk in _chunks(sorted(done)):
        for task in client.pages("/api/v4/tasks", {"filter": {"id": chunk}}, "tasks"):
            task_id = identifier(task.get("id"))
            if task_id in done and task.get("entity_type") == "leads":
                result = task.get("result")
                found[task_id] = TaskCompleted(
                    at=_at(done[task_id]),
                    caught_up=True,
                    task_id=task_id,
                    entity_type="deal",
                    entity_id=identifier(task.get("entity_id")),
                    text=str(task.get("text") or ""),
                    is_completed=True,
                    user_id=integer(done[task_id].get("created_by")),
                    result=str(result.get("text") or "") or None if isinstance(result, Mapping) else None,
                )
    return found


def _note_id(row: Mapping[str, Any]) -> int | None:
    for value in row.get("value_after") or []:
        if isinstance(value, Mapping) and isinstance(note := value.get("note"), Mapping):
            return identifier(note.get("id"))
    return None


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def _at(row: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(integer(row.get("created_at")) or 0, UTC)
