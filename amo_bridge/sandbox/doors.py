"""What stands between the socket and the Flask app: WSGI doors that may answer, delay or hang up in its place.

They are WSGI and not Flask hooks because they sleep, repeat requests and cut connections, none of which may happen
while the app holds the world's lock. The outermost door is the request log, so that it sees what a client saw.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_input_stream

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


def ask(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """The app's answer to the request, read to its end."""
    parts, status, headers = run_wsgi_app(app, environ, buffered=True)
    return Answer(status, tuple(headers.to_wsgi_list()), b"".join(parts))


def nginx_page(code: int) -> Answer:
    """The HTML page amoCRM's front server answers with when the application behind it does not."""
    reason = REASONS[code]
    body = NGINX_PAGE.format(reason).encode()
    return Answer(reason, (("Content-Type", "text/html"), ("Content-Length", str(len(body)))), body)


def body_of(environ: WSGIEnvironment) -> bytes:
    """The request's body, left in ``environ`` for whoever reads it next."""
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
        raise ConnectionResetError("the sandbox hung up, as a fault told it to")
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
