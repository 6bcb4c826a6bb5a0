"""Notes as the webhooks ``note_lead``, ``note_contact`` and ``note_company`` carry them (captured hooks)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from amo_bridge.sandbox.hook_form import escaped

ELEMENT_TYPES: Mapping[str, int] = {"contacts": 1, "leads": 2, "companies": 3, "tasks": 4, "customers": 12}
"""amoCRM's old numbers of the entity types; hooks still use them."""

NOTE_CODES: Mapping[str, int] = {
    "lead_created": 1,
    "contact_created": 2,
    "lead_status_changed": 3,
    "common": 4,
    "attachment": 5,
    "call": 6,
    "mail_message": 7,
    "mail_message_attachment": 8,
    "call_in": 10,
    "call_out": 11,
    "company_created": 12,
    "task_result": 13,
    "amomail_message": 15,
    "service_message": 25,
    "extended_service_message": 25,
    "message_cashier": 25,
    "geolocation": 25,
    "sms_in": 102,
    "sms_out": 103,
}
"""``note_type`` by name. Those amoCRM names no number for are given 25, the system note's."""

SILENT_TYPES = frozenset({"amomail_message", "task_result"})
"""A letter fires no account hook at all; a task's result is told by the task's own update."""

MOSCOW = timezone(timedelta(hours=3))


def utc_text(at: int) -> str:
    """Tasks' time strings: UTC, without saying so."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def moscow_text(at: int) -> str:
    """Notes' time strings: UTC+3 whatever the account's zone, without saying so."""
    return datetime.fromtimestamp(at, MOSCOW).strftime("%Y-%m-%d %H:%M:%S")


def note_fields(
    note: Mapping[str, Any], entity_type: str, account_id: int, drive: str, author: str | None
) -> dict[str, Any]:
    """The tree under ``[note]``. ``author`` is the user's name; a note made by nobody has no ``metadata``."""
    params: Mapping[str, Any] = note.get("params") or {}
    return {
        "text": note_text(str(note["note_type"]), params),
        "attachement": _attachement(str(note["note_type"]), params, drive),
        "date_create": moscow_text(note["created_at"]),
        "note_type": NOTE_CODES.get(str(note["note_type"]), 25),
        "element_type": ELEMENT_TYPES[entity_type],
        "element_id": note["entity_id"],
        "catalog_id": 0,
        "group_id": note.get("group_id") or 0,
        "timestamp_x": moscow_text(note["updated_at"]),
        "account_id": account_id,
        "metadata": None if author is None else _metadata(note["created_by"], author),
        "created_by": note["created_by"],
        "modified_by": note["updated_by"],
        "main_user_id": note["responsible_user_id"],
        "id": note["id"],
        "created_at": note["created_at"],
        "updated_at": note["updated_at"],
    }


def note_text(note_type: str, params: Mapping[str, Any]) -> str:
    """The note's one text: calls, SMS and service notes put JSON into it (upper-case keys are amoCRM's own)."""
    if note_type in ("call_in", "call_out"):
        return _json(_call(params))
    if note_type in ("sms_in", "sms_out"):
        return _json({"TEXT": params.get("text", ""), "PHONE": params.get("phone", "")})
    if note_type in ("service_message", "extended_service_message"):
        return _json({"text": params.get("text", ""), "service": params.get("service", "")})
    if note_type == "attachment":
        return escaped(params.get("original_name") or params.get("file_name") or "")
    return escaped(params.get("text") or "")


def _call(params: Mapping[str, Any]) -> dict[str, Any]:
    call = {
        "UNIQ": params.get("uniq") or "",
        "LINK": params.get("link") or "",
        "PHONE": params.get("phone") or "",
        "DURATION": params.get("duration") or 0,
        "SRC": params.get("source") or "",
    }
    if params.get("call_status") is not None:
        call["call_status"] = str(params["call_status"])
        call["call_result"] = params.get("call_result") or ""
    return call


def _attachement(note_type: str, params: Mapping[str, Any], drive: str) -> str:
    if note_type != "attachment":
        return ""
    return f"drive/{drive}/{params.get('file_uuid') or ''}/{params.get('file_name') or ''}"


def _metadata(user_id: int, author: str) -> str:
    return _json({"event_source": {"id": user_id, "author_name": author, "type": 1}})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
