"""Incoming leads («Неразобранное»): adding, accepting, declining (amoCRM docs, unsorted-api).

The lead exists from the start, on the status of type 1; its contact is in no list before the lead is accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from amo_bridge.sandbox import client_writes, deal_writes, links
from amo_bridge.sandbox.changes import Action, Change
from amo_bridge.sandbox.deal_stages import first_of, main_pipeline, unsorted_of
from amo_bridge.sandbox.entities import Draft, group_of, kind_of, put, stamp
from amo_bridge.sandbox.tags import TagChange
from amo_bridge.sandbox.world import Record, World

UID_LENGTH = 60
ROBOT = 0


def create(
    world: World, about: Mapping[str, Any], lead: Draft | None, sides: Mapping[str, int | Draft], user_id: int
) -> Record:
    """Adds the lead with its hidden contact and company. ``about``: category, source_uid, source_name, metadata …"""
    wanted = lead or Draft({}, {}, TagChange())
    pipeline_id = about.get("pipeline_id") or wanted.plain.get("pipeline_id") or main_pipeline(world)
    stage = {"pipeline_id": pipeline_id, "status_id": unsorted_of(world, pipeline_id)}
    record = {**deal_writes.build(world, wanted, ROBOT), **stage, "closed_at": None}
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
        "metadata": about.get("metadata") or _bare(about),
        "account_id": world.account["id"],
        "lead_id": record["id"],
        "contacts": [ids["contacts"]] if "contacts" in ids else [],
        "companies": [ids["companies"]] if "companies" in ids else [],
        "state": "new",
        "request_id": about.get("request_id"),
    }
    world.table("unsorted")[uid] = incoming
    _tell(world, "add", None, incoming, user_id)
    return incoming


def accept(world: World, incoming: Record, user_id: int, status_id: int | None) -> Record:
    """The lead moves to a real stage and is ``user_id``'s, its contact comes into the lists."""
    after = _close(world, incoming, "accepted")
    for kind in ("contacts", "companies"):
        for side_id in incoming[kind]:
            _reveal(world, kind, side_id, user_id)
    _tell(world, "accept", incoming, after, user_id)
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
    _tell(world, "decline", incoming, after, user_id)
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
    record = {**client_writes.build(world, kind, side, ROBOT), "is_unsorted": True}
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


def _tell(world: World, action: Action, before: Record | None, after: Record, user_id: int) -> None:
    world.record(Change("unsorted", action, after["lead_id"], before, after, user_id, world.clock.now()))


def _uid(world: World) -> str:
    """A long hex string, as amoCRM's; the same for the same history of the account."""
    number = world.next_id("unsorted")
    return hashlib.sha256(f"{world.account['id']}/{number}".encode()).hexdigest()[:UID_LENGTH]


def _bare(about: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a complex add lie beside their category."""
    return {name: value for name, value in about.items() if name != "category"}
