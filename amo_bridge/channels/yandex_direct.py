"""Yandex Direct: a report of campaigns by day (integrations-2.md 6).

A report that is not ready answers 201 or 202 and how long to wait; the very same request is repeated then. The report's
name is made of what it asks, because the same name with another body is an error there.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.config.advertising import YANDEX_DIRECT_TOKEN, YandexDirectSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelRefused

if TYPE_CHECKING:
    from requests import Response

TITLE = "Яндекс Директ"
REPORTS = "/json/v5/reports"
FIELDS = ("Date", "CampaignName", "AdNetworkType", "Impressions", "Clicks", "Cost", "Conversions")
NO_VALUE = "--"
WAIT_SECONDS = 30.0
"""Where the answer does not say how long to wait for a report."""
TOO_HEAVY = 502


class YandexDirect:
    """One advertiser's reports."""

    def __init__(self, section: YandexDirectSection, token: str) -> None:
        own = {"Authorization": f"Bearer {token}", "Accept-Language": "ru"}
        if section.client_login:
            own["Client-Login"] = section.client_login
        self._http = HttpClient(TITLE, section.api, token, headers=own)

    def check(self) -> str:
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        response = self._asked(yesterday, yesterday, mark="check")
        if response.status_code not in (201, 202):
            self._rows(response)
        return f"{TITLE} пускает к отчётам"

    def statistics(self, first: date, last: date, *, mark: str) -> list[Mapping[str, str]]:
        """Rows of the days by campaign and network, by Direct's own names of fields; ``--`` is left out. ``mark``: the
        same as long as the same report is meant. Raises ChannelBusy while it is being made, ChannelError."""
        return self._rows(self._asked(first, last, mark=mark))

    def _asked(self, first: date, last: date, *, mark: str) -> Response:
        asked: dict[str, Any] = {
            "SelectionCriteria": {"DateFrom": first.isoformat(), "DateTo": last.isoformat()},
            "FieldNames": list(FIELDS),
            "ReportType": "CUSTOM_REPORT",
            "DateRangeType": "CUSTOM_DATE",
            "Format": "TSV",
            "IncludeVAT": "YES",
        }
        digest = hashlib.blake2b(f"{mark}{json.dumps(asked, sort_keys=True)}".encode(), digest_size=6).hexdigest()
        name = f"amo-bridge {first} {last} {digest}"
        headers: dict[str, str | None] = {
            "processingMode": "auto",
            "returnMoneyInMicros": "false",
            "skipReportHeader": "true",
            "skipColumnHeader": "false",
            "skipReportSummary": "true",
        }
        return self._http.request("POST", REPORTS, {"params": {**asked, "ReportName": name}}, headers=headers)

    def _rows(self, response: Response) -> list[Mapping[str, str]]:
        if response.status_code in (201, 202):
            told = response.headers.get("retryIn", "")
            after = float(told) if told.isdecimal() else WAIT_SECONDS
            raise ChannelBusy(f"{TITLE}: отчёт ещё готовится", retry_after=after)
        if response.status_code == TOO_HEAVY:
            raise ChannelBusy(f"{TITLE}: отчёт слишком тяжёлый (502), мост повторит позже")
        # Other services of this API tell their errors with status 200: so may this one.
        text = response.content.decode("utf-8-sig", "replace")
        if response.status_code == 400 or (response.ok and text.lstrip().startswith("{")):
            raise self._refused(response, text)
        if not response.ok:
            self._http.json_of(response)
        return self._table(text)

    def _refused(self, response: Response, text: str) -> Exception:
        try:
            error = json.loads(text)["error"]
            words = " ".join(str(error.get(key) or "") for key in ("error_code", "error_string", "error_detail"))
        except (ValueError, LookupError, TypeError, AttributeError):
            return self._http.unreadable(ValueError("вместо отчёта пришло что-то другое"))
        advice = f"; проверьте {YANDEX_DIRECT_TOKEN} и client_login в [yandex_direct]"
        return ChannelRefused(f"{TITLE}: {' '.join(words.split())[:200]}{advice}")

    def _table(self, text: str) -> list[Mapping[str, str]]:
        rows = list(csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
        if not rows or any(name not in rows[0] for name in FIELDS):
            raise ChannelDown(f"{TITLE}: в отчёте нет столбцов {', '.join(FIELDS)}")
        head = rows[0]
        found: list[Mapping[str, str]] = []
        for row in rows[1:]:
            if any(row):
                if len(row) != len(head):
                    raise self._http.unreadable(ValueError("строка отчёта оборвана"))
                found.append({name: cell for name, cell in zip(head, row, strict=True) if cell != NO_VALUE})
        return found
