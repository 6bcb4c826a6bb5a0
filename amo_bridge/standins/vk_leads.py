"""Lead forms of VK Ads: the forms, the list of leads, its CSV, the webhook for each lead.

From the documents of ads.vk.com (Apr–Sept 2026). Assumed: that the list's and the CSV's times are Moscow's as all of
the API's are, the CSV's separator, the words of refusals, that a webhook that was not accepted is not repeated.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ActionField, ClientAction, VendorWebhook

MOSCOW = timezone(timedelta(hours=3))
MOST_LISTED = 50
TIME = "%Y-%m-%d %H:%M:%S"
FORM = 19
TEST_LEAD_PAUSE_SECONDS = 60
_LOCAL = ("http://127.0.0.1", "http://localhost")


@dataclass(frozen=True)
class VkLead:
    """``at``: when the form was filled, Unix seconds; ``listed_at``: since when the list shows it."""

    id: int
    form: int
    at: float
    listed_at: float
    contact: Mapping[str, str]
    answers: Mapping[str, str]

    def shown(self, form_name: str) -> dict[str, Any]:
        """As the list tells it."""
        return {
            "id": self.id,
            "form_id": self.form,
            "form_name": form_name,
            "ad_plan_id": 1,
            "ad_group_id": 3,
            "banner_id": 2,
            "created_at": self.moscow,
            "answers": [
                {"question_text": question, "answer_text": answer, "answer_options": []}
                for question, answer in self.answers.items()
            ],
            "contact_info": dict(self.contact),
        }

    @property
    def moscow(self) -> str:
        return datetime.fromtimestamp(self.at, MOSCOW).strftime(TIME)


class VkLeadForms:
    """The lead forms of one user. ``list_delay``: so late the list shows a lead. ``resources``: what a subscription may
    be about. ``is_listed``: does this user have the list at all? ``may_read``: has the token the right?
    ``errs_in_200``: the list answers its errors with 200."""

    def __init__(self, timeline: Timeline, post: Callable[[VendorWebhook], None]) -> None:
        self.forms: dict[int, str] = {FORM: "Расчёт рекламы"}
        self.leads: list[VkLead] = []
        self.subscriptions: dict[int, dict[str, Any]] = {}
        self.resources: tuple[str, ...] = ("BANNER", "CAMPAIGN", "LEAD")
        self.list_delay = 0.0
        self.is_listed = self.may_read = True
        self.errs_in_200 = False
        self._timeline = timeline
        self._post = post
        self._numbers = itertools.count(4)
        self._subscriptions = itertools.count(123)

    def fill(self, contact: Mapping[str, str], answers: Mapping[str, str] | None = None, *, form: int = FORM) -> VkLead:
        """Somebody fills a form: the webhooks are told, the list shows it after ``list_delay``."""
        now = self._timeline.now()
        lead = VkLead(next(self._numbers), form, now, now + self.list_delay, dict(contact), dict(answers or {}))
        self.leads.append(lead)
        for one in self.subscriptions.values():
            created = datetime.fromtimestamp(now, UTC)
            data = {**lead.shown(self.forms.get(form, "")), "created_at": f"{created:%Y-%m-%d %H:%M:%S}.26 +0000 UTC"}
            body = {
                "id": secrets.token_hex(16),
                "resource_id": lead.id,
                "resource": one["resource"],
                "callback_url": one["callback_url"],
                "created": f"{datetime.fromtimestamp(now, MOSCOW):%Y-%m-%d %H:%M:%S}.797499",
                "data": data,
            }
            raw = json.dumps(body, ensure_ascii=False).encode()
            self._post(VendorWebhook("lead", one["callback_url"], raw, {"Content-Type": "application/json"}))
        return lead

    def register(self, routes: Blueprint) -> None:
        """Add its addresses."""

        @routes.get("/api/v1/lead_ads/lead_forms.json")
        def forms() -> ResponseReturnValue:
            if refusal := self._refusal():
                return refusal
            items = [{"id": number, "name": name} for number, name in self.forms.items()]
            return jsonify(count=len(items), offset=0, limit=MOST_LISTED, items=items)

        @routes.get("/api/v1/lead_ads/leads.json")
        def leads() -> ResponseReturnValue:
            return self._refusal() or self._listed()

        @routes.get("/api/v1/lead_ads/lead_forms/<int:form>/leads.csv")
        def table(form: int) -> ResponseReturnValue:
            return self._refusal() or Response(self.csv(form), content_type="text/csv; charset=utf-8")

        @routes.post("/api/v1/lead_ads/lead_forms/<int:form>/send_test_lead")
        def test_lead(form: int) -> ResponseReturnValue:
            self.fill({"first_name": "Тест", "phone": "+79000000000"}, form=form)
            return jsonify(processed=True, seconds_before_next_sending=TEST_LEAD_PAUSE_SECONDS)

        @routes.get("/api/v3/subscription.json")
        def subscriptions() -> ResponseReturnValue:
            items = list(self.subscriptions.values())
            return jsonify(count=len(items), offset=0, limit=MOST_LISTED, items=items)

        @routes.post("/api/v3/subscription.json")
        def subscribe() -> ResponseReturnValue:
            return self._subscribe(request.get_json(silent=True) or {})

        @routes.delete("/api/v3/subscription/<int:number>.json")
        def unsubscribe(number: int) -> ResponseReturnValue:
            if self.subscriptions.pop(number, None) is None:
                return _error(404, "not_found", "Not found")
            return Response(status=204)

    def csv(self, form: int = FORM) -> bytes:
        """The cabinet's export of one form: no numbers of leads, the form's own questions as columns."""
        leads = [one for one in self.leads if one.form == form]
        questions = list(dict.fromkeys(question for lead in leads for question in lead.answers))
        text = io.StringIO()
        rows = csv.writer(text, delimiter=";", lineterminator="\r\n")
        rows.writerow(["Время лида", "ID Кампании", "ID Объявления", "Имя", "Телефон", "Email", *questions])
        for lead in leads:
            contact = [lead.contact.get(key, "") for key in ("first_name", "phone", "email")]
            rows.writerow([lead.moscow, 1, 2, *contact, *(lead.answers.get(question, "") for question in questions)])
        return text.getvalue().encode("utf-8-sig")

    def actions(self) -> tuple[ClientAction, ...]:
        """What a client does at the page of the stand-ins."""

        def fill(fields: Mapping[str, str]) -> str:
            contact = {key: fields.get(key, "") for key in ("first_name", "phone", "email")}
            with self._timeline.lock:
                lead = self.fill(contact, {"Ниша": fields.get("answer", "")})
            return f"лид {lead.id} ушёл" if self.subscriptions else f"лид {lead.id} лежит в списке: его возьмёт опрос"

        fields = (
            ActionField("first_name", "кто", "Роман"),
            ActionField("phone", "телефон", "+79000000071"),
            ActionField("email", "почта", "roman@example.com"),
            ActionField("answer", "ниша", "Стоматология"),
        )
        return (ClientAction("lead", "Заполнить лид-форму", fields, fill),)

    def _refusal(self) -> ResponseReturnValue | None:
        if not self.is_listed:
            return Response("<html><h1>404 Not Found</h1></html>", 404)
        if not self.may_read:
            return _error(403, "access_denied", "Access denied: no scope for lead forms")
        if self.errs_in_200:
            return jsonify(error={"code": "internal_error", "message": "Try later"})
        return None

    def _listed(self) -> ResponseReturnValue:
        told, now = request.args, self._timeline.now()
        limit, offset = int(told.get("limit", 20)), int(told.get("offset", 0))
        if limit > MOST_LISTED:
            return _invalid("limit", {"code": "bad_value", "message": "Bad value", "expected": "<= 50"})
        found = [one for one in self.leads if one.listed_at <= now]
        if forms := told.get("_form_ids__in"):
            found = [one for one in found if str(one.form) in forms.split(",")]
        for name, fits in (("_created_at__gte", _not_before), ("_created_at__lte", _not_after)):
            if text := told.get(name):
                try:
                    moment = datetime.strptime(text, TIME).replace(tzinfo=MOSCOW).timestamp()
                except ValueError:
                    return _invalid(name, {"code": "bad_value", "message": "Bad value", "expected": TIME})
                found = [one for one in found if fits(one, moment)]
        found.sort(key=lambda one: (one.at, one.id), reverse=told.get("sorting") == "-created_at")
        items = [one.shown(self.forms.get(one.form, "")) for one in found[offset : offset + limit]]
        return jsonify(count=len(found), offset=offset, limit=limit, items=items)

    def _subscribe(self, told: Mapping[str, Any]) -> ResponseReturnValue:
        url, resource = str(told.get("callback_url", "")), told.get("resource")
        if resource not in self.resources:
            allowed = {"code": "unallowed_value", "message": "Unallowed value", "allowed_values": list(self.resources)}
            return _invalid("resource", allowed)
        if not url.startswith(("https://", *_LOCAL)):
            bad = {"code": "bad_value", "message": "Bad value", "expected": "URL with https:// schema"}
            return _invalid("callback_url", bad)
        number = next(self._subscriptions)
        self.subscriptions[number] = {"id": number, "resource": resource, "callback_url": url}
        return jsonify(id=number)


def _not_before(lead: VkLead, moment: float) -> bool:
    return int(lead.at) >= moment


def _not_after(lead: VkLead, moment: float) -> bool:
    return int(lead.at) <= moment


def _invalid(field: str, what: Mapping[str, Any]) -> ResponseReturnValue:
    fields = {field: dict(what)}
    return jsonify(error={"code": "validation_failed", "message": "Validation failed", "fields": fields}), 400


def _error(status: int, code: str, message: str) -> ResponseReturnValue:
    return jsonify(error={"code": code, "message": message}), status
