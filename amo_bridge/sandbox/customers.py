"""Customers, their statuses, segments and purchases (amoCRM: customers-api).

They can be read in any account. They can be written where they are switched on: in the account file or by
``PATCH /customers/mode``. They make neither events nor webhooks.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import field_values
from amo_bridge.sandbox.entities import closest_tasks, draft, find, listed_rows, must_exist, new_record, patched
from amo_bridge.sandbox.http import Refused, embedded, hal, link, listing, single, words
from amo_bridge.sandbox.links import embedded_elements, linked
from amo_bridge.sandbox.record_lists import RecordList, Where, register_lists
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

CUSTOMERS = "/api/v4/customers"
MODES = ("segments", "periodicity")
PLAIN = ("next_price", "next_date", "status_id", "periodicity")
DEFAULTS = {
    "next_price": 0,
    "next_date": None,
    "status_id": None,
    "periodicity": 0,
    "ltv": 0,
    "purchases_count": 0,
    "average_check": 0,
}


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    register_lists(app, world, STATUSES, SEGMENTS, PURCHASES, ALL_PURCHASES)

    @app.patch(f"{CUSTOMERS}/mode")
    def set_mode() -> Response:
        """Switches customers on or off: {mode, is_enabled}."""
        reader = read_one(world)
        reader.require("mode", "is_enabled")
        checked([reader], lambda reader: (reader.choice("mode", MODES), reader.flag("is_enabled")))
        if world.account["customers_mode"] == "unavailable":
            raise Refused(402, "Payment required")
        mode, is_enabled = reader.body["mode"], reader.body["is_enabled"]
        world.account["customers_mode"] = mode if is_enabled else "disabled"
        return hal({"mode": mode, "is_enabled": is_enabled})

    @app.get(CUSTOMERS)
    def list_customers() -> Response:
        closest, wanted = closest_tasks(world, "customers"), words("with")
        rows = listed_rows(world, "customers", closest, lambda row: not row["is_deleted"])
        return listing("customers", rows, lambda row: _shown(world, row, closest(row["id"]), wanted))

    @app.get(f"{CUSTOMERS}/<int:customer_id>")
    def get_customer(customer_id: int) -> Response:
        record = find(world, "customers", customer_id)
        if record is None:
            return single(None)
        return single(_shown(world, record, closest_tasks(world, "customers")(customer_id), words("with")))

    @app.post(CUSTOMERS)
    def add_customers() -> Response:
        _must_be_on(world, {})
        added = []
        for reader, wanted in checked(
            read_batch(world), lambda reader: draft(reader, "customers", _read(reader), links=False)
        ):
            record = new_record(world, "customers", wanted, acting_user(), **DEFAULTS)
            world.table("customers")[record["id"]] = record
            new = {"id": record["id"], "request_id": reader.request_id, "_links": link(f"customers/{record['id']}")}
            added.append(new)
        return embedded("customers", added)

    @app.patch(CUSTOMERS)
    def change_customers() -> Response:
        _must_be_on(world, {})
        drafts = checked(read_batch(world), _read_patch)
        changed = [
            {**_changed(world, reader.body["id"], wanted), "request_id": reader.request_id} for reader, wanted in drafts
        ]
        return embedded("customers", changed)

    @app.patch(f"{CUSTOMERS}/<int:customer_id>")
    def change_customer(customer_id: int) -> Response:
        _must_be_on(world, {})
        ((_, wanted),) = checked([read_one(world, id=customer_id)], _read_patch)
        return hal(_changed(world, customer_id, wanted))

    @app.post(f"{CUSTOMERS}/<int:customer_id>/bonus_points")
    def change_points(customer_id: int) -> Response:
        """Gives or takes bonus points: {earn} or {redeem}."""
        _must_exist(world, {"customer_id": customer_id})
        reader = read_one(world)
        checked([reader], lambda reader: (reader.integer("earn"), reader.integer("redeem")))
        known = world.table("bonus_points").get(customer_id, {"points": 0})["points"]
        points = known + (reader.body.get("earn") or 0) - (reader.body.get("redeem") or 0)
        if points < 0:
            raise Refused(400, "Not enough bonus points")
        world.table("bonus_points")[customer_id] = {"points": points}
        return hal({"bonus_points": points})


def _shown(world: World, record: Record, closest_task_at: int | None, wanted: set[str]) -> dict[str, Any]:
    parts: dict[str, Any] = {"segments": [], "tags": record["tags"]}
    for kind in ("contacts", "companies"):
        if kind in wanted:
            found = linked(world, "customers", record["id"], kind)
            parts[kind] = [{**item, "_links": link(f"{kind}/{item['id']}")} for item in found]
    if "catalog_elements" in wanted:
        parts["catalog_elements"] = embedded_elements(world, "customers", record["id"])
    body = {name: value for name, value in record.items() if name not in ("tags", "group_id")}
    shown = {"closest_task_at": closest_task_at, "_links": link(f"customers/{record['id']}"), "_embedded": parts}
    return {**body, **shown}


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(reader: Reader) -> dict[str, Any]:
    plain = {
        "name": reader.text("name"),
        "responsible_user_id": reader.user("responsible_user_id"),
        "created_by": reader.user("created_by", robot=True),
        "updated_by": reader.user("updated_by", robot=True),
        **{name: reader.integer(name) for name in (*PLAIN, "created_at", "updated_at")},
    }
    return {name: value for name, value in plain.items() if value is not None}


def _read_patch(reader: Reader) -> Any:
    must_exist(reader, "customers")
    return draft(reader, "customers", _read(reader), links=False)


def _changed(world: World, customer_id: int, wanted: Any) -> dict[str, Any]:
    after = patched(world, "customers", world.table("customers")[customer_id], wanted, acting_user())
    world.table("customers")[customer_id] = after
    return {"id": customer_id, "updated_at": after["updated_at"], "_links": link(f"customers/{customer_id}")}


def _must_be_on(world: World, where: Where) -> None:
    mode = world.account["customers_mode"]
    if mode == "unavailable":
        raise Refused(402, "Payment required")
    if mode not in MODES:
        raise Refused(422, "Customers are disabled")


def _must_exist(world: World, where: Where) -> None:
    if find(world, "customers", where["customer_id"]) is None:
        raise Refused(404, "Customer not found")


# --- statuses, segments, purchases -----------------------------------------------------------------------------------


def _read_segment(reader: Reader, known: Record | None, where: Where) -> dict[str, Any]:
    changes = field_values.read(reader, "customers/segments")
    if reader.errors:
        return {}
    current = known["custom_fields_values"] if known else None
    return {"custom_fields_values": field_values.merged(reader.world, "customers/segments", current, changes)}


def _read_purchase(reader: Reader, known: Record | None, where: Where) -> dict[str, Any]:
    return {
        "customer_id": where["customer_id"],
        "completed_at": reader.integer("completed_at") or reader.world.clock.now(),
    }


def _of_customer(world: World, record: Record) -> dict[str, Any]:
    customer_id = record["customer_id"]
    return {"customer": {"id": customer_id, "_links": link(f"customers/{customer_id}")}, "catalog_elements": []}


STATUSES = RecordList(
    name="statuses",
    path="customers/statuses",
    kinds={"name": str, "sort": int, "color": str},
    required=("name", "sort"),
    defaults={"sort": 0, "is_default": False, "conditions": [], "color": "#fffeb2", "type": 0},
    calls=frozenset({"list", "get", "add", "change_one", "delete_one"}),
    counter="customers/statuses",
    is_brief=True,
    missing=204,
    table=lambda where: "customers/statuses",
    guard_writes=_must_be_on,
)
SEGMENTS = RecordList(
    name="segments",
    path="customers/segments",
    kinds={"name": str, "color": str, "available_products_price_types": list},
    required=("name",),
    defaults={
        "color": "6610f2",
        "available_products_price_types": None,
        "customers_count": 0,
        "custom_fields_values": None,
    },
    calls=frozenset({"list", "get", "add", "change_one", "delete_one"}),
    counter="customers/segments",
    is_stamped=True,
    missing=204,
    table=lambda where: "customers/segments",
    read_more=_read_segment,
    guard_writes=_must_be_on,
)
PURCHASES = RecordList(
    name="transactions",
    path="customers/<int:customer_id>/transactions",
    kinds={"price": int, "comment": str, "created_by": int},
    required=("price",),
    defaults={"comment": None, "is_deleted": False},
    calls=frozenset({"list", "get", "add", "delete_one"}),
    is_stamped=True,
    missing=204,
    totals=False,
    filters=("id", "customer_id"),
    read_more=_read_purchase,
    guard=_must_exist,
    guard_writes=_must_be_on,
    embed=_of_customer,
)
ALL_PURCHASES = RecordList(
    name="transactions",
    path="customers/transactions",
    kinds={},
    calls=frozenset({"list", "get", "delete_one"}),
    missing=204,
    totals=False,
    embed=_of_customer,
)
