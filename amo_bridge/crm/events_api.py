"""The notes that the events list names: files, calls, letters, SMS, texts.

A row names a note by its id alone, so the notes are read from their cards' lists.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import notes_by_ids, tasks_by_ids
from amo_bridge.crm.records import NoteRecord, TaskRecord
from amo_bridge.crm.values import ENTITY_TYPES, embedded, identifier, integer, moment
from amo_bridge.events import (
    CallLogged,
    ClientDeleted,
    ClientUpdated,
    DealAdded,
    DealDeleted,
    DealMoved,
    Event,
    FileAttached,
    MailLogged,
    MessageReceived,
    NoteAdded,
    SmsLogged,
    TaskAdded,
    TaskCompleted,
    TaskDeleted,
    TaskReported,
    TaskUpdated,
)

Row = Mapping[str, Any]
OF_DEALS = ("attachment_note_added", "common_note_added")
CALLS = ("incoming_call", "outgoing_call")
LETTERS = ("incoming_mail", "outgoing_mail")
SMS = ("incoming_sms", "outgoing_sms")
NOTES = (*OF_DEALS, *CALLS, *LETTERS, *SMS)
# Texts and files on the cards of contacts and companies are no business of the rules.
CARDS: Mapping[str, tuple[str, str]] = {
    "lead": ("leads", "deal"),
    "contact": ("contacts", "contact"),
    "company": ("companies", "company"),
}
CODES = {"common": 4, "attachment": 5, "call_in": 10, "call_out": 11, "sms_in": 102, "sms_out": 103}


def notes_told(client: CrmClient, rows: Sequence[Row], known: Callable[[Sequence[int]], set[int]]) -> dict[int, Event]:
    """Note id → the event its note is, of those not known yet. Raises CrmError."""
    wanted = {note_id: row for row in rows if _is_wanted(row) and (note_id := note_id_of(row))}
    for note_id in known(sorted(wanted)):
        wanted.pop(note_id, None)
    found: dict[int, Event] = {}
    for told, (wire, ours) in CARDS.items():
        ids = [note_id for note_id, row in wanted.items() if row.get("entity_type") == told]
        for note in notes_by_ids(client, wire, ids).values():
            found[note.id] = _note_event(note, ours, wanted[note.id])
    return found


def note_id_of(row: Row) -> int | None:
    """The note that a row speaks of."""
    for value in row.get("value_after") or []:
        if isinstance(value, Mapping) and isinstance(note := value.get("note"), Mapping):
            return identifier(note.get("id"))
    return None


def _is_wanted(row: Row) -> bool:
    kind, card = row.get("type"), row.get("entity_type")
    return kind in NOTES and card in CARDS and (card == "lead" or kind not in OF_DEALS)


def _note_event(note: NoteRecord, card: str, row: Row) -> Event:
    common: dict[str, Any] = {
        "at": note.created_at,
        "caught_up": True,
        "note_id": note.id,
        "entity_type": card,
        "entity_id": note.entity_id,
        "note_type": CODES.get(note.note_type),
        "user_id": integer(row.get("created_by")),
    }
    if note.note_type == "attachment":
        return FileAttached(**_file(note.params), **common)
    if note.note_type in ("call_in", "call_out"):
        return CallLogged(direction=_side(note), **_call(note.params), **common)
    if note.note_type in ("sms_in", "sms_out"):
        return SmsLogged(direction=_side(note), phone=_text(note.params.get("phone")), text=note.text, **common)
    if note.note_type == "amomail_message":
        side = "out" if row.get("type") == "outgoing_mail" else "in"
        return MailLogged(direction=side, **_letter(note.params), **common)
    return NoteAdded(text=note.text, **common)


def _side(note: NoteRecord) -> str:
    return "in" if note.note_type.endswith("_in") else "out"


def _file(params: Mapping[str, Any]) -> dict[str, Any]:
    name = params.get("original_name") or params.get("file_name") or params.get("text") or ""
    return {"file_name": str(name), "file_uuid": params.get("file_uuid")}


def _call(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uniq": _text(params.get("uniq")),
        "phone": _text(params.get("phone")),
        "seconds": max(integer(params.get("duration")) or 0, 0),
        "link": params.get("link") or None,
        "status": integer(params.get("call_status")),
        "result": params.get("call_result") or None,
    }


def _letter(params: Mapping[str, Any]) -> dict[str, Any]:
    """Keys as in amoCRM's own library (AmoMailMessageNote)."""
    return {
        "sender": _address(params.get("from")),
        "recipient": _address(params.get("to")),
        "subject": str(params.get("subject") or ""),
        "summary": str(params.get("content_summary") or ""),
        "thread_id": _text(params.get("thread_id")),
        "message_id": _text(params.get("message_id")),
        "attachments": integer(params.get("attach_cnt")) or 0,
    }


def _address(told: Any) -> str:
    return str(told.get("email") or "") if isinstance(told, Mapping) else str(told or "")


def _text(told: Any) -> str | None:
    return str(told) if told else None


# The tasks that the events list names: what a row says happened to a task, completed by a read of the task.
#
# A row names a task and perhaps one new value; on whose card the task is, only the task itself tells.

ADDED, DELETED, DONE = "task_added", "task_deleted", "task_completed"
DATE_CHANGED = "task_deadline_changed"
# amoCRM's filter takes no more (amoCRM docs, events-and-notes).
MOST_IDS = 10
CHANGED = ("task_text_changed", DATE_CHANGED, "task_type_changed", "task_result_added")
TASKS = (ADDED, DELETED, DONE, *CHANGED, "entity_responsible_changed")


def tasks_told(client: CrmClient, rows: Sequence[Row]) -> dict[int, TaskReported]:
    """The place of a row → what it says of a task. Tasks that are gone are told of only by their deletion. Raises
    CrmError."""
    about = {number: row for number, row in enumerate(rows) if _is_about_task(row)}
    ids = {identifier(row.get("entity_id")) for row in about.values() if row["type"] != DELETED}
    records = tasks_by_ids(client, [one for one in ids if one is not None])
    done = {identifier(row.get("entity_id")) for row in about.values() if row["type"] == DONE}
    found: dict[int, TaskReported] = {}
    for number, row in about.items():
        task_id = identifier(row.get("entity_id"))
        if task_id is not None and row["type"] == DELETED:
            found[number] = TaskDeleted(task_id=task_id, **_common_of_task(row))
        elif task_id is not None and (record := records.get(task_id)):
            found[number] = _task_event(row, record, was_done_later=task_id in done)
    return found


class Done(NamedTuple):
    """Who did it, and when. ``due``: to what the date was changed."""

    user_id: int | None
    at: datetime
    due: datetime | None = None


def doers_of(client: CrmClient, task_ids: Sequence[int]) -> dict[tuple[int, str], list[Done]]:
    """(task, what happened: its date was changed, it was deleted) → who did it, the last first. Raises CrmError."""
    found: dict[tuple[int, str], list[Done]] = {}
    for start in range(0, len(task_ids), MOST_IDS):
        some = task_ids[start : start + MOST_IDS]
        sought = {"entity": "task", "entity_id": some, "type": f"{DELETED},{DATE_CHANGED}"}
        for row in embedded(client.get("/api/v4/events", {"filter": sought, "limit": 100}) or {}, "events"):
            task_id, common = identifier(row.get("entity_id")), _common_of_task(row)
            if task_id is not None and task_id in some:
                done = Done(common["user_id"], common["at"], _new_due(row))
                # Newest first.
                found.setdefault((task_id, str(row.get("type"))), []).append(done)
    return found


def _new_due(row: Row) -> datetime | None:
    after: Mapping[str, Any] = next((one for one in row.get("value_after") or [] if isinstance(one, Mapping)), {})
    told = after.get("task_deadline")
    return moment(told.get("timestamp")) if isinstance(told, Mapping) else None


def _is_about_task(row: Row) -> bool:
    return row.get("type") in TASKS and row.get("entity_type") == "task"


def _task_event(row: Row, task: TaskRecord, *, was_done_later: bool) -> TaskReported:
    common = _common_of_task(row) | {
        "task_id": task.id,
        "entity_type": ENTITY_TYPES.get(task.entity_type or ""),
        "entity_id": task.entity_id,
    }
    if row["type"] == DONE:
        return TaskCompleted(text=task.text, is_completed=True, result=task.result, **common)
    if row["type"] == ADDED:
        return TaskAdded(
            text=task.text,
            task_type_id=task.task_type_id,
            responsible_user_id=task.responsible_user_id,
            due=task.complete_till,
            created_at=task.created_at,
            # It was open when it was added, if it was finished later: that is told by a row of its own.
            is_completed=task.is_completed and not was_done_later,
            result=None if was_done_later else task.result,
            **common,
        )
    return TaskUpdated(**_new_value(row, task), **common)


def _new_value(row: Row, task: TaskRecord) -> dict[str, Any]:
    """What the row says is new; its own word, since others may have changed the task after it."""
    after: Mapping[str, Any] = next((one for one in row.get("value_after") or [] if isinstance(one, Mapping)), {})

    def told(name: str, key: str) -> Any:
        inner = after.get(name)
        return inner.get(key) if isinstance(inner, Mapping) else None

    values = {
        "task_text_changed": {"text": told("task", "text")},
        "task_deadline_changed": {"due": _new_due(row)},
        "task_type_changed": {"task_type_id": identifier(told("task_type", "id"))},
        "entity_responsible_changed": {"responsible_user_id": integer(told("responsible_user", "id"))},
        "task_result_added": {"result": task.result},
    }
    return values[row["type"]]


def _common_of_task(row: Row) -> dict[str, Any]:
    at = datetime.fromtimestamp(integer(row.get("created_at")) or 0, UTC)
    return {"at": at, "user_id": integer(row.get("created_by")), "caught_up": True}


# amoCRM's list of events, read back and told in our own events: what happened while nobody was listening.
#
# The list is sorted newest first and lags behind writes by seconds (amoCRM docs, events-and-notes). It tells much by
# ids alone: the notes and tasks it names are read as well (``event_notes``, ``event_tasks``), but for those whose
# events are known already.

Known = Callable[[Sequence[int]], set[int]]
"""Which of these notes are known already."""

# More than this falls back to 50 (amoCRM docs, events-and-notes).
PAGE = 100
DEALS = ("lead_status_changed", "lead_added", "lead_deleted")
CLIENTS = ("contact_deleted", "entity_merged")
CHATS = {"incoming_chat_message": "in", "outgoing_chat_message": "out"}
KINDS = (*DEALS, *CLIENTS, *CHATS, *NOTES, *TASKS)
TOUCHES = ("lead_status_changed", *CHATS, *CALLS, *LETTERS, *SMS, DONE)


def newest_at(client: CrmClient) -> datetime | None:
    """When the account's newest event happened; None in an account where nothing ever did."""
    rows = embedded(client.get("/api/v4/events", {"limit": 1}) or {}, "events")
    return _at(rows[0]) if rows else None


@dataclass(frozen=True)
class Look:
    """What one page of the list told, oldest first. ``rows``: when each of its rows happened, by the row's id.
    ``ends_at``: so many rows are passed now; None: nothing of that time is left."""

    events: list[Event]
    rows: Mapping[str, datetime]
    ends_at: int | None


def look_since(
    client: CrmClient,
    since: datetime,
    *,
    passed: int = 0,
    known_notes: Known = lambda ids: set(),
    seen: Container[str] = (),
) -> Look:
    """What happened since a moment (amoCRM's clock): a page after the first ``passed`` rows, the newest of which are
    the first. Raises CrmError.

    Looks overlap, because the list lags: rows that were ``seen`` cost nothing again. Events of notes that are known
    already may be left out; all others are told again, by keys that make them known.
    """
    start = int(since.timestamp())
    params = {"filter": {"created_at": {"from": start}, "type": ",".join(KINDS)}}
    page = client.page("/api/v4/events", params, "events", passed, PAGE)
    # The filter by time is believed only as far as it holds: older rows end the reading.
    rows: list[Row] = list(takewhile(lambda row: (integer(row.get("created_at")) or 0) >= start, page.rows))
    new = [row for row in rows if str(row.get("id")) not in seen]
    return Look(
        events=_told(client, new, known_notes),
        rows={str(row.get("id")): _at(row) for row in rows},
        ends_at=page.ends_at if len(rows) == len(page.rows) else None,
    )


def touches_before(client: CrmClient, since: datetime, until: datetime) -> tuple[list[Event], datetime | None]:
    """Some of what happened between two moments and may be a touch, the newest of it, oldest first; and until when to
    ask for the rest (None: that was all). Raises CrmError."""
    span = {"from": int(since.timestamp()), "to": int(until.timestamp())}
    params = {"filter": {"created_at": span, "type": ",".join(TOUCHES)}, "limit": PAGE}
    rows = embedded(client.get("/api/v4/events", params) or {}, "events")
    mine = [row for row in rows if since <= _at(row) <= until]
    if len(rows) < PAGE or not mine:
        return _told(client, mine), None
    # A second that holds more than a page can't be read whole.
    return _told(client, mine), min(_at(mine[-1]), until - timedelta(seconds=1))


def _told(client: CrmClient, newest_first: list[Row], known_notes: Known = lambda ids: set()) -> list[Event]:
    rows = newest_first[::-1]
    notes = notes_told(client, rows, known_notes)
    tasks = tasks_told(client, rows)
    found = [
        _own_event(row) or notes.get(note_id_of(row) or 0) or tasks.get(number) for number, row in enumerate(rows)
    ]  # fmt: skip
    return [event for event in found if event is not None]


def _own_event(row: Row) -> Event | None:
    """The event of a row that tells enough by itself."""
    kind, entity_id = row.get("type"), identifier(row.get("entity_id"))
    if entity_id is None:
        return None
    if kind in CHATS:
        return _message(row, entity_id)
    if row.get("entity_type") == "contact" and kind in CLIENTS:
        gone_or_changed = ClientDeleted if kind == "contact_deleted" else ClientUpdated
        return gone_or_changed(kind="contact", client_id=entity_id, raw={"type": kind}, **_common(row))
    return _deal_event(row, entity_id) if row.get("entity_type") == "lead" else None


def _deal_event(row: Row, deal_id: int) -> Event | None:
    kind, common = row["type"], _common(row)
    if kind == "lead_added":
        return DealAdded(deal_id=deal_id, **common)
    if kind == "lead_deleted":
        return DealDeleted(deal_id=deal_id, **common)
    if kind == "lead_status_changed":
        (pipeline, status), (old_pipeline, old_status) = _stage(row, "value_after"), _stage(row, "value_before")
        return DealMoved(
            deal_id=deal_id,
            pipeline_id=pipeline,
            status_id=status,
            old_pipeline_id=old_pipeline,
            old_status_id=old_status,
            **common,
        )
    return None


def _message(row: Row, entity_id: int) -> Event | None:
    """Who said that something was said; the words are in hooks alone (amoCRM docs, chats)."""
    after = (value.get("message") for value in row.get("value_after") or [] if isinstance(value, Mapping))
    told: Row = next((message for message in after if isinstance(message, Mapping)), {})
    if not told.get("id"):
        return None
    kind = ENTITY_TYPES.get(str(row.get("entity_type")))
    return MessageReceived(
        message_id=str(told["id"]),
        direction=CHATS[row["type"]],
        talk_id=identifier(told.get("talk_id")),
        origin=told.get("origin") or None,
        contact_id=entity_id if kind == "contact" else None,
        entity_type=kind,
        entity_id=entity_id,
        **_common(row),
    )


def _common(row: Row) -> dict[str, Any]:
    return {"at": _at(row), "user_id": integer(row.get("created_by")), "caught_up": True}


def _stage(row: Row, side: str) -> tuple[int | None, int | None]:
    for value in row.get(side) or []:
        if isinstance(value, Mapping) and isinstance(status := value.get("lead_status"), Mapping):
            return identifier(status.get("pipeline_id")), identifier(status.get("id"))
    return None, None


def _at(row: Row) -> datetime:
    return datetime.fromtimestamp(integer(row.get("created_at")) or 0, UTC)
