"""The four calls for links, each for one entity and for many (amoCRM docs, entity-links-api)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.entities import find
from amo_bridge.sandbox.http import Refused, hal, no_content, self_link
from amo_bridge.sandbox.links import ALLOWED, connect, disconnect, linked
from amo_bridge.sandbox.query import branch, integers, query, strings
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch
from amo_bridge.sandbox.world import World

ENTITY = "<any(leads, contacts, companies):kind>"
ORDER = ("contacts", "companies", "leads")


def register(app: Flask, world: World) -> None:
    @app.get(f"/api/v4/{ENTITY}/<int:entity_id>/links")
    def links_of_one(kind: str, entity_id: int) -> Response:
        if find(world, kind, entity_id) is None:
            return no_content()
        return _answer(_links(world, kind, {entity_id}, with_source=False))

    @app.get(f"/api/v4/{ENTITY}/links")
    def links_of_many(kind: str) -> Response:
        ids = integers(branch(query(), "filter", "entity_id"))
        if not ids:
            raise Refused(400, "Request validation failed", **{"validation-errors": [_entity_id_missing()]})
        return _answer(_links(world, kind, ids, with_source=True))

    @app.post(f"/api/v4/{ENTITY}/link", defaults={"entity_id": None})
    @app.post(f"/api/v4/{ENTITY}/<int:entity_id>/link")
    def add_links(kind: str, entity_id: int | None) -> Response:
        drafts = _read(world, kind, entity_id)
        shown = []
        for source_id, to, to_id, is_main in drafts:
            connect(world, kind, source_id, to, to_id, acting_user(), is_main=is_main)
            shown += [item for item in _links(world, kind, {source_id}, with_source=True) if _is(item, to, to_id)]
        return _answer(shown)

    @app.post(f"/api/v4/{ENTITY}/unlink", defaults={"entity_id": None})
    @app.post(f"/api/v4/{ENTITY}/<int:entity_id>/unlink")
    def remove_links(kind: str, entity_id: int | None) -> Response:
        for source_id, to, to_id, _ in _read(world, kind, entity_id):
            disconnect(world, kind, source_id, to, to_id, acting_user())
        return no_content()


def _read(world: World, kind: str, entity_id: int | None) -> list[tuple[int, str, int, bool | None]]:
    if entity_id is not None and find(world, kind, entity_id) is None:
        raise Refused(404, "Entity not found")

    def read(reader: Reader) -> tuple[int, str, int, bool | None]:
        source_id = entity_id
        if source_id is None:
            reader.require("entity_id")
            source_id = reader.integer("entity_id") or 0
            if not reader.errors and find(world, kind, source_id) is None:
                reader.not_a_choice("entity_id")
        reader.require("to_entity_id", "to_entity_type")
        to, to_id = reader.choice("to_entity_type", ALLOWED[kind]), reader.integer("to_entity_id")
        if to and to_id is not None and find(world, to, to_id) is None:
            reader.not_a_choice("to_entity_id")
        is_main = (reader.mapping("metadata") or {}).get("is_main")
        return source_id, to or "", to_id or 0, is_main

    return [draft for _, draft in checked(read_batch(world), read)]


def _links(world: World, kind: str, ids: set[int], *, with_source: bool) -> list[dict[str, Any]]:
    found = []
    for entity_id in sorted(ids):
        source = {"entity_id": entity_id, "entity_type": kind} if with_source else {}
        for to in ORDER:
            for item in linked(world, kind, entity_id, to):
                metadata = {"main_contact": item["is_main"]} if "is_main" in item else None
                found.append({**source, "to_entity_id": item["id"], "to_entity_type": to, "metadata": metadata})
    return found


def _answer(items: list[dict[str, Any]]) -> Response:
    asked = query()
    ids, kinds = integers(branch(asked, "filter", "to_entity_id")), strings(branch(asked, "filter", "to_entity_type"))
    shown = [
        item
        for item in items
        if (not ids or item["to_entity_id"] in ids) and (not kinds or item["to_entity_type"] in kinds)
    ]
    return hal({"_total_items": len(shown), "_links": self_link(), "_embedded": {"links": shown}})


def _is(item: dict[str, Any], to: str, to_id: int) -> bool:
    return bool(item["to_entity_type"] == to and item["to_entity_id"] == to_id)


def _entity_id_missing() -> dict[str, Any]:
    error = {"code": "FieldMissing", "path": "filter.entity_id", "detail": "This field is missing."}
    return {"request_id": "0", "errors": [error]}
