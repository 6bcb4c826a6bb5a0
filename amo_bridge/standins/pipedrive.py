"""Pipedrive: one company's users, deals and activities by API v2, token budget, webhooks v2.

From the vendor's client (integrations-2.md 10.3). Assumed: the list of users at ``/v1/users``, the form of a cursor,
that a wrong token answers 401, and how a spent budget is said.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import StandIn, VendorWebhook, known_settings

KNOWN = ("token", "hook_url", "hook_basic", "most_a_page", "says_errors_with_200")


class PipedriveStandIn(StandIn):
    """One company."""

    name = "pipedrive"
    title = "Pipedrive"
    hint = "Впишите api в [pipedrive], токен — в AMO_BRIDGE_PIPEDRIVE_TOKEN."
    pasted = ("hook_url", "hook_basic")
    repeats = (3.0, 30.0)

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.token = "pipedrive-test-token"
        self.hook_url = self.hook_basic = ""
        self.most_a_page = 500
        self.says_errors_with_200 = False
        self.users: dict[int, dict[str, Any]] = {}
        self.items: dict[str, dict[int, dict[str, Any]]] = {"deals": {}, "activities": {}}
        self._ids = itertools.count(1)

    def settings(self) -> dict[str, Any]:
        counts = {kind: len(known) for kind, known in self.items.items()}
        return {"api": f"{self.url}/{self.name}", **{name: getattr(self, name) for name in KNOWN}, **counts}

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, KNOWN)
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        answer, status = self._error(429, "Request over limit")
        answer.headers["x-ratelimit-reset"] = "2"
        return answer, status

    def unauthorised(self) -> ResponseReturnValue:
        return self._error(401, "unauthorized access")

    def add_user(self, name: str, mail: str) -> int:
        """Somebody who works there."""
        number = next(self._ids)
        self.users[number] = {"id": number, "name": name, "email": mail, "active_flag": True}
        return number

    def put(self, kind: str, number: int, at: datetime, **fields: Any) -> None:
        """A deal or an activity as it is since then; the webhook says so."""
        entity = {"deals": "deal", "activities": "activity"}[kind]
        is_new = number not in self.items[kind]
        row = {**self.items[kind].get(number, {"id": number}), **fields, "update_time": _written(at)}
        self.items[kind][number] = row
        if not self.hook_url:
            return
        self._say(entity, number, "create" if is_new else "change", row, None)

    def _say(self, entity: str, number: int, action: str, data: Any, previous: Any) -> None:
        meta = {"action": action, "entity": entity, "entity_id": str(number),
                "id": f"{entity}-{number}-{next(self._ids)}", "version": "2.0"}  # fmt: skip
        body = json.dumps({"meta": meta, "data": data, "previous": previous}).encode()
        proof = base64.b64encode(self.hook_basic.encode()).decode()
        headers = {"Content-Type": "application/json"}
        self.send(
            VendorWebhook(
                f"{entity}.{meta['action']}",
                self.hook_url,
                body,
                {**headers, "Authorization": f"Basic {proof}"},
                forged={"Authorization": "Basic d3Jvbmc6d3Jvbmc="},
            )
        )

    def delete(self, kind: str, number: int) -> None:
        """A person deletes a deal or an activity, or merges it into another one; the webhook says so."""
        gone = self.items[kind].pop(number)
        if self.hook_url:
            entity = {"deals": "deal", "activities": "activity"}[kind]
            self._say(entity, number, "delete", None, gone)

    def register(self, routes: Blueprint) -> None:
        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            return None if request.headers.get("x-api-token") == self.token else self.unauthorised()

        @routes.get("/v1/users")
        def users() -> ResponseReturnValue:
            return jsonify(success=True, data=list(self.users.values()))

        @routes.get("/api/v2/<any(deals, activities):kind>")
        def listed(kind: str) -> ResponseReturnValue:
            if ids := request.args.get("ids"):
                wanted = [int(one) for one in ids.split(",")]
                if len(wanted) > 100:
                    return self._error(400, "ids")
                there = [self.items[kind][one] for one in wanted if one in self.items[kind]]
                return jsonify(success=True, data=there, additional_data={"next_cursor": None})
            limit = min(int(request.args.get("limit", 100)), 500, self.most_a_page)
            if request.args.get("sort_by") != "update_time" or request.args.get("sort_direction") != "asc":
                return self._error(400, "sort_by")
            since = request.args.get("updated_since", "")
            found = [row for row in self.items[kind].values() if row["update_time"] >= since]
            found.sort(key=lambda row: (row["update_time"], row["id"]))
            begin = int(request.args.get("cursor") or 0)
            end = begin + limit
            cursor = str(end) if end < len(found) else None
            return jsonify(success=True, data=found[begin:end], additional_data={"next_cursor": cursor})

    def _error(self, code: int, words: str) -> tuple[Any, int]:
        body = jsonify(success=False, error=words, error_info="", code=f"ERR_{code}")
        return body, 200 if self.says_errors_with_200 else code


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
