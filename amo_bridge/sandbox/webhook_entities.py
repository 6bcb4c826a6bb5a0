"""Fields of entities in webhooks, in amoCRM's sending order (amoCRM docs, webhooks-format).

The order is that of captured hooks.
Every function returns an ordered tree; a ``None`` in it is left out of the body. ``HookAccount`` adds what is not in
the changed record: the account block, names of users, linked entities.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.webhook_fields import escaped, hook_fields
from amo_bridge.sandbox.world import Record, World

MOVED_FROM = "moved_from"
"""Table of the world: deal id → the stage it left last; later hooks of the deal go on naming it."""


class HookAccount:
    """The account as the hook bodies see it. Read under ``world.lock``."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def id(self) -> int:
        return int(self._world.account["id"])

    @property
    def block(self) -> dict[str, Any]:
        """The account block, which comes first in the body (captured hooks since 2023)."""
        subdomain = self._world.account["subdomain"]
        return {"subdomain": subdomain, "id": self.id, "_links": {"self": f"https://{subdomain}.amocrm.ru"}}

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(str(self._world.account.get("timezone") or "Europe/Moscow"))

    @property
    def drive(self) -> str:
        """The account's part of a file's path; always the same for the same account."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"amocrm-drive-{self.id}"))

    def record(self, kind: str, entity_id: int) -> Record | None:
        return self._world.table(kind).get(entity_id)

    def user_name(self, user_id: int) -> str | None:
        user = self._world.table("users").get(user_id)
        return None if user is None else str(user["name"])

    def linked(self, kind: str, entity_id: int, to_kind: str) -> list[int]:
        """Ids of the entities of ``to_kind`` on the card."""
        links = self._world.table("links").get(f"{kind}/{entity_id}") or {}
        return [int(link["id"]) for link in links.get(to_kind) or ()]

    def moved_from(self, deal_id: int) -> int | None:
        """The status the deal left last, if it ever moved: it stays in later update and responsible hooks."""
        stage = self._world.table(MOVED_FROM).get(deal_id)
        return None if stage is None else int(stage["status_id"])

    def remember(self, change: Change) -> None:
        """Keeps the stage a deal has left; call it once per change, before the bodies are made."""
        if change.kind != "leads" or change.before is None or change.after is None:
            return
        stages = [(side.get("pipeline_id"), side.get("status_id")) for side in (change.before, change.after)]
        if stages[0] != stages[1]:
            self._world.table(MOVED_FROM)[change.entity_id] = {"status_id": change.before["status_id"]}


# --- notes: ``note_lead``, ``note_contact``, ``note_company`` (captured hooks) ----------------------------------------

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
"""A letter fires no account hook at all; a task's result is in the task's own update."""

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
    """The note's one text.

    Calls, SMS and service notes put JSON into it (upper-case keys are amoCRM's own).
    """
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


# --- deals, clients, tasks --------------------------------------------------------------------------------------------

ROBOT_GROUP = -1
"""``group_id`` of what nobody is responsible for (seen in a captured hook)."""


def deal(change: Change, account: HookAccount) -> dict[str, Any]:
    """A deal for add, update, status, responsible and restore.

    ``old_status_id`` stays in update and responsible hooks long after the move it tells of (captured hooks), so it
    proves nothing; ``old_pipeline_id`` is never sent at account level.
    """
    record = _after(change)
    is_update = change.action == "update"
    return {
        "id": record["id"],
        "name": "" if record.get("name") == f"Сделка #{record['id']}" else escaped(record.get("name") or ""),
        "status_id": record["status_id"],
        "old_status_id": account.moved_from(record["id"]) if is_update else None,
        "price": record.get("price") or None,
        "responsible_user_id": record["responsible_user_id"],
        "last_modified": record["updated_at"],
        "modified_user_id": record["updated_by"],
        "created_user_id": record["created_by"],
        "date_create": record["created_at"],
        "pipeline_id": record["pipeline_id"],
        "account_id": account.id,
        "tags": [{"id": tag["id"], "name": escaped(tag["name"])} for tag in record.get("tags") or ()],
        "custom_fields": hook_fields(record.get("custom_fields_values"), account.zone),
        "old_responsible_user_id": _old_responsible(change) if differs(change, "responsible_user_id") else None,
        "created_at": record["created_at"],
        "updated_at": record["updated_at"],
    }


def deleted_deal(change: Change) -> dict[str, Any]:
    record = change.after or change.before or {}
    return {
        "id": change.entity_id,
        "status_id": record.get("status_id"),
        "pipeline_id": record.get("pipeline_id"),
    }


def client(change: Change, account: HookAccount) -> dict[str, Any]:
    """A contact or a company.

    An update names the old responsible user even when it is still the present one.
    """
    record = _after(change)
    kind = change.kind
    company = _company(record["id"], account) if kind == "contacts" else {}
    deals = account.linked(kind, record["id"], "leads")
    return {
        "id": record["id"],
        "name": escaped(record.get("name") or ""),
        "responsible_user_id": record["responsible_user_id"],
        "group_id": None if record["responsible_user_id"] else ROBOT_GROUP,
        "date_create": record["created_at"],
        "last_modified": record["updated_at"],
        "created_user_id": record["created_by"],
        "modified_user_id": record["updated_by"],
        **company,
        "account_id": account.id,
        "custom_fields": hook_fields(record.get("custom_fields_values"), account.zone),
        "linked_leads_id": {str(deal_id): {"ID": deal_id} for deal_id in deals},
        "old_responsible_user_id": _old_responsible(change) if change.action == "update" else None,
        "created_at": record["created_at"],
        "updated_at": record["updated_at"],
        "type": "contact" if kind == "contacts" else "company",
    }


def _company(contact_id: int, account: HookAccount) -> dict[str, Any]:
    linked = account.linked("contacts", contact_id, "companies")
    record = account.record("companies", linked[0]) if linked else None
    if record is None:
        return {}
    return {"company_name": escaped(record.get("name") or ""), "linked_company_id": record["id"]}


def task(change: Change, account: HookAccount) -> dict[str, Any]:
    """A new task, and what every update of a task starts with."""
    record = _after(change)
    return {**_task_head(record, account), **_task_tail(record)}


def task_updates(change: Change, account: HookAccount) -> list[dict[str, Any]]:
    """The updates of one change.

    Two when a task is completed with a result from the task list, else one.
    """
    record = _after(change)
    before = change.before or record
    completed = bool(record["is_completed"]) and not before["is_completed"]
    result = _task_result(record)
    if completed and result and change.extra.get("from_task_list"):
        return [
            _task_update(change, account, closes=True, result=None),
            _task_update(change, account, closes=False, result=result),
        ]
    return [_task_update(change, account, closes=completed, result=result)]


def _task_update(
    change: Change, account: HookAccount, *, closes: bool, result: Mapping[str, Any] | None
) -> dict[str, Any]:
    record = _after(change)
    reassigned = differs(change, "responsible_user_id")
    return {
        **_task_head(record, account),
        "action_close": closes,
        "old_text": escaped((change.before or record)["text"]),
        "main_user": record["responsible_user_id"] if reassigned else None,
        "modified_by": record["updated_by"] if reassigned else None,
        "old_responsible_user_id": _old_responsible(change) if reassigned else None,
        "result": result,
        **_task_tail(record),
    }


def _task_head(record: Record, account: HookAccount) -> dict[str, Any]:
    kind = record.get("entity_type")
    return {
        "id": record["id"],
        "element_id": record.get("entity_id") or 0,
        "element_type": ELEMENT_TYPES[kind] if kind else 0,
        "task_type": record["task_type_id"],
        "date_create": utc_text(record["created_at"]),
        "text": escaped(record["text"]),
        "status": bool(record["is_completed"]),
        "account_id": account.id,
        "created_user_id": record["created_by"],
        "last_modified": utc_text(record["updated_at"]),
        "responsible_user_id": record["responsible_user_id"],
        "complete_till": utc_text(record["complete_till"]),
    }


def _task_tail(record: Record) -> dict[str, Any]:
    return {
        "created_at": record["created_at"],
        "updated_at": record["updated_at"],
        "complete_before": record["complete_till"],
    }


def _task_result(record: Record) -> dict[str, Any] | None:
    result = record.get("result")
    return {"id": result.get("id"), "text": escaped(result.get("text") or "")} if result else None


def note(change: Change, kind: str, account: HookAccount) -> dict[str, Any]:
    record = _after(change)
    return note_fields(record, kind, account.id, account.drive, account.user_name(record["created_by"]))


def differs(change: Change, name: str) -> bool:
    """Is the field another one after the change? Never so for an added or deleted entity."""
    if change.before is None or change.after is None:
        return False
    return bool(change.before.get(name) != change.after.get(name))


def _old_responsible(change: Change) -> Any:
    return (change.before or _after(change))["responsible_user_id"]


def _after(change: Change) -> Record:
    record = change.after if change.after is not None else change.before
    if record is None:
        raise ValueError(f"a change of {change.kind} {change.entity_id} without any record")
    return record


# --- incoming leads («Неразобранное»): ``unsorted[add]``, ``unsorted[delete]`` with the decision ----------------------


def added(change: Change, account: HookAccount) -> dict[str, Any]:
    """A new incoming lead. The lead's id is ``lead_id``: no ``leads[add]`` is needed to learn it."""
    record = change.after or {}
    return {
        "uid": record["uid"],
        "source": record.get("source"),
        "source_uid": record.get("source_uid"),
        "category": record["category"],
        "source_data": record.get("source_data") or _source_data(record),
        "date_create": record["created_at"],
        "data": record.get("data") or _data(record, account),
        "pipeline_id": record["pipeline_id"],
        "account_id": account.id,
        "request_id": record.get("request_id"),
        "source_id": record.get("source_id"),
        "lead_id": _lead_id(record),
        "created_at": record["created_at"],
    }


def closed(change: Change, account: HookAccount) -> dict[str, Any]:
    """An incoming lead was accepted or declined; both are ``delete``."""
    record = change.before or change.after or {}
    lead_id = _lead_id(record)
    return {
        "action": change.action,
        f"{change.action}_result": {"leads": [lead_id] if lead_id else []},
        "uid": record["uid"],
        "category": record["category"],
        "created_at": record["created_at"],
        "modified_user_id": change.user_id,
    }


def _source_data(record: Record) -> dict[str, Any]:
    metadata: Mapping[str, Any] = record.get("metadata") or {}
    if record["category"] != "forms":
        return {name: escaped(value) for name, value in metadata.items() if not isinstance(value, Mapping)}
    sent_at = metadata.get("form_sent_at")
    origin = {"ip": metadata.get("ip"), "datetime": sent_at, "referer": metadata.get("referer")}
    return {
        "form_id": metadata.get("form_id"),
        "form_type": 1,
        "form_name": escaped(metadata.get("form_name") or ""),
        "origin": origin,
        "date": sent_at,
    }


def _data(record: Record, account: HookAccount) -> dict[str, Any]:
    lead_id = _lead_id(record)
    lead = account.record("leads", lead_id) if lead_id else None
    leads = [] if lead is None else [_lead(lead)]
    contacts = [{"id": contact_id} for contact_id in _linked(record, "contacts")]
    return {"leads": leads, "contacts": contacts}


def _lead(lead: Record) -> dict[str, Any]:
    return {
        "last_modified": lead["updated_at"],
        "name": escaped(lead.get("name") or ""),
        "pipeline_id": lead["pipeline_id"],
        "modified_user_id": lead["updated_by"],
        "date_create": lead["created_at"],
    }


def _lead_id(record: Record) -> int | None:
    linked = _linked(record, "leads")
    return int(record["lead_id"]) if record.get("lead_id") else linked[0] if linked else None


def _linked(record: Record, kind: str) -> list[int]:
    inside: Mapping[str, Any] = record.get("_embedded") or record
    return [int(item["id"] if isinstance(item, Mapping) else item) for item in inside.get(kind) or ()]
