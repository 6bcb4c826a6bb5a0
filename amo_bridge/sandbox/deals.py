"""``/api/v4/leads``: lists, single leads, batches (amoCRM docs, leads-api). There is no DELETE, as in amoCRM."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import deal_writes
from amo_bridge.sandbox.entities import closest_tasks, find
from amo_bridge.sandbox.entity_lists import asked_for
from amo_bridge.sandbox.http import embedded, hal, link, listing, one
from amo_bridge.sandbox.links import linked
from amo_bridge.sandbox.query import words
from amo_bridge.sandbox.validation import acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

DELETED_KEEPS = ("id", "status_id", "pipeline_id", "updated_at", "updated_by", "is_deleted", "account_id")


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/leads")
    def list_leads() -> Response:
        closest, wanted = closest_tasks(world, "leads"), words("with")
        deleted = "only_deleted" in wanted
        rows = asked_for(world, "leads", closest, lambda row: row["is_deleted"] is deleted)
        return listing("leads", rows, lambda row: shown(world, row, closest(row["id"]), wanted))

    @app.get("/api/v4/leads/<int:lead_id>")
    def get_lead(lead_id: int) -> Response:
        record = world.table("leads").get(lead_id)
        if record is None or record["is_deleted"] != ("only_deleted" in words("with")):
            return one(None)
        return one(shown(world, record, closest_tasks(world, "leads")(lead_id), words("with")))

    @app.post("/api/v4/leads")
    def add_leads() -> Response:
        drafts = checked(read_batch(world), deal_writes.read_new)
        deal_writes.check_reasons(world, drafts)
        added = []
        for reader, wanted in drafts:
            lead_id = deal_writes.create(world, wanted, acting_user())["id"]
            added.append({"id": lead_id, "request_id": reader.request_id, "_links": link(f"leads/{lead_id}")})
        return embedded("leads", added)

    @app.patch("/api/v4/leads")
    def change_leads() -> Response:
        drafts = checked(read_batch(world), deal_writes.read_patch)
        deal_writes.check_reasons(world, drafts)
        changed = [deal_writes.change(world, reader.body["id"], wanted, acting_user()) for reader, wanted in drafts]
        return embedded("leads", [_changed(record) for record in changed])

    @app.patch("/api/v4/leads/<int:lead_id>")
    def change_lead(lead_id: int) -> Response:
        drafts = checked([read_one(world, id=lead_id)], deal_writes.read_patch)
        deal_writes.check_reasons(world, drafts)
        return hal(_changed(deal_writes.change(world, lead_id, drafts[0][1], acting_user())))


def shown(world: World, record: Record, closest_task_at: int | None, wanted: set[str]) -> dict[str, Any]:
    """A lead as the API shows it; ``wanted``: the words of ``with``."""
    lead = {name: value for name, value in record.items() if name != "tags"}
    lead["closest_task_at"] = closest_task_at
    if record["is_deleted"]:
        lead = {name: value if name in DELETED_KEEPS else None for name, value in lead.items()}
    if "is_price_modified_by_robot" in wanted:
        lead["is_price_modified_by_robot"] = False
    lead["_links"] = link(f"leads/{record['id']}")
    lead["_embedded"] = _embedded(world, record, wanted)
    return lead


def _embedded(world: World, record: Record, wanted: set[str]) -> dict[str, Any]:
    def sides(kind: str) -> list[dict[str, Any]]:
        found = [item for item in linked(world, "leads", record["id"], kind) if find(world, kind, item["id"])]
        return [{**item, "_links": link(f"{kind}/{item['id']}")} for item in found]

    parts: dict[str, Any] = {"tags": record["tags"], "companies": sides("companies")}
    if "contacts" in wanted:
        parts["contacts"] = sides("contacts")
    if "loss_reason" in wanted:
        # A list, although the documentation's table calls it an object.
        reason = world.table("loss_reasons").get(record["loss_reason_id"])
        parts["loss_reason"] = [{**reason, "_links": link(f"leads/loss_reasons/{reason['id']}")}] if reason else []
    if "catalog_elements" in wanted:
        parts["catalog_elements"] = []
    if "source" in wanted:
        parts["source"] = None
    return parts


def _changed(record: Record) -> dict[str, Any]:
    return {"id": record["id"], "updated_at": record["updated_at"], "_links": link(f"leads/{record['id']}")}
