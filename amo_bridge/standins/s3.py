"""S3-compatible object storage: one bucket, signatures checked (AWS Signature Version 4), errors as XML."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from amo_bridge.channels.s3 import Signer
from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import StandIn, known_settings


@dataclass(frozen=True)
class StoredObject:
    content: bytes
    content_type: str
    md5: str


class S3StandIn(StandIn):
    """One bucket of one owner."""

    name = "s3"
    title = "S3"
    hint = "Впишите api, bucket, region и key в [s3], секрет — в AMO_BRIDGE_S3_SECRET."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.key, self.secret, self.region, self.bucket = "s3-test-key", "s3-test-secret", "ru-central1", "documents"
        self.objects: dict[str, StoredObject] = {}

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}", "bucket": self.bucket, "region": self.region, "key": self.key,
            "secret": self.secret,
        }  # fmt: skip

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("bucket", "region", "key", "secret"))
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        return _no(503, "SlowDown")

    def unauthorised(self) -> ResponseReturnValue:
        return _no(403, "InvalidAccessKeyId")

    def files(self) -> dict[str, bytes]:
        """Key → content."""
        return {key: one.content for key, one in self.objects.items()}

    def register(self, routes: Blueprint) -> None:
        @routes.get("/<bucket>")
        def listed(bucket: str) -> ResponseReturnValue:
            if (refused := self._refused(bucket)) is not None:
                return refused
            return Response("<ListBucketResult></ListBucketResult>", content_type="application/xml")

        @routes.route("/<bucket>/<path:key>", methods=["GET", "HEAD", "PUT"])
        def one(bucket: str, key: str) -> ResponseReturnValue:
            if (refused := self._refused(bucket)) is not None:
                return refused
            return self._put(key) if request.method == "PUT" else self._get(key)

    def _get(self, key: str) -> ResponseReturnValue:
        found = self.objects.get(key)
        if found is None:
            return _no(404, "NoSuchKey")
        etag = hashlib.md5(found.content, usedforsecurity=False).hexdigest()
        headers = {"ETag": f'"{etag}"', "x-amz-meta-md5": found.md5}
        if saved := request.args.get("response-content-disposition"):
            headers["Content-Disposition"] = saved
        return Response(found.content, content_type=found.content_type, headers=headers)

    def _put(self, key: str) -> ResponseReturnValue:
        content, told = request.get_data(), request.headers
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        if base64.b64encode(md5).decode() != told.get("Content-MD5"):
            return _no(400, "BadDigest")
        if hashlib.sha256(content).hexdigest() != told.get("X-Amz-Content-Sha256"):
            return _no(400, "XAmzContentSHA256Mismatch")
        self.objects[key] = StoredObject(content, told.get("Content-Type", ""), told.get("X-Amz-Meta-Md5", ""))
        return Response()

    def _refused(self, bucket: str) -> ResponseReturnValue | None:
        if bucket != self.bucket:
            return _no(404, "NoSuchBucket")
        return None if self._is_signed() else _no(403, "SignatureDoesNotMatch")

    def _is_signed(self) -> bool:
        """As the client that was given these keys would have signed it."""
        path = request.environ.get("RAW_URI") or request.environ["REQUEST_URI"]
        url = f"http://{request.host}{urlsplit(path).path}"
        if "X-Amz-Signature" in request.args:
            told = request.args
            at = _moment(told["X-Amz-Date"])
            own = {name: value for name, value in told.items() if not name.startswith("X-Amz-")}
            link = Signer(self.key, self.secret, self.region).link(url, own, int(told["X-Amz-Expires"]), at)
            return link.rpartition("=")[2] == told["X-Amz-Signature"]
        found = re.search(r"SignedHeaders=([^,]+),", request.headers.get("Authorization", ""))
        if found is None:
            return False
        own_headers = ("host", "x-amz-content-sha256", "x-amz-date")
        more = {name: request.headers.get(name, "") for name in found[1].split(";") if name not in own_headers}
        query = urlsplit(path).query
        signed = Signer(self.key, self.secret, self.region).headers(
            request.method,
            f"{url}?{query}" if query else url,
            request.headers["X-Amz-Content-Sha256"],
            more,
            _moment(request.headers["X-Amz-Date"]),
        )
        return signed["Authorization"] == unquote(request.headers["Authorization"])


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _no(status: int, code: str) -> ResponseReturnValue:
    words = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Response(words, status, content_type="application/xml")
