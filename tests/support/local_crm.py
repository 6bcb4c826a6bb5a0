"""The local amoCRM as tests use it: served over HTTP in this process, with its weather and its books at hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from flask import Flask

from amo_bridge.sandbox import delivery, faults
from amo_bridge.sandbox.middleware import KeepAliveServer
from amo_bridge.sandbox.server import create_app
from amo_bridge.sandbox.world import World

TOKEN = "sandbox-token"
STOP_SEEN_AFTER = 0.02
# How long hooks may be on their way, in seconds.
PATIENCE = 30.0


class LocalCrm:
    """``url`` is what a bridge gets; the rest is for the test alone and counts as nobody's request."""

    def __init__(self, url: str, world: World, session: requests.Session, app: Flask) -> None:
        self.url = url
        self.world = world
        self._session = session
        self._app = app

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=60)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def fault(self, kind: str, **more: Any) -> int:
        """Switch a fault on; returns its id."""
        return int(self.control("POST", "faults", {"kind": kind, **more})["id"])

    def struck(self, fault: int) -> int:
        """How often a fault has struck."""
        return next(int(one["struck"]) for one in self.control("GET", "faults")["faults"] if one["id"] == fault)

    def good_weather(self) -> None:
        self.control("DELETE", "faults")

    def forget_requests(self) -> None:
        self.control("DELETE", "requests")

    def requests(self) -> dict[str, int]:
        """«METHOD /path» → how many came since the last ``forget_requests``, people's clicks not counted."""
        counts: dict[str, int] = self.control("GET", "requests/count")["by_path"]
        return counts

    def bodies(self, method: str, path: str) -> list[str]:
        """The bodies of the bridge's requests, oldest first."""
        rows = self.control("GET", "requests")["requests"]
        return [row["body"] for row in rows if (row["method"], row["path"], row["person"]) == (method, path, None)]

    def table(self, kind: str) -> list[dict[str, Any]]:
        """All records of a kind."""
        return list(self.control("GET", f"state?kind={kind}")["tables"][kind].values())

    def later(self, seconds: float = 60) -> None:
        """Time passes in amoCRM: people don't do two things within one second, and amoCRM dates by seconds."""
        self.control("POST", "clock", {"advance": seconds})

    def hooks_delivered(self) -> bool:
        """Waits for what is on its way, and lets time pass for what waits for its time. False: not all is delivered."""
        # Asked by every test again and again, so not over HTTP.
        sender = delivery.of(self._app).sender
        assert faults.of(self._app).wait_landed(PATIENCE), "writes that were to land late have not"
        assert sender.wait_idle(PATIENCE), "hooks are on their way still"
        if waiting := sender.waiting():
            self.later(max(1.0, waiting[0].due_at - self.control("GET", "clock")["now"]))
        return not waiting

    def hook_bodies(self, setting: str) -> list[bytes]:
        """The bodies of hooks that were tried to be delivered."""
        return [one["body"].encode() for one in self.control("GET", f"hooks?setting={setting}")["attempts"]]


@contextmanager
def served(world: World, port: int = 0) -> Iterator[LocalCrm]:
    """Serve it, without rate limits: how fast the bridge asks is another test's subject."""
    app = create_app(world)
    server = KeepAliveServer("127.0.0.1", port, app)
    thread = threading.Thread(target=server.serve_forever, args=(STOP_SEEN_AFTER,), name="sandbox", daemon=True)
    thread.start()
    try:
        with requests.Session() as session:
            session.trust_env = False
            crm = LocalCrm(f"http://127.0.0.1:{server.port}", world, session, app)
            crm.control("POST", "limits", {"enabled": False})
            yield crm
    finally:
        delivery.of(app).sender.close()
        server.shutdown()
        thread.join()
        server.cut_connections()
        server.server_close()
