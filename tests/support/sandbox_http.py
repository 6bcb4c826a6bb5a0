"""A sandbox served over real HTTP with a client at hand, and a receiver of webhooks that answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import requests

from amo_bridge.sandbox import delivery
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.middleware import KeepAliveServer
from amo_bridge.sandbox.server import create_app
from amo_bridge.sandbox.world import World

TOKEN = "sandbox-token"


class ServedSandbox:
    """The served sandbox as an outsider sees it, plus its world for what no request can tell."""

    def __init__(self, url: str, world: World, session: requests.Session) -> None:
        self.url = url
        self.world = world
        self._session = session

    def call(
        self, method: str, path: str, body: Any = None, *, token: str = TOKEN, **headers: str | int
    ) -> requests.Response:
        """``headers`` by name with underscores; ``token`` empty: no Authorization."""
        told = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        if token:
            told["Authorization"] = f"Bearer {token}"
        return self._session.request(
            method, self.url + path, json=body, headers=told, allow_redirects=False, timeout=20
        )

    def raw(self, method: str, url: str, content: bytes = b"", *, token: str = TOKEN) -> requests.Response:
        """Bytes to a whole URL that the sandbox gave."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._session.request(method, url, data=content, headers=headers, timeout=20)

    def click(self, method: str, path: str, body: Any = None, **headers: str | int) -> requests.Response:
        """As a person in the web page: neither limited nor hit by faults."""
        answer = self.call(method, path, body, X_Sandbox_Person=self.user("Иван Петров"), **headers)
        assert answer.status_code < 300, answer.text
        return answer

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.call(method, f"/sandbox/{path}", body, token="")
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def user(self, name: str) -> int:
        return next(user["id"] for user in self.world.table("users").values() if user["name"] == name)

    def stage(self, pipeline: str, stage: str) -> dict[str, int]:
        found = next(one["id"] for one in self.world.table("pipelines").values() if one["name"] == pipeline)
        for status in self.world.table("statuses").values():
            if status["pipeline_id"] == found and status["name"] == stage:
                return {"pipeline_id": found, "status_id": status["id"]}
        raise LookupError(stage)

    def new_deal(self, **fields: Any) -> int:
        answer = self.click("POST", "/api/v4/leads", [{"name": "Сделка", **fields}])
        return int(answer.json()["_embedded"]["leads"][0]["id"])

    def subscribe(self, destination: str, *settings: str) -> int:
        body = {"destination": destination, "settings": list(settings)}
        answer = self.call("POST", "/api/v4/webhooks", body, X_Sandbox_Person=self.user("Елена Орлова"))
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def flush(self) -> Any:
        return self.control("POST", "hooks/flush", {"timeout": 20})

    def attempts(self, setting: str | None = None) -> list[dict[str, Any]]:
        asked = f"?setting={setting}" if setting else ""
        found: list[dict[str, Any]] = self.control("GET", f"hooks{asked}")["attempts"]
        return found


@contextmanager
def served_sandbox() -> Iterator[ServedSandbox]:
    world = load_world()
    app = create_app(world)
    server = KeepAliveServer("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        with requests.Session() as session:
            session.trust_env = False
            yield ServedSandbox(f"http://127.0.0.1:{server.port}", world, session)
    finally:
        delivery.of(app).sender.close()
        server.shutdown()
        thread.join()
        server.cut_connections()
        server.server_close()


class Receiver:
    """``answer(number)`` gives the status for the n-th hook (from 0); ``hooks`` are (headers, raw body)."""

    def __init__(self) -> None:
        self.hooks: list[tuple[dict[str, str], bytes]] = []
        self.gets: list[str] = []
        self.answer: Callable[[int], int] = lambda _number: 204
        self.url = ""
        self._guard = threading.Lock()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self._guard:
            self.hooks.append((headers, body))
            number = len(self.hooks) - 1
        return self.answer(number)

    def forms(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(body.decode(), keep_blank_values=True)) for _, body in self.hooks]

    def roots(self) -> list[str]:
        """``leads[add]`` and so on, one per received body."""
        keys = [next(key for key in form if not key.startswith("account")) for form in self.forms()]
        return ["[".join(key.split("[")[:2]) for key in keys]


@contextmanager
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(kept.take(dict(self.headers), body))

        def do_GET(self) -> None:
            kept.gets.append(self.path)
            self._answer(200)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test prints nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
