"""Lists of the account and their elements (amoCRM docs, catalogs-api)."""

from __future__ import annotations

from typing import Any

from flask import Flask

from amo_bridge.sandbox import field_values
from amo_bridge.sandbox.http import Refused
from amo_bridge.sandbox.record_lists import RecordList, Where, register_lists
from amo_bridge.sandbox.validation import Reader
from amo_bridge.sandbox.world import Record, World

MAX_CATALOGS = 10
TYPES = ("regular", "invoices", "products", "suppliers")


def register(app: Flask, world: World) -> None:
    register_lists(app, world, CATALOGS, ELEMENTS)


def _read_catalog(reader: Reader, known: Record | None, where: Where) -> dict[str, Any]:
    if known is None and len(reader.world.table("catalogs")) >= MAX_CATALOGS:
        raise Refused(400, f"Catalogs limit reached: {MAX_CATALOGS}")
    reader.choice("type", TYPES)
    return {}


CATALOGS = RecordList(
    name="catalogs",
    path="catalogs",
    kinds={
        "name": str,
        "sort": int,
        "type": str,
        "can_add_elements": bool,
        "can_show_in_cards": bool,
        "can_link_multiple": bool,
    },
    required=("name",),
    defaults={
        "name": "",
        "sort": 10,
        "type": "regular",
        "can_add_elements": True,
        "can_show_in_cards": False,
        "can_link_multiple": True,
        "can_be_deleted": True,
        "sdk_widget_code": None,
    },
    calls=frozenset({"list", "get", "add", "change_many", "change_one"}),
    is_stamped=True,
    missing=204,
    totals=False,
    read_more=_read_catalog,
)


def _known_catalog(world: World, where: Where) -> None:
    if where["catalog_id"] not in world.table("catalogs"):
        raise Refused(404, "Catalog not found")


def _read_element(reader: Reader, known: Record | None, where: Where) -> dict[str, Any]:
    entity = f"catalogs/{where['catalog_id']}"
    changes = field_values.read(reader, entity)
    if reader.errors:
        return {}
    current = known["custom_fields_values"] if known else None
    return {"custom_fields_values": field_values.merged(reader.world, entity, current, changes), **where}


ELEMENTS = RecordList(
    name="elements",
    path="catalogs/<int:catalog_id>/elements",
    kinds={"name": str, "currency_id": int},
    required=("name",),
    defaults={"name": "", "is_deleted": False, "custom_fields_values": None},
    calls=frozenset({"list", "get", "add", "change_many", "change_one"}),
    counter="catalog_elements",
    is_stamped=True,
    missing=204,
    totals=False,
    table=lambda where: f"catalogs/{where['catalog_id']}",
    read_more=_read_element,
    guard=_known_catalog,
)
