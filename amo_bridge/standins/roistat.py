"""Roistat: one project's states, orders and expenses by channel; errors come with HTTP 200.

From help-ru.roistat.com (API/methods/orders, analytics) and clients that public repositories hold. Assumed: how an
order without a known state is refused, and that a visit's marker begins with its channel's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
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
        self.sources: dict[str, str] = {}
        """Visit's number → the marker that it came by."""
        self.costs: dict[str, dict[str, float]] = {}
        """Day → channel → what was spent."""

    def settings(self) -> dict[str, Any]:
        api = f"{self.url}/{self.name}/api/v1"
        return {
            "api": api, "project": self.project, "key": self.key, "orders": list(self.orders.values()),
            "sources": self.sources, "costs": self.costs,
        }  # fmt: skip

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("project", "key", "sources", "costs"))
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

        @routes.post("/api/v1/project/integration/order/list")
        def order_list() -> ResponseReturnValue:
            told = request.get_json()
            conditions = told["filters"]["and"]
            if len(conditions) < 2:
                # An "and" of one condition answers so.
                return jsonify(status="error", error="internal_error"), 500
            found = [one for one in self.orders.values() if all(_fits(one["date_create"], by) for by in conditions)]
            page = found[told["offset"] : told["offset"] + told["limit"]]
            is_extended = "visit" in told.get("extend", [])
            return jsonify(status="success", total=len(found), data=[self._order(one, is_extended) for one in page])

        @routes.post("/api/v1/project/analytics/data")
        def analytics() -> ResponseReturnValue:
            told = request.get_json()
            if told["dimensions"] != ["marker_level_1"]:
                return _error("incorrect_request", "Unknown dimension")
            begin, end = told["period"]["from"], told["period"]["to"]
            spent = self.costs.get(begin[:10], {})
            items = [self._item(channel, spent[channel], begin, end, told["metrics"]) for channel in spent]
            return jsonify(status="success", data=[{"items": items, "dateFrom": begin, "dateTo": end}])

    def _order(self, order: Mapping[str, Any], is_extended: bool) -> dict[str, Any]:
        marker = self.sources.get(order["roistat"])
        visit = {"id": order["roistat"], "source": {"system_name": marker}} if marker and is_extended else None
        return {
            "id": order["id"], "creation_date": order["date_create"], "cost": order["cost"],
            "visit_id": order["roistat"], "visit": visit,
        }  # fmt: skip

    def _item(self, channel: str, spent: float, begin: str, end: str, metrics: list[str]) -> dict[str, Any]:
        """Metrics that it does not know are left out."""
        came = [
            one
            for one in self.orders.values()
            if self.sources.get(one["roistat"], "").startswith(channel) and begin <= one["date_create"] <= end
        ]
        known = {"marketing_cost": spent, "leadCount": len(came)}
        return {
            "dimensions": {"marker_level_1": {"value": channel, "title": channel.title()}},
            "metrics": [
                {"metric_name": name, "attribution_model_id": "default", "value": known[name]}
                for name in metrics
                if name in known
            ],
        }


def _fits(moment: str, condition: list[str]) -> bool:
    """Is one ``creation_date`` condition met?"""
    _, sign, border = condition
    made, limit = datetime.fromisoformat(moment), datetime.fromisoformat(border)
    return made > limit if sign == ">" else made < limit


def _error(code: str, description: str) -> ResponseReturnValue:
    return jsonify(status="error", error=code, description=description)
