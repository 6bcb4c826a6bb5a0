"""Megaplan: one company's tasks by API v3; lists take JSON as the whole query.

From a client's source (integrations-2.md 10.2). Assumed: the address and form of comments, the key of auditors, that a
project which is not there is refused with 422, and that a list is ordered by number.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import StandIn, known_settings

KNOWN = ("username", "password", "projects", "token_seconds")


class MegaplanStandIn(StandIn):
    """One company."""

    name = "megaplan"
    title = "Мегаплан"
    hint = "Впишите api, login и tasks в [megaplan], пароль — в AMO_BRIDGE_MEGAPLAN_PASSWORD."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.username, self.password = "bridge@agency.example", "megaplan-test-password"
        self.projects = ["5"]
        self.token_seconds = 3600.0
        self.tasks: dict[int, dict[str, Any]] = {}
        self.said: dict[int, list[dict[str, Any]]] = {}
        self._tokens: dict[str, float] = {}
        self._ids = itertools.count(1001)

    def settings(self) -> dict[str, Any]:
        api = f"{self.url}/{self.name}"
        return {"api": api, **{name: getattr(self, name) for name in KNOWN}, "tasks": list(self.tasks.values())}

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, KNOWN)
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        answer, status = _answer(None, 429, "Too many requests")
        answer.headers["Retry-After"] = format_datetime(datetime.now(UTC) + timedelta(seconds=5), usegmt=True)
        return answer, status

    def unauthorised(self) -> ResponseReturnValue:
        return _answer(None, 401, "invalid_token")

    def say(self, task: int, who: str, words: str) -> None:
        """Somebody comments on a task."""
        self.said.setdefault(task, []).append({"id": str(next(self._ids)), "content": words, "owner": {"name": who}})

    def register(self, routes: Blueprint) -> None:
        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            if request.path.endswith("/auth/access_token"):
                return None
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            return None if self._tokens.get(token, 0) > self.timeline.now() else self.unauthorised()

        @routes.post("/api/v3/auth/access_token")
        def token() -> ResponseReturnValue:
            form = request.form
            if (form.get("username"), form.get("password")) != (self.username, self.password):
                return jsonify(error="invalid_grant"), 400
            if form.get("grant_type") != "password":
                return jsonify(error="unsupported_grant_type"), 400
            made = secrets.token_hex(8)
            self._tokens[made] = self.timeline.now() + self.token_seconds
            return jsonify(access_token=made, expires_in=int(self.token_seconds), refresh_token=secrets.token_hex(8))

        @routes.get("/api/v3/task")
        def listed() -> ResponseReturnValue:
            asked = _asked()
            return _answer([_shown(row, asked) for row in _page(self.tasks.values(), asked)])

        @routes.post("/api/v3/task")
        def create() -> ResponseReturnValue:
            told = request.get_json(silent=True) or {}
            if any(not isinstance(told.get(key), bool) for key in ("isUrgent", "isTemplate")) or not told.get("name"):
                return _answer(None, 422, "name, isUrgent, isTemplate")
            if "parent" in told:
                return _answer(None, 422, "parent")
            number = next(self._ids)
            self.tasks[number] = {**told, "id": str(number), "status": "assigned"}
            return _answer(self.tasks[number])

        @routes.post("/api/v3/task/<int:number>")
        def change(number: int) -> ResponseReturnValue:
            told = request.get_json(silent=True) or {}
            if number not in self.tasks:
                return _answer(None, 404, "not found")
            if (told.get("parent") or {}).get("id") not in self.projects:
                return _answer(None, 422, "parent")
            self.tasks[number] |= told
            return _answer(self.tasks[number])

        @routes.get("/api/v3/task/<int:number>")
        def one(number: int) -> ResponseReturnValue:
            known = self.tasks.get(number)
            return _answer(_shown(known, _asked())) if known else _answer(None, 404, "not found")

        @routes.get("/api/v3/task/<int:number>/comments")
        def comments(number: int) -> ResponseReturnValue:
            return _answer(_page(self.said.get(number, []), _asked()))


def _asked() -> dict[str, Any]:
    told = json.loads(unquote(request.query_string.decode()) or "{}")
    return told if isinstance(told, dict) else {}


def _page(rows: Iterable[dict[str, Any]], asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those behind ``pageAfter``, as many as ``limit`` says."""
    after = int((asked.get("pageAfter") or {}).get("id", 0))
    behind = [row for row in sorted(rows, key=lambda row: int(row["id"])) if int(row["id"]) > after]
    return behind[: int(asked.get("limit", 50))]


def _shown(row: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is asked for, and a few things that always come."""
    return {key: row[key] for key in ("id", "contentType", "name", *asked.get("fields", ())) if key in row}


def _answer(data: Any, status: int = 200, error: str = "") -> tuple[Any, int]:
    errors = [{"message": error}] if error else []
    return jsonify(meta={"status": status, "errors": errors, "pagination": None}, data=data), status
