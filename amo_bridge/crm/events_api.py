"""amoCRM's list of events (``/api/v4/events``) → our events: what no webhook reported.

The list is sorted newest first and lags behind writes by seconds (amoCRM docs, events-and-notes). It names much by ids
alone: the notes and tasks that it names are read as well, but for those whose events are known already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from amo_bridge.crm.client import CrmClient, batches
from amo_bridge.crm.reads import notes_by_ids, tasks_by_ids
from amo_bridge.crm.records import ENTITY_TYPES, NoteRecord, TaskRecord, embedded, identifier, integer, moment
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
from amo_bridge.events.calls import length_of
from amo_bridge.lazy.dataclasses import dataclass

Row = Mapping[str, Any]
KnownNotes = Callable[[Sequence[int]], set[int]]
"""Which of these notes are known already."""

# --- notes ------------------------------------------------------------------------------------------------------------

# A row names a note by its id alone, so the notes are read from their cards' lists.
NOTES_OF_DEALS = ("attachment_note_added", "common_note_added")
CALLS = ("incoming_call", "outgoing_call")
MAILS = ("incoming_mail", "outgoing_mail")
SMS = ("incoming_sms", "outgoing_sms")
NOTES = (*NOTES_OF_DEALS, *CALLS, *MAILS, *SMS)
# Texts and files on the cards of contacts and companies are no business of the rules.
# amoCRM's singular word → its plural word, our word.
CARDS: Mapping[str, tuple[str, str]] = {
    "lead": ("leads", "deal"),
    "contact": ("contacts", "contact"),
    "company": ("companies", "company"),
}
NOTE_CODES = {"common": 4, "attachment": 5, "call_in": 10, "call_out": 11, "sms_in": 102, "sms_out": 103}


def note_events(client: CrmClient, rows: Sequence[Row], known: KnownNotes) -> dict[int, Event]:
    """Note id → event, of the notes not known yet. Raises CrmError."""
    wanted = {note_id: row for row in rows if _is_wanted(row) and (note_id := note_id_of(row))}
    for note_id in known(sorted(wanted)):
        wanted.pop(note_id, None)
    found: dict[int, Event] = {}
    for singular, (plural, card) in CARDS.items():
        ids = [note_id for note_id, row in wanted.items() if row.get("entity_type") == singular]
        for note in notes_by_ids(client, plural, ids).values():
            found[note.id] = _note_event(note, card, wanted[note.id])
    return found


def note_id_of(row: Row) -> int | None:
    """The note that a row names."""
    for value in row.get("value_after") or []:
        if isinstance(value, Mapping) and isinstance(note := value.get("note"), Mapping):
            return identifier(note.get("id"))
    return None


def _is_wanted(row: Row) -> bool:
    kind, card = row.get("type"), row.get("entity_type")
    return kind in NOTES and card in CARDS and (card == "lead" or kind not in NOTES_OF_DEALS)


def _note_event(note: NoteRecord, card: str, row: Row) -> Event:
    common: dict[str, Any] = {
        "at": note.created_at,
        "caught_up": True,
        "note_id": note.id,
        "entity_type": card,
        "entity_id": note.entity_id,
        "note_type": NOTE_CODES.get(note.note_type),
        "user_id": integer(row.get("created_by")),
    }
    if note.note_type == "attachment":
        return FileAttached(**_file(note.params), **common)
    if note.note_type in ("call_in", "call_out"):
        return CallLogged(direction=_direction(note), **_call(note.params), **common)
    if note.note_type in ("sms_in", "sms_out"):
        return SmsLogged(direction=_direction(note), phone=_text(note.params.get("phone")), text=note.text, **common)
    if note.note_type == "amomail_message":
        direction = "out" if row.get("type") == "outgoing_mail" else "in"
        return MailLogged(direction=direction, **_mail(note.params), **common)
    return NoteAdded(text=note.text, **common)


def _direction(note: NoteRecord) -> str:
    return "in" if note.note_type.endswith("_in") else "out"


def _file(params: Mapping[str, Any]) -> dict[str, Any]:
    name = params.get("original_name") or params.get("file_name") or params.get("text") or ""
    return {"file_name": str(name), "file_uuid": params.get("file_uuid")}


def _call(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uniq": _text(params.get("uniq")),
        "phone": _text(params.get("phone")),
        "seconds": length_of(params.get("duration")),
        "link": params.get("link") or None,
        "status": integer(params.get("call_status")),
        "result": params.get("call_result") or None,
    }


def _mail(params: Mapping[str, Any]) -> dict[str, Any]:
    """Keys as in amoCRM's own library (AmoMailMessageNote)."""
    return {
        "sender": _sender(params.get("from")),
        "recipient": _address(params.get("to")),
        "subject": str(params.get("subject") or ""),
        "summary": str(params.get("content_summary") or ""),
        "thread_id": _text(params.get("thread_id")),
        "message_id": _text(params.get("message_id")),
        "attachments": integer(params.get("attach_cnt")) or 0,
    }


def _sender(value: Any) -> str:
    """Empty when amoCRM does not say who wrote; ``<>`` when it says that nobody did, as bounces are sent."""
    is_told = "email" in value if isinstance(value, Mapping) else value is not None
    return _address(value) or ("<>" if is_told else "")


def _address(value: Any) -> str:
    return str(value.get("email") or "") if isinstance(value, Mapping) else str(value or "")


def _text(value: Any) -> str | None:
    return str(value) if value else None


# --- tasks ------------------------------------------------------------------------------------------------------------

# A row names a task and perhaps one new value. The rest, such as the task's card, is read from the task itself.

ADDED, DELETED, DONE = "task_added", "task_deleted", "task_completed"
DATE_CHANGED = "task_deadline_changed"
# amoCRM's filter takes no more (amoCRM docs, events-and-notes).
MAX_IDS = 10
CHANGED = ("task_text_changed", DATE_CHANGED, "task_type_changed", "task_result_added")
TASKS = (ADDED, DELETED, DONE, *CHANGED, "entity_responsible_changed")


def task_events(client: CrmClient, rows: Sequence[Row]) -> dict[int, TaskReported]:
    """The place of a row → its event about a task. Of tasks that are gone only the deletion is reported. Raises
    CrmError."""
    about = {number: row for number, row in enumerate(rows) if _is_about_task(row)}
    ids = {identifier(row.get("entity_id")) for row in about.values() if row["type"] != DELETED}
    records = tasks_by_ids(client, [task_id for task_id in ids if task_id is not None])
    finished = {identifier(row.get("entity_id")) for row in about.values() if row["type"] == DONE}
    found: dict[int, TaskReported] = {}
    for number, row in about.items():
        task_id = identifier(row.get("entity_id"))
        if task_id is not None and row["type"] == DELETED:
            found[number] = TaskDeleted(task_id=task_id, **_common(row))
        elif task_id is not None and (record := records.get(task_id)):
            found[number] = _task_event(row, record, is_finished_later=task_id in finished)
    return found


class TaskChange(NamedTuple):
    """Who changed a task, and when. ``due``: to what the date was changed."""

    user_id: int | None
    at: datetime
    due: datetime | None = None


def task_changes(client: CrmClient, task_ids: Sequence[int]) -> dict[tuple[int, str], list[TaskChange]]:
    """(task, DATE_CHANGED or DELETED) → such changes, the last first. Raises CrmError."""
    found: dict[tuple[int, str], list[TaskChange]] = {}
    for chunk in batches(task_ids, MAX_IDS):
        query = {"entity": "task", "entity_id": chunk, "type": f"{DELETED},{DATE_CHANGED}"}
        for row in embedded(client.get("/api/v4/events", {"filter": query, "limit": PAGE_SIZE}) or {}, "events"):
            task_id, common = identifier(row.get("entity_id")), _common(row)
            if task_id is not None and task_id in chunk:
                change = TaskChange(common["user_id"], common["at"], _new_due(row))
                # Newest first.
                found.setdefault((task_id, str(row.get("type"))), []).append(change)
    return found


def _new_due(row: Row) -> datetime | None:
    deadline = _value_after(row).get("task_deadline")
    return moment(deadline.get("timestamp")) if isinstance(deadline, Mapping) else None


def _value_after(row: Row) -> Row:
    return next((value for value in row.get("value_after") or [] if isinstance(value, Mapping)), {})


def _is_about_task(row: Row) -> bool:
    return row.get("type") in TASKS and row.get("entity_type") == "task"


def _task_event(row: Row, task: TaskRecord, *, is_finished_later: bool) -> TaskReported:
    common = _common(row) | {
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
            # It was open when it was added, if it was finished later: a row of its own reports that.
            is_completed=task.is_completed and not is_finished_later,
            result=None if is_finished_later else task.result,
            **common,
        )
    return TaskUpdated(**_new_value(row, task), **common)


def _new_value(row: Row, task: TaskRecord) -> dict[str, Any]:
    """The new value that the row itself names, since others may have changed the task after it."""
    after = _value_after(row)

    def value(name: str, key: str) -> Any:
        inner = after.get(name)
        return inner.get(key) if isinstance(inner, Mapping) else None

    values = {
        "task_text_changed": {"text": value("task", "text")},
        "task_deadline_changed": {"due": _new_due(row)},
        "task_type_changed": {"task_type_id": identifier(value("task_type", "id"))},
        "entity_responsible_changed": {"responsible_user_id": integer(value("responsible_user", "id"))},
        "task_result_added": {"result": task.result},
    }
    return values[row["type"]]


# --- the list ---------------------------------------------------------------------------------------------------------

# More than this falls back to 50 (amoCRM docs, events-and-notes).
PAGE_SIZE = 100
DEALS = ("lead_status_changed", "lead_added", "lead_deleted")
CLIENTS = ("contact_deleted", "entity_merged")
CHATS = {"incoming_chat_message": "in", "outgoing_chat_message": "out"}
KINDS = (*DEALS, *CLIENTS, *CHATS, *NOTES, *TASKS)
TOUCHES = ("lead_status_changed", *CHATS, *CALLS, *MAILS, *SMS, DONE)


def newest_at(client: CrmClient) -> datetime | None:
    """When the account's newest event happened; None in an account where nothing ever did."""
    rows = embedded(client.get("/api/v4/events", {"limit": 1}) or {}, "events")
    return _at(rows[0]) if rows else None


@dataclass(frozen=True)
class EventPage:
    """The events of one page of the list, oldest first. ``rows``: row id → when it happened. ``ends_at``: so many rows
    are read now; None: nothing of that time is left."""

    events: list[Event]
    rows: Mapping[str, datetime]
    ends_at: int | None


def events_since(
    client: CrmClient,
    since: datetime,
    *,
    start: int = 0,
    known_notes: KnownNotes = lambda ids: set(),
    known_rows: Container[str] = (),
) -> EventPage:
    """What happened since a moment (amoCRM's clock): a page after the first ``start`` rows, newest rows first. Raises
    CrmError.

    Pages of successive reads overlap, because the list lags: ``known_rows`` cost nothing again. Events of notes that
    are known already may be left out; all others come again, under the same keys.
    """
    since_seconds = int(since.timestamp())
    params = {"filter": {"created_at": {"from": since_seconds}, "type": ",".join(KINDS)}}
    page = client.page("/api/v4/events", params, "events", start, PAGE_SIZE)
    # The filter by time is believed only as far as it holds: older rows end the reading.
    rows: list[Row] = list(takewhile(lambda row: (integer(row.get("created_at")) or 0) >= since_seconds, page.rows))
    new = [row for row in rows if str(row.get("id")) not in known_rows]
    return EventPage(
        events=_events_of(client, new, known_notes),
        rows={str(row.get("id")): _at(row) for row in rows},
        ends_at=page.ends_at if len(rows) == len(page.rows) else None,
    )


def touches_before(client: CrmClient, since: datetime, until: datetime) -> tuple[list[Event], datetime | None]:
    """The newest page of what happened between two moments and may be a touch, oldest first; with the moment until
    which to ask for the rest (None: that was all). Raises CrmError."""
    span = {"from": int(since.timestamp()), "to": int(until.timestamp())}
    params = {"filter": {"created_at": span, "type": ",".join(TOUCHES)}, "limit": PAGE_SIZE}
    rows = embedded(client.get("/api/v4/events", params) or {}, "events")
    within = [row for row in rows if since <= _at(row) <= until]
    if len(rows) < PAGE_SIZE or not within:
        return _events_of(client, within), None
    # A second that holds more than a page can't be read whole.
    return _events_of(client, within), min(_at(within[-1]), until - timedelta(seconds=1))


# What became of deals: for a past that nobody has kept.

OWNER_CHANGED = "entity_responsible_changed"
FIELD_CHANGED = re.compile(r"custom_field_(?:(\d+)_)?value_changed")


class DealChange(NamedTuple):
    """``field_id``: None for a move or another responsible user; ``stages``, ``owners``: before and after; ``texts``: a
    field's values before and after, as amoCRM writes them."""

    deal_id: int
    at: datetime
    user_id: int | None
    stages: tuple[tuple[int, int] | None, tuple[int, int] | None] | None = None
    owners: tuple[int | None, int | None] | None = None
    field_id: int | None = None
    texts: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


def deal_changes(client: CrmClient, since: datetime, until: datetime, field_ids: Sequence[int]) -> Iterator[DealChange]:
    """Moves, changes of the responsible user and of these fields from ``since`` on and before ``until``, the newest
    first. Raises CrmError. A type of a field in the filter excludes all other types: so they are asked for apart."""
    span = {"from": int(since.timestamp()), "to": int(until.timestamp()) - 1}
    asked = [f"lead_status_changed,{OWNER_CHANGED}"]
    asked += [",".join(f"custom_field_{one}_value_changed" for one in some) for some in batches(field_ids, MAX_IDS)]
    for types in asked:
        params = {"filter": {"entity": "lead", "created_at": span, "type": types}}
        for row in client.pages("/api/v4/events", params, "events", limit=PAGE_SIZE):
            change = _deal_change(row)
            # The filters are believed only as far as they hold.
            if change and since <= change.at < until and change.field_id in (None, *field_ids):
                yield change


def _deal_change(row: Row) -> DealChange | None:
    deal_id, kind = identifier(row.get("entity_id")), str(row.get("type"))
    if deal_id is None or row.get("entity_type") != "lead":
        return None
    common = (deal_id, _at(row), integer(row.get("created_by")))
    if kind == "lead_status_changed":
        before, after = (_whole(_stage(row, side)) for side in ("value_before", "value_after"))
        return DealChange(*common, stages=(before, after))
    if kind == OWNER_CHANGED:
        before_id, after_id = (_owner(row, side) for side in ("value_before", "value_after"))
        return DealChange(*common, owners=(before_id, after_id))
    if FIELD_CHANGED.fullmatch(kind):
        values = {side: _field_values(row, side) for side in ("value_before", "value_after")}
        field_id = next((number for found in values.values() for number, _ in found), None)
        texts = tuple(tuple(text for _, text in values[side]) for side in ("value_before", "value_after"))
        return DealChange(*common, field_id=field_id, texts=(texts[0], texts[1]))
    return None


def _whole(stage: tuple[int | None, int | None]) -> tuple[int, int] | None:
    pipeline, status = stage
    return None if pipeline is None or status is None else (pipeline, status)


def _owner(row: Row, side: str) -> int | None:
    for value in row.get(side) or []:
        if isinstance(value, Mapping) and isinstance(user := value.get("responsible_user"), Mapping):
            return integer(user.get("id"))
    return None


def _field_values(row: Row, side: str) -> list[tuple[int | None, str]]:
    told = (value.get("custom_field_value") for value in row.get(side) or [] if isinstance(value, Mapping))
    return [(identifier(one.get("field_id")), str(one.get("text") or "")) for one in told if isinstance(one, Mapping)]


def _events_of(client: CrmClient, newest_first: list[Row], known_notes: KnownNotes = lambda ids: set()) -> list[Event]:
    rows = newest_first[::-1]
    notes = note_events(client, rows, known_notes)
    tasks = task_events(client, rows)
    found = [
        _own_event(row) or notes.get(note_id_of(row) or 0) or tasks.get(number) for number, row in enumerate(rows)
    ]  # fmt: skip
    return [event for event in found if event is not None]


def _own_event(row: Row) -> Event | None:
    """The event of a row that says enough by itself."""
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
    """A message without its text, which only webhooks have (amoCRM docs, chats)."""
    after = (value.get("message") for value in row.get("value_after") or [] if isinstance(value, Mapping))
    message: Row = next((message for message in after if isinstance(message, Mapping)), {})
    if not message.get("id"):
        return None
    kind = ENTITY_TYPES.get(str(row.get("entity_type")))
    return MessageReceived(
        message_id=str(message["id"]),
        direction=CHATS[row["type"]],
        talk_id=identifier(message.get("talk_id")),
        origin=message.get("origin") or None,
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
