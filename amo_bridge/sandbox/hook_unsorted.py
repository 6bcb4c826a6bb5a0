"""Incoming leads («Неразобранное») in webhooks: ``unsorted[add]`` and ``unsorted[delete]`` with the decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.hook_account import HookAccount
from amo_bridge.sandbox.hook_form import escaped
from amo_bridge.sandbox.world import Record


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
    """An incoming lead was accepted or declined; both are told as ``delete``."""
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
    return [int(one["id"] if isinstance(one, Mapping) else one) for one in inside.get(kind) or ()]
