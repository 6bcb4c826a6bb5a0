"""/sandbox/hooks: what was sent to whom and what was answered; waiting for it; Digital Pipeline hooks."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from amo_bridge.sandbox import delivery as deliveries
from amo_bridge.sandbox import faults, pipeline_hooks
from amo_bridge.sandbox.control_body import only, told
from amo_bridge.sandbox.http import Refused, no_content
from amo_bridge.sandbox.world import World

LONGEST_WAIT = 120.0


def register(app: Flask, world: World) -> None:
    _register_log(app)
    _register_pipeline(app, world)


def _register_log(app: Flask) -> None:
    delivery = deliveries.of(app)
    courier = delivery.courier

    @app.get("/sandbox/hooks")
    def hooks_since() -> Response:
        """Every attempt to deliver a webhook, with body and answer, oldest first; ?since=<number>, ?setting=…"""
        setting = request.args.get("setting")
        attempts = courier.log.since(request.args.get("since", 0, int))
        return jsonify({"attempts": [one for one in attempts if setting in (None, one["setting"])]})

    @app.get("/sandbox/hooks/waiting")
    def hooks_waiting() -> Response:
        """Webhooks that are to be sent later: retries and delayed ones, soonest first."""
        shown = [
            {"setting": one.setting, "destination": one.destination, "attempt": one.attempt, "due_at": one.due_at}
            for one in courier.waiting()
        ]
        return jsonify({"waiting": shown})

    @app.post("/sandbox/hooks/flush")
    def flush() -> tuple[Response, int]:
        """Waits until late writes landed and no webhook is due or on its way: {"timeout": seconds}; 504: not yet."""
        timeout = only(told(), timeout=(int, float)).get("timeout", 10)
        timeout = max(0.0, min(float(timeout), LONGEST_WAIT))
        is_idle = faults.of(app).wait_landed(timeout) and courier.wait_idle(timeout)
        return jsonify({"idle": is_idle, **deliveries.counts(delivery)}), 200 if is_idle else 504

    @app.delete("/sandbox/hooks")
    def forget_hooks() -> Response:
        """Throws away the hooks log and everything that is still to be sent."""
        delivery.forget()
        return no_content()

    @app.get("/sandbox/hooks/settings")
    def hook_settings() -> Response:
        """timeout: real seconds a receiver has; speed: how many times sooner than amoCRM's a retry comes."""
        return jsonify({"timeout": courier.timeout, "speed": courier.speed})

    @app.post("/sandbox/hooks/settings")
    def set_hook_settings() -> Response:
        """Changes timeout and speed."""
        body = only(told(), timeout=(int, float), speed=(int, float))
        if any(isinstance(value, bool) or value <= 0 for value in body.values()):
            raise Refused(400, "timeout and speed are above 0")
        courier.timeout = float(body.get("timeout", courier.timeout))
        courier.speed = float(body.get("speed", courier.speed))
        return hook_settings()


def _register_pipeline(app: Flask, world: World) -> None:
    table = world.table(pipeline_hooks.TABLE)

    @app.get("/sandbox/hooks/pipeline")
    def list_pipeline_hooks() -> Response:
        """The Digital Pipeline's webhooks."""
        return jsonify({"hooks": list(table.values())})

    @app.post("/sandbox/hooks/pipeline")
    def add_pipeline_hook() -> tuple[Response, int]:
        """Adds one: {"destination", "event": add|status|mail_in|call_in, "pipeline_id"?, "status_id"?}."""
        body = only(told(), destination=str, event=str, pipeline_id=int, status_id=int)
        if not body.get("destination") or body.get("event") not in pipeline_hooks.EVENTS:
            raise Refused(400, f"destination and event (one of {list(pipeline_hooks.EVENTS)}) are needed")
        with world.lock:
            hook = {"id": world.next_id(pipeline_hooks.TABLE), "pipeline_id": None, "status_id": None, **body}
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
