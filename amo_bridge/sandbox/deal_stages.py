"""Where a lead stands: the pair (pipeline, status), and what follows from a move (amoCRM docs, leads-api)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.sandbox.http import Refused
from amo_bridge.sandbox.validation import Reader
from amo_bridge.sandbox.world import Record, World

WON, LOST = 142, 143
CLOSED = (WON, LOST)
UNSORTED = 1
"""``type`` of the status that incoming leads stand on."""


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
    here = current["pipeline_id"] if current else main_pipeline(world)
    target = pipeline_id or here
    if status_id is None:
        if current is not None and target == here:
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


def is_unsorted(world: World, lead: Record) -> bool:
    status = world.table("statuses").get(f"{lead['pipeline_id']}/{lead['status_id']}")
    return status is not None and status["type"] == UNSORTED


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


def refuse_reasons_of_the_living(wrong: Mapping[str, int]) -> None:
    """Raises Refused if a loss reason was sent for a lead that isn't lost; ``wrong``: lead id → reason."""
    if wrong:
        text = "Loss reason can be specified only for lost lead"
        raise Refused(400, "Invalid request body", errors=dict.fromkeys(wrong, text))
