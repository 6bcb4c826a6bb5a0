"""``POST /hooks/amocrm/<secret>``: the raw bytes are committed, then answered; nothing is understood here.

amoCRM signs nothing, so the path is the password; it gives up after 2 s and repeats what was not answered 2xx (amoCRM
docs, webhooks-format), so an honest 503 loses nothing.
"""

from __future__ import annotations

import hmac
from typing import Protocol

import structlog
from flask import Blueprint, Response, request

from amo_bridge.errors import StoreUnavailable

log = structlog.get_logger()
# A bulk move of 250 deals with all their fields is some 1–2 MB.
MOST_BYTES = 8 * 1024 * 1024


class Door(Protocol):
    """Where bodies go in. ``secret`` is None while the bridge is starting and can accept nothing yet."""

    @property
    def secret(self) -> str | None: ...

    def put(self, body: bytes) -> None: ...


def blueprint(door: Door) -> Blueprint:
    routes = Blueprint("hooks", __name__)

    @routes.post("/hooks/amocrm/<secret>")
    def amocrm(secret: str) -> Response:
        if door.secret is None:
            return Response("мост запускается", 503, {"Retry-After": "5"}, content_type="text/plain; charset=utf-8")
        if not hmac.compare_digest(secret.encode(), door.secret.encode()):
            return Response(status=404)
        body = _body_within_limit()
        if body is None:
            log.warning("hook too large", length=request.content_length)
            return Response(f"больше {MOST_BYTES} байт", 413, content_type="text/plain; charset=utf-8")
        try:
            door.put(body)
        except StoreUnavailable as error:
            log.error("hook not accepted", error=str(error))
            return Response("база не отвечает", 503, {"Retry-After": "60"}, content_type="text/plain; charset=utf-8")
        return Response(status=204)

    return routes


def _body_within_limit() -> bytes | None:
    """The body as it came; None if it is over the limit, also when its length was not told."""
    if (request.content_length or 0) > MOST_BYTES:
        return None
    body = request.stream.read(MOST_BYTES + 1)
    return body if len(body) <= MOST_BYTES else None
