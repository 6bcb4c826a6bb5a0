"""Two cards made one, as people do with duplicates: what the loser had goes to the winner, the loser's id vanishes."""

from __future__ import annotations

from typing import Any

from amo_bridge.sandbox import links
from amo_bridge.sandbox.changes import Change, Kind
from amo_bridge.sandbox.entities import put, stamp
from amo_bridge.sandbox.world import Record, World

SEVERAL = ("multitext", "multiselect")


def merge(world: World, kind: Kind, winner: Record, loser: Record, user_id: int) -> None:
    """Both records are live ones of ``kind``. The loser's Change names the winner as ``merged_into``."""
    merged = {
        **winner,
        "custom_fields_values": _fields(winner, loser),
        "tags": [*winner["tags"], *(tag for tag in loser["tags"] if tag not in winner["tags"])],
        **stamp(world, user_id),
    }
    for to in ("leads", "contacts", "companies"):
        for item in links.linked(world, kind, loser["id"], to):
            links.detach(world, kind, loser["id"], to, item["id"])
            if to != "companies" or not links.linked(world, kind, winner["id"], to):
                links.attach(world, kind, winner["id"], to, item["id"])
    for owned in ("tasks", "notes"):
        for record in list(world.table(owned).values()):
            if (record["entity_type"], record["entity_id"]) == (kind, loser["id"]):
                world.table(owned)[record["id"]] = {**record, "entity_id": winner["id"]}
    gone = {**loser, "is_deleted": True, "merged_into": winner["id"], **stamp(world, user_id)}
    world.table(kind)[loser["id"]] = gone
    told = {"merged_into": winner["id"]}
    world.record(Change(kind, "delete", loser["id"], loser, None, user_id, world.clock.now(), told))
    put(world, kind, merged, user_id, merged_from=loser["id"])


def _fields(winner: Record, loser: Record) -> list[dict[str, Any]] | None:
    """The winner's own values win; phones, e-mails and multiselects are joined."""
    fields = {field["field_id"]: field for field in winner["custom_fields_values"] or ()}
    for field in loser["custom_fields_values"] or ():
        mine = fields.get(field["field_id"])
        if mine is None:
            fields[field["field_id"]] = field
        elif field["field_type"] in SEVERAL:
            known = {item["value"] for item in mine["values"]}
            more = [item for item in field["values"] if item["value"] not in known]
            fields[field["field_id"]] = {**mine, "values": [*mine["values"], *more]}
    return list(fields.values()) or None
