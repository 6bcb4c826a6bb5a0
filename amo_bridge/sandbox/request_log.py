"""Log of the last requests with their answers; counters of all of them."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

from amo_bridge.sandbox.middleware import Answer, bearer, body_of, full_answer, is_outside
from amo_bridge.sandbox.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


MAX_ENTRIES = 5000
MAX_BODY_SHOWN = 4000
EXTENSION = "sandbox.request_log"
MARKS = "sandbox.marks"
"""Where in a request's environment the faults leave ``fault`` (its kind) and ``hung_up``."""


class RequestLog:
    """Outermost middleware: passes every request on and logs what became of it.

    ``inner`` is what stands behind it; another middleware goes there by wrapping it.
    """

    def __init__(self, inner: WSGIApplication, world: World) -> None:
        self.inner = inner
        self._world = world
        self._guard = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=MAX_ENTRIES)
        self._counts: Counter[str] = Counter()
        self._last = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not is_outside(environ):
            return self.inner(environ, start_response)
        started = time.perf_counter()
        body = body_of(environ)
        entry = self._entry(environ, body)
        # A mapping of its own, because the middleware behind may get a copy of the environment.
        marks: dict[str, Any] = environ.setdefault(MARKS, {})
        try:
            answer = full_answer(self.inner, environ)
        except ConnectionError:
            self._add(entry, marks, None, started)
            raise
        self._add(entry, marks, answer, started)
        return answer.send(start_response)

    def _entry(self, environ: WSGIEnvironment, body: bytes) -> dict[str, Any]:
        return {
            "at": self._world.clock.now(),
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("PATH_INFO", ""),
            "query": environ.get("QUERY_STRING", ""),
            "token": bearer(environ)[-8:],
            "person": environ.get("HTTP_X_SANDBOX_PERSON"),
            "body_bytes": len(body),
            "body": body[:MAX_BODY_SHOWN].decode("utf-8", errors="replace"),
        }

    def _add(self, entry: dict[str, Any], marks: dict[str, Any], answer: Answer | None, started: float) -> None:
        entry["fault"] = marks.get("fault")
        entry["status"] = None if answer is None or marks.get("hung_up") else answer.code
        entry["answer_bytes"] = 0 if answer is None else len(answer.body)
        entry["ms"] = round((time.perf_counter() - started) * 1000, 1)
        with self._guard:
            self._last += 1
            self._entries.append({"number": self._last, **entry})
            if entry["person"] is None:
                self._counts[f"{entry['method']} {path_pattern(entry['path'])}"] += 1

    def since(self, number: int) -> list[dict[str, Any]]:
        """Requests with a number above ``number``, oldest first."""
        with self._guard:
            return [entry for entry in self._entries if entry["number"] > number]

    def counts(self) -> dict[str, int]:
        """Requests by method and path pattern since the last ``clear``, people's clicks not counted."""
        with self._guard:
            return dict(sorted(self._counts.items()))

    def clear(self) -> None:
        with self._guard:
            self._entries.clear()
            self._counts.clear()


def path_pattern(path: str) -> str:
    """``/api/v4/leads/5/notes`` → ``/api/v4/leads/{id}/notes``."""
    return re.sub(r"/(\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-z]{26}|[0-9a-f]{38,60})(?=/|$)", "/{id}", path)


def of(app: Flask) -> RequestLog:
    log: RequestLog = app.extensions[EXTENSION]
    return log


def register(app: Flask, world: World) -> None:
    log = RequestLog(app.wsgi_app, world)
    app.extensions[EXTENSION] = log
    app.wsgi_app = log  # type: ignore[method-assign]
