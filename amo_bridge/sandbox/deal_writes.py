"""Adding and changing leads (amoCRM docs, leads-api): used by the API, by incoming leads and by people's acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amo_bridge.sandbox import links
from amo_bridge.sandbox.deal_stages import LOST, closing, read_stage, refuse_reasons_of_the_living
from amo_bridge.sandbox.entities import Draft, draft, find, must_exist, new_record, patched, put, read_common
from amo_bridge.sandbox.validation import Reader
from amo_bridge.sandbox.world import Record, World

OWN = {
    "price": 0,
    "status_id": None,
    "pipeline_id": None,
    "loss_reason_id": None,
    "source_id": None,
    "closed_at": None,
    "score": None,
    "labor_cost": None,
}


def read_new(reader: Reader) -> Draft:
    return draft(reader, "leads", _read_plain(reader, None), links=True)


def read_patch(reader: Reader) -> Draft:
    """A PATCH changes neither contacts nor companies: those are for the link calls, and are ignored here."""
    must_exist(reader, "leads")
    return draft(reader, "leads", _read_plain(reader, find(reader.world, "leads", reader.body.get("id"))), links=False)


def check_reasons(world: World, drafts: Sequence[tuple[Reader, Draft]]) -> None:
    """Raises Refused for loss reasons of leads that will not be lost."""
    wrong = {}
    for reader, wanted in drafts:
        lead = find(world, "leads", reader.body.get("id"))
        status_id = wanted.plain.get("status_id", lead["status_id"] if lead else None)
        if wanted.plain.get("loss_reason_id") is not None and status_id != LOST:
            wrong[str(lead["id"]) if lead else reader.request_id] = wanted.plain["loss_reason_id"]
    refuse_reasons_of_the_living(wrong)


def build(world: World, wanted: Draft, user_id: int, **stage: Any) -> Record:
    """A lead that is in no table yet. ``stage``: given from inside, not by the request."""
    record = {**new_record(world, "leads", wanted, user_id, **OWN), **stage}
    return {**record, **closing(world, None, record)}


def create(world: World, wanted: Draft, user_id: int) -> Record:
    """Adds the lead, then links its contacts and its company."""
    record = build(world, wanted, user_id)
    put(world, "leads", record, user_id)
    for contact in wanted.contacts:
        links.connect(world, "leads", record["id"], "contacts", contact["id"], user_id, is_main=contact.get("is_main"))
    for company in wanted.companies[:1]:
        links.connect(world, "leads", record["id"], "companies", company["id"], user_id)
    return world.table("leads")[record["id"]]


def change(world: World, lead_id: int, wanted: Draft, user_id: int) -> Record:
    """The lead after the patch, which may be the lead as it was."""
    before = world.table("leads")[lead_id]
    plain = {**wanted.plain, **closing(world, before, wanted.plain)}
    after = patched(world, "leads", before, Draft(plain, wanted.fields, wanted.tags), user_id)
    put(world, "leads", after, user_id)
    return after


def _read_plain(reader: Reader, current: Record | None) -> dict[str, Any]:
    plain = read_common(reader, "leads")
    price = reader.integer("price")
    if price is not None:
        plain["price"] = price
    plain |= read_stage(reader, current)
    for name, value in (
        ("closed_at", reader.integer("closed_at")),
        ("loss_reason_id", reader.choice("loss_reason_id", reader.world.table("loss_reasons"))),
    ):
        if name in reader:
            plain[name] = value
    return plain
