"""The proxy's configuration, run by the proxy itself: a Caddy before a receiver that tells what reached it."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from support.doc_files import ROOT
from support.running_bridge import wait_until

from amo_bridge.server.connections import MOST_BODY
from bench.processes import free_port

CADDY = Path(sys.executable).with_name("caddy")
CADDYFILE = (ROOT / "deploy" / "Caddyfile").read_text("utf-8")
FORGED = {"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil.example"}


class Receiver:
    """Answers with the headers and the length that reached it. ``came``: how many requests."""

    def __init__(self) -> None:
        self.came = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.came += 1
                length = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                told = json.dumps({**{name.lower(): told for name, told in self.headers.items()}, "length": length})
                self.send_response(200)
                self.end_headers()
                self.wfile.write(told.encode())

            def log_message(self, *told: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Caddy:
    """Runs the file as compose.yaml does; only ports and the receiver's name are this machine's."""

    def __init__(self, folder: Path, receiver: int) -> None:
        self.http, self.https, self.inner = free_port(), free_port(), free_port()
        text = CADDYFILE
        for old, new in (
            ("http_port 8080", f"http_port {self.http}"),
            ("https_port 8443", f"https_port {self.https}"),
            ("http://:8081", f"http://127.0.0.1:{self.inner}"),
            ("name receiver\n\t\tport 8080", f"name localhost\n\t\tport {receiver}\n\t\tversions ipv4"),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (folder / "Caddyfile").write_text(text, "utf-8")
        self.root = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        environment = {
            **os.environ,
            "BRIDGE_DOMAIN": "localhost",
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        self._log = (folder / "caddy.log").open("wb")
        self._process = subprocess.Popen(
            [CADDY, "run", "--config", folder / "Caddyfile"], env=environment, stdout=self._log, stderr=self._log
        )
        wait_until(lambda: self._process.poll() is not None or self._listens(), "Caddy listens")
        assert self._process.poll() is None, (folder / "caddy.log").read_text("utf-8")

    def _listens(self) -> bool:
        try:
            for port in (self.http, self.inner):
                socket.create_connection(("127.0.0.1", port)).close()
            # The certificate is made a moment after the port is open.
            self.by_tls().close()
        except OSError:
            return False
        return True

    def by_tls(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.https), timeout=60)
        try:
            context = ssl.create_default_context(cafile=str(self.root))
            return context.wrap_socket(plain, server_hostname="localhost")
        except OSError:
            plain.close()
            raise

    def post(self, body: bytes = b"", path: str = "/hooks/amocrm/x") -> requests.Response:
        url = f"https://localhost:{self.https}{path}"
        return requests.post(url, data=body, headers=FORGED, verify=str(self.root), timeout=60)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def caddy(tmp_path: Path, receiver: Receiver) -> Iterator[Caddy]:
    made = Caddy(tmp_path, receiver.port)
    yield made
    made.end()


def test_it_is_written_as_caddy_writes_it() -> None:
    told = subprocess.run([CADDY, "fmt", "-"], input=CADDYFILE, capture_output=True, text=True, check=True).stdout
    assert told.strip() == CADDYFILE.strip()


def test_visitors_come_by_tls_and_the_proxy_alone_says_who_they_are(caddy: Caddy) -> None:
    told = caddy.post(b"abc").json()
    assert told["length"] == 3
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert told["x-forwarded-proto"] == "https"
    assert told["x-forwarded-host"] == told["host"] == f"localhost:{caddy.https}"


def test_plain_http_is_sent_to_https(caddy: Caddy) -> None:
    answer = requests.get(f"http://localhost:{caddy.http}/rules", allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://localhost/rules")


def test_who_has_https_already_comes_by_the_inner_port_and_what_he_says_goes_on_unchanged(caddy: Caddy) -> None:
    told = requests.post(f"http://127.0.0.1:{caddy.inner}/", headers=FORGED, timeout=60).json()
    assert {name: told[name.lower()] for name in FORGED} == FORGED
    plain = requests.post(f"http://127.0.0.1:{caddy.inner}/", timeout=60).json()
    assert "127.0.0.1" not in plain.get("x-forwarded-for", "")


def test_a_body_that_has_not_come_whole_is_not_shown_to_the_bridge(caddy: Caddy, receiver: Receiver) -> None:
    with caddy.by_tls() as slow:
        slow.sendall(b"POST /hooks/amocrm/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc")
        for _ in range(5):
            assert caddy.post(b"abc").status_code == 200
        assert receiver.came == 5
        slow.sendall(b"def")
        assert slow.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(("length", "code"), [(MOST_BODY, 200), (MOST_BODY + 1, 413)])
def test_what_the_bridge_takes_passes_and_no_more(length: int, code: int, caddy: Caddy) -> None:
    assert caddy.post(b"x" * length, "/webinars").status_code == code


def test_a_bridge_that_is_down_is_told_within_amocrms_two_seconds(caddy: Caddy, receiver: Receiver) -> None:
    receiver.close()
    assert caddy.post().status_code == 502
