"""Leads and the stage they stand on (amoCRM docs, leads-api). No DELETE, as in amoCRM.

Used by the API, by incoming leads and by people's acts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import links
from amo_bridge.sandbox.entities import (
    Draft,
    closest_tasks,
    draft,
    find,
    listed_rows,
    must_exist,
    new_record,
    patched,
    put,
    read_common,
)
from amo_bridge.sandbox.http import Refused, embedded, hal, link, listing, single, words
from amo_bridge.sandbox.links import linked
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

WON, LOST = 142, 143
CLOSED = (WON, LOST)
UNSORTED = 1
"""``type`` of the status that incoming leads stand on."""

DEFAULTS = {
    "price": 0,
    "status_id": None,
    "pipeline_id": None,
    "loss_reason_id": None,
    "source_id": None,
    "closed_at": None,
    "score": None,
    "labor_cost": None,
}
DELETED_SHOWS = ("id", "status_id", "pipeline_id", "updated_at", "updated_by", "is_deleted", "account_id")


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/leads")
    def list_leads() -> Response:
        closest, wanted = closest_tasks(world, "leads"), words("with")
        deleted = "only_deleted" in wanted
        rows = listed_rows(world, "leads", closest, lambda row: row["is_deleted"] is deleted)
        return listing("leads", rows, lambda row: shown(world, row, closest(row["id"]), wanted))

    @app.get("/api/v4/leads/<int:lead_id>")
    def get_lead(lead_id: int) -> Response:
        record = world.table("leads").get(lead_id)
        if record is None or record["is_deleted"] != ("only_deleted" in words("with")):
            return single(None)
        return single(shown(world, record, closest_tasks(world, "leads")(lead_id), words("with")))

    @app.post("/api/v4/leads")
    def add_leads() -> Response:
        drafts = checked(read_batch(world), read_new)
        check_reasons(world, drafts)
        added = []
        for reader, wanted in drafts:
            lead_id = create(world, wanted, acting_user())["id"]
            added.append({"id": lead_id, "request_id": reader.request_id, "_links": link(f"leads/{lead_id}")})
        return embedded("leads", added)

    @app.patch("/api/v4/leads")
    def change_leads() -> Response:
        drafts = checked(read_batch(world), read_patch)
        check_reasons(world, drafts)
        changed = [change(world, reader.body["id"], wanted, acting_user()) for reader, wanted in drafts]
        return embedded("leads", [_changed(record) for record in changed])

    @app.patch("/api/v4/leads/<int:lead_id>")
    def change_lead(lead_id: int) -> Response:
        drafts = checked([read_one(world, id=lead_id)], read_patch)
        check_reasons(world, drafts)
        return hal(_changed(change(world, lead_id, drafts[0][1], acting_user())))


def shown(world: World, record: Record, closest_task_at: int | None, wanted: set[str]) -> dict[str, Any]:
    """A lead as the API shows it; ``wanted``: the words of ``with``."""
    lead = {name: value for name, value in record.items() if name != "tags"}
    lead["closest_task_at"] = closest_task_at
    if record["is_deleted"]:
        lead = {name: value if name in DELETED_SHOWS else None for name, value in lead.items()}
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
        parts["catalog_elements"] = links.embedded_elements(world, "leads", record["id"])
    if "source" in wanted:
        source = world.table("sources").get(record["source_id"])
        parts["source"] = {name: source[name] for name in ("id", "name")} if source else None
    return parts


def _changed(record: Record) -> dict[str, Any]:
    return {"id": record["id"], "updated_at": record["updated_at"], "_links": link(f"leads/{record['id']}")}


# --- stages ----------------------------------------------------------------------------------------------------------


def statuses_of(world: World, pipeline_id: int) -> list[Record]:
    found = [status for status in world.table("statuses").values() if status["pipeline_id"] == pipeline_id]
    return sorted(found, key=lambda status: status["sort"])


def unsorted_of(world: World, pipeline_id: int) -> int:
    return int(next(status["id"] for status in statuses_of(world, pipeline_id) if status["type"] == UNSORTED))


def first_of(world: World, pipeline_id: int) -> int:
    """The first stage a lead can stand on: the one after «Неразобранное»."""
    return int(next(status["id"] for status in statuses_of(world, pipeline_id) if status["type"] != UNSORTED))


def main_pipeline(world: World) -> int:
    return int(next(pipeline["id"] for pipeline in world.table("pipelines").values() if pipeline["is_main"]))


def is_unsorted(world: World, lead: Record) -> bool:
    status = world.table("statuses").get(f"{lead['pipeline_id']}/{lead['status_id']}")
    return status is not None and status["type"] == UNSORTED


# --- reading ---------------------------------------------------------------------------------------------------------


def read_new(reader: Reader) -> Draft:
    return draft(reader, "leads", _read_plain(reader, None), links=True)


def read_patch(reader: Reader) -> Draft:
    """A PATCH changes neither contacts nor companies: those are for the link calls, and are ignored here."""
    must_exist(reader, "leads")
    return draft(reader, "leads", _read_plain(reader, find(reader.world, "leads", reader.body.get("id"))), links=False)


def _read_plain(reader: Reader, current: Record | None) -> dict[str, Any]:
    plain = read_common(reader, "leads")
    price = reader.integer("price")
    if price is not None:
        plain["price"] = price
    plain |= read_stage(reader, current)
    if current is None:
        plain |= _read_source(reader)
    for name, value in (
        ("closed_at", reader.integer("closed_at")),
        ("loss_reason_id", reader.choice("loss_reason_id", reader.world.table("loss_reasons"))),
    ):
        if name in reader:
            plain[name] = value
    return plain


def _read_source(reader: Reader) -> dict[str, int]:
    """The integration's source that brought the lead, named by its external id."""
    wanted = reader.embedded().get("source")
    if not isinstance(wanted, dict) or wanted.get("external_id") is None:
        return {}
    sources = reader.world.table("sources").values()
    found = next((source for source in sources if source["external_id"] == wanted["external_id"]), None)
    if found is None:
        reader.not_a_choice("_embedded.source.external_id")
        return {}
    return {"source_id": found["id"]}


def read_stage(reader: Reader, current: Record | None) -> dict[str, int]:
    """``pipeline_id`` and ``status_id`` asked for, as a whole pair; empty if the lead stays where it is.

    A status alone must be of the lead's own pipeline (for a new lead: of the main one); 142 and 143 are of every one.
    """
    world = reader.world
    status_id = reader.integer("status_id")
    pipeline_id = reader.integer("pipeline_id")
    if pipeline_id is not None and pipeline_id not in world.table("pipelines"):
        reader.not_a_choice("pipeline_id")
        return {}
    own = current["pipeline_id"] if current else main_pipeline(world)
    target = pipeline_id or own
    if status_id is None:
        if current is not None and target == own:
            return {}
        return {"pipeline_id": target, "status_id": first_of(world, target)}
    stage = {"pipeline_id": target, "status_id": status_id}
    if current is not None and stage == {name: current[name] for name in stage}:
        return {}
    status = world.table("statuses").get(f"{target}/{status_id}")
    if status is None or status["type"] == UNSORTED or (current is not None and is_unsorted(world, current)):
        # Incoming leads come and go by their own methods, accept and decline.
        reader.not_a_choice("status_id")
        return {}
    return stage


def check_reasons(world: World, drafts: Sequence[tuple[Reader, Draft]]) -> None:
    """Raises Refused for loss reasons of leads that will not be lost."""
    wrong = {}
    for reader, wanted in drafts:
        lead = find(world, "leads", reader.body.get("id"))
        status_id = wanted.plain.get("status_id", lead["status_id"] if lead else None)
        if wanted.plain.get("loss_reason_id") is not None and status_id != LOST:
            wrong[str(lead["id"]) if lead else reader.request_id] = wanted.plain["loss_reason_id"]
    refuse_reasons_of_open_leads(wrong)


def refuse_reasons_of_open_leads(wrong: Mapping[str, int]) -> None:
    """Raises Refused if a loss reason was sent for a lead that isn't lost; ``wrong``: lead id → reason."""
    if wrong:
        text = "Loss reason can be specified only for lost lead"
        raise Refused(400, "Invalid request body", errors=dict.fromkeys(wrong, text))


# --- writing ---------------------------------------------------------------------------------------------------------


def build(world: World, wanted: Draft, user_id: int, **stage: Any) -> Record:
    """A lead that is in no table yet. ``stage``: given from inside, not by the request."""
    record = {**new_record(world, "leads", wanted, user_id, **DEFAULTS), **stage}
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


def closing(world: World, before: Record | None, plain: Mapping[str, Any]) -> dict[str, Any]:
    """``closed_at`` and ``loss_reason_id`` that a write leaves the lead with."""
    known = before or {"status_id": None, "closed_at": None, "loss_reason_id": None}
    status_id = plain.get("status_id", known["status_id"])
    if status_id not in CLOSED:
        return {"closed_at": None, "loss_reason_id": None}
    moved = status_id != known["status_id"]
    closed_at = plain.get("closed_at") or (known["closed_at"] if not moved else None) or world.clock.now()
    reason = plain.get("loss_reason_id", known["loss_reason_id"]) if status_id == LOST else None
    return {"closed_at": closed_at, "loss_reason_id": reason}
