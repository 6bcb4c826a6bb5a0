"""``/api/v4/{entity}/notes`` and ``/{entity}/{id}/notes`` (amoCRM docs, events-and-notes). There is no DELETE."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import note_writes
from amo_bridge.sandbox.entity_lists import ordered
from amo_bridge.sandbox.http import embedded, hal, link, listing, one
from amo_bridge.sandbox.query import Span, branch, integers, query, strings
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

ENTITY = "/api/v4/<any(leads, contacts, companies, customers):kind>"
ORDERED_BY = ("updated_at", "id")


def register(app: Flask, world: World) -> None:
    @app.get(f"{ENTITY}/notes", defaults={"entity_id": None})
    @app.get(f"{ENTITY}/<int:entity_id>/notes")
    def list_notes(kind: str, entity_id: int | None) -> Response:
        return listing("notes", _asked_for(world, kind, entity_id), _shown)

    @app.get(f"{ENTITY}/notes/<int:note_id>", defaults={"entity_id": None})
    @app.get(f"{ENTITY}/<int:entity_id>/notes/<int:note_id>")
    def get_note(kind: str, entity_id: int | None, note_id: int) -> Response:
        note = world.table("notes").get(note_id)
        mine = note is not None and note["entity_type"] == kind and entity_id in (None, note["entity_id"])
        return one(_shown(note) if note is not None and mine else None)

    @app.post(f"{ENTITY}/notes", defaults={"entity_id": None})
    @app.post(f"{ENTITY}/<int:entity_id>/notes")
    def add_notes(kind: str, entity_id: int | None) -> Response:
        def read(reader: Reader) -> dict[str, Any]:
            return note_writes.read_new(reader, kind, entity_id)

        added = []
        for reader, plain in checked(read_batch(world), read):
            note = note_writes.add(world, kind, user_id=acting_user(), **plain)
            added.append(
                {
                    "id": note["id"],
                    "entity_id": note["entity_id"],
                    "request_id": reader.request_id,
                    "_links": link(f"{kind}/{note['entity_id']}/notes/{note['id']}"),
                }
            )
        return embedded("notes", added)

    @app.patch(f"{ENTITY}/notes", defaults={"entity_id": None})
    @app.patch(f"{ENTITY}/<int:entity_id>/notes")
    def change_notes(kind: str, entity_id: int | None) -> Response:
        drafts = checked(read_batch(world), lambda reader: note_writes.read_patch(reader, kind))
        return embedded("notes", [_changed(note_writes.change(world, plain, acting_user())) for _, plain in drafts])

    @app.patch(f"{ENTITY}/notes/<int:note_id>", defaults={"entity_id": None})
    @app.patch(f"{ENTITY}/<int:entity_id>/notes/<int:note_id>")
    def change_note(kind: str, entity_id: int | None, note_id: int) -> Response:
        reader = read_one(world, id=note_id)
        ((_, plain),) = checked([reader], lambda reader: note_writes.read_patch(reader, kind))
        return hal(_changed(note_writes.change(world, plain, acting_user())))


def _asked_for(world: World, kind: str, entity_id: int | None) -> list[Record]:
    """The asked notes. ``filter[created_at]`` is ignored without a word, as amoCRM ignores it."""
    asked = branch(query(), "filter")
    ids, types = integers(branch(asked, "id")), strings(branch(asked, "note_type"))
    entities = {entity_id} if entity_id is not None else integers(branch(asked, "entity_id"))
    span = Span.of(branch(asked, "updated_at"))
    rows = [
        note
        for note in world.table("notes").values()
        if note["entity_type"] == kind
        and (not entities or note["entity_id"] in entities)
        and (not ids or note["id"] in ids)
        and (not types or note["note_type"] in types)
        and (span is None or span.holds(note["updated_at"]))
    ]
    return ordered(rows, query(), ORDERED_BY)


def _shown(note: Record) -> dict[str, Any]:
    body = {name: value for name, value in note.items() if name != "entity_type"}
    return {**body, "_links": link(f"{note['entity_type']}/{note['entity_id']}/notes/{note['id']}")}


def _changed(note: Record) -> dict[str, Any]:
    return {
        "id": note["id"],
        "entity_id": note["entity_id"],
        "updated_at": note["updated_at"],
        "_links": link(f"{note['entity_type']}/{note['entity_id']}/notes/{note['id']}"),
    }
