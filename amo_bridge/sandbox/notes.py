"""Notes of cards, ``/api/v4/{entity}/notes`` (amoCRM docs, events-and-notes). No DELETE.

Also ``/{entity}/{id}/notes``. Used by the API, by calls and by people's acts. ``params`` depend on the note's type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.entities import find, group_of, ordered, put, stamp
from amo_bridge.sandbox.http import Span, branch, embedded, hal, integers, link, listing, query, single, strings
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_one, too_long
from amo_bridge.sandbox.world import Record, World

MAX_TEXT = 20_000
CALL_STATUSES = range(1, 9)
"""1 left a message … 7 busy; 8 is seen in client code only."""

Types = Mapping[str, type | tuple[type, ...]]
CALL: Types = {
    "uniq": str,
    "duration": int,
    "source": str,
    "link": str,
    "phone": str,
    "call_responsible": (int, str),
    "call_result": str,
    "call_status": int,
}
SERVICE: Types = {"service": str, "text": str}
SMS: Types = {"text": str, "phone": str}
KNOWN: Mapping[str, Types] = {
    "common": {"text": str},
    "call_in": CALL,
    "call_out": CALL,
    "service_message": SERVICE,
    "extended_service_message": SERVICE,
    "message_cashier": {"status": str, "text": str},
    "geolocation": {"text": str, "address": str, "longitude": str, "latitude": str},
    "sms_in": SMS,
    "sms_out": SMS,
    "attachment": {"file_uuid": str, "version_uuid": str, "file_name": str},
}
"""The types that can be written, all others are read-only."""

REQUIRED = {
    "common": ("text",),
    "call_in": ("phone",),
    "call_out": ("phone",),
    "service_message": ("service", "text"),
    "extended_service_message": ("service", "text"),
    "message_cashier": ("status", "text"),
    "sms_in": ("text", "phone"),
    "sms_out": ("text", "phone"),
}
NAMES: Mapping[type | tuple[type, ...], str] = {str: "string", int: "int", (int, str): "string"}
CASHIER_STATUSES = ("created", "shown", "canceled")
LETTERS = "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch  y  e yu ya"
LATIN = dict(zip("абвгдеёжзийклмнопрстуфхцчшщъыьэюя", LETTERS.split(" "), strict=True))
STAMPS = ("created_by", "updated_by", "created_at", "updated_at", "responsible_user_id")
ENTITY = "/api/v4/<any(leads, contacts, companies, customers):kind>"
ORDERED_BY = ("updated_at", "id")


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.get(f"{ENTITY}/notes", defaults={"entity_id": None})
    @app.get(f"{ENTITY}/<int:entity_id>/notes")
    def list_notes(kind: str, entity_id: int | None) -> Response:
        return listing("notes", _listed_rows(world, kind, entity_id), _shown)

    @app.get(f"{ENTITY}/notes/<int:note_id>", defaults={"entity_id": None})
    @app.get(f"{ENTITY}/<int:entity_id>/notes/<int:note_id>")
    def get_note(kind: str, entity_id: int | None, note_id: int) -> Response:
        note = world.table("notes").get(note_id)
        is_here = note is not None and note["entity_type"] == kind and entity_id in (None, note["entity_id"])
        return single(_shown(note) if note is not None and is_here else None)

    @app.post(f"{ENTITY}/notes", defaults={"entity_id": None})
    @app.post(f"{ENTITY}/<int:entity_id>/notes")
    def add_notes(kind: str, entity_id: int | None) -> Response:
        def read(reader: Reader) -> dict[str, Any]:
            return read_new(reader, kind, entity_id)

        added = []
        for reader, plain in checked(read_batch(world), read):
            note = add(world, kind, user_id=acting_user(), **plain)
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
        drafts = checked(read_batch(world), lambda reader: read_patch(reader, kind))
        return embedded("notes", [_changed(change(world, plain, acting_user())) for _, plain in drafts])

    @app.patch(f"{ENTITY}/notes/<int:note_id>", defaults={"entity_id": None})
    @app.patch(f"{ENTITY}/<int:entity_id>/notes/<int:note_id>")
    def change_note(kind: str, entity_id: int | None, note_id: int) -> Response:
        reader = read_one(world, id=note_id)
        ((_, plain),) = checked([reader], lambda reader: read_patch(reader, kind))
        return hal(_changed(change(world, plain, acting_user())))


def _listed_rows(world: World, kind: str, entity_id: int | None) -> list[Record]:
    """The notes that the filter fits. ``filter[created_at]`` is ignored in silence, as amoCRM ignores it."""
    wanted = branch(query(), "filter")
    ids, types = integers(branch(wanted, "id")), strings(branch(wanted, "note_type"))
    entities = {entity_id} if entity_id is not None else integers(branch(wanted, "entity_id"))
    span = Span.of(branch(wanted, "updated_at"))
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


# --- reading ---------------------------------------------------------------------------------------------------------


def read_new(reader: Reader, entity_type: str, entity_id: int | None) -> dict[str, Any]:
    """``{"entity_id", "note_type", "params", …}``; ``entity_id`` None: the object itself names its entity."""
    if entity_id is None:
        reader.require("entity_id")
        entity_id = reader.integer("entity_id")
    if entity_id is not None and find(reader.world, entity_type, entity_id) is None:
        reader.not_a_choice("entity_id")
    reader.require("note_type")
    note_type = reader.choice("note_type", KNOWN)
    plain = {"entity_id": entity_id, "note_type": note_type, **_read_stamps(reader)}
    if note_type is not None:
        plain["params"] = read(reader, note_type)
    return plain


def read_patch(reader: Reader, entity_type: str) -> dict[str, Any]:
    """``{"id", "params", …}``; a note's type and entity stay."""
    reader.require("id")
    note = reader.world.table("notes").get(reader.integer("id") or 0)
    if note is None or note["entity_type"] != entity_type:
        reader.not_a_choice("id")
        return {}
    if reader.body.get("note_type", note["note_type"]) != note["note_type"] or note["note_type"] not in KNOWN:
        reader.not_a_choice("note_type")
        return {}
    plain = {"id": note["id"], **_read_stamps(reader)}
    if "params" in reader:
        plain["params"] = read(reader, note["note_type"])
    return plain


def _read_stamps(reader: Reader) -> dict[str, Any]:
    stamps = {
        "created_by": reader.user("created_by", robot=True),
        "updated_by": reader.user("updated_by", robot=True),
        "created_at": reader.integer("created_at"),
        "updated_at": reader.integer("updated_at"),
        "responsible_user_id": reader.user("responsible_user_id"),
    }
    return {name: value for name, value in stamps.items() if value is not None}


def read(reader: Reader, note_type: str) -> dict[str, Any]:
    """The params in the form they are read back; what is wrong is noted under ``params.…``."""
    sent = reader.mapping("params")
    if sent is None:
        if "params" not in reader or reader.body["params"] is None:
            reader.fail("FieldMissing", "params")
        return {}
    for name in REQUIRED.get(note_type, ()):
        if name not in sent:
            reader.fail("FieldMissing", f"params.{name}")
        elif sent[name] in (None, ""):
            reader.fail("NotBlank", f"params.{name}")
    params = {name: sent[name] for name in KNOWN[note_type] if sent.get(name) is not None}
    for name, value in params.items():
        _check(reader, note_type, name, value)
    if note_type == "attachment":
        return {} if reader.errors else _attachment(reader, params)
    return params


def _check(reader: Reader, note_type: str, name: str, value: Any) -> None:
    kind = KNOWN[note_type][name]
    if not isinstance(value, kind) or isinstance(value, bool):
        reader.wrong_type(f"params.{name}", NAMES[kind])
    elif isinstance(value, str) and len(value) > MAX_TEXT:
        reader.fail("TooLong", f"params.{name}", too_long(MAX_TEXT))
    elif (name == "call_status" and value not in CALL_STATUSES) or (name == "status" and value not in CASHIER_STATUSES):
        reader.not_a_choice(f"params.{name}")


def _attachment(reader: Reader, params: Mapping[str, Any]) -> dict[str, Any]:
    """An uploaded file, or any file that is named: the sandbox needs no upload to play the second."""
    known = reader.world.table("files").get(params.get("file_uuid", ""))
    name = params.get("file_name") or (known["name"] if known else None)
    if name is None:
        if "file_uuid" in params:
            reader.not_a_choice("params.file_uuid")
        else:
            reader.fail("FieldMissing", "params.file_uuid")
        return {}
    version = params.get("version_uuid") or (known["version_uuid"] if known else "")
    return attachment(params.get("file_uuid", ""), version, name)


def latin(name: str) -> str:
    """A file's name as notes show it: transliterated, blanks as underscores."""
    letters = []
    for letter in name:
        plain = LATIN.get(letter.lower())
        if plain is None:
            letters.append("_" if letter.isspace() else letter)
        else:
            letters.append(plain.capitalize() if letter.isupper() else plain)
    return "".join(letters)


def attachment(file_uuid: str, version_uuid: str, original_name: str) -> dict[str, Any]:
    """The params of a file's note as they are read."""
    return {
        "is_drive_attachment": True,
        "text": original_name,
        "original_name": original_name,
        "file_uuid": file_uuid,
        "version_uuid": version_uuid,
        "file_name": latin(original_name),
    }


# --- writing ---------------------------------------------------------------------------------------------------------


def add(
    world: World,
    entity_type: str,
    entity_id: int,
    note_type: str,
    params: Mapping[str, Any],
    user_id: int,
    **stamps: Any,
) -> Record:
    """Adds a note of any type, also of the read-only ones.

    ``stamps``: created_at and the like, if not the usual.
    """
    now = world.clock.now()
    entity = find(world, entity_type, entity_id) or {"responsible_user_id": user_id}
    note = {
        "id": world.next_id("notes"),
        "entity_id": entity_id,
        "entity_type": entity_type,
        "created_by": user_id,
        "updated_by": user_id,
        "created_at": now,
        "updated_at": now,
        "responsible_user_id": entity["responsible_user_id"],
        "group_id": 0,
        "note_type": note_type,
        "params": dict(params),
        "account_id": world.account["id"],
        "is_pinned": False,
        **stamps,
    }
    note["group_id"] = group_of(world, note["responsible_user_id"])
    put(world, "notes", note, user_id)
    return note


def change(world: World, plain: Mapping[str, Any], user_id: int) -> Record:
    before = world.table("notes")[plain["id"]]
    after = {**before, **plain, "params": {**before["params"], **plain.get("params", {})}}
    if after == before:
        return before
    after = {**after, **stamp(world, user_id), **{name: plain[name] for name in STAMPS if name in plain}}
    put(world, "notes", after, user_id)
    return after
