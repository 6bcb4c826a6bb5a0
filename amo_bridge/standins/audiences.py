"""Yandex Audience and VK Ads: lists of hashed clients, with the vendors' least sizes and delays.

From the OpenAPI pages of Yandex Audience and the documents of ads.vk.com. Assumed: the names of Yandex's states, that a
segment that was not confirmed stands in the list, and VK's order of lists.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ClientAction, StandIn, known_settings
from amo_bridge.standins.vk_leads import VkLeadForms

SHA256, MD5 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}")


@dataclass
class Segment:
    """A segment of Yandex. ``lines``: its file's, without the heading."""

    id: int
    name: str
    lines: set[str]
    status: str = "uploaded"
    ready_at: float = 0.0

    def shown(self) -> dict[str, Any]:
        return {"type": "uploading", "id": self.id, "name": self.name, "status": self.status, "hashed": True}


class YandexAudienceStandIn(StandIn):
    """One user's segments."""

    name = "yandex_audience"
    title = "Яндекс Аудитории"
    hint = "Впишите api в [yandex_audience], токен — в AMO_BRIDGE_YANDEX_AUDIENCE_TOKEN."
    least = 100

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.token = "yandex-test-token"
        self.processing_seconds = 600.0
        self.fails_to_process = 0
        self.segments: dict[int, Segment] = {}
        self._ids = itertools.count(111)

    def settings(self) -> dict[str, Any]:
        known = ("token", "processing_seconds", "fails_to_process")
        segments = [{**one.shown(), "lines": len(one.lines)} for one in self.segments.values()]
        api = f"{self.url}/{self.name}"
        return {"api": api, **{name: getattr(self, name) for name in known}, "segments": segments}

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("token", "processing_seconds", "fails_to_process"))
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        return _yandex_error(429, "quota_requests_by_uid", "Quota exceeded")

    def unauthorised(self) -> ResponseReturnValue:
        return _yandex_error(403, "invalid_token", "Invalid oauth_token")

    def register(self, routes: Blueprint) -> None:
        base = "/v1/management"

        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            if request.headers.get("Authorization") != f"OAuth {self.token}":
                return self.unauthorised()
            self._go_on()
            return None

        @routes.get(f"{base}/segments")
        def segments() -> ResponseReturnValue:
            return jsonify(segments=[one.shown() for one in self.segments.values()])

        @routes.post(f"{base}/segments/upload_csv_file")
        def upload() -> ResponseReturnValue:
            lines = _csv_lines()
            if isinstance(lines, str):
                return _yandex_error(400, "invalid_uploading", lines)
            if len(lines) < self.least:
                return _yandex_error(400, "invalid_uploading", f"File must have at least {self.least} lines")
            made = Segment(next(self._ids), request.files["file"].filename or "", lines)
            self.segments[made.id] = made
            return jsonify(segment=made.shown())

        @routes.post(f"{base}/segment/<int:number>/confirm")
        def confirm(number: int) -> ResponseReturnValue:
            segment, told = self.segments.get(number), (request.get_json(silent=True) or {}).get("segment", {})
            if segment is None:
                return _yandex_error(404, "not_found", "Segment not found")
            if told.get("content_type") != "crm" or not told.get("name"):
                return _yandex_error(400, "invalid_parameter", "name and content_type are needed")
            segment.name = told["name"]
            self._begin(segment)
            return jsonify(segment=segment.shown())

        @routes.post(f"{base}/segment/<int:number>/modify_data")
        def modify(number: int) -> ResponseReturnValue:
            segment = self.segments.get(number)
            if segment is None:
                return _yandex_error(404, "not_found", "Segment not found")
            if segment.status == "is_processed":
                return _yandex_error(409, "conflict", "Segment is being processed")
            lines = _csv_lines()
            if isinstance(lines, str):
                return _yandex_error(400, "invalid_uploading", lines)
            how = request.args.get("modification_type")
            if not lines:
                return _yandex_error(400, "invalid_uploading", "File is empty")
            if len(lines) < self.least and request.args.get("check_size") != "false":
                return _yandex_error(400, "invalid_uploading", "File is too small")
            changes = {"addition": segment.lines | lines, "subtraction": segment.lines - lines, "replace": lines}
            if how not in changes:
                return _yandex_error(400, "invalid_parameter", "modification_type")
            segment.lines = changes[how]
            self._begin(segment)
            return jsonify(segment=segment.shown())

    def _begin(self, segment: Segment) -> None:
        segment.status, segment.ready_at = "is_processed", self.timeline.now() + self.processing_seconds

    def _go_on(self) -> None:
        for segment in self.segments.values():
            if segment.status == "is_processed" and segment.ready_at <= self.timeline.now():
                segment.status = "processed" if len(segment.lines) >= self.least else "few_data"
                if self.fails_to_process:
                    self.fails_to_process -= 1
                    segment.status = "processing_failed"


def _csv_lines() -> set[str] | str:
    """The lines of the file, or what is wrong with it."""
    file = request.files.get("file")
    if file is None:
        return "file is needed"
    heading, *lines = file.read().decode("utf-8").splitlines() or [""]
    if heading != "phone,email":
        return "Unknown heading"
    wrong = [line for line in lines if not all(not cell or SHA256.fullmatch(cell) for cell in line.split(","))]
    return "Not hashed by SHA-256" if wrong else set(lines)


def _yandex_error(code: int, kind: str, message: str) -> ResponseReturnValue:
    errors = [{"error_type": kind, "message": message}]
    return jsonify(errors=errors, code=code, message=message), code


@dataclass
class UsersList:
    """A list of VK. ``base``: what it changes, negative to remove; 0 for one of its own. ``phones``: what it has."""

    id: int
    name: str
    base: int
    lines: set[str]
    phones: set[str] = field(default_factory=set)
    status: str = "receiving"
    ready_at: float = 0.0

    def shown(self) -> dict[str, Any]:
        counts = {"entries_count": len(self.lines), "ids_count": len(self.phones), "matched_ids_count": None}
        return {"id": self.id, "name": self.name, "type": "phones", "status": self.status, **counts, "error": None}


class VkAdsStandIn(StandIn):
    """One user of VK Ads: tokens, lists, segments; ``lead_forms``: see vk_leads.py."""

    name = "vkads"
    title = "VK Реклама"
    hint = "Впишите api и client_id в [vkads], секрет — в AMO_BRIDGE_VKADS_SECRET; лиды — ещё и [intake.vkads]."
    least_base, least_change = 2000, 25
    pause_seconds, an_hour = 60.0, 10
    token_seconds, most_tokens = 24 * 3600.0, 5

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.client_id, self.client_secret = "vkads-test", "vkads-test-secret"
        self.processing_seconds = 120.0
        self.refuses_segments = False
        self.tokens: dict[str, float] = {}
        self.lists: dict[int, UsersList] = {}
        self.campaigns: dict[int, str] = {}
        self.statistics: dict[int, dict[str, dict[str, Any]]] = {}
        self.segments: dict[int, dict[str, Any]] = {}
        self.lead_forms = VkLeadForms(timeline, self.send)
        self._refresh: dict[str, str] = {}
        self._made: deque[float] = deque()
        self._ids = itertools.count(7001)

    def settings(self) -> dict[str, Any]:
        known = ("client_id", "client_secret", "processing_seconds")
        lists = [{**one.shown(), "phones": len(one.phones)} for one in self.lists.values()]
        api = f"{self.url}/{self.name}"
        forms = {str(number): name for number, name in self.lead_forms.forms.items()}
        more = {"lists": lists, "tokens": len(self.tokens), "lead_forms": forms}
        webhooks = [one["callback_url"] for one in self.lead_forms.subscriptions.values()]
        return {"api": api, **{name: getattr(self, name) for name in known}, **more, "webhooks": webhooks}

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("client_id", "client_secret", "processing_seconds"))
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        answer = jsonify(error={"code": "rate_limit_exceeded", "message": "Too many requests"})
        answer.headers["X-RateLimit-Hourly-Remaining"] = "0"
        return answer, 429

    def unauthorised(self) -> ResponseReturnValue:
        return _vk_error(401, "expired_token", "Unknown access token")

    def actions(self) -> tuple[ClientAction, ...]:
        return self.lead_forms.actions()

    def expire_tokens(self) -> None:
        """As after a day."""
        self.tokens = dict.fromkeys(self.tokens, 0.0)

    def register(self, routes: Blueprint) -> None:
        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            self._go_on()
            if request.path.endswith("/oauth2/token.json"):
                return None
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            return None if self.tokens.get(token, 0) > self.timeline.now() else self.unauthorised()

        self.lead_forms.register(routes)
        self._register_statistics(routes)

        @routes.post("/api/v2/oauth2/token.json")
        def token() -> ResponseReturnValue:
            return self._token(request.form)

        @routes.get("/api/v3/remarketing/users_lists.json")
        def lists() -> ResponseReturnValue:
            limit = min(int(request.args.get("limit", 20)), 50)
            newest = sorted(self.lists.values(), key=lambda one: -one.id)[:limit]
            return jsonify(count=len(self.lists), items=[one.shown() for one in newest])

        @routes.get("/api/v3/remarketing/users_lists/<int:number>.json")
        def one_list(number: int) -> ResponseReturnValue:
            known = self.lists.get(number)
            return jsonify(known.shown()) if known else _vk_error(404, "not_found", "Not found")

        @routes.post("/api/v3/remarketing/users_lists.json")
        def make_list() -> ResponseReturnValue:
            return self._make_list()

        @routes.get("/api/v2/remarketing/segments.json")
        def segments() -> ResponseReturnValue:
            return jsonify(count=len(self.segments), items=list(self.segments.values()))

        @routes.post("/api/v2/remarketing/segments.json")
        def make_segment() -> ResponseReturnValue:
            told = json.loads(request.data)
            source = told["relations"][0]["params"]["source_id"]
            if self.refuses_segments:
                return _vk_error(400, "validation_failed", "pass_condition")
            if source not in self.lists or self.lists[source].status != "ready":
                return _vk_error(400, "validation_failed", "source_id")
            number = next(self._ids)
            self.segments[number] = {"id": number, "name": told["name"], "relations": told["relations"]}
            return jsonify(self.segments[number])

    def show(self, campaign: str, day: str, *, shows: int, clicks: int, spent: str, leads: int = 0) -> None:
        """A day of a campaign, as its cabinet counts it."""
        number = next((one for one, name in self.campaigns.items() if name == campaign), 0) or next(self._ids)
        self.campaigns[number] = campaign
        base = {"shows": shows, "clicks": clicks, "spent": spent}
        self.statistics.setdefault(number, {})[day] = {"date": day, "base": base, "events": {"sending_form": leads}}

    def _register_statistics(self, routes: Blueprint) -> None:
        # Assumed: that campaigns are listed here. What statistics look like is known (integrations-2.md 6).
        @routes.get("/api/v2/ad_plans.json")
        def campaigns() -> ResponseReturnValue:
            limit, offset = min(int(request.args.get("limit", 20)), 50), int(request.args.get("offset", 0))
            items = [{"id": number, "name": name} for number, name in self.campaigns.items()]
            return jsonify(count=len(items), items=items[offset : offset + limit])

        @routes.get("/api/v2/statistics/ad_plans/day.json")
        def statistics() -> ResponseReturnValue:
            numbers = request.args.get("id", "").split(",")
            first, last = request.args.get("date_from", ""), request.args.get("date_to", "")
            if not first or first > last:
                return _vk_error(400, "ERR_WRONG_DATE", "date_from, date_to")
            if len(numbers) > 200 or any(not one.isdecimal() or int(one) not in self.campaigns for one in numbers):
                return _vk_error(400, "ERR_WRONG_ADPLANS", "id")
            days = {int(one): self.statistics.get(int(one), {}) for one in numbers}
            items = [
                {"id": number, "rows": [row for day, row in sorted(known.items()) if first <= day <= last]}
                for number, known in days.items()
            ]
            return jsonify(items=items, total={})

    def _token(self, form: Mapping[str, str]) -> ResponseReturnValue:
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return _vk_error(401, "invalid_client", "Unknown client")
        if form.get("grant_type") == "refresh_token":
            old = self._refresh.pop(form.get("refresh_token", ""), "")
            if not old:
                return _vk_error(401, "invalid_token", "Unknown refresh token")
            self.tokens.pop(old, None)
        elif form.get("grant_type") != "client_credentials":
            return _vk_error(400, "unsupported_grant_type", "grant_type")
        elif len(self.tokens) >= self.most_tokens:
            return _vk_error(403, "token_limit_exceeded", "Active access token limit reached")
        access, refresh = secrets.token_hex(16), secrets.token_hex(16)
        self.tokens[access] = self.timeline.now() + self.token_seconds
        self._refresh[refresh] = access
        return jsonify(access_token=access, refresh_token=refresh, token_type="bearer", expires_in=86400)

    def _make_list(self) -> ResponseReturnValue:
        now = self.timeline.now()
        while self._made and self._made[0] <= now - 3600:
            self._made.popleft()
        if len(self._made) >= self.an_hour or (self._made and now - self._made[-1] < self.pause_seconds):
            return self.limited()
        file, name, base = request.files.get("file"), request.form.get("name", ""), int(request.form.get("base", 0))
        if file is None or not name or request.form.get("type") != "phones":
            return _vk_error(400, "required", "file, name, type")
        lines = file.read().decode().split()
        if wrong := [number for number, line in enumerate(lines, 1) if not MD5.fullmatch(line)]:
            errors = [{"code": "invalid_md5", "line_number": number} for number in wrong]
            return jsonify(error={"fields": {"file": errors}}), 400
        target = self.lists.get(abs(base))
        if base and (target is None or target.base):
            return _vk_error(400, "validation_failed", "base")
        if len(set(lines)) < (self.least_change if base else self.least_base):
            return jsonify(error={"fields": {"file": [{"code": "not_enough_ids"}]}}), 400
        made = UsersList(next(self._ids), name, base, set(lines), ready_at=now + self.processing_seconds)
        self.lists[made.id] = made
        self._made.append(now)
        return jsonify(made.shown()), 201

    def _go_on(self) -> None:
        for one in self.lists.values():
            if one.status == "receiving" and one.ready_at <= self.timeline.now():
                one.status = "ready"
                target = self.lists.get(abs(one.base), one)
                target.phones = target.phones - one.lines if one.base < 0 else target.phones | one.lines


def _vk_error(status: int, code: str, message: str) -> ResponseReturnValue:
    return jsonify(error={"code": code, "message": message}), status
