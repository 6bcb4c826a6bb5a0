"""A threaded HTTP/1.1 server that keeps connections open, as amoCRM does.

werkzeug's own server closes every connection after one answer, which hides a client's mistakes with its session
(answers left unread, a connection that died between two requests) and makes each request dearer than in life.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BODILESS = ("1", "204", "304")


class KeepAliveHandler(WSGIRequestHandler):
    """One connection. Requests are read whole before they are answered, so nothing of one runs into the next."""

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
        told = {name.lower() for name, _ in headers}
        if "date" not in told:
            self.send_header("Date", self.date_time_string())
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if not code.startswith(BODILESS):
            self.send_header("Content-Length", str(len(body)))
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
