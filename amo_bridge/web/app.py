"""The web side: it takes hooks in and tells whether the bridge is well. No rule is judged in a web thread."""

from __future__ import annotations

from typing import Protocol

from flask import Flask, Response, jsonify

from amo_bridge.web import hooks
from amo_bridge.web.hooks import Door


class Health(Protocol):
    """What the health page asks the bridge."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def state(self) -> str: ...


def create_app(door: Door, health: Health) -> Flask:
    """``door`` takes bodies in; ``health`` is the bridge as a whole."""
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(hooks.blueprint(door))

    @app.get("/health/live")
    def live() -> Response:
        return jsonify(status="live")

    @app.get("/health")
    @app.get("/health/ready")
    def ready() -> tuple[Response, int]:
        return jsonify(status=health.state), 200 if health.is_ready else 503

    return app
