"""The ``Date`` of every answer is the account's own time: amoCRM's tells its server's, and clients learn their skew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.http import http_date

from amo_bridge.sandbox.clock import SandboxClock
from amo_bridge.sandbox.doors import is_outside
from amo_bridge.sandbox.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class DateDoor:
    """The outermost door, so that also the answers of faults and limits are dated. Controls keep real time."""

    def __init__(self, inner: WSGIApplication, clock: SandboxClock) -> None:
        self._inner = inner
        self._clock = clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not is_outside(environ):
            return self._inner(environ, start_response)

        def dated(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            told = Headers(headers)
            told["Date"] = http_date(self._clock.now())
            return start_response(status, told.to_wsgi_list(), *exc_info)

        return self._inner(environ, dated)


def register(app: Flask, world: World) -> None:
    app.wsgi_app = DateDoor(app.wsgi_app, world.clock)  # type: ignore[method-assign]
