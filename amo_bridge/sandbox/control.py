"""Control endpoints under /sandbox/: clock, faults, limits, requests, webhooks, tokens, reset.

No token is needed. Bodies are strict, so that a mistyped key is an error and not ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, Response, jsonify, render_template_string, request

from amo_bridge.sandbox import delivery as deliveries
from amo_bridge.sandbox import digital_pipeline, faults, limits, request_log, tokens
from amo_bridge.sandbox.faults import FIELDS, HOOK_FAULTS, HTTP_FAULTS, BadFault
from amo_bridge.sandbox.http import Refused, no_content
from amo_bridge.sandbox.limits import BadLimits, Settings
from amo_bridge.sandbox.world import World

HEADERS = {
    "Authorization: Bearer <token>": "who asks; the account file's long-lived tokens and OAuth's work",
    "X-Context-User-ID: <user id>": "with an administrator's token: act as that user, as amoCRM has it",
    "X-Sandbox-Person: <user id>": "the sandbox's own, beside a valid token: this request stands for that person's"
    " click in the web page; it acts as that user, is not limited, not counted and spared by faults",
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox</title>
<style>body{font:16px/1.4 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}
td{padding:.1em 1em .1em 0;vertical-align:top}code{white-space:nowrap}</style>
<h1>{{ about.title }}</h1><p>{{ about.account }}</p>
{% for part, rows in about.parts.items() %}<h2>{{ part }}</h2><table>
{% for name, text in rows.items() %}<tr><td><code>{{ name }}</code></td><td>{{ text }}</td></tr>{% endfor %}
</table>{% endfor %}</html>"""

MAX_WAIT_SECONDS = 120.0
LATE_WRITES_TIMEOUT_SECONDS = 30.0
"""How long a reset waits for writes that are still to land, real seconds."""


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    register_docs(app, world)
    _register_clock(app, world)
    _register_faults(app)
    _register_requests(app)
    register_webhooks(app, world)
    _register_access(app, world)
    _register_account(app, world)


def _register_clock(app: Flask, world: World) -> None:
    clock = world.clock

    def shown() -> Response:
        now = clock.now()
        iso = datetime.fromtimestamp(now, UTC).isoformat()
        return jsonify({"now": now, "iso": iso, "frozen": clock.is_frozen})

    @app.get("/sandbox/clock")
    def get_clock() -> Response:
        """The account's time."""
        return shown()

    @app.post("/sandbox/clock")
    def move_clock() -> Response:
        """Moves the clock: {"freeze": bool}, {"set": Unix seconds or ISO text}, {"advance": seconds}, in this order."""
        body = known_keys(json_body(), freeze=bool, set=(int, float, str), advance=(int, float))
        if "freeze" in body:
            clock.freeze() if body["freeze"] else clock.unfreeze()
        if "set" in body:
            clock.set(_seconds(body["set"], world))
        if "advance" in body:
            clock.advance(body["advance"])
        world.save()
        return shown()


def _seconds(at: float | str, world: World) -> float:
    if not isinstance(at, str):
        return at
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise Refused(400, f"set: {error}") from error
    zone = ZoneInfo(world.account["timezone"])
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _register_faults(app: Flask) -> None:
    switched, rate_limits = faults.of(app), limits.of(app)

    @app.get("/sandbox/faults")
    def list_faults() -> Response:
        """The faults that are switched on, and how many writes of slow_write_lands_late are still to land."""
        return jsonify({"faults": switched.shown(), "late_writes": switched.late_writes})

    @app.post("/sandbox/faults")
    def add_fault() -> tuple[Response, int]:
        """Switches a fault on: {"kind": …, …}; see the tables of kinds and keys on this page."""
        try:
            return jsonify(switched.add(json_body()).shown()), 201
        except BadFault as error:
            raise Refused(400, str(error)) from error

    @app.delete("/sandbox/faults")
    def clear_faults() -> Response:
        """Switches all faults off."""
        switched.clear()
        return no_content()

    @app.delete("/sandbox/faults/<int:fault_id>")
    def remove_fault(fault_id: int) -> Response:
        """Switches one fault off."""
        if not switched.remove(fault_id):
            raise Refused(404, f"no fault {fault_id}")
        return no_content()

    @app.get("/sandbox/limits")
    def get_limits() -> Response:
        """The rate limits, how many requests they refused, and who is blocked for how long."""
        return jsonify(rate_limits.shown())

    @app.post("/sandbox/limits")
    def set_limits() -> Response:
        """Changes the rate limits (see their table), and forgets counts and blocks; {} does only that."""
        try:
            rate_limits.set(json_body())
        except BadLimits as error:
            raise Refused(400, str(error)) from error
        return jsonify(rate_limits.shown())


def _register_requests(app: Flask) -> None:
    log = request_log.of(app)

    @app.get("/sandbox/requests")
    def requests_since() -> Response:
        """The last requests and their answers, oldest first; ?since=<number> gives the later ones only."""
        return jsonify({"requests": log.since(request.args.get("since", 0, int))})

    @app.get("/sandbox/requests/count")
    def count_requests() -> Response:
        """How many requests came by method and path pattern, people's clicks not counted."""
        counts = log.counts()
        return jsonify({"total": sum(counts.values()), "by_path": counts})

    @app.delete("/sandbox/requests")
    def forget_requests() -> Response:
        """Empties the request log and its counters."""
        log.clear()
        return no_content()


def _register_access(app: Flask, world: World) -> None:
    @app.get("/sandbox/oauth")
    def oauth_settings() -> Response:
        """How OAuth behaves: access_life and code_life in seconds, scopes of new tokens, wrong_account."""
        return jsonify(tokens.settings(world))

    @app.post("/sandbox/oauth")
    def set_oauth() -> Response:
        """Changes how OAuth behaves; wrong_account true answers every exchange with «Invalid account»."""
        body = known_keys(json_body(), access_life=int, code_life=int, scopes=list, wrong_account=bool)
        with world.lock:
            world.table(tokens.SETTINGS)["settings"] = {**tokens.settings(world), **body}
            world.save()
        return oauth_settings()

    @app.post("/sandbox/tokens")
    def put_token() -> tuple[Response, int]:
        """Adds or changes a bearer token: {"token"?, "user_id", "expires_in"?: seconds, "scopes"?: [...]}.

        Without "token" it is a long-lived JWT, as the integration's page gives one.
        """
        body = known_keys(json_body(), token=str, user_id=int, expires_in=int, scopes=list)
        if body.get("token") == "" or body.get("user_id") not in world.table("users"):
            raise Refused(400, "the user_id of a user is needed, and a token that is not empty")
        life = body.get("expires_in")
        record: dict[str, Any] = {"user_id": body["user_id"], "client_id": None}
        record["expires_at"] = None if life is None else world.clock.now() + life
        if "scopes" in body:
            record["scopes"] = body["scopes"]
        with world.lock:
            token = body.get("token") or tokens.long_lived(world, record, request.host)
            record = {"token": token, **record}
            world.table("tokens")[token] = record
            world.save()
        return jsonify(record), 201

    @app.delete("/sandbox/tokens/<token>")
    def revoke_token(token: str) -> Response:
        """Revokes a bearer token."""
        with world.lock:
            if world.table("tokens").pop(token, None) is None:
                raise Refused(404, "no such token")
            world.save()
        return no_content()


def _register_account(app: Flask, world: World) -> None:
    @app.post("/sandbox/reset")
    def reset() -> Response:
        """Forgets everything and starts with the account file again, as a NEW account (another amojo_id)."""
        faults.of(app).wait_landed(LATE_WRITES_TIMEOUT_SECONDS)
        faults.of(app).clear()
        limits.of(app).reset()
        world.start_anew()
        deliveries.of(app).forget()
        request_log.of(app).clear()
        return jsonify({"account_id": world.account["id"], "amojo_id": world.account["amojo_id"]})

    @app.get("/sandbox/state")
    def state() -> Response:
        """All tables with all records; ?kind=leads gives one of them."""
        kind = request.args.get("kind")
        with world.lock:
            kinds = [kind] if kind else list(world.kinds())
            tables = {name: {str(key): row for key, row in world.table(name).items()} for name in kinds}
            return jsonify({"account": dict(world.account), "clock": world.clock.now(), "tables": tables})


def register_webhooks(app: Flask, world: World) -> None:
    _register_log(app)
    _register_pipeline(app, world)


def _register_log(app: Flask) -> None:
    delivery = deliveries.of(app)
    sender = delivery.sender

    @app.get("/sandbox/hooks")
    def hooks_since() -> Response:
        """Every attempt to deliver a webhook, with body and answer, oldest first; ?since=<number>, ?setting=…"""
        setting = request.args.get("setting")
        attempts = sender.log.since(request.args.get("since", 0, int))
        return jsonify({"attempts": [attempt for attempt in attempts if setting in (None, attempt["setting"])]})

    @app.get("/sandbox/hooks/waiting")
    def hooks_waiting() -> Response:
        """Webhooks that are to be sent later: retries and delayed ones, soonest first."""
        shown = [
            {"setting": item.setting, "destination": item.destination, "attempt": item.attempt, "due_at": item.due_at}
            for item in sender.waiting()
        ]
        return jsonify({"waiting": shown})

    @app.post("/sandbox/hooks/flush")
    def flush() -> tuple[Response, int]:
        """Waits until late writes landed and no webhook is due or on its way: {"timeout": seconds}; 504: not yet."""
        timeout = known_keys(json_body(), timeout=(int, float)).get("timeout", 10)
        timeout = max(0.0, min(float(timeout), MAX_WAIT_SECONDS))
        is_idle = faults.of(app).wait_landed(timeout) and sender.wait_idle(timeout)
        return jsonify({"idle": is_idle, **deliveries.counts(delivery)}), 200 if is_idle else 504

    @app.delete("/sandbox/hooks")
    def forget_hooks() -> Response:
        """Throws away the hooks log and everything that is still to be sent."""
        delivery.forget()
        return no_content()

    @app.get("/sandbox/hooks/settings")
    def hook_settings() -> Response:
        """timeout: real seconds a receiver has; speed: how many times sooner than amoCRM's a retry comes."""
        return jsonify({"timeout": sender.timeout, "speed": sender.speed})

    @app.post("/sandbox/hooks/settings")
    def set_hook_settings() -> Response:
        """Changes timeout and speed."""
        body = known_keys(json_body(), timeout=(int, float), speed=(int, float))
        if any(isinstance(value, bool) or value <= 0 for value in body.values()):
            raise Refused(400, "timeout and speed are above 0")
        sender.timeout = float(body.get("timeout", sender.timeout))
        sender.speed = float(body.get("speed", sender.speed))
        return hook_settings()


def _register_pipeline(app: Flask, world: World) -> None:
    table = world.table(digital_pipeline.TABLE)

    @app.get("/sandbox/hooks/pipeline")
    def list_pipeline_hooks() -> Response:
        """The Digital Pipeline's webhooks."""
        return jsonify({"hooks": list(table.values())})

    @app.post("/sandbox/hooks/pipeline")
    def add_pipeline_hook() -> tuple[Response, int]:
        """Adds one: {"destination", "event": add|status|mail_in|call_in, "pipeline_id"?, "status_id"?}."""
        body = known_keys(json_body(), destination=str, event=str, pipeline_id=int, status_id=int)
        if not body.get("destination") or body.get("event") not in digital_pipeline.EVENTS:
            raise Refused(400, f"destination and event (one of {list(digital_pipeline.EVENTS)}) are needed")
        with world.lock:
            hook = {"id": world.next_id(digital_pipeline.TABLE), "pipeline_id": None, "status_id": None, **body}
            table[hook["id"]] = hook
            world.save()
        return jsonify(hook), 201

    @app.delete("/sandbox/hooks/pipeline/<int:hook_id>")
    def remove_pipeline_hook(hook_id: int) -> Response:
        """Removes one."""
        with world.lock:
            if table.pop(hook_id, None) is None:
                raise Refused(404, f"no Digital Pipeline hook {hook_id}")
            world.save()
        return no_content()


# --- the page GET /sandbox/ ------------------------------------------------------------------------------------------


def register_docs(app: Flask, world: World) -> None:
    @app.get("/sandbox/")
    def docs() -> Response:
        """This page: HTML for a browser, JSON for anything else."""
        about = _about(app, world)
        if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
            return Response(render_template_string(PAGE, about=about))
        return jsonify(about)


def _about(app: Flask, world: World) -> dict[str, Any]:
    account = world.account
    return {
        "title": "A local amoCRM",
        "account": f"{account['name']} ({account['subdomain']}, id {account['id']})",
        "parts": {
            "Headers": HEADERS,
            "Controls": dict(_routes(app, controls=True)),
            "Faults: POST /sandbox/faults with a kind": {**HTTP_FAULTS, **HOOK_FAULTS},
            "Keys of a fault": {name: str(getattr(kind, "__name__", kind)) for name, kind in FIELDS.items()},
            "Limits and their defaults": {name: str(value) for name, value in asdict(Settings()).items()},
            "amoCRM's own addresses": dict(_routes(app, controls=False)),
        },
    }


def _routes(app: Flask, *, controls: bool) -> Iterator[tuple[str, str]]:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/sandbox") == controls]
    for rule in sorted(rules, key=lambda rule: (rule.rule, sorted(rule.methods or ()))):
        text = (app.view_functions[rule.endpoint].__doc__ or "").strip()
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        yield f"{' '.join(methods)} {rule.rule}", text


# --- reading ---------------------------------------------------------------------------------------------------------


def json_body() -> Mapping[str, Any]:
    """The JSON object of the request; no body is an empty one. Raises Refused."""
    body = request.get_json(force=True, silent=True)  # curl -d says it is a form
    if body is None and not request.data:
        return {}
    if not isinstance(body, dict):
        raise Refused(400, "a JSON object is needed")
    return body


def known_keys(body: Mapping[str, Any], **kinds: type | tuple[type, ...]) -> Mapping[str, Any]:
    """Check that the body has no other keys and that their values are of these types. Raises Refused."""
    for name, value in body.items():
        if name not in kinds:
            raise Refused(400, f"unknown key {name!r}; known are {sorted(kinds)}")
        if not isinstance(value, kinds[name]):
            raise Refused(400, f"{name}: {value!r} is of a wrong type")
    return body
