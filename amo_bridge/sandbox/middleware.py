"""WSGI middleware and the HTTP server: what stands between the socket and the Flask app.

It is WSGI and not Flask hooks because it sleeps, repeats requests and cuts connections, none of which may happen while
the app holds the world's lock. The request log is outermost, so that it sees what a client saw.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.http import http_date
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_input_stream

from amo_bridge.sandbox.clock import SandboxClock
from amo_bridge.sandbox.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


NGINX_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
REASONS: Mapping[int, str] = {
    403: "403 Forbidden",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


@dataclass(frozen=True)
class Answer:
    """A whole answer: status line, headers, body."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status.split(" ", 1)[0])

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, list(self.headers))
        return [self.body]


def full_answer(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """The app's answer to the request, read to its end."""
    parts, status, headers = run_wsgi_app(app, environ, buffered=True)
    return Answer(status, tuple(headers.to_wsgi_list()), b"".join(parts))


def nginx_page(code: int) -> Answer:
    """The HTML page amoCRM's front server answers with when the application behind it does not."""
    reason = REASONS[code]
    body = NGINX_PAGE.format(reason).encode()
    return Answer(reason, (("Content-Type", "text/html"), ("Content-Length", str(len(body)))), body)


def body_of(environ: WSGIEnvironment) -> bytes:
    """The request's body, left in ``environ`` for the next reader."""
    body = get_input_stream(environ).read()
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)
    return body


def hang_up(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Closes the connection without a byte of an answer."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is None:  # asked in process, without a socket
        raise ConnectionResetError("the sandbox hung up, as a fault demands")
    connection.shutdown(socket.SHUT_RDWR)
    return Answer("502 Bad Gateway", (), b"").send(start_response)


def is_outside(environ: Mapping[str, Any]) -> bool:
    """Is the request meant for amoCRM (and not for the sandbox's own controls under /sandbox/)?"""
    return not f"{environ.get('PATH_INFO', '')}/".startswith("/sandbox/")


def is_person(environ: Mapping[str, Any]) -> bool:
    """Does the request stand for somebody's click in the web page?"""
    return "HTTP_X_SANDBOX_PERSON" in environ


def bearer(environ: Mapping[str, Any]) -> str:
    """The request's bearer token, or an empty text."""
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


# --- a threaded HTTP/1.1 server that keeps connections open, as amoCRM does -------------------------------------------

SLASHES = re.compile(r"/{2,}")
BODILESS = ("1", "204", "304")


class KeepAliveHandler(WSGIRequestHandler):
    """One connection that stays open.

    werkzeug's own handler closes it after one answer, which hides a client's mistakes with its session (answers left
    unread, a connection that died between two requests) and makes each request dearer than in life.
    Requests are read whole before they are answered, so nothing of one runs into the next.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ["wsgi.input"] = BytesIO(_read_body(environ))
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started.append((status, headers))
            return body.append

        body: list[bytes] = []
        parts: Iterable[bytes] = self.server.app(environ, start_response)
        try:
            body.extend(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        self._answer(*started[-1], b"".join(body))

    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing: the sandbox's own request log tells more, and a test run must not print."""

    def _answer(self, status: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        self.send_header("Server", self.version_string())
        sent = {name.lower() for name, _ in headers}
        if "date" not in sent:
            self.send_header("Date", self.date_time_string())
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if not code.startswith(BODILESS):
            # To HEAD the length that a GET would have.
            length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and not code.startswith(BODILESS):
            self.wfile.write(body)


class KeepAliveServer(ThreadedWSGIServer):
    """Stops for good: connections still open are cut, so that a stopped sandbox never answers again."""

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(host, port, app, handler=KeepAliveHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                # Its client was quicker to leave; there is nothing left to cut.
                self._open.discard(connection)


def _read_body(environ: dict[str, Any]) -> bytes:
    """The whole body, by its length or by its chunks."""
    source = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return bytes(source.read())
    return bytes(source.read(int(environ.get("CONTENT_LENGTH") or 0)))


class AddressReader:
    """Read addresses as amoCRM's front servers do.

    ``//api/v4/leads`` is ``/api/v4/leads``: clients join addresses carelessly. ``/v1.0/files`` is the files service
    for clients that keep only the host of ``drive_url``, where amoCRM's service has a host of its own.
    """

    def __init__(self, inner: WSGIApplication) -> None:
        self._inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = SLASHES.sub("/", environ.get("PATH_INFO", ""))
        environ["PATH_INFO"] = f"/drive{path}" if path.startswith("/v1.0/") else path
        return self._inner(environ, start_response)


# --- the ``Date`` of answers ------------------------------------------------------------------------------------------


class DateMiddleware:
    """Date every answer by the account's clock.

    amoCRM's ``Date`` is its server's, and clients learn their skew from it. Outside faults and limits, so that their
    answers are dated too. Controls keep real time.
    """

    def __init__(self, inner: WSGIApplication, clock: SandboxClock) -> None:
        self._inner = inner
        self._clock = clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not is_outside(environ):
            return self._inner(environ, start_response)

        def dated(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            dated_headers = Headers(headers)
            dated_headers["Date"] = http_date(self._clock.now())
            return start_response(status, dated_headers.to_wsgi_list(), *exc_info)

        return self._inner(environ, dated)


def register(app: Flask, world: World) -> None:
    app.wsgi_app = DateMiddleware(app.wsgi_app, world.clock)  # type: ignore[method-assign]
