"""Receivers of webhooks in Flask: amoCRM's, Bizon365's, and those of vendors that bring enquiries.

``POST /hooks/bizon/<secret>``: the path is the password; the body is only a hint, the report is fetched from Bizon365
itself.

The body has at least ``webinarId`` and comes as JSON or as a form; what else it says nobody needs.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable
from itertools import islice
from urllib.parse import parse_qs

from flask import Blueprint, Response, g, request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from amo_bridge.config.intake import INTAKE_PREFIX
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.intake.reception import BUG, KEPT, VENDORS, receive, settings_of
from amo_bridge.intake.repository import IntakeAddress, ReceivedRequest
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.logs import log
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.host import Application
from amo_bridge.runtime.worker import BIZON
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import LONGEST_BIZON_ID
from amo_bridge.web.auth.rate_limit import network
from amo_bridge.web.receiver import COME_AGAIN, MOST_BYTES, NOT_KEPT
from amo_bridge.webinars.bizon import BizonReports, BizonSettings

BIZON_MOST_BYTES = 64 * 1024
form_limiter = FixedWindowRateLimiter(MemoryStorage())


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
            BizonReports(AccountStore(store, key), bridge.clock).report_ready(webinar_id)
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

# Most of them never come here: web/receiver.py takes them before Flask.


def blueprint(application: Application) -> Blueprint:
    routes = Blueprint("hooks", __name__)

    @routes.post("/hooks/amocrm/<secret>")
    def amocrm(secret: str) -> Response:
        # Whose hook it was is counted when it is answered.
        receiver = g.receiver = application.receiver(secret)
        if receiver is None:
            return _nowhere(application)
        body = _body_within_limit(MOST_BYTES)
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
    return Response(NOT_KEPT, 503, COME_AGAIN, content_type="text/plain; charset=utf-8")


def _body_within_limit(most: int) -> bytes | None:
    """The body as it came; None if it is over the limit, also when its length was not told."""
    if (request.content_length or 0) > most:
        return None
    body = request.stream.read(most + 1)
    return body if len(body) <= most else None


# ``POST /in/<vendor>/<secret>``: enquiries of sites, chats and telephony. Proven, checked, committed, then answered in
# the vendor's own way; what the request says is worked on later.

RETRY_AFTER = {"Retry-After": "60"}


def intake_blueprint(bridges: Callable[[], Iterable[AccountRuntime]]) -> Blueprint:
    """The beginnings of the addresses are read once: a changed ``[intake] prefix`` counts after a restart. The usual
    one is always there: ``[intake]`` may come with a config that is mended at work."""
    routes = Blueprint("intake", __name__)

    def found(prefix: str, vendor: str, secret: str) -> tuple[AccountRuntime, IntakeAddress] | None:
        for bridge in bridges():
            section = bridge.config.intake
            is_here = section is not None and section.prefix == prefix
            if is_here and (address := bridge.intake_addresses.find(vendor, secret)):
                return bridge, address
        return None

    def nobodys(vendor: str, kind: str, response: Response) -> Response:
        """Counted under no account. The vendor of an address that somebody made up may be any word."""
        for bridge in islice(bridges(), 1):
            bridge.process_metrics.of("").intake_answered(vendor if vendor in VENDORS else "", kind)
        return response

    def take(prefix: str, vendor: str, secret: str) -> Response:
        try:
            place = found(prefix, vendor, secret)
            if place is None:
                is_on = any(_is_on(bridge, prefix, vendor) for bridge in bridges())
                return nobodys(vendor, "refused", Response(status=403 if is_on else 404))
            return _take(*place)
        except (StoreUnavailable, ConfigError, OSError) as error:
            log.error("enquiry not accepted", vendor=vendor, error=str(error))
            headers = RETRY_AFTER if vendor in VENDORS and VENDORS[vendor].repeats else {}
            refusal = Response("мост не готов", 503, headers, content_type="text/plain; charset=utf-8")
            return nobodys(vendor, "unavailable", refusal)

    methods = ["GET", "POST", "PUT", "OPTIONS"]
    prefixes = {section.prefix for bridge in bridges() if (section := bridge.config.intake)}
    for prefix in sorted({INTAKE_PREFIX} | prefixes):
        routes.add_url_rule(
            f"{prefix}/<vendor>/<secret>",
            endpoint=f"take{prefix.replace('/', '_')}",
            view_func=take,
            defaults={"prefix": prefix},
            methods=methods,
            provide_automatic_options=False,
        )
    return routes


def _is_on(bridge: AccountRuntime, prefix: str, vendor: str) -> bool:
    section = bridge.config.intake
    if section is None or section.prefix != prefix:
        return False
    return bool(section.mapped) if vendor == "mapped" else section.of(vendor) is not None


def _take(bridge: AccountRuntime, address: IntakeAddress) -> Response:
    vendor = address.vendor
    settings = settings_of(bridge.config, vendor.name, bridge.environment, address.name)
    if request.method == "OPTIONS":
        return _for_browsers(Response(status=204), settings)
    if not _is_within_rate(bridge, address):
        limited = Response("слишком часто", 429, RETRY_AFTER, content_type="text/plain; charset=utf-8")
        return _counted(bridge, vendor.name, "limited", limited)
    body = _body_within_limit(vendor.largest)
    if body is None:
        answer = Response(f"больше {vendor.largest} байт", 413, content_type="text/plain; charset=utf-8")
        return _counted(bridge, vendor.name, "refused", answer)
    came = VendorRequest(
        request.method,
        body,
        request.query_string.decode("latin-1"),
        dict(request.headers),
        received_at=bridge.clock.now().timestamp(),
    )
    reception = receive(vendor, came, settings, path_secret=None)
    kind: str = reception.kind
    if kind in KEPT:
        received = ReceivedRequest(address, came, reception.key, kind == "broken", reception.why)
        if not bridge.intake.put(received):
            kind = "repeated"
    if reception.why.startswith(BUG):
        log.error("request of a vendor not understood", vendor=vendor.name, why=reception.why)
    log.info("request of a vendor answered", vendor=vendor.name, kind=kind, why=reception.why)
    answer = Response(
        reception.answer.body,
        reception.answer.status,
        dict(reception.answer.headers or {}),
        content_type=reception.answer.content_type,
    )
    return _counted(bridge, vendor.name, kind, _for_browsers(answer, settings) if vendor.name == "html" else answer)


def _is_within_rate(bridge: AccountRuntime, address: IntakeAddress) -> bool:
    """Forms of own sites are open to everybody who has seen the site: each address may send a few a minute."""
    section = bridge.config.intake
    if address.vendor.name != "html" or section is None or section.html is None or request.method == "GET":
        return True
    limit = RateLimitItemPerMinute(section.html.per_minute)
    return form_limiter.hit(limit, "intake", bridge.config.account.url, network(request.remote_addr))


def _for_browsers(response: Response, settings: VendorSettings) -> Response:
    """A form that is sent by a script may read the answer, if its site may post at all."""
    origin = request.headers.get("Origin", "")
    allowed = {one.casefold() for one in settings.origins}
    if origin and (not allowed or origin.rstrip("/").casefold() in allowed):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers["Vary"] = "Origin"
    return response


def _counted(bridge: AccountRuntime, vendor: str, kind: str, response: Response) -> Response:
    bridge.meters.intake_answered(vendor, kind)
    return response
