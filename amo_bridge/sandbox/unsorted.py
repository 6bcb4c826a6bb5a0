"""Incoming leads («Неразобранное»), ``/api/v4/leads/unsorted`` (amoCRM docs, unsorted-api).

Forms and calls can be added, all kinds be accepted or declined. The lead exists from the start, on the status of type
1; its contact is in no list before the lead is accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import contacts, deals, links
from amo_bridge.sandbox.changes import Action, Change
from amo_bridge.sandbox.deals import UNSORTED, first_of, main_pipeline, unsorted_of
from amo_bridge.sandbox.entities import Draft, group_of, kind_of, put, stamp
from amo_bridge.sandbox.http import (
    Refused,
    branch,
    embedded,
    hal,
    integers,
    link,
    listing,
    query,
    request_json,
    single,
    strings,
)
from amo_bridge.sandbox.tags import TagChange
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch
from amo_bridge.sandbox.world import Record, World

UID_LENGTH = 60
ROBOT = 0
PATH = "/api/v4/leads/unsorted"
CATEGORIES = ("sip", "mail", "forms", "chats")
REQUIRED = {
    "forms": ("form_id", "form_name", "form_page", "form_sent_at"),
    "sip": ("from", "phone", "called_at", "duration", "service_code"),
}
"""Metadata each kind must have."""


@dataclass(frozen=True)
class Incoming:
    about: dict[str, Any]
    lead: Draft | None
    sides: dict[str, int | Draft]


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.get(PATH)
    def list_unsorted() -> Response:
        return listing("unsorted", _listed_rows(world), _shown)

    @app.get(f"{PATH}/summary")
    def summary() -> Response:
        return hal(_summary(list(world.table("unsorted").values())))

    @app.get(f"{PATH}/<uid>")
    def get_unsorted(uid: str) -> Response:
        incoming = world.table("unsorted").get(uid)
        return single(None if incoming is None or incoming["state"] != "new" else _shown(incoming))

    @app.post(f"{PATH}/<any(forms, sip):category>")
    def add_unsorted(category: str) -> Response:
        drafts = checked(read_batch(world), lambda reader: _read(reader, category))
        _refuse_repeated(world, [draft.about for _, draft in drafts])
        added = []
        for reader, draft in drafts:
            incoming = create(world, draft.about, draft.lead, draft.sides, acting_user())
            added.append({**_brief(incoming), "request_id": reader.request_id})
        return embedded("unsorted", added, _total_items=len(added))

    @app.post(f"{PATH}/<uid>/accept")
    def accept_incoming(uid: str) -> Response:
        incoming, sent = _open(world, uid), _decision(world)
        status_id = sent.get("status_id")
        status = world.table("statuses").get(f"{incoming['pipeline_id']}/{status_id}")
        if status_id is not None and (status is None or status["type"] == UNSORTED):
            raise _refused("status_id")
        return hal(_brief(accept(world, incoming, sent.get("user_id") or acting_user(), status_id)))

    @app.delete(f"{PATH}/<uid>/decline")
    def decline_incoming(uid: str) -> Response:
        incoming, sent = _open(world, uid), _decision(world)
        return hal(_brief(decline(world, incoming, sent.get("user_id") or acting_user())))


def _listed_rows(world: World) -> list[Record]:
    params = query()
    uids, kinds = strings(branch(params, "filter", "uid")), strings(branch(params, "filter", "category"))
    pipelines = integers(branch(params, "filter", "pipeline_id"))
    rows = [
        row
        for row in world.table("unsorted").values()
        if row["state"] == "new"
        and (not uids or row["uid"] in uids)
        and (not kinds or row["category"] in kinds)
        and (not pipelines or row["pipeline_id"] in pipelines)
    ]
    down = branch(params, "order", "created_at") == "desc" or branch(params, "order", "updated_at") == "desc"
    return sorted(rows, key=lambda row: row["created_at"], reverse=down)


def _summary(rows: list[Record]) -> dict[str, Any]:
    done = [row for row in rows if row["state"] != "new"]
    waited = [row["closed_at"] - row["created_at"] for row in done]
    return {
        "total": len(rows),
        "accepted": sum(row["state"] == "accepted" for row in rows),
        "declined": sum(row["state"] == "declined" for row in rows),
        "average_sort_time": sum(waited) // len(waited) if waited else 0,
        "categories": {name: {"total": sum(row["category"] == name for row in rows)} for name in CATEGORIES},
    }


def _open(world: World, uid: str) -> Record:
    incoming = world.table("unsorted").get(uid)
    if incoming is None or incoming["state"] != "new":
        raise Refused(404, "Unsorted not found")
    return incoming


def _parts(incoming: Record) -> dict[str, Any]:
    def links_to(kind: str, ids: list[int]) -> list[dict[str, Any]]:
        return [{"id": entity_id, "_links": link(f"{kind}/{entity_id}")} for entity_id in ids]

    return {
        "contacts": links_to("contacts", incoming["contacts"]),
        "leads": links_to("leads", [incoming["lead_id"]]),
        "companies": links_to("companies", incoming["companies"]),
    }


def _brief(incoming: Record) -> dict[str, Any]:
    shown = {name: incoming[name] for name in ("uid", "account_id", "pipeline_id", "category")}
    return {**shown, "_links": link(f"leads/unsorted/{incoming['uid']}"), "_embedded": _parts(incoming)}


def _shown(incoming: Record) -> dict[str, Any]:
    names = ("uid", "source_uid", "source_name", "category", "pipeline_id", "created_at", "metadata", "account_id")
    shown = {name: incoming[name] for name in names}
    return {**shown, "_links": link(f"leads/unsorted/{incoming['uid']}"), "_embedded": _parts(incoming)}


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(reader: Reader, category: str) -> Incoming:
    reader.require("source_uid", "source_name", "metadata")
    metadata = reader.mapping("metadata") or {}
    for name in REQUIRED[category] if "metadata" in reader else ():
        if name not in metadata:
            reader.fail("FieldMissing", f"metadata.{name}")
    about = {
        "category": category,
        "source_uid": reader.text("source_uid"),
        "source_name": reader.text("source_name"),
        "pipeline_id": reader.choice("pipeline_id", reader.world.table("pipelines")),
        "created_at": reader.integer("created_at"),
        "metadata": metadata,
        "request_id": reader.request_id,
    }
    within, drafts = reader.embedded(), {}
    for kind in ("leads", "contacts", "companies"):
        for item in reader.objects(kind, within, "_embedded.")[:1]:
            # The status is not the sender's to choose: the lead waits in «Неразобранное».
            bare = {name: value for name, value in item.items() if name not in ("status_id", "pipeline_id")}
            inner = Reader(reader.world, bare, reader.request_id, reader.user_id)
            drafts[kind] = deals.read_new(inner) if kind == "leads" else contacts.read_new(inner, kind)
            reader.errors += [{**error, "path": f"_embedded.{kind}.0.{error['path']}"} for error in inner.errors]
    return Incoming(about, drafts.pop("leads", None), {**drafts})


def _refuse_repeated(world: World, sent: list[dict[str, Any]]) -> None:
    """The same data twice is an error: there are no duplicates among incoming leads."""
    waiting = [row for row in world.table("unsorted").values() if row["state"] == "new"]
    for about in sent:
        for row in waiting:
            if all(row[name] == about[name] for name in ("category", "source_uid", "metadata")):
                raise Refused(400, "Unsorted with the same data already exists")


def _decision(world: World) -> dict[str, Any]:
    sent = request_json()
    sent = sent if isinstance(sent, dict) else {}
    user = world.table("users").get(sent.get("user_id"))
    if sent.get("user_id") is not None and (user is None or not user["is_active"]):
        raise _refused("user_id")
    return sent


def _refused(path: str) -> Refused:
    detail = "The value you selected is not a valid choice."
    errors = [{"code": "NotSupportedChoice", "path": path, "detail": detail}]
    return Refused(400, "Request validation failed", **{"validation-errors": [{"request_id": "0", "errors": errors}]})


# --- writing ---------------------------------------------------------------------------------------------------------


def create(
    world: World, about: Mapping[str, Any], lead: Draft | None, sides: Mapping[str, int | Draft], user_id: int
) -> Record:
    """Adds the lead with its hidden contact and company.

    ``about``: category, source_uid, source_name, metadata …
    """
    wanted = lead or Draft({}, {}, TagChange())
    pipeline_id = about.get("pipeline_id") or wanted.plain.get("pipeline_id") or main_pipeline(world)
    stage = {"pipeline_id": pipeline_id, "status_id": unsorted_of(world, pipeline_id)}
    record = {**deals.build(world, wanted, ROBOT), **stage, "closed_at": None}
    world.table("leads")[record["id"]] = record
    ids = {kind: _side(world, kind, side) for kind, side in sides.items()}
    for kind, side_id in ids.items():
        links.attach(world, "leads", record["id"], kind, side_id)
    uid = _uid(world)
    incoming = {
        "uid": uid,
        "source_uid": about.get("source_uid"),
        "source_name": about.get("source_name"),
        "category": about["category"],
        "pipeline_id": pipeline_id,
        "created_at": about.get("created_at") or world.clock.now(),
        "metadata": about.get("metadata") or _metadata(about),
        "account_id": world.account["id"],
        "lead_id": record["id"],
        "contacts": [ids["contacts"]] if "contacts" in ids else [],
        "companies": [ids["companies"]] if "companies" in ids else [],
        "state": "new",
        "request_id": about.get("request_id"),
    }
    world.table("unsorted")[uid] = incoming
    _record(world, "add", None, incoming, user_id)
    return incoming


def accept(world: World, incoming: Record, user_id: int, status_id: int | None) -> Record:
    """The lead moves to a real stage and is ``user_id``'s, its contact comes into the lists."""
    after = _close(world, incoming, "accepted")
    for kind in ("contacts", "companies"):
        for side_id in incoming[kind]:
            _reveal(world, kind, side_id, user_id)
    _record(world, "accept", incoming, after, user_id)
    lead = world.table("leads")[incoming["lead_id"]]
    moved = {
        **lead,
        "status_id": status_id or first_of(world, lead["pipeline_id"]),
        "responsible_user_id": user_id,
        "group_id": group_of(world, user_id),
        **stamp(world, user_id),
    }
    put(world, "leads", moved, user_id)
    return after


def decline(world: World, incoming: Record, user_id: int) -> Record:
    """The lead is deleted, and so is the contact that nobody saw."""
    after = _close(world, incoming, "declined")
    _record(world, "decline", incoming, after, user_id)
    for kind in ("contacts", "companies"):
        for side_id in incoming[kind]:
            side = world.table(kind)[side_id]
            if side.get("is_unsorted"):
                world.table(kind)[side_id] = {**side, "is_deleted": True}
    lead = world.table("leads")[incoming["lead_id"]]
    world.table("leads")[lead["id"]] = {**lead, "is_deleted": True, **stamp(world, user_id)}
    world.record(Change("leads", "delete", lead["id"], lead, None, user_id, world.clock.now()))
    return after


def _side(world: World, kind: str, side: int | Draft) -> int:
    if isinstance(side, int):
        return side
    record = {**contacts.build(world, kind, side, ROBOT), "is_unsorted": True}
    world.table(kind)[record["id"]] = record
    return int(record["id"])


def _reveal(world: World, kind: str, side_id: int, user_id: int) -> None:
    side = world.table(kind)[side_id]
    if side.get("is_unsorted"):
        shown = {name: value for name, value in side.items() if name != "is_unsorted"}
        shown |= {"responsible_user_id": user_id, "group_id": group_of(world, user_id), **stamp(world, user_id)}
        world.table(kind)[side_id] = shown
        world.record(Change(kind_of(kind), "add", side_id, None, shown, user_id, world.clock.now()))


def _close(world: World, incoming: Record, state: str) -> Record:
    after = {**incoming, "state": state, "closed_at": world.clock.now()}
    world.table("unsorted")[incoming["uid"]] = after
    return after


def _record(world: World, action: Action, before: Record | None, after: Record, user_id: int) -> None:
    world.record(Change("unsorted", action, after["lead_id"], before, after, user_id, world.clock.now()))


def _uid(world: World) -> str:
    """A long hex string, as amoCRM's; the same for the same history of the account."""
    number = world.next_id("unsorted")
    return hashlib.sha256(f"{world.account['id']}/{number}".encode()).hexdigest()[:UID_LENGTH]


def _metadata(about: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a complex add lie beside their category."""
    return {name: value for name, value in about.items() if name != "category"}
