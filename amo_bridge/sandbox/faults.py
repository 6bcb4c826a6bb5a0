"""Faults that are switched on through /sandbox/faults, so that requests fail the way amoCRM's do."""

from __future__ import annotations

import fnmatch
import json
import random
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask

from amo_bridge.sandbox import request_log
from amo_bridge.sandbox.middleware import Answer, body_of, full_answer, hang_up, is_outside, is_person, nginx_page
from amo_bridge.sandbox.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


HTTP_FAULTS: Mapping[str, str] = {
    "status": "answers `status` (429, 500, 502, 503, 504) and does nothing; 5xx is an HTML page",
    "lost_answer": "does what was asked, then closes the connection without an answer",
    "slow": "does what was asked and answers after `ms` milliseconds",
    "slow_write_lands_late": "answers 504 at once and does what was asked `ms` milliseconds later",
    "refuse_before": "closes the connection before doing anything",
    "html_403": "answers nginx's page 403 Forbidden, as for a blocked address",
    "unpaid_402": "answers 402 Payment Required, as for an unpaid account",
    "blocked_page": "answers 200 with the HTML page of a blocked account",
    "filters_off": "the account has no API filtering: filters of lists are silently ignored",
}
HOOK_FAULTS: Mapping[str, str] = {
    "hook_drop": "the hook is never sent",
    "hook_duplicate": "the hook is sent twice, each time with another X-Amocrm-Requestid",
    "hook_reorder": "the hook is sent after the next one to the same address (alone: after `seconds`)",
    "hook_delay": "the hook is sent `seconds` later by the sandbox's clock",
    "hook_lose_status": "only status_lead hooks are never sent",
}
STATUSES = (429, 500, 502, 503, 504)


class BadFault(ValueError):
    """The description of a fault makes no sense; the text says why."""


@dataclass
class Fault:
    """One switched-on fault. It strikes with ``probability``, at most ``count`` times (None: without end).

    ``method`` and ``path`` (a glob, e.g. ``/api/v4/leads*``) narrow HTTP faults, ``setting`` (a glob, e.g.
    ``*_lead``) narrows hook faults. People's clicks are spared unless ``people`` is set. The same ``seed`` gives
    the same strikes for the same sequence of requests.
    """

    id: int
    kind: str
    probability: float = 1.0
    count: int | None = None
    method: str = "*"
    path: str = "*"
    setting: str = "*"
    status: int = 503
    ms: int = 1000
    seconds: int = 5
    people: bool = False
    seed: int = 0
    struck: int = 0
    _random: random.Random = field(default_factory=random.Random, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def read(cls, number: int, settings: Mapping[str, Any]) -> Fault:
        """Read a fault from the control endpoint's body. Raises BadFault."""
        unknown = set(settings) - set(FIELDS)
        if unknown:
            raise BadFault(f"unknown keys {sorted(unknown)}; known are {sorted(FIELDS)}")
        for name, value in settings.items():
            if not isinstance(value, FIELDS[name]) or (isinstance(value, bool) and name != "people"):
                raise BadFault(f"{name}: {value!r} is of a wrong type")
        kind = settings.get("kind")
        if kind not in HTTP_FAULTS and kind not in HOOK_FAULTS:
            raise BadFault(f"kind is one of {[*HTTP_FAULTS, *HOOK_FAULTS]}")
        if kind == "status" and settings.get("status", 503) not in STATUSES:
            raise BadFault(f"status is one of {list(STATUSES)}")
        if not 0 <= settings.get("probability", 1) <= 1:
            raise BadFault("probability is between 0 and 1")
        fault = cls(number, **settings)
        fault._random.seed(fault.seed)
        return fault

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, **{name: getattr(self, name) for name in FIELDS}, "struck": self.struck}

    def fits_request(self, method: str, path: str) -> bool:
        return fnmatch.fnmatchcase(method, self.method.upper()) and fnmatch.fnmatchcase(path, self.path)

    def fits_hook(self, setting: str) -> bool:
        wanted = "status_lead" if self.kind == "hook_lose_status" else self.setting
        return fnmatch.fnmatchcase(setting, wanted)

    def strikes(self) -> bool:
        """Decide by chance whether it strikes; a strike uses up one of ``count``."""
        with self._guard:
            if self.count is not None and self.struck >= self.count:
                return False
            if self._random.random() >= self.probability:
                return False
            self.struck += 1
            return True


FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "kind": str,
    "probability": (int, float),
    "count": (int, type(None)),
    "method": str,
    "path": str,
    "setting": str,
    "status": int,
    "ms": int,
    "seconds": int,
    "people": bool,
    "seed": int,
}


# --- at work ----------------------------------------------------------------------------------------------------------

EXTENSION = "sandbox.faults"
LATE = "sandbox.late_write"
BLOCKED_PAGE = (
    "<!DOCTYPE html><html><head><title>amoCRM</title></head><body>"
    "<h1>Аккаунт заблокирован</h1><p>Обратитесь в службу поддержки.</p></body></html>"
)
TOO_MANY = "You have sent too many requests in a given amount of time. Please try again later."


class Faults:
    """The faults that are switched on, and the late writes that have not landed yet."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._guard = threading.Condition()
        self._faults: dict[int, Fault] = {}
        self._last = 0
        self._filters_were: Any = None
        self.late_writes = 0

    def add(self, settings: Mapping[str, Any]) -> Fault:
        """Switches a fault on. Raises BadFault."""
        with self._guard:
            fault = Fault.read(self._last + 1, settings)
            self._last = fault.id
            self._faults[fault.id] = fault
        self._set_filters()
        return fault

    def remove(self, fault_id: int) -> bool:
        with self._guard:
            found = self._faults.pop(fault_id, None) is not None
        self._set_filters()
        return found

    def clear(self) -> None:
        with self._guard:
            self._faults.clear()
        self._set_filters()

    def shown(self) -> list[dict[str, Any]]:
        with self._guard:
            return [fault.shown() for fault in self._faults.values()]

    def for_request(self, environ: Mapping[str, Any]) -> Fault | None:
        """The fault that strikes this request, if one does; the one switched on first goes first."""
        with self._guard:
            candidates = [fault for fault in self._faults.values() if fault.kind not in HOOK_FAULTS]
        method, path = str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", ""))
        for fault in candidates:
            if fault.kind == "filters_off" or (is_person(environ) and not fault.people):
                continue
            if fault.fits_request(method, path) and fault.strikes():
                return fault
        return None

    def for_hook(self, setting: str) -> Fault | None:
        """The fault that strikes a webhook of this setting, if one does."""
        with self._guard:
            candidates = [fault for fault in self._faults.values() if fault.kind in HOOK_FAULTS]
        return next((fault for fault in candidates if fault.fits_hook(setting) and fault.strikes()), None)

    def count_late_write(self, by: int) -> None:
        """Counts late writes up and down, so that ``wait_landed`` knows."""
        with self._guard:
            self.late_writes += by
            self._guard.notify_all()

    def wait_landed(self, timeout: float) -> bool:
        """Waits until no write is still to land. False: it took longer than ``timeout`` seconds."""
        with self._guard:
            return self._guard.wait_for(lambda: self.late_writes == 0, timeout)

    def _set_filters(self) -> None:
        """``filters_off`` is a property of the account, so it is switched there and restored afterwards."""
        with self._guard:
            wanted_off = any(fault.kind == "filters_off" for fault in self._faults.values())
        with self._world.lock:
            account = self._world.account
            if wanted_off and self._filters_were is None:
                self._filters_were = account.get("is_api_filter_enabled", True)
                account["is_api_filter_enabled"] = False
            elif not wanted_off and self._filters_were is not None:
                account["is_api_filter_enabled"] = self._filters_were
                self._filters_were = None


class FaultMiddleware:
    """Middleware that applies faults to requests: behind the request log, in front of the app."""

    def __init__(self, inner: WSGIApplication, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        fault = self._faults.for_request(environ) if is_outside(environ) else None
        if fault is None:
            return self._inner(environ, start_response)
        marks = environ[request_log.MARKS]
        marks["fault"] = fault.kind
        if fault.kind in ("lost_answer", "refuse_before"):
            if fault.kind == "lost_answer":
                full_answer(self._inner, environ)
            marks["hung_up"] = True
            return hang_up(environ, start_response)
        return self._answer(fault, environ).send(start_response)

    def _answer(self, fault: Fault, environ: WSGIEnvironment) -> Answer:
        if fault.kind == "slow":
            answer = full_answer(self._inner, environ)
            time.sleep(fault.ms / 1000)
            return answer
        if fault.kind == "slow_write_lands_late":
            self._land_later(dict(environ), fault.ms)
            return nginx_page(504)
        return planned_answer(fault)

    def _land_later(self, environ: WSGIEnvironment, ms: int) -> None:
        body_of(environ)  # the connection is gone when the write lands
        environ[LATE] = True
        self._faults.count_late_write(1)
        timer = threading.Timer(ms / 1000, self._land, [environ])
        timer.daemon = True
        timer.start()

    def _land(self, environ: WSGIEnvironment) -> None:
        try:
            full_answer(self._inner, environ)
        finally:
            self._faults.count_late_write(-1)


def planned_answer(fault: Fault) -> Answer:
    """What the client gets from the faults that do nothing but answer."""
    if fault.kind == "html_403":
        return nginx_page(403)
    if fault.kind == "unpaid_402":
        return _problem(402, "Payment Required", "Payment required")
    if fault.kind == "blocked_page":
        return _answer("200 OK", "text/html; charset=utf-8", BLOCKED_PAGE.encode())
    if fault.status == 429:
        return _problem(429, "Too Many Requests", TOO_MANY, retry_after=1)
    return nginx_page(fault.status)


def _problem(status: int, title: str, detail: str, **more: Any) -> Answer:
    problem = {"title": title, "type": f"https://httpstatus.es/{status}", "status": status, "detail": detail}
    body = json.dumps({**problem, **more}, ensure_ascii=False).encode()
    return _answer(f"{status} {title}", "application/problem+json", body)


def _answer(status: str, content_type: str, body: bytes) -> Answer:
    headers = {"Content-Type": content_type, "Content-Length": str(len(body)), "X-Request-Id": uuid.uuid4().hex}
    return Answer(status, tuple(headers.items()), body)


def of(app: Flask) -> Faults:
    faults: Faults = app.extensions[EXTENSION]
    return faults


def register(app: Flask, world: World) -> None:
    faults = Faults(world)
    app.extensions[EXTENSION] = faults
    log = request_log.of(app)
    log.inner = FaultMiddleware(log.inner, faults)
