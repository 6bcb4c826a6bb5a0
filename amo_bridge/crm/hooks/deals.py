"""``leads[…]`` → events about deals."""

from __future__ import annotations

from typing import Any

from amo_bridge.crm.hooks import notes
from amo_bridge.crm.hooks.fields import decode_fields, decode_tags
from amo_bridge.crm.hooks.item import Item
from amo_bridge.crm.values import identifier, money, text, user
from amo_bridge.events import (
    DealAdded,
    DealDeleted,
    DealMoved,
    DealReassigned,
    DealReported,
    DealRestored,
    DealUpdated,
    Event,
    PipelineTriggerFired,
)

_ACTIONS: dict[str, type[DealReported]] = {
    "add": DealAdded,
    "update": DealUpdated,
    "status": DealMoved,
    "responsible": DealReassigned,
    "restore": DealRestored,
    "delete": DealDeleted,
}
_TRIGGERS = frozenset({"mail_in", "call_in", "chat", "site_visit"})


def decode(item: Item) -> Event:
    if item.action == "note":
        return notes.decode(item)
    if item.action in _TRIGGERS or (item.action == "add" and item.is_from_pipeline):
        return PipelineTriggerFired(trigger=item.action, **_details(item))
    kind = _ACTIONS.get(item.action)
    if kind is None:
        raise item.unknown_action()
    return kind(**_details(item))


def _details(item: Item) -> dict[str, Any]:
    tree = item.tree
    return {
        "deal_id": item.required_id(),
        "name": text(tree.get("name")),
        "pipeline_id": identifier(tree.get("pipeline_id")),
        "status_id": identifier(tree.get("status_id")),
        "old_pipeline_id": identifier(tree.get("old_pipeline_id")),
        "old_status_id": identifier(tree.get("old_status_id")),
        "price": money(tree.get("price")),
        "responsible_user_id": user(tree.get("responsible_user_id")),
        "old_responsible_user_id": user(tree.get("old_responsible_user_id")),
        "user_id": user(tree.get("modified_user_id")),
        "created_at": item.first_moment("created_at", "date_create"),
        "tags": decode_tags(tree.get("tags")),
        "fields": decode_fields(tree.get("custom_fields")),
        **item.envelope(item.changed_at()),
    }
