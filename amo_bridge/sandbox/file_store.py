"""Files of the account: uploads in parts, versions, contents, and which cards they hang on (amoCRM docs, files-api).

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

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.http import Refused
from amo_bridge.sandbox.note_params import latin
from amo_bridge.sandbox.world import Record, World

MAX_FILE = 314_572_800
MAX_PART = 524_288
SESSION_LIFE = 24 * 3600
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
            "expires_at": self._world.clock.now() + SESSION_LIFE,
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

    def every(self) -> list[Record]:
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
        every: Iterable[Record] = self._world.table("file_links").values()
        found = [link for link in every if all(link[name] == value for name, value in wanted.items())]
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
        """Listens to the world: the file of a note shows among the card's files, too."""
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
