"""Digital Pipeline's «API: send webhook»: minimal bodies, sent once (amoCRM docs).

The page of the docs is digital_pipeline/webhooks.

Table ``dp_hooks`` by id: ``{"id", "destination", "event", "pipeline_id", "status_id"}``. An event is ``add`` or
``status`` (a deal came to the stage) or what happened to a deal that stands on it: ``mail_in``, ``call_in``. A
``pipeline_id`` or ``status_id`` of None fits every one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.webhook_entities import differs
from amo_bridge.sandbox.webhook_fields import encode
from amo_bridge.sandbox.world import Record, World

EVENTS = ("add", "status", "mail_in", "call_in")
TABLE = "dp_hooks"
NOTE_EVENTS = {"amomail_message": "mail_in", "call_in": "call_in"}


def pipeline_hooks(change: Change, world: World) -> Iterator[tuple[str, str, bytes]]:
    """(destination, name for the log, body) of every trigger the change fires."""
    hooks = world.table(TABLE)
    if not hooks:
        return
    event, deal = _event(change, world)
    if deal is None:
        return
    body = encode({"leads": {event: [_fields(event, change, deal)]}, "account": _account(world)})
    for hook in hooks.values():
        if hook["event"] == event and _fits(hook, deal):
            yield hook["destination"], f"digital_pipeline_{event}", body


def _event(change: Change, world: World) -> tuple[str, Record | None]:
    if change.kind == "leads":
        if change.action == "add":
            return "add", change.after
        moved = differs(change, "status_id") or differs(change, "pipeline_id")
        return "status", change.after if moved else None
    if change.kind == "notes" and change.action == "add" and change.after is not None:
        note = change.after
        event = NOTE_EVENTS.get(str(note["note_type"]), "")
        incoming = event == "call_in" or bool((note.get("params") or {}).get("income", True))
        if event and incoming and note.get("entity_type") == "leads":
            return event, world.table("leads").get(note["entity_id"])
    return "", None


def _fits(hook: Record, deal: Record) -> bool:
    return all(hook.get(name) in (None, deal[name]) for name in ("pipeline_id", "status_id"))


def _fields(event: str, change: Change, deal: Record) -> dict[str, Any]:
    """Seven keys and no more: neither name nor price nor dates (captured hooks)."""
    fields = {"id": deal["id"], "status_id": deal["status_id"], "pipeline_id": deal["pipeline_id"]}
    if event == "status" and change.before is not None:
        fields["old_status_id"] = change.before["status_id"]
        fields["old_pipeline_id"] = change.before["pipeline_id"]
    return fields


def _account(world: World) -> Mapping[str, Any]:
    return {"id": world.account["id"], "subdomain": world.account["subdomain"]}
