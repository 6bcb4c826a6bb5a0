"""Yandex.Disk: folders, uploads and downloads by a link, publishing (REST API, disk/resources).

Assumed: ``custom_properties`` are shown in lists when ``fields`` asks for them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import StandIn, known_settings


@dataclass
class DiskResource:
    """``content``: None for a folder."""

    content: bytes | None = None
    public_url: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    revision: int = 0


class YandexDiskStandIn(StandIn):
    """One person's disk."""

    name = "yandex_disk"
    title = "Яндекс.Диск"
    hint = (
        "Впишите api в [yandex_disk], токен — в AMO_BRIDGE_YANDEX_DISK_TOKEN; в [yandex_table] — и в"
        " AMO_BRIDGE_YANDEX_TABLE_TOKEN."
    )

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.token = "yandex-disk-test-token"
        self.quota = 10 << 30
        self.locked = False
        self.takes_later = False
        """Uploads are answered with 202 and are seen after the next look."""
        self.hides_md5 = False
        """What was uploaded is shown without its size and md5, as just after the upload."""
        self.resources: dict[str, DiskResource] = {"disk:": DiskResource(), "app:": DiskResource()}
        self.saved_meanwhile: list[bytes] = []
        """What somebody saves into a file just after a link for its upload was given, one for each link."""
        self.history: list[tuple[str, bytes]] = []
        """Path and content of every save, in their order."""
        self._links: dict[str, str] = {}
        self._coming: dict[str, bytes] = {}
        self._ids = itertools.count(1)

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}/v1/disk",
            "token": self.token,
            "quota": self.quota,
            "locked": self.locked,
            "takes_later": self.takes_later,
            "hides_md5": self.hides_md5,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("token", "quota", "locked", "takes_later", "hides_md5"))
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        return _no(429, "TooManyRequestsError")

    def unauthorised(self) -> ResponseReturnValue:
        return _no(401, "UnauthorizedError")

    def save(self, path: str, content: bytes) -> None:
        """A file becomes this, whoever does it; its folders are made."""
        folders = path.split("/")[:-1]
        for count in range(1, len(folders) + 1):
            self.resources.setdefault("/".join(folders[:count]), DiskResource())
        self.history.append((path, content))
        kept = self.resources.get(path, DiskResource())
        self.resources[path] = DiskResource(content, kept.public_url, kept.properties, len(self.history))

    def files(self) -> dict[str, bytes]:
        """Path → content of every file."""
        return {path: one.content for path, one in self.resources.items() if one.content is not None}

    def rename(self, path: str, new: str) -> None:
        """A person renames a folder, with all in it."""
        self.resources = {
            new + one.removeprefix(path) if one == path or one.startswith(f"{path}/") else one: resource
            for one, resource in self.resources.items()
        }

    def delete(self, path: str) -> None:
        """A person deletes a folder."""
        self.resources = {
            one: resource for one, resource in self.resources.items() if one != path and not one.startswith(f"{path}/")
        }

    def register(self, routes: Blueprint) -> None:
        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            is_by_link = "/upload-target/" in request.path or "/download-target/" in request.path
            if is_by_link and "Authorization" in request.headers:
                return _no(400, "TokenShownToUploader")
            if is_by_link or request.headers.get("Authorization") == f"OAuth {self.token}":
                return None
            return self.unauthorised()

        @routes.get("/v1/disk/")
        def disk() -> ResponseReturnValue:
            used = sum(len(content) for content in self.files().values())
            return jsonify(total_space=self.quota, used_space=used)

        @routes.put("/v1/disk/resources")
        def make() -> ResponseReturnValue:
            path = request.args["path"]
            if self.locked:
                return _no(423, "DiskResourceLockedError")
            if path in self.resources:
                return _no(409, "DiskPathPointsToExistentDirectoryError")
            if path.rpartition("/")[0] not in self.resources:
                return _no(409, "DiskPathDoesntExistsError")
            self.resources[path] = DiskResource()
            return self._link(path), 201

        @routes.get("/v1/disk/resources")
        def show() -> ResponseReturnValue:
            path = request.args["path"]
            found = self.resources.get(path)
            if path in self._coming:
                self.save(path, self._coming.pop(path))
            if found is None:
                return _no(404, "DiskNotFoundError")
            return jsonify(self._shown(path, found) | self._embedded(path))

        @routes.patch("/v1/disk/resources")
        def mark() -> ResponseReturnValue:
            found = self.resources.get(request.args["path"])
            if found is None:
                return _no(404, "DiskNotFoundError")
            found.properties |= request.get_json()["custom_properties"]
            return jsonify(self._shown(request.args["path"], found))

        @routes.get("/v1/disk/resources/upload")
        def link() -> ResponseReturnValue:
            path = request.args["path"]
            if self.locked:
                return _no(423, "DiskResourceLockedError")
            if path in self.resources and request.args.get("overwrite") != "true":
                return _no(409, "DiskResourceAlreadyExistsError")
            if path.rpartition("/")[0] not in self.resources:
                return _no(409, "DiskPathDoesntExistsError")
            ticket = f"{next(self._ids)}"
            self._links[ticket] = path
            if self.saved_meanwhile:
                self.save(path, self.saved_meanwhile.pop(0))
            href = f"{self.url}/{self.name}/upload-target/{ticket}"
            return jsonify(operation_id=ticket, href=href, method="PUT", templated=False)

        @routes.put("/upload-target/<ticket>")
        def upload(ticket: str) -> ResponseReturnValue:
            path, content = self._links.get(ticket, ""), request.get_data()
            if not path:
                return Response(status=404)
            if sum(map(len, self.files().values())) + len(content) > self.quota:
                return Response(status=507)
            if self.takes_later:
                self._coming[path] = content
                return Response(status=202)
            self.save(path, content)
            return Response(status=201)

        @routes.get("/v1/disk/resources/download")
        def download_link() -> ResponseReturnValue:
            path = request.args["path"]
            if path not in self.files():
                return _no(404, "DiskNotFoundError")
            ticket = f"{next(self._ids)}"
            self._links[ticket] = path
            return jsonify(href=f"{self.url}/{self.name}/download-target/{ticket}", method="GET", templated=False)

        @routes.get("/download-target/<ticket>")
        def download(ticket: str) -> ResponseReturnValue:
            content = self.files().get(self._links.get(ticket, ""))
            return Response(status=404) if content is None else Response(content, mimetype="application/octet-stream")

        @routes.put("/v1/disk/resources/publish")
        def publish() -> ResponseReturnValue:
            found = self.resources.get(request.args["path"])
            if found is None:
                return _no(404, "DiskNotFoundError")
            found.public_url = found.public_url or f"https://disk.yandex.ru/d/{next(self._ids)}"
            return self._link(request.args["path"])

    def _link(self, path: str) -> Response:
        return jsonify(href=f"{self.url}/{self.name}/v1/disk/resources?path={path}", method="GET", templated=False)

    def _shown(self, path: str, found: DiskResource) -> dict[str, Any]:
        shown: dict[str, Any] = {"path": path, "name": path.rpartition("/")[2], "type": "dir"}
        if found.content is not None:
            md5 = hashlib.md5(found.content, usedforsecurity=False).hexdigest()
            shown |= {"type": "file", "revision": found.revision}
            shown |= {} if self.hides_md5 else {"size": len(found.content), "md5": md5}
        if found.public_url:
            shown["public_url"] = found.public_url
        return shown | ({"custom_properties": found.properties} if found.properties else {})

    def _embedded(self, path: str) -> dict[str, Any]:
        if self.resources[path].content is not None:
            return {}
        limit, offset = int(request.args.get("limit", 20)), int(request.args.get("offset", 0))
        inner = [one for one in self.resources if one.rpartition("/")[0] == path]
        shown = [self._shown(one, self.resources[one]) for one in inner[offset : offset + limit]]
        return {"_embedded": {"items": shown, "total": len(inner), "limit": limit, "offset": offset}}


def _no(status: int, error: str) -> ResponseReturnValue:
    return jsonify(message="Ошибка", description=error, error=error), status
