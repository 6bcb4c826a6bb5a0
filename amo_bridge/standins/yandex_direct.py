"""Yandex Direct: the reports of one advertiser, made in a queue.

From the vendor's pages (integrations-2.md 6). Assumed: that a report which once was ready stays so under its name, the
codes of errors, and that the same name with another body is an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import StandIn, known_settings

KNOWN = ("token", "making_seconds", "client_login", "says_errors_with_200")


@dataclass
class Report:
    """``asked``: the body that it was ordered with."""

    asked: str
    ready_at: float


class YandexDirectStandIn(StandIn):
    """One advertiser."""

    name = "yandex_direct"
    title = "Яндекс Директ"
    hint = 'Впишите api в [yandex_direct], токен — в AMO_BRIDGE_YANDEX_DIRECT_TOKEN; в [ads] — ask = ["yandex"].'

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.token = "direct-test-token"
        self.client_login = ""
        self.making_seconds = 60.0
        self.says_errors_with_200 = False
        self.reports: dict[str, Report] = {}
        self.rows: list[dict[str, str]] = []

    def show(self, campaign: str, day: str, *, shows: int, clicks: int, cost: str, leads: str = "--") -> None:
        """A day of a campaign."""
        self.rows.append(
            {
                "Date": day,
                "CampaignId": "1",
                "CampaignName": campaign,
                "AdNetworkType": "SEARCH",
                "Impressions": str(shows),
                "Clicks": str(clicks),
                "Cost": cost,
                "Conversions": leads,
            }
        )

    def settings(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in KNOWN}
        return {"api": f"{self.url}/{self.name}", **told, "reports": list(self.reports)}

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, KNOWN)
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        return self._error(429, 506, "Слишком много запросов")

    def unauthorised(self) -> ResponseReturnValue:
        return self._error(400, 53, "Ошибка авторизации")

    def register(self, routes: Blueprint) -> None:
        @routes.post("/json/v5/reports")
        def report() -> ResponseReturnValue:
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return self.unauthorised()
            if self.client_login and request.headers.get("Client-Login") != self.client_login:
                return self._error(400, 8800, "Client-Login")
            return self._report((request.get_json(silent=True) or {}).get("params") or {})

    def _report(self, asked: Mapping[str, Any]) -> ResponseReturnValue:
        dates, fields = asked.get("SelectionCriteria") or {}, asked.get("FieldNames") or []
        is_whole = all(asked.get(key) for key in ("ReportName", "ReportType", "DateRangeType", "Format", "IncludeVAT"))
        if not is_whole or not {"DateFrom", "DateTo"} <= set(dates) or request.headers.get("processingMode") is None:
            return self._error(400, 8000, "Некорректный запрос")
        body, now = json.dumps(asked, sort_keys=True), self.timeline.now()
        known = self.reports.get(asked["ReportName"])
        if known is None:
            self.reports[asked["ReportName"]] = Report(body, now + self.making_seconds)
            if self.making_seconds:
                return self._queued(201, self.making_seconds)
        elif known.asked != body:
            return self._error(400, 4000, "Отчёт с таким именем уже есть")
        elif known.ready_at > now:
            return self._queued(202, known.ready_at - now)
        rows = [row for row in self.rows if dates["DateFrom"] <= row["Date"] <= dates["DateTo"]]
        lines = ["\t".join(fields), *("\t".join(row[name] for name in fields) for row in rows)]
        return Response("\n".join(lines) + "\n", content_type="text/tab-separated-values; charset=utf-8")

    @staticmethod
    def _queued(status: int, seconds: float) -> ResponseReturnValue:
        return Response(status=status, headers={"retryIn": str(int(seconds)), "reportsInQueue": "1"})

    def _error(self, status: int, code: int, words: str) -> ResponseReturnValue:
        error = {"error_code": code, "error_string": words, "error_detail": "", "request_id": "1"}
        return jsonify(error=error), 200 if self.says_errors_with_200 else status
