"""A stand-in for Bizon365's API, a real HTTP server, in the shape of the fixtures of slavkluev/bizon365-api-php."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.serving import make_server

from support.webinar_samples import SAMPLES

TOKEN = "bizon-token-of-the-school"
WEBINAR = "12345:toys*2021-09-13T19:00:00"
HTML = (200, "<!doctype html><title>Бизон365</title>")


@dataclass
class BizonVendor:
    """``answers``: what it says to the next requests instead: (status, text). ``asked``: which ids, from which
    viewer on."""

    url: str = ""
    token: str = TOKEN
    answers: list[tuple[int, str]] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    viewers: list[dict[str, Any]] = field(
        default_factory=lambda: json.loads((SAMPLES / "bizon_getviewers.json").read_text("utf-8"))["viewers"]
    )

    def app(self) -> Flask:
        app = Flask("bizon")

        @app.get("/api/v1/webinars/reports/getviewers")
        def viewers() -> ResponseReturnValue:
            skip, limit = request.args.get("skip", 0, type=int), request.args.get("limit", 0, type=int)
            self.asked.append((request.args["webinarId"], skip))
            if request.headers.get("X-Token") != self.token:
                return Response("Unauthorized", 401)
            if self.answers:
                status, text = self.answers.pop(0)
                return Response(text, status)
            page = self.viewers[skip : skip + limit]
            return jsonify(errors=[], viewers=page, total=len(self.viewers), skip=skip, limit=limit, loaded=len(page))

        return app


@contextmanager
def bizon_server() -> Iterator[BizonVendor]:
    vendor = BizonVendor()
    server = make_server("127.0.0.1", 0, vendor.app(), threaded=True)
    vendor.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
