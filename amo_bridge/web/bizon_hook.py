"""``POST /hooks/bizon/<secret>``: Bizon365 tells that a report is ready. The path is the password; the body is only a
hint, the report is fetched from Bizon365 itself.

The body has at least ``webinarId`` and comes as JSON or as a form; what else it says nobody needs.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

import structlog
from flask import Blueprint, Response, request

from amo_bridge.clock import SystemClock
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.runtime.account import Bridge
from amo_bridge.runtime.worker import BIZON
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.tables import LONGEST_BIZON_ID
from amo_bridge.webinars.bizon_import import BizonReports, BizonSettings

log = structlog.get_logger()
MOST_BYTES = 64 * 1024


def blueprint(bridges: Callable[[], Iterable[Bridge]]) -> Blueprint:
    routes = Blueprint("bizon_hook", __name__)

    @routes.post("/hooks/bizon/<secret>")
    def report_ready(secret: str) -> Response:
        try:
            bridge = _whose(bridges(), secret)
            if bridge is None:
                return Response(status=404)
            webinar_id = webinar_in(request.stream.read(MOST_BYTES + 1)[:MOST_BYTES])
            if not webinar_id:
                return Response("нет webinarId", 400, content_type="text/plain; charset=utf-8")
            store = bridge.ground.store
            key = known_key(store, bridge.config.account.url)
            if key is None:
                raise StoreUnavailable("мост ещё не знакомился с аккаунтом")
            BizonReports(store, key, SystemClock()).hear(webinar_id)
        except (StoreUnavailable, ConfigError, OSError) as error:
            log.error("report hook not accepted", error=str(error))
            return Response("мост не готов", 503, {"Retry-After": "60"}, content_type="text/plain; charset=utf-8")
        bridge.hurry(BIZON)
        return Response(status=204)

    return routes


def webinar_in(body: bytes) -> str:
    """The webinar's id; empty if the body names none, or one that can't be one."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            return ""
        found = told.get("webinarId")
    else:
        found = parse_qs(text).get("webinarId", [""])[0]
    is_one = isinstance(found, str) and 0 < len(found) <= LONGEST_BIZON_ID and found.isprintable()
    return found if is_one else ""


def _whose(bridges: Iterable[Bridge], secret: str) -> Bridge | None:
    """The account that lets Bizon365 in by this path."""
    for bridge in bridges:
        webinar = bridge.config.webinar
        if webinar is None or webinar.bizon is None:
            continue
        own = BizonSettings(bridge.config, bridge.environment).hook_secret
        if hmac.compare_digest(secret.encode(), own.encode()):
            return bridge
    return None
