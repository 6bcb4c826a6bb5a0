"""Everything under /sandbox/: the clock, the weather, the limits, what was asked and what was sent. No token needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, Response, jsonify, request

from amo_bridge.sandbox import control_docs, control_hooks, faults, limits, request_log, tokens
from amo_bridge.sandbox import delivery as deliveries
from amo_bridge.sandbox.control_body import only, told
from amo_bridge.sandbox.fault_kinds import BadFault
from amo_bridge.sandbox.http import Refused, no_content
from amo_bridge.sandbox.limits import BadLimits
from amo_bridge.sandbox.world import World

LATE_WRITES = 30.0
"""How long a reset waits for writes that are still to land, real seconds."""


def register(app: Flask, world: World) -> None:
    control_docs.register(app, world)
    _register_clock(app, world)
    _register_weather(app)
    _register_requests(app)
    control_hooks.register(app, world)
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
        body = only(told(), freeze=bool, set=(int, float, str), advance=(int, float))
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
    except ValueError as why:
        raise Refused(400, f"set: {why}") from why
    zone = ZoneInfo(world.account["timezone"])
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _register_weather(app: Flask) -> None:
    weather, brakes = faults.of(app), limits.of(app)

    @app.get("/sandbox/faults")
    def list_faults() -> Response:
        """The faults that are switched on, and how many writes of slow_write_lands_late are still to land."""
        return jsonify({"faults": weather.shown(), "late_writes": weather.late_writes})

    @app.post("/sandbox/faults")
    def add_fault() -> tuple[Response, int]:
        """Switches a fault on: {"kind": …, …}; see the tables of kinds and keys on this page."""
        try:
            return jsonify(weather.add(told()).shown()), 201
        except BadFault as why:
            raise Refused(400, str(why)) from why

    @app.delete("/sandbox/faults")
    def clear_faults() -> Response:
        """Switches all faults off."""
        weather.clear()
        return no_content()

    @app.delete("/sandbox/faults/<int:fault_id>")
    def remove_fault(fault_id: int) -> Response:
        """Switches one fault off."""
        if not weather.remove(fault_id):
            raise Refused(404, f"no fault {fault_id}")
        return no_content()

    @app.get("/sandbox/limits")
    def get_limits() -> Response:
        """The rate limits, how many requests they refused, and who is blocked for how long."""
        return jsonify(brakes.shown())

    @app.post("/sandbox/limits")
    def set_limits() -> Response:
        """Changes the rate limits (see their table), and forgets counts and blocks; {} does only that."""
        try:
            brakes.set(told())
        except BadLimits as why:
            raise Refused(400, str(why)) from why
        return jsonify(brakes.shown())


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
        body = only(told(), access_life=int, code_life=int, scopes=list, wrong_account=bool)
        with world.lock:
            world.table(tokens.SETTINGS)["settings"] = {**tokens.settings(world), **body}
            world.save()
        return oauth_settings()

    @app.post("/sandbox/tokens")
    def put_token() -> tuple[Response, int]:
        """Adds or changes a bearer token: {"token", "user_id", "expires_in"?: seconds, "scopes"?: [...]}."""
        body = only(told(), token=str, user_id=int, expires_in=int, scopes=list)
        if not body.get("token") or body.get("user_id") not in world.table("users"):
            raise Refused(400, "token and the user_id of a user are needed")
        life = body.get("expires_in")
        record: dict[str, Any] = {"token": body["token"], "user_id": body["user_id"], "client_id": None}
        record["expires_at"] = None if life is None else world.clock.now() + life
        if "scopes" in body:
            record["scopes"] = body["scopes"]
        with world.lock:
            world.table("tokens")[body["token"]] = record
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
        faults.of(app).wait_landed(LATE_WRITES)
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
