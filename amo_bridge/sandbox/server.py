"""Flask app of the sandbox and its web server: which modules it has, how it starts and stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, request
from flask.typing import ResponseReturnValue

from amo_bridge.sandbox import (
    account,
    auth,
    calls,
    catalogs,
    contacts,
    control,
    conversations,
    custom_fields,
    customers,
    deal_complex,
    deals,
    delivery,
    empty_areas,
    events,
    faults,
    field_groups,
    files,
    http,
    legacy_api,
    limits,
    links,
    loss_reasons,
    middleware,
    notes,
    oauth,
    people,
    pipelines,
    request_log,
    seeding,
    sources,
    subscriptions,
    tags,
    tasks,
    unsorted,
    users,
)
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.middleware import KeepAliveServer
from amo_bridge.sandbox.world import World

FRONT = (request_log, middleware, faults, limits, auth, oauth, events, files, delivery, control, seeding)
"""Middleware and what stands beside the API; the first sees a request first."""

ENTITIES = (
    account, users, pipelines, loss_reasons, custom_fields, field_groups, tags, subscriptions,
    unsorted, deals, deal_complex, contacts, customers, catalogs, links, tasks, notes, calls,
    sources, empty_areas, legacy_api, people, conversations,
)  # fmt: skip

LOCKED = ("/api/", "/ajax/", "/drive/", "/oauth2/", "/sandbox/ui/")
UNLOCKED = frozenset({"/sandbox/ui/disconnect"})
"""Calls the integration, which may call back: must not hold the account while it waits."""

STOP_POLL_SECONDS = 0.05
"""Seconds within which the server sees that it is to stop."""


class SandboxApp(Flask):
    """Flask app whose API views hold the world's lock: one request at a time, as the tables expect."""

    world: World

    def dispatch_request(self) -> ResponseReturnValue:
        if request.path in UNLOCKED or not request.path.startswith(LOCKED):
            return super().dispatch_request()
        with self.world.lock:
            answer = super().dispatch_request()
            if request.method not in ("GET", "HEAD", "OPTIONS"):
                self.world.save()
            return answer


def create_app(world: World) -> Flask:
    """The whole sandbox over one account, ready for a test client or a server."""
    app = SandboxApp("amo_bridge.sandbox", static_folder=None)
    app.world = world
    app.url_map.strict_slashes = False
    http.register(app)
    for module in (*FRONT, *ENTITIES):
        module.register(app, world)
    app.wsgi_app = middleware.AddressReader(app.wsgi_app)  # type: ignore[method-assign]
    return app


@contextmanager
def serving(world: World, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serves ``world`` from a thread of its own while the block runs; gives the URL.

    ``port`` 0: a free one.
    """
    app = create_app(world)
    server = KeepAliveServer(host, port, app)
    thread = threading.Thread(target=server.serve_forever, args=(STOP_POLL_SECONDS,), name="sandbox", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.port}"
    finally:
        # First, while everything still runs: a webhook on its way is finished and logged, not broken off.
        delivery.of(app).sender.close()
        server.shutdown()
        thread.join()
        server.cut_connections()
        server.server_close()


def run(
    host: str = "127.0.0.1",
    port: int = 0,
    account_file: Path | None = None,
    state_file: Path | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then saves the state.

    Call it from the main thread, where signals arrive.

    ``port`` 0: a free one; ``on_ready`` gets the URL once requests are answered. Raises AccountFileError.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    world = load_world(account_file, state_file)
    try:
        with serving(world, host, port) as url:
            if on_ready is not None:
                on_ready(url)
            stop.wait()
    finally:
        world.close()
