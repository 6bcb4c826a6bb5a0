"""Files of the account: uploads, versions, contents, links to cards (amoCRM docs, files-api).

The service has a host of its own at amoCRM; here it is this host's path /drive, which ``drive_url`` names.

Tables: ``files`` by uuid (the file model without links), ``file_versions`` by version uuid (``{"file_uuid", "size",
"created_at", "content"}``, content in base64), ``file_sessions`` by id, ``file_links`` by id (``{"id", "file_uuid",
"entity_type", "entity_id"}``, entity types plural).
"""

from __future__ import annotations

import base64
import mimetypes
import secrets
import uuid
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from flask import Flask, Response, g, jsonify, request

from amo_bridge.sandbox import notes as note_writes
from amo_bridge.sandbox import tokens
from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.entities import find
from amo_bridge.sandbox.http import (
    Refused,
    Span,
    base,
    branch,
    hal,
    integer,
    integers,
    no_content,
    page_links,
    query,
    request_json,
    self_link,
    strings,
)
from amo_bridge.sandbox.notes import attachment, latin
from amo_bridge.sandbox.world import Record, World

MAX_FILE = 314_572_800
MAX_PART = 524_288
SESSION_LIFE_SECONDS = 24 * 3600
DOCUMENTS = frozenset({"doc", "docx", "xls", "xlsx", "ppt", "pptx", "pdf", "txt", "csv", "odt", "ods", "rtf"})


class FileStore:
    """Reads and writes the tables; call it under ``world.lock``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parts: dict[int, list[bytes]] = {}

    def open_session(self, name: str, size: int, content_type: str | None, file_uuid: str | None) -> Record:
        """Raises Refused for a file that is too big or a new version of an unknown file."""
        if not 0 < size <= MAX_FILE:
            raise Refused(400, f"file_size is between 1 and {MAX_FILE}")
        if file_uuid is not None and file_uuid not in self._world.table("files"):
            raise Refused(404, "File not found")
        session: dict[str, Any] = {
            "id": self._world.next_id("file_sessions"),
            "name": name,
            "size": size,
            "content_type": content_type,
            "file_uuid": file_uuid,
            "ticket": secrets.token_hex(16),
            "expires_at": self._world.clock.now() + SESSION_LIFE_SECONDS,
        }
        self._world.table("file_sessions")[session["id"]] = session
        self._parts[session["id"]] = []
        return session

    def take_part(self, session_id: int, ticket: str, part: bytes, user_id: int) -> Record:
        """The session with a new ticket for the next part; the file model when it was the last one."""
        sessions = self._world.table("file_sessions")
        session = sessions.get(session_id)
        if session is None or session["ticket"] != ticket or session["expires_at"] <= self._world.clock.now():
            raise Refused(404, "Session not found")
        if len(part) > MAX_PART:
            raise Refused(400, f"a part is at most {MAX_PART} bytes")
        parts = self._parts.setdefault(session_id, [])
        parts.append(part)
        received = sum(map(len, parts))
        if received > session["size"]:
            raise Refused(400, "more bytes than file_size said")
        if received < session["size"]:
            sessions[session_id] = {**session, "ticket": secrets.token_hex(16)}
            return sessions[session_id]
        del sessions[session_id]
        content = b"".join(self._parts.pop(session_id))
        return self.put(session["name"], content, user_id, session["file_uuid"], session["content_type"])

    def put(
        self, name: str, content: bytes, user_id: int, file_uuid: str | None = None, mime: str | None = None
    ) -> Record:
        """Adds a file, or a new version of ``file_uuid``."""
        now, version = self._world.clock.now(), str(uuid.uuid4())
        files = self._world.table("files")
        known = files.get(file_uuid) if file_uuid else None
        mime = mime or mimetypes.guess_type(name)[0] or "application/octet-stream"
        extension = PurePosixPath(name).suffix.lstrip(".").lower()
        person = {"id": user_id, "type": "internal"}
        file: dict[str, Any] = {
            "id": (known or {}).get("id") or self._world.next_id("files"),
            "uuid": file_uuid or str(uuid.uuid4()),
            "type": _type(mime, extension),
            "is_trashed": False,
            "name": name,
            "sanitized_name": latin(name),
            "size": len(content),
            "source_id": None,
            "version_uuid": version,
            "has_multiple_versions": known is not None,
            "metadata": {"extension": extension, "mime_type": mime},
            "previews": [],
            "created_at": known["created_at"] if known else now,
            "created_by": known["created_by"] if known else person,
            "updated_at": now,
            "updated_by": person,
            "deleted_at": None,
            "deleted_by": None,
        }
        stored = {"file_uuid": file["uuid"], "size": len(content), "created_at": now, "name": name}
        encoded = base64.b64encode(content).decode()
        self._world.table("file_versions")[version] = {**stored, "content": encoded}
        files[file["uuid"]] = file
        return file

    def find(self, file_uuid: object) -> Record | None:
        return self._world.table("files").get(file_uuid)

    def all_files(self) -> list[Record]:
        """All files, also those in the bin, oldest first."""
        return list(self._world.table("files").values())

    def change(self, file: Record, **new: Any) -> Record:
        changed = {**file, **new, "updated_at": self._world.clock.now()}
        self._world.table("files")[file["uuid"]] = changed
        return changed

    def content(self, version_uuid: str) -> bytes | None:
        version = self._world.table("file_versions").get(version_uuid)
        return None if version is None else base64.b64decode(version["content"])

    def versions(self, file_uuid: str) -> list[tuple[str, Record]]:
        """(version uuid, version) of the file, oldest first."""
        return [item for item in self._world.table("file_versions").items() if item[1]["file_uuid"] == file_uuid]

    def links(self, **wanted: Any) -> list[Record]:
        """Links with these values, newest first."""
        links: Iterable[Record] = self._world.table("file_links").values()
        found = [link for link in links if all(link[name] == value for name, value in wanted.items())]
        return sorted(found, key=lambda link: int(link["id"]), reverse=True)

    def attach(self, file_uuid: str, entity_type: str, entity_id: int) -> None:
        """Hangs the file on a card, once."""
        link = {"file_uuid": file_uuid, "entity_type": entity_type, "entity_id": entity_id}
        if not self.links(**link):
            number = self._world.next_id("file_links")
            self._world.table("file_links")[number] = {"id": number, **link}

    def detach(self, file_uuid: str, entity_type: str, entity_id: int) -> None:
        for link in self.links(file_uuid=file_uuid, entity_type=entity_type, entity_id=entity_id):
            del self._world.table("file_links")[link["id"]]

    def changed(self, change: Change) -> None:
        """Show the file of a note among the card's files, too. Listener of the world."""
        note = change.after
        if change.kind != "notes" or change.action != "add" or note is None or note["note_type"] != "attachment":
            return
        file_uuid = note["params"].get("file_uuid")
        if file_uuid:
            self.attach(file_uuid, note["entity_type"], note["entity_id"])


def _type(mime: str, extension: str) -> str:
    main = mime.split("/", 1)[0]
    if main in ("image", "video", "audio"):
        return main
    return "document" if extension in DOCUMENTS else "file"


# --- routes -----------------------------------------------------------------------------------------------------------

EXTENSION = "sandbox.files"
CARDS = "/api/v4/<any(leads, contacts, companies, customers):kind>/<int:entity_id>/files"
DEFAULT_LIMIT = 50
MAX_LIMIT = 250


def register(app: Flask, world: World) -> None:
    store = FileStore(world)
    app.extensions[EXTENSION] = store
    world.subscribe(store.changed)
    _register_uploads(app, store)
    _register_files(app, store)
    _register_cards(app, store)
    _register_person(app, store, world)


def _register_uploads(app: Flask, store: FileStore) -> None:
    @app.post("/drive/v1.0/sessions")
    def open_session() -> Response:
        """Starts an upload: {file_name, file_size, content_type?, file_uuid?}."""
        sent = _json_object()
        name, size = sent.get("file_name"), sent.get("file_size")
        if not isinstance(name, str) or not name or not isinstance(size, int):
            raise Refused(400, "file_name and file_size are needed")
        session = store.open_session(name, size, sent.get("content_type"), sent.get("file_uuid"))
        limits = {"max_file_size": MAX_FILE, "max_part_size": MAX_PART}
        return hal({"session_id": session["id"], "upload_url": _upload_url(session), **limits})

    @app.post("/drive/v1.0/sessions/<int:session_id>/<ticket>")
    def upload(session_id: int, ticket: str) -> Response:
        """Takes the raw bytes of one part; the last part answers with the file."""
        received = store.take_part(session_id, ticket, request.get_data(), g.user_id)
        if "uuid" in received:
            return hal(_shown(received))
        return hal({"session_id": session_id, "next_url": _upload_url(received)})


def _register_files(app: Flask, store: FileStore) -> None:
    @app.get("/drive/v1.0/files")
    def list_files() -> Response:
        """Files, newest first: filter[uuid], [name], [term], [extensions], [deleted]; limit, page."""
        found = _listed_rows(store)
        limit = min(integer(query().get("limit")) or DEFAULT_LIMIT, MAX_LIMIT)
        page = integer(query().get("page")) or 1
        shown = found[(page - 1) * limit : page * limit]
        if not shown:
            return no_content()
        links = page_links(page, limit, more=len(found) > page * limit)
        files = [_shown(file) for file in shown]
        return hal({"_count": len(found), "_links": links, "_embedded": {"files": files}})

    @app.get("/drive/v1.0/files/<file_uuid>")
    def get_file(file_uuid: str) -> Response:
        return hal(_shown(_known(store, file_uuid)))

    @app.patch("/drive/v1.0/files/<file_uuid>")
    def change_file(file_uuid: str) -> Response:
        """Renames a file, or makes one of its versions the current one: {name?, version_uuid?}."""
        file, sent = _known(store, file_uuid), _json_object()
        name, version = sent.get("name"), sent.get("version_uuid")
        changed: dict[str, Any] = {}
        if name is not None:
            if not isinstance(name, str) or not name:
                raise Refused(400, "name is a text")
            changed |= {"name": name, "sanitized_name": latin(name)}
        if version is not None:
            versions = dict(store.versions(file_uuid))
            if version not in versions:
                raise Refused(400, "no such version of the file")
            changed |= {"version_uuid": version, "size": versions[version]["size"]}
        if not changed:
            raise Refused(400, "name or version_uuid is needed")
        return hal(_shown(store.change(file, **changed)))

    @app.get("/drive/v1.0/files/<file_uuid>/versions")
    def versions(file_uuid: str) -> Response:
        current = _known(store, file_uuid)
        shown = [
            {**_shown({**current, "version_uuid": version, "size": item["size"], "name": item["name"]})}
            for version, item in store.versions(file_uuid)
        ]
        return hal({"_links": self_link(), "_embedded": {"versions": shown}})

    @app.delete("/drive/v1.0/files")
    def delete_files() -> Response:
        """Puts files into the bin: [{"uuid"}]; needs the scope files_delete."""
        if "files_delete" not in tokens.scopes_of(g.token):
            raise Refused(403, "Invalid scope")
        for file in _named(store, "uuid"):
            person = {"id": g.user_id, "type": "internal"}
            store.change(file, is_trashed=True, deleted_at=file["updated_at"], deleted_by=person)
        return no_content()

    @app.post("/drive/v1.0/files/restore")
    def restore_files() -> Response:
        """Takes files out of the bin: [{"uuid"}]."""
        restored = [
            store.change(file, is_trashed=False, deleted_at=None, deleted_by=None) for file in _named(store, "uuid")
        ]
        return hal({"_embedded": {"files": [_shown(file) for file in restored]}})

    @app.get("/drive/download/<file_uuid>/<version_uuid>/<name>")
    def download(file_uuid: str, version_uuid: str, name: str) -> Response:
        """The content of one version; the link works without a token."""
        content = store.content(version_uuid)
        if content is None:
            raise Refused(404, "File not found")
        return Response(content, content_type=_known(store, file_uuid)["metadata"]["mime_type"])


def _register_cards(app: Flask, store: FileStore) -> None:
    @app.get(CARDS)
    def card_files(kind: str, entity_id: int) -> Response:
        """Files of a card, newest first, paged by before_id."""
        before = integer(query().get("before_id"))
        limit = min(integer(query().get("limit")) or DEFAULT_LIMIT, MAX_LIMIT)
        links = store.links(entity_type=kind, entity_id=entity_id)
        links = [link for link in links if before is None or link["id"] < before]
        if not links:
            return no_content()
        shown = [{"file_uuid": link["file_uuid"], "id": link["id"]} for link in links[:limit]]
        pages = self_link()
        if len(links) > limit:
            more = f"{base()}{request.path}?limit={limit}&before_id={shown[-1]['id']}"
            pages["next"] = {"href": more}
        return hal({"_links": pages, "_embedded": {"files": shown}})

    @app.put(CARDS)
    def attach(kind: str, entity_id: int) -> Response:
        for file in _named(store, "file_uuid"):
            store.attach(file["uuid"], kind, entity_id)
        return _accepted()

    @app.delete(CARDS)
    def detach(kind: str, entity_id: int) -> Response:
        for file in _named(store, "file_uuid"):
            store.detach(file["uuid"], kind, entity_id)
        return _accepted()

    @app.get("/api/v4/files/<file_uuid>/links")
    def links_of(file_uuid: str) -> Response:
        _known(store, file_uuid)
        cards = [
            {"entity_type": link["entity_type"], "entity_id": link["entity_id"]}
            for link in store.links(file_uuid=file_uuid)
        ]
        return hal({"file_uuid": file_uuid, "entities": cards})


def _register_person(app: Flask, store: FileStore, world: World) -> None:
    @app.post("/sandbox/ui/attach_file")
    def attach_file() -> Response:
        """A person drops a file on a card: {entity_type, entity_id, file_name, user_id, comment?, content?}."""
        sent = _json_object()
        kind, entity_id, user_id = sent.get("entity_type"), sent.get("entity_id"), sent.get("user_id")
        name = sent.get("file_name")
        if not isinstance(kind, str) or find(world, kind, entity_id) is None or not isinstance(entity_id, int):
            raise Refused(404, f"no {kind} {entity_id}")
        if user_id not in world.table("users") or not isinstance(user_id, int):
            raise Refused(404, f"no user {user_id}")
        if not isinstance(name, str) or not name:
            raise Refused(400, "file_name is needed")
        file = store.put(name, str(sent.get("content") or name).encode(), user_id)
        params = attachment(file["uuid"], file["version_uuid"], name)
        notes = [note_writes.add(world, kind, entity_id, "attachment", params, user_id)["id"]]
        if sent.get("comment"):
            text = {"text": str(sent["comment"])}
            notes.append(note_writes.add(world, kind, entity_id, "common", text, user_id)["id"])
        return jsonify({"file_uuid": file["uuid"], "note_ids": notes})


def _listed_rows(store: FileStore) -> list[Record]:
    wanted = branch(query(), "filter")
    uuids, names = set(strings(branch(wanted, "uuid"))), set(strings(branch(wanted, "name"), commas=False))
    extensions = set(strings(branch(wanted, "extensions")))
    term = str(branch(wanted, "term") or "").casefold()
    deleted = branch(wanted, "deleted")  # named is enough, an empty value too
    trashed = deleted is not None and deleted not in ("0", "false")
    authors = {name: integers(branch(wanted, name)) for name in ("created_by", "updated_by")}
    sizes, dates = branch(wanted, "size"), branch(wanted, "date")
    unit, size = integer(branch(sizes, "unit")) or 1, Span.of(sizes)
    stamp, date = branch(dates, "type") or "created_at", Span.of(dates)
    found = [
        file
        for file in store.all_files()
        if file["is_trashed"] == trashed
        and (not uuids or file["uuid"] in uuids)
        and (not names or file["name"] in names)
        and (not extensions or file["metadata"]["extension"] in extensions)
        and term in file["name"].casefold()
        and all(not ids or file[name]["id"] in ids for name, ids in authors.items())
        and (size is None or size.holds(file["size"] / unit))
        and (date is None or date.holds(file.get(stamp)))
    ]
    return found[::-1]


def _named(store: FileStore, key: str) -> list[Record]:
    """The files a list of objects names. Raises Refused if one is unknown."""
    sent = request_json()
    if not isinstance(sent, list) or not sent or not all(isinstance(item, dict) for item in sent):
        raise Refused(400, "Request data can not be empty")
    return [_known(store, item.get(key)) for item in sent]


def _known(store: FileStore, file_uuid: object) -> Record:
    file = store.find(file_uuid)
    if file is None:
        raise Refused(404, "File not found")
    return file


def _shown(file: Record) -> dict[str, Any]:
    address = f"{base()}/drive/v1.0/files/{file['uuid']}"
    download = f"{base()}/drive/download/{file['uuid']}/{file['version_uuid']}/{file['sanitized_name']}"
    links = {"self": {"href": address}, "download": {"href": download}, "download_version": {"href": download}}
    return {**file, "_links": links}


def _upload_url(session: Record) -> str:
    return f"{base()}/drive/v1.0/sessions/{session['id']}/{session['ticket']}"


def _json_object() -> dict[str, Any]:
    sent = request_json()
    if not isinstance(sent, dict):
        raise Refused(400, "a JSON object is needed")
    return sent


def _accepted() -> Response:
    answer = Response(status=202)
    del answer.headers["Content-Type"]
    return answer
