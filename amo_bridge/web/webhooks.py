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
from flask import Blueprint, Response, g, request

from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.host import Application
from amo_bridge.runtime.worker import BIZON
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.tables import LONGEST_BIZON_ID
from amo_bridge.webinars.bizon_import import BizonReports, BizonSettings

log = structlog.get_logger()
BIZON_MOST_BYTES = 64 * 1024


def bizon_blueprint(bridges: Callable[[], Iterable[AccountRuntime]]) -> Blueprint:
    routes = Blueprint("bizon_hook", __name__)

    @routes.post("/hooks/bizon/<secret>")
    def report_ready(secret: str) -> Response:
        try:
            bridge = _whose(bridges(), secret)
            if bridge is None:
                return Response(status=404)
            webinar_id = webinar_in(request.stream.read(BIZON_MOST_BYTES + 1)[:BIZON_MOST_BYTES])
            if not webinar_id:
                return Response("нет webinarId", 400, content_type="text/plain; charset=utf-8")
            store = bridge.resources.store
            key = known_key(store, bridge.config.account.url)
            if key is None:
                raise StoreUnavailable("мост ещё не знакомился с аккаунтом")
            BizonReports(store, key, bridge.clock).report_ready(webinar_id)
        except (StoreUnavailable, ConfigError, OSError) as error:
            log.error("report hook not accepted", error=str(error))
            return Response("мост не готов", 503, {"Retry-After": "60"}, content_type="text/plain; charset=utf-8")
        bridge.request_job(BIZON)
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


def _whose(bridges: Iterable[AccountRuntime], secret: str) -> AccountRuntime | None:
    """The account that lets Bizon365 in by this path."""
    for bridge in bridges:
        webinar = bridge.config.webinar
        if webinar is None or webinar.bizon is None:
            continue
        own = BizonSettings(bridge.config, bridge.environment).hook_secret
        if hmac.compare_digest(secret.encode(), own.encode()):
            return bridge
    return None


# ``POST /hooks/amocrm/<secret>``: the raw bytes are committed, then answered; nothing is understood here.
#
# amoCRM signs nothing, so the path is the password; it gives up after 2 s and repeats what was not answered 2xx (amoCRM
# docs, webhooks-format), so an honest 503 loses nothing.

# A bulk move of 250 deals with all their fields is some 1–2 MB.
MOST_BYTES = 8 * 1024 * 1024


def blueprint(application: Application) -> Blueprint:
    routes = Blueprint("hooks", __name__)

    @routes.post("/hooks/amocrm/<secret>")
    def amocrm(secret: str) -> Response:
        # Whose hook it was is counted when it is answered.
        receiver = g.receiver = application.receiver(secret)
        if receiver is None:
            return _nowhere(application)
        body = _body_within_limit()
        if body is None:
            log.warning("hook too large", length=request.content_length)
            return Response(f"больше {MOST_BYTES} байт", 413, content_type="text/plain; charset=utf-8")
        try:
            receiver.put(body)
        except StoreUnavailable as error:
            return _refused(error)
        return Response(status=204)

    @routes.get("/hooks/amocrm/<secret>/disconnect")
    def disconnected(secret: str) -> Response:
        """amoCRM docs, oauth/step-by-step: the one hook that is signed."""
        receiver = application.receiver(secret)
        if receiver is None:
            return _nowhere(application)
        try:
            is_amocrm = receiver.disconnect(request.args.to_dict())
        except StoreUnavailable as error:
            return _refused(error)
        return Response(status=204 if is_amocrm else 403)

    return routes


def _nowhere(application: Application) -> Response:
    if application.is_opening:
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
