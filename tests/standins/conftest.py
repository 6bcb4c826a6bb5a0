"""All stand-ins, their time moved by hand, and a receiver that keeps what they post."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from urllib.parse import parse_qsl

import pytest
from flask import Flask, request
from flask.typing import ResponseReturnValue
from werkzeug.serving import make_server

from amo_bridge.standins.server import StandIns, serving


@dataclass
class Received:
    """``answers``: what it says to the next webhooks, then 200. ``echoes``: does it pass Zadarma's check?"""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[tuple[str, int]] = field(default_factory=list)
    echoes: bool = True

    @property
    def forms(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(body.decode())) for body in self.bodies]


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(live=False)
    with serving(made):
        yield made


@pytest.fixture
def received() -> Iterator[Received]:
    with receiving() as received:
        yield received


@contextmanager
def receiving() -> Iterator[Received]:
    received = Received()
    app = Flask("receiver")

    @app.route("/hook", methods=["GET", "POST"])
    def hook() -> ResponseReturnValue:
        if request.method == "GET":
            return request.args.get("zd_echo", "") if received.echoes else "?"
        received.bodies.append(request.get_data())
        received.headers.append(dict(request.headers))
        return received.answers.pop(0) if received.answers else ("ok", 200)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    received.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
