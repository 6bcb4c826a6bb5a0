"""The notes that the events list names: files, calls, letters, SMS, texts.

A row names a note by its id alone, so the notes are read from their cards' lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.entities import NoteRecord
from amo_bridge.crm.reading import notes_by_ids
from amo_bridge.crm.values import identifier, integer
from amo_bridge.events import CallLogged, Event, FileAttached, MailLogged, NoteAdded, SmsLogged

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
            found[note.id] = _event(note, ours, wanted[note.id])
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


def _event(note: NoteRecord, card: str, row: Row) -> Event:
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
