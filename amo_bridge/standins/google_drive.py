"""Google Drive: tokens for a service account, folders by properties, resumable uploads (Drive API v3).

Checks the claims of the assertion, not its signature. Assumed: an id in use answers 409 already when an upload begins.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import StandIn, known_settings


@dataclass
class DriveFile:
    """``content``: None for a folder."""

    name: str
    parents: list[str]
    content: bytes | None = None
    properties: dict[str, str] = field(default_factory=dict)
    trashed: bool = False
    shared: bool = False


@dataclass
class UploadSession:
    number: str
    name: str
    parents: list[str]
    size: int
    content: bytes = b""


class GoogleDriveStandIn(StandIn):
    """One shared drive, open to one service account."""

    name = "google_drive"
    title = "Google Drive"
    hint = "Впишите api, token_url и drive в [google_drive], ключ — в AMO_BRIDGE_GOOGLE_DRIVE_KEY."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.email = "bridge@project.iam.gserviceaccount.com"
        self.drive = "drive-1"
        self.token = "google-test-token-1"
        self.quota_exceeded = False
        self.takes_half = False
        """The first part of an upload is taken by half, as Google may do."""
        self.all: dict[str, DriveFile] = {self.drive: DriveFile("Документы", [])}
        self.sessions: dict[str, UploadSession] = {}
        self._ids = itertools.count(1)
        self._given: set[str] = set()

    def settings(self) -> dict[str, Any]:
        own = f"{self.url}/{self.name}"
        return {
            "api": own, "token_url": f"{own}/token", "drive": self.drive, "email": self.email,
            "quota_exceeded": self.quota_exceeded, "takes_half": self.takes_half,
        }  # fmt: skip

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("email", "quota_exceeded", "takes_half"))
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        return _no(403, "userRateLimitExceeded")

    def unauthorised(self) -> ResponseReturnValue:
        if request.path.endswith("/token"):
            return jsonify(error="invalid_grant", error_description="Invalid JWT Signature."), 400
        return _no(401, "authError")

    def files(self) -> dict[str, bytes]:
        """«folder/id/name» → content of every file that is not in the bin."""
        return {
            f"{self.all[one.parents[0]].name}/{number}/{one.name}": one.content
            for number, one in self.all.items()
            if one.content is not None and not one.trashed
        }

    def folders(self, deal_id: int) -> list[DriveFile]:
        """A deal's folders that are not in the bin."""
        return [one for one in self.all.values() if one.properties.get("amo_deal") == str(deal_id) and not one.trashed]

    def trash(self, deal_id: int) -> None:
        """A person puts the deal's folder into the bin, with all in it."""
        gone = {number for number, one in self.all.items() if one in self.folders(deal_id)}
        for number, one in self.all.items():
            one.trashed = one.trashed or number in gone or bool(gone & set(one.parents))

    def register(self, routes: Blueprint) -> None:
        @routes.post("/token")
        def token() -> ResponseReturnValue:
            claims = claims_of(request.form.get("assertion", ""))
            wanted = {"iss": self.email, "aud": self.settings()["token_url"]}
            is_right = all(claims.get(name) == value for name, value in wanted.items())
            if not is_right or not 0 < claims.get("exp", 0) - claims.get("iat", 0) <= 3600:
                return self.unauthorised()
            return jsonify(access_token=self.token, expires_in=3599, token_type="Bearer")

        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            is_open = request.path.endswith("/token")
            is_known = request.headers.get("Authorization") == f"Bearer {self.token}"
            return None if is_open or is_known else self.unauthorised()

        @routes.get("/drive/v3/files/generateIds")
        def ids() -> ResponseReturnValue:
            made = [f"id-{next(self._ids)}" for _ in range(int(request.args.get("count", 10)))]
            self._given |= set(made)
            return jsonify(ids=made)

        @routes.get("/drive/v3/files")
        def find() -> ResponseReturnValue:
            wanted = re.search(r"key='amo_deal' and value='(\d+)'", request.args["q"])
            if wanted is None or request.args.get("driveId") != self.drive:
                return jsonify(files=[])
            deal_id = int(wanted[1])
            found = [number for number, one in self.all.items() if one in self.folders(deal_id)]
            return jsonify(files=[self._shown(number) for number in found])

        @routes.get("/drive/v3/files/<number>")
        def show(number: str) -> ResponseReturnValue:
            return jsonify(self._shown(number)) if number in self.all else _no(404, "notFound")

        @routes.post("/drive/v3/files")
        def make() -> ResponseReturnValue:
            sent = request.get_json()
            if (refused := self._refused(sent)) is not None:
                return refused
            self.all[sent["id"]] = DriveFile(sent["name"], sent["parents"], None, sent.get("appProperties") or {})
            return jsonify(self._shown(sent["id"]))

        @routes.post("/drive/v3/files/<number>/permissions")
        def share(number: str) -> ResponseReturnValue:
            self.all[number].shared = request.get_json() == {"role": "reader", "type": "anyone"}
            return jsonify(id="anyoneWithLink")

        @routes.post("/upload/drive/v3/files")
        def begin() -> ResponseReturnValue:
            sent = request.get_json()
            if (refused := self._refused(sent)) is not None:
                return refused
            if self.quota_exceeded:
                return _no(403, "storageQuotaExceeded")
            session = f"session-{next(self._ids)}"
            size = int(request.headers["X-Upload-Content-Length"])
            self.sessions[session] = UploadSession(sent["id"], sent["name"], sent["parents"], size)
            return Response(headers={"Location": f"{self.url}/{self.name}/upload-session/{session}"})

        @routes.put("/upload-session/<session>")
        def part(session: str) -> ResponseReturnValue:
            return self._part(session)

    def _part(self, session: str) -> ResponseReturnValue:
        upload, told = self.sessions.get(session), request.headers["Content-Range"]
        if upload is None:
            return Response(status=404)
        if upload.number in self.all:
            return jsonify(self._shown(upload.number))
        part, span = request.get_data(), re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", told)
        if span is not None:
            if int(span[1]) != len(upload.content) or int(span[2]) - int(span[1]) + 1 != len(part):
                return _no(400, "invalidContentRange")
            if self.takes_half:
                self.takes_half, part = False, part[: len(part) // 2]
            upload.content += part
        if len(upload.content) < upload.size:
            headers = {"Range": f"bytes=0-{len(upload.content) - 1}"} if upload.content else {}
            return Response(status=308, headers=headers)
        self.all[upload.number] = DriveFile(upload.name, upload.parents, upload.content)
        return jsonify(self._shown(upload.number))

    def _refused(self, sent: Mapping[str, Any]) -> ResponseReturnValue | None:
        if sent["id"] in self.all:
            return _no(409, "fileIdInUse")
        if sent["id"] not in self._given:
            return _no(400, "invalid")
        return None if all(one in self.all for one in sent["parents"]) else _no(404, "notFound")

    def _shown(self, number: str) -> dict[str, Any]:
        one = self.all[number]
        kind = "folders" if one.content is None else "file/d"
        shown: dict[str, Any] = {
            "id": number, "name": one.name, "trashed": one.trashed,
            "webViewLink": f"https://drive.google.com/{kind}/{number}",
        }  # fmt: skip
        if one.content is not None:
            md5 = hashlib.md5(one.content, usedforsecurity=False).hexdigest()
            shown |= {"size": str(len(one.content)), "md5Checksum": md5}
        return shown


def claims_of(assertion: str) -> dict[str, Any]:
    """What an assertion says; its signature is not looked at."""
    parts = assertion.split(".")
    if len(parts) != 3:
        return {}
    told = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return told if isinstance(told, dict) else {}


def _no(status: int, reason: str) -> ResponseReturnValue:
    error = {"code": status, "message": reason, "errors": [{"domain": "global", "reason": reason}]}
    return jsonify(error=error), status
