"""``POST /api/v4/calls`` (amoCRM docs, calls-api): takes the good items, names the bad ones.

No other batch does so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import notes
from amo_bridge.sandbox.contacts import same_number
from amo_bridge.sandbox.deals import CLOSED
from amo_bridge.sandbox.entities import PEOPLE, SINGULAR, find
from amo_bridge.sandbox.http import hal, link
from amo_bridge.sandbox.links import linked
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch
from amo_bridge.sandbox.world import Record, World

DIRECTIONS = {"inbound": "call_in", "outbound": "call_out"}
PARAMS = ("uniq", "duration", "source", "link", "phone", "call_responsible", "call_result", "call_status")
NOT_FOUND = 263
"""The code of a number nobody has."""


def register(app: Flask, world: World) -> None:
    @app.post("/api/v4/calls")
    def add_calls() -> Response:
        added, errors = [], []
        for reader, plain in checked(read_batch(world), _read):
            found = _of_number(world, plain["params"]["phone"])
            if found is None:
                errors.append(_not_found(reader.request_id))
            else:
                note = notes.add(world, *found, user_id=acting_user(), **plain)
                added.append(_shown(world, note, *found, reader.request_id))
        body = {"_total_items": len(added), "errors": errors, "_embedded": {"calls": added}}
        return hal(body)


def _read(reader: Reader) -> dict[str, Any]:
    """``{"note_type", "params", …}`` of the call's note."""
    reader.require("direction", "duration", "source", "phone")
    direction = reader.choice("direction", DIRECTIONS)
    plain: dict[str, Any] = {
        "note_type": DIRECTIONS.get(direction),
        "params": {name: reader.body[name] for name in PARAMS if reader.body.get(name) is not None},
    }
    reader.integer("duration")
    reader.text("source")
    reader.text("phone")
    reader.choice("call_status", notes.CALL_STATUSES)
    stamps = {
        "responsible_user_id": reader.user("responsible_user_id"),
        "created_by": reader.user("created_by", robot=True),
        "updated_by": reader.user("updated_by", robot=True),
        "created_at": reader.integer("created_at"),
        "updated_at": reader.integer("updated_at"),
    }
    return plain | {name: value for name, value in stamps.items() if value is not None}


def _of_number(world: World, number: str) -> tuple[str, int] | None:
    """The one open lead of the contact (company) with the number; itself if there is none or several."""
    for kind in PEOPLE:
        for record in world.table(kind).values():
            if record["is_deleted"] or record.get("is_unsorted"):
                continue
            if any(same_number(number, known) for known in _phones(record)):
                leads = [
                    item["id"] for item in linked(world, kind, record["id"], "leads") if _is_open(world, item["id"])
                ]
                return ("leads", leads[0]) if len(leads) == 1 else (kind, record["id"])
    return None


def _is_open(world: World, lead_id: int) -> bool:
    lead = find(world, "leads", lead_id)
    return lead is not None and lead["status_id"] not in CLOSED


def _phones(record: Record) -> Iterable[str]:
    for field in record["custom_fields_values"] or ():
        if field["field_code"] == "PHONE":
            yield from (str(item["value"]) for item in field["values"])


def _shown(world: World, note: Record, kind: str, entity_id: int, request_id: str) -> dict[str, Any]:
    """The entity's type is singular here, unlike in notes."""
    entity = {"id": entity_id, "_links": link(f"{kind}/{entity_id}")}
    return {
        "id": note["id"],
        "entity_id": entity_id,
        "entity_type": SINGULAR[kind],
        "account_id": world.account["id"],
        "request_id": request_id,
        "_embedded": {"entity": entity},
    }


def _not_found(request_id: str) -> dict[str, Any]:
    return {
        "title": "Entity not found",
        "type": f"https://httpstatus.es/{NOT_FOUND}",
        "status": NOT_FOUND,
        "detail": "Entity not found",
        "request_id": request_id,
    }
