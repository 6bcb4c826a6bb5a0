"""``POST /api/v4/leads/complex``: a lead with its contact and company (amoCRM docs, leads-api)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import contacts, deals, links, unsorted
from amo_bridge.sandbox.contacts import same_number
from amo_bridge.sandbox.deals import CLOSED, main_pipeline
from amo_bridge.sandbox.entities import Draft, find
from amo_bridge.sandbox.http import hal
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch
from amo_bridge.sandbox.world import Record, World

MAX_LEADS = 50
MAX_FIELDS = 40


@dataclass(frozen=True)
class Complex:
    lead: Draft
    sides: dict[str, int | Draft]
    """``contacts`` and ``companies`` → the id of a known one, or a new one."""
    metadata: dict[str, Any]


def register(app: Flask, world: World) -> None:
    @app.post("/api/v4/leads/complex")
    def add_complex() -> Response:
        drafts = checked(read_batch(world, MAX_LEADS), _read)
        deals.check_reasons(world, [(reader, wanted.lead) for reader, wanted in drafts])
        # The answer is a bare array, unlike every other one.
        return hal([_add(world, reader, wanted, acting_user()) for reader, wanted in drafts])


def _read(reader: Reader) -> Complex:
    within = reader.embedded()
    sides: dict[str, int | Draft] = {}
    for kind in ("contacts", "companies"):
        for item in reader.objects(kind, within, "_embedded.")[:1]:
            sides[kind] = _read_side(reader, kind, item)
    bare = {name: value for name, value in within.items() if name not in ("contacts", "companies")}
    lead_reader = Reader(reader.world, {**reader.body, "_embedded": bare}, reader.request_id, reader.user_id)
    lead = deals.read_new(lead_reader)
    reader.errors += lead_reader.errors
    if len(lead.fields) > MAX_FIELDS:
        detail = f"This collection should contain {MAX_FIELDS} elements or less."
        reader.fail("TooMany", "custom_fields_values", detail)
    metadata = within.get("metadata")
    return Complex(lead, sides, metadata if isinstance(metadata, dict) else {})


def _read_side(reader: Reader, kind: str, item: dict[str, Any]) -> int | Draft:
    prefix = f"_embedded.{kind}.0"
    if item.get("id") is not None:
        if find(reader.world, kind, item["id"]) is None:
            reader.not_a_choice(f"{prefix}.id")
        return item["id"] if isinstance(item["id"], int) else 0
    inner = Reader(reader.world, item, reader.request_id, reader.user_id)
    wanted = contacts.read_new(inner, kind)
    reader.errors += [{**error, "path": f"{prefix}.{error['path']}"} for error in inner.errors]
    return wanted


def _add(world: World, reader: Reader, wanted: Complex, user_id: int) -> dict[str, Any]:
    known = _duplicate(world, wanted) if world.account["is_duplicate_control_enabled"] else None
    if known is not None:
        deals.change(world, known["id"], Draft({}, wanted.lead.fields, wanted.lead.tags), user_id)
        return _answer(world, known["id"], reader, merged=True)
    sides = {
        kind: side if isinstance(side, int) else contacts.create(world, kind, side, user_id)["id"]
        for kind, side in wanted.sides.items()
    }
    if wanted.metadata:
        lead_id = unsorted.create(world, wanted.metadata, wanted.lead, sides, user_id)["lead_id"]
    else:
        lead_id = deals.create(world, wanted.lead, user_id)["id"]
        for kind, side_id in sides.items():
            links.connect(world, "leads", lead_id, kind, side_id, user_id)
    if len(sides) == 2:
        links.connect(world, "contacts", sides["contacts"], "companies", sides["companies"], user_id)
    return _answer(world, lead_id, reader, merged=False)


def _answer(world: World, lead_id: int, reader: Reader, *, merged: bool) -> dict[str, Any]:
    def first(kind: str) -> int | None:
        return next((item["id"] for item in links.linked(world, "leads", lead_id, kind)), None)

    return {
        "id": lead_id,
        "contact_id": first("contacts"),
        "company_id": first("companies"),
        "request_id": [reader.request_id],
        "merged": merged,
    }


def _duplicate(world: World, wanted: Complex) -> Record | None:
    """An open lead of the same pipeline whose contact has one of the phones or e-mails."""
    contact = wanted.sides.get("contacts")
    if not isinstance(contact, Draft):
        return None
    pipeline_id = wanted.lead.plain.get("pipeline_id", main_pipeline(world))
    for known in world.table("contacts").values():
        if known["is_deleted"] or not _same_person(world, known, contact):
            continue
        for item in links.linked(world, "contacts", known["id"], "leads"):
            lead = find(world, "leads", item["id"])
            if lead and lead["pipeline_id"] == pipeline_id and lead["status_id"] not in CLOSED:
                return lead
    return None


def _same_person(world: World, known: Record, contact: Draft) -> bool:
    codes = {field["id"]: field["code"] for field in world.table("custom_fields/contacts").values()}
    for field_id, values in contact.fields.items():
        for new in values or ():
            for text in _texts(known, field_id):
                same = same_number if codes[field_id] == "PHONE" else _same_address
                if codes[field_id] in ("PHONE", "EMAIL") and same(str(new["value"]), text):
                    return True
    return False


def _texts(record: Record, field_id: int) -> Iterable[str]:
    for field in record["custom_fields_values"] or ():
        if field["field_id"] == field_id:
            yield from (str(item["value"]) for item in field["values"])


def _same_address(address: str, other: str) -> bool:
    return address.strip().casefold() == other.strip().casefold()
