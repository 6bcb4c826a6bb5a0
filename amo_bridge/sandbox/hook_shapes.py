"""The fields of one entity in a webhook, in amoCRM's sending order (captured hooks; amoCRM docs, webhooks-format).

Every function returns an ordered tree; a ``None`` in it is left out of the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.hook_account import HookAccount
from amo_bridge.sandbox.hook_fields import hook_fields
from amo_bridge.sandbox.hook_form import escaped
from amo_bridge.sandbox.hook_notes import ELEMENT_TYPES, note_fields, utc_text
from amo_bridge.sandbox.world import Record

ROBOT_GROUP = -1
"""``group_id`` of what nobody is responsible for (seen in a captured hook)."""


def deal(change: Change, account: HookAccount) -> dict[str, Any]:
    """A deal for add, update, status, responsible and restore.

    ``old_status_id`` stays in update and responsible hooks long after the move it tells of (captured hooks), so it
    proves nothing; ``old_pipeline_id`` is never told at account level.
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
    """A contact or a company. An update names the old responsible user even when he is still the present one."""
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
    """The update hooks of one change: two when a task is completed with a result from the task list, else one."""
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
