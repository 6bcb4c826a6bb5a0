"""S3-compatible storage: one bucket, signatures checked (AWS Signature Version 4), errors as XML."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

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
        """Does the signature fit the request as it came, and is a link's time not over? (AWS docs, SigV4.)"""
        address = urlsplit(request.environ.get("RAW_URI") or request.environ["REQUEST_URI"])
        parts = [part for part in address.query.split("&") if part]
        if "X-Amz-Signature" in request.args:
            told = request.args
            stamp, names = told.get("X-Amz-Date", ""), told.get("X-Amz-SignedHeaders", "")
            parts = [part for part in parts if not part.startswith("X-Amz-Signature=")]
            wanted = self._signature(address.path, parts, names, "UNSIGNED-PAYLOAD", stamp)
            ends = _moment(stamp) + timedelta(seconds=int(told.get("X-Amz-Expires", "0")))
            return hmac.compare_digest(wanted, told["X-Amz-Signature"]) and datetime.now(UTC) <= ends
        given = unquote(request.headers.get("Authorization", ""))
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)", given)
        stamp, sha256 = (request.headers.get(name, "") for name in ("X-Amz-Date", "X-Amz-Content-Sha256"))
        if found is None or found[1] != f"{self.key}/{stamp[:8]}/{self.region}/s3/aws4_request":
            return False
        return hmac.compare_digest(self._signature(address.path, parts, found[2], sha256, stamp), found[3])

    def _signature(self, path: str, query: Sequence[str], names: str, sha256: str, stamp: str) -> str:
        headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names.split(";"))
        asked = "\n".join((request.method, path, "&".join(sorted(query)), headers, names, sha256))
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(asked.encode()).hexdigest()))
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _no(status: int, code: str) -> ResponseReturnValue:
    words = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Response(words, status, content_type="application/xml")
