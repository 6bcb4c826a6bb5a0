"""The calls contacts and companies share: lists, single ones, batches. No DELETE, as in amoCRM."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import client_writes
from amo_bridge.sandbox.entities import Draft, closest_tasks, find
from amo_bridge.sandbox.entity_lists import asked_for
from amo_bridge.sandbox.http import embedded, hal, link, listing, one
from amo_bridge.sandbox.links import linked
from amo_bridge.sandbox.query import words
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

INNER = ("tags", "is_unsorted")
"""Parts of a record that the API doesn't show as they are."""


def register(app: Flask, world: World) -> None:
    for kind in ("contacts", "companies"):
        _register(app, world, kind)


def _register(app: Flask, world: World, kind: str) -> None:
    """The calls under ``/api/v4/<kind>``."""

    def read_changed(reader: Reader) -> Draft:
        return client_writes.read_patch(reader, kind)

    def list_them() -> Response:
        closest, wanted = closest_tasks(world, kind), words("with")
        rows = asked_for(world, kind, closest, _in_lists)
        return listing(kind, rows, lambda row: _shown(world, kind, row, closest(row["id"]), wanted))

    def get_one(entity_id: int) -> Response:
        record = find(world, kind, entity_id)
        if record is None:
            return one(None)
        return one(_shown(world, kind, record, closest_tasks(world, kind)(entity_id), words("with")))

    def add() -> Response:
        drafts = checked(read_batch(world), lambda reader: client_writes.read_new(reader, kind))
        added = []
        for reader, wanted in drafts:
            new_id = client_writes.create(world, kind, wanted, acting_user())["id"]
            added.append({"id": new_id, "request_id": reader.request_id, "_links": link(f"{kind}/{new_id}")})
        return embedded(kind, added)

    def change_many() -> Response:
        drafts = checked(read_batch(world), read_changed)
        changed = [
            client_writes.change(world, kind, reader.body["id"], wanted, acting_user()) for reader, wanted in drafts
        ]
        return embedded(kind, [_changed(kind, record) for record in changed])

    def change_one(entity_id: int) -> Response:
        ((_, wanted),) = checked([read_one(world, id=entity_id)], read_changed)
        return hal(_changed(kind, client_writes.change(world, kind, entity_id, wanted, acting_user())))

    path = f"/api/v4/{kind}"
    app.add_url_rule(path, f"{kind}_list", list_them, methods=["GET"])
    app.add_url_rule(path, f"{kind}_add", add, methods=["POST"])
    app.add_url_rule(path, f"{kind}_change", change_many, methods=["PATCH"])
    app.add_url_rule(f"{path}/<int:entity_id>", f"{kind}_get", get_one, methods=["GET"])
    app.add_url_rule(f"{path}/<int:entity_id>", f"{kind}_change_one", change_one, methods=["PATCH"])


def _in_lists(record: Record) -> bool:
    return not record["is_deleted"] and not record.get("is_unsorted")


def _shown(world: World, kind: str, record: Record, closest_task_at: int | None, wanted: set[str]) -> dict[str, Any]:
    def sides(to: str) -> list[dict[str, Any]]:
        found = [item for item in linked(world, kind, record["id"], to) if find(world, to, item["id"])]
        return [{"id": item["id"], "_links": link(f"{to}/{item['id']}")} for item in found]

    parts: dict[str, Any] = {"tags": record["tags"]}
    if kind == "contacts":
        parts["companies"] = sides("companies")
    elif "contacts" in wanted:
        parts["contacts"] = sides("contacts")
    if "leads" in wanted:
        parts["leads"] = sides("leads")
    for absent in ("customers", "catalog_elements"):
        if absent in wanted:
            parts[absent] = []
    body = {name: value for name, value in record.items() if name not in INNER}
    body["closest_task_at"] = closest_task_at
    return {**body, "_links": link(f"{kind}/{record['id']}"), "_embedded": parts}


def _changed(kind: str, record: Record) -> dict[str, Any]:
    return {"id": record["id"], "updated_at": record["updated_at"], "_links": link(f"{kind}/{record['id']}")}
