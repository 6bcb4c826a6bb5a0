"""``POST /hooks/amocrm/<secret>``: the raw bytes are committed, then answered; nothing is understood here.

amoCRM signs nothing, so the path is the password; it gives up after 2 s and repeats what was not answered 2xx (amoCRM
docs, webhooks-format), so an honest 503 loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import structlog
from flask import Blueprint, Response, g, request

from amo_bridge.errors import StoreUnavailable

log = structlog.get_logger()
# A bulk move of 250 deals with all their fields is some 1–2 MB.
MOST_BYTES = 8 * 1024 * 1024


class Door(Protocol):
    """Where one account's bodies go in. Both raise StoreUnavailable; then nothing was accepted."""

    def put(self, body: bytes) -> None: ...

    def disconnect(self, told: Mapping[str, str]) -> bool:
        """The integration was switched off, says somebody; False if that was not amoCRM."""


class House(Protocol):
    """Finds the account that a secret belongs to."""

    @property
    def is_opening(self) -> bool:
        """Are there accounts whose doors are not open yet? Then an unknown secret may be theirs."""

    def door(self, secret: str) -> Door | None:
        """The door that this secret opens."""


def blueprint(house: House) -> Blueprint:
    routes = Blueprint("hooks", __name__)

    @routes.post("/hooks/amocrm/<secret>")
    def amocrm(secret: str) -> Response:
        # Whose hook it was is counted when it is answered.
        door = g.door = house.door(secret)
        if door is None:
            return _nowhere(house)
        body = _body_within_limit()
        if body is None:
            log.warning("hook too large", length=request.content_length)
            return Response(f"больше {MOST_BYTES} байт", 413, content_type="text/plain; charset=utf-8")
        try:
            door.put(body)
        except StoreUnavailable as error:
            return _refused(error)
        return Response(status=204)

    @routes.get("/hooks/amocrm/<secret>/disconnect")
    def disconnected(secret: str) -> Response:
        """amoCRM docs, oauth/step-by-step: the one hook that is signed."""
        door = house.door(secret)
        if door is None:
            return _nowhere(house)
        try:
            is_amocrm = door.disconnect(request.args.to_dict())
        except StoreUnavailable as error:
            return _refused(error)
        return Response(status=204 if is_amocrm else 403)

    return routes


def _nowhere(house: House) -> Response:
    if house.is_opening:
        return Response("мост запускается", 503, {"Retry-After": "5"}, content_type="text/plain; charset=utf-8")
    return Response(status=404)


def _refused(error: StoreUnavailable) -> Response:
    log.error("hook not accepted", error=str(error))
    return Response("база не отвечает", 503, {"Retry-After": "60"}, content_type="text/plain; charset=utf-8")


def _body_within_limit() -> bytes | None:
    """The body as it came; None if it is over the limit, also when its length was not told."""
    if (request.content_length or 0) > MOST_BYTES:
        return None
    body = request.stream.read(MOST_BYTES + 1)
    return body if len(body) <= MOST_BYTES else None
