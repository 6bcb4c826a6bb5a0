"""Links between leads, contacts, companies, customers and list elements (amoCRM: entity-links-api)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.changes import Action, Change
from amo_bridge.sandbox.entities import find, kind_of, stamp
from amo_bridge.sandbox.http import Refused, branch, hal, integers, no_content, query, self_link, strings
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch
from amo_bridge.sandbox.world import World

ELEMENTS = "catalog_elements"
ALLOWED = {
    "leads": ("contacts", "companies", ELEMENTS),
    "contacts": ("companies", "customers", ELEMENTS),
    "companies": ("contacts", "leads", "customers", ELEMENTS),
    "customers": ("contacts", "companies", ELEMENTS),
}
"""From → to, as documented: a contact's leads are linked from the lead."""

ONE_ONLY = frozenset({("leads", "companies"), ("contacts", "companies"), ("customers", "companies")})
ENTITY = "<any(leads, contacts, companies, customers):kind>"
ORDER = ("contacts", "companies", "leads", "customers", ELEMENTS)


# --- routes ----------------------------------------------------------------------------------------------------------


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
        for source_id, to, to_id, metadata in drafts:
            if to == ELEMENTS:
                connect_element(world, kind, source_id, {"id": to_id, **metadata}, acting_user())
            else:
                connect(world, kind, source_id, to, to_id, acting_user(), is_main=metadata.get("is_main"))
            shown += [item for item in _links(world, kind, {source_id}, with_source=True) if _is(item, to, to_id)]
        return _answer(shown)

    @app.post(f"/api/v4/{ENTITY}/unlink", defaults={"entity_id": None})
    @app.post(f"/api/v4/{ENTITY}/<int:entity_id>/unlink")
    def remove_links(kind: str, entity_id: int | None) -> Response:
        for source_id, to, to_id, _ in _read(world, kind, entity_id):
            if to == ELEMENTS:
                connect_element(world, kind, source_id, {"id": to_id}, acting_user())
                continue
            disconnect(world, kind, source_id, to, to_id, acting_user())
        return no_content()


def _links(world: World, kind: str, ids: set[int], *, with_source: bool) -> list[dict[str, Any]]:
    found = []
    for entity_id in sorted(ids):
        source = {"entity_id": entity_id, "entity_type": kind} if with_source else {}
        for to in ORDER:
            for item in linked(world, kind, entity_id, to):
                metadata = {"main_contact": item["is_main"]} if "is_main" in item else None
                if to == ELEMENTS:
                    metadata = {name: value for name, value in item.items() if name != "id"}
                found.append({**source, "to_entity_id": item["id"], "to_entity_type": to, "metadata": metadata})
    return found


def _answer(items: list[dict[str, Any]]) -> Response:
    params = query()
    ids, kinds = integers(branch(params, "filter", "to_entity_id")), strings(branch(params, "filter", "to_entity_type"))
    catalogs = integers(branch(params, "filter", "to_catalog_id"))
    shown = [
        item
        for item in items
        if (not ids or item["to_entity_id"] in ids)
        and (not kinds or item["to_entity_type"] in kinds)
        and (not catalogs or (item["metadata"] or {}).get("catalog_id") in catalogs)
    ]
    return hal({"_total_items": len(shown), "_links": self_link(), "_embedded": {"links": shown}})


def _is(item: dict[str, Any], to: str, to_id: int) -> bool:
    return bool(item["to_entity_type"] == to and item["to_entity_id"] == to_id)


# --- reading ---------------------------------------------------------------------------------------------------------


def linked(world: World, kind: str, entity_id: int, to: str) -> list[dict[str, Any]]:
    """What an entity is linked to: ``[{"id", "is_main"}]``, ``is_main`` only for a lead's contacts."""
    return list(world.table("links").get(f"{kind}/{entity_id}", {}).get(to, ()))


def _read(world: World, kind: str, entity_id: int | None) -> list[tuple[int, str, int, dict[str, Any]]]:
    if entity_id is not None and find(world, kind, entity_id) is None:
        raise Refused(404, "Entity not found")

    def read(reader: Reader) -> tuple[int, str, int, dict[str, Any]]:
        source_id = entity_id
        if source_id is None:
            reader.require("entity_id")
            source_id = reader.integer("entity_id") or 0
            if not reader.errors and find(world, kind, source_id) is None:
                reader.not_a_choice("entity_id")
        reader.require("to_entity_id", "to_entity_type")
        to, to_id = reader.choice("to_entity_type", ALLOWED[kind]), reader.integer("to_entity_id")
        metadata = reader.mapping("metadata") or {}
        if to == ELEMENTS:
            return source_id, to, to_id or 0, _read_element(reader, metadata, to_id)
        if to and to_id is not None and find(world, to, to_id) is None:
            reader.not_a_choice("to_entity_id")
        return source_id, to or "", to_id or 0, {"is_main": metadata.get("is_main")}

    return [draft for _, draft in checked(read_batch(world), read)]


def _read_element(reader: Reader, metadata: dict[str, Any], to_id: int | None) -> dict[str, Any]:
    """Which list the element is of, and how many of it."""
    catalog_id, quantity = metadata.get("catalog_id"), metadata.get("quantity", 1)
    if catalog_id is None:
        reader.fail("FieldMissing", "metadata.catalog_id")
    elif catalog_id not in reader.world.table("catalogs"):
        reader.not_a_choice("metadata.catalog_id")
    elif to_id is not None and to_id not in reader.world.table(f"catalogs/{catalog_id}"):
        reader.not_a_choice("to_entity_id")
    if not isinstance(quantity, int | float) or isinstance(quantity, bool):
        reader.wrong_type("metadata.quantity", "numeric")
    return {"quantity": quantity, "catalog_id": catalog_id, "price_id": metadata.get("price_id")}


def _entity_id_missing() -> dict[str, Any]:
    error = {"code": "FieldMissing", "path": "filter.entity_id", "detail": "This field is missing."}
    return {"request_id": "0", "errors": [error]}


# --- writing ---------------------------------------------------------------------------------------------------------


def connect(
    world: World, kind: str, entity_id: int, to: str, to_id: int, user_id: int, *, is_main: bool | None = None
) -> None:
    """Link the two and record the change.

    A second company takes the place of the first, a first contact is the main one.
    """
    known = any(item["id"] == to_id for item in linked(world, kind, entity_id, to))
    for source, source_id, target in ((kind, entity_id, to), (to, to_id, kind)):
        if not known and (source, target) in ONE_ONLY:
            for other in linked(world, source, source_id, target):
                disconnect(world, source, source_id, target, other["id"], user_id)
    turned = attach(world, kind, entity_id, to, to_id, is_main=is_main)
    if not known:
        _record(world, "link", kind, entity_id, to, to_id, user_id)
    elif turned:
        lead_id, contact_id = (entity_id, to_id) if kind == "leads" else (to_id, entity_id)
        _record(world, "update", "leads", lead_id, "contacts", contact_id, user_id)


def connect_element(world: World, kind: str, entity_id: int, element: dict[str, Any], user_id: int) -> None:
    """Link the element with its quantity, anew if it is linked already; without a quantity: unlink it.

    Only the card knows of it, and no change is recorded.
    """
    others = [item for item in linked(world, kind, entity_id, ELEMENTS) if item["id"] != element["id"]]
    _set(world, kind, entity_id, ELEMENTS, [*others, element] if "quantity" in element else others)
    world.table(kind)[entity_id] = {**world.table(kind)[entity_id], **stamp(world, user_id)}


def embedded_elements(world: World, kind: str, entity_id: int) -> list[dict[str, Any]]:
    """``with=catalog_elements``."""
    found = linked(world, kind, entity_id, ELEMENTS)
    return [{"id": item["id"], "metadata": {name: item[name] for name in item if name != "id"}} for item in found]


def attach(world: World, kind: str, entity_id: int, to: str, to_id: int, *, is_main: bool | None = None) -> bool:
    """Put the link into the table, without a change.

    True if the lead's contacts or their main one are others now.
    """
    if all(item["id"] != to_id for item in linked(world, kind, entity_id, to)):
        _add(world, kind, entity_id, to, to_id)
        _add(world, to, to_id, kind, entity_id)
    if {kind, to} != {"leads", "contacts"}:
        return False
    lead_id, contact_id = (entity_id, to_id) if kind == "leads" else (to_id, entity_id)
    return _choose_main(world, lead_id, contact_id if is_main else None)


def disconnect(world: World, kind: str, entity_id: int, to: str, to_id: int, user_id: int) -> None:
    """Remove the link and record the change; nothing happens if there is none."""
    if any(item["id"] == to_id for item in linked(world, kind, entity_id, to)):
        detach(world, kind, entity_id, to, to_id)
        _record(world, "unlink", kind, entity_id, to, to_id, user_id)


def detach(world: World, kind: str, entity_id: int, to: str, to_id: int) -> None:
    """Remove the link from the table, without a change.

    A lead that loses its main contact gets the next one.
    """
    _remove(world, kind, entity_id, to, to_id)
    _remove(world, to, to_id, kind, entity_id)
    if {kind, to} == {"leads", "contacts"}:
        _choose_main(world, entity_id if kind == "leads" else to_id, None)


def _choose_main(world: World, lead_id: int, contact_id: int | None) -> bool:
    """One contact of a lead is the main one; ``contact_id`` None: keep who is, or take the first."""
    contacts = linked(world, "leads", lead_id, "contacts")
    if not contacts:
        return False
    main = contact_id or next((item["id"] for item in contacts if item.get("is_main")), contacts[0]["id"])
    chosen = [{"id": item["id"], "is_main": item["id"] == main} for item in contacts]
    chosen.sort(key=lambda item: not item["is_main"])
    if chosen == contacts:
        return False
    _set(world, "leads", lead_id, "contacts", chosen)
    return True


def _add(world: World, kind: str, entity_id: int, to: str, to_id: int) -> None:
    _set(world, kind, entity_id, to, [*linked(world, kind, entity_id, to), {"id": to_id}])


def _remove(world: World, kind: str, entity_id: int, to: str, to_id: int) -> None:
    _set(world, kind, entity_id, to, [item for item in linked(world, kind, entity_id, to) if item["id"] != to_id])


def _set(world: World, kind: str, entity_id: int, to: str, items: list[dict[str, Any]]) -> None:
    key = f"{kind}/{entity_id}"
    world.table("links")[key] = {**world.table("links").get(key, {}), to: items}


def _record(world: World, action: Action, kind: str, entity_id: int, to: str, to_id: int, user_id: int) -> None:
    """Both sides were changed by it, so that a client that polls by ``updated_at`` sees them."""
    before = world.table(kind)[entity_id]
    for side, side_id in ((kind, entity_id), (to, to_id)):
        world.table(side)[side_id] = {**world.table(side)[side_id], **stamp(world, user_id)}
    extra = {"to_entity_type": to, "to_entity_id": to_id}
    after = world.table(kind)[entity_id]
    world.record(Change(kind_of(kind), action, entity_id, before, after, user_id, world.clock.now(), extra))
