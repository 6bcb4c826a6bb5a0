"""Sources of an integration, the same ones for all (amoCRM docs, sources-api)."""

from __future__ import annotations

from typing import Any

from flask import Flask

from amo_bridge.sandbox.deals import main_pipeline
from amo_bridge.sandbox.record_lists import CALLS, RecordList, Where, register_lists
from amo_bridge.sandbox.validation import Reader, too_long
from amo_bridge.sandbox.world import Record, World

MAX_EXTERNAL_ID = 36


def register(app: Flask, world: World) -> None:
    register_lists(app, world, SOURCES)


def _read(reader: Reader, known: Record | None, where: Where) -> dict[str, Any]:
    """A source's own id is unique, and it stays what it was."""
    world, external_id = reader.world, reader.body.get("external_id")
    reader.choice("pipeline_id", world.table("pipelines"))
    if known is not None:
        return {"external_id": known["external_id"]}
    if isinstance(external_id, str):
        if len(external_id) > MAX_EXTERNAL_ID:
            reader.fail("TooLong", "external_id", too_long(MAX_EXTERNAL_ID))
        if any(source["external_id"] == external_id for source in world.table("sources").values()):
            reader.fail("NotUnique", "external_id")
    return {"pipeline_id": reader.body.get("pipeline_id") or main_pipeline(world)}


SOURCES = RecordList(
    name="sources",
    path="sources",
    kinds={
        "name": str,
        "external_id": str,
        "pipeline_id": int,
        "default": bool,
        "origin_code": str,
        "services": list,
    },
    required=("name", "external_id"),
    defaults={"default": False, "origin_code": None, "services": []},
    calls=CALLS,
    missing=204,
    most=50,
    read_more=_read,
    filters=("external_id", "id"),
)
