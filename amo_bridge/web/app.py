"""The web side: it takes hooks in and tells whether the bridge is well. No rule is judged in a web thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flask import Flask, Response, jsonify, request
from werkzeug.middleware.proxy_fix import ProxyFix

from amo_bridge.storage.database import Store
from amo_bridge.web import bizon_hook, connect, hooks, metrics, site, unsubscribe
from amo_bridge.web.access import may_look
from amo_bridge.web.connect import Way
from amo_bridge.web.hooks import House
from amo_bridge.web.metrics import Watched
from amo_bridge.web.office import Installed


class Health(Protocol):
    """What the health page asks the bridge."""

    @property
    def is_ready(self) -> bool: ...

    def health(self) -> Mapping[str, Any]:
        """What is told to whoever asks: no secrets."""


class Ways(Protocol):
    """The accounts that an administrator can connect. Raises StoreUnavailable while none can be."""

    def ways(self) -> Sequence[Way]: ...


def create_app(
    house: House,
    health: Health,
    ways: Ways,
    watched: Watched | None = None,
    *,
    takes_hooks: bool = True,
    token: str = "",
    installed: Installed | None = None,
    proxies: int = 0,
) -> Flask:
    """``house`` takes bodies in; ``health`` is the bridge as a whole; ``watched``: what /metrics tells of;
    ``takes_hooks``: not in a process that only works; ``token``: see access; ``installed``: the accounts that there are
    pages for; ``proxies``: how many of our own pass requests on, whose word about the visitor is taken."""
    app = Flask(__name__, static_folder="static" if installed else None)
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies
        )
    if takes_hooks:
        app.register_blueprint(hooks.blueprint(house))
        app.register_blueprint(connect.blueprint(ways.ways))

    @app.get("/health/live")
    def live() -> Response:
        return jsonify(status="live")

    @app.get("/health")
    @app.get("/health/ready")
    def ready() -> tuple[Response, int]:
        told = dict(health.health())
        if not may_look(request, token):
            # The reason may name hosts and paths, and is nobody's business outside.
            told = {"status": str(told["status"]).partition(":")[0]}
        return jsonify(told), 200 if health.is_ready else 503

    if watched is not None:
        metrics.install(app, watched, token)
    if installed is not None:
        if takes_hooks:
            app.register_blueprint(bizon_hook.blueprint(lambda: installed.by_name().values()))
        app.register_blueprint(unsubscribe.blueprint(lambda: _stores(installed)))
        site.install(app, installed)
    return app


def _stores(installed: Installed) -> set[Store]:
    """Of all accounts. Raises StoreUnavailable."""
    return {bridge.ground.store for bridge in installed.by_name().values()}
