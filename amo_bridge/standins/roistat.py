"""Roistat: one project's states and orders; errors come with HTTP 200.

From clients that public repositories hold. Assumed: how an order without a known state is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import StandIn, known_settings


class RoistatStandIn(StandIn):
    """One project."""

    name = "roistat"
    title = "Roistat"
    hint = "Впишите api и project в [roistat], ключ — в AMO_BRIDGE_ROISTAT_KEY."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.project, self.key = 12345, "roistat-test-key"
        self.states: dict[str, str] = {}
        self.orders: dict[str, dict[str, Any]] = {}

    def settings(self) -> dict[str, Any]:
        api = f"{self.url}/{self.name}/api/v1"
        return {"api": api, "project": self.project, "key": self.key, "orders": list(self.orders.values())}

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("project", "key"))
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        return _error("request_limit_error", "Too many requests")

    def unauthorised(self) -> ResponseReturnValue:
        return _error("authentication_failed", "Wrong key")

    def register(self, routes: Blueprint) -> None:
        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            if request.headers.get("Api-key") != self.key:
                return self.unauthorised()
            if request.args.get("project") != str(self.project):
                return _error("access_denied", "No such project")
            return None

        @routes.get("/api/v1/project/proxy-leads")
        def leads() -> ResponseReturnValue:
            return jsonify(status="success", ProxyLeads=[])

        @routes.post("/api/v1/project/set-statuses")
        def set_states() -> ResponseReturnValue:
            self.states = {one["id"]: one["type"] for one in request.get_json()}
            return jsonify(status="success")

        @routes.post("/api/v1/project/add-orders")
        def add_orders() -> ResponseReturnValue:
            told = request.get_json()
            if any(one["status"] not in self.states or not one["roistat"] for one in told):
                return _error("incorrect_request", "Unknown status")
            self.orders |= {one["id"]: one for one in told}
            return jsonify(status="success", uploaded=len(told), skipped_by_waiting_visit_info=0)


def _error(code: str, description: str) -> ResponseReturnValue:
    return jsonify(status="error", error=code, description=description)
