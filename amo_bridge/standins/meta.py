"""Meta: the Graph API of lead ads and Messenger, and its signed webhooks.

From Meta's documentation. Assumed: the words of errors, when a webhook is repeated.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ActionField, ClientAction, StandIn, VendorWebhook, known_settings

VERSION = "v25.0"
PAGE, APP, FORM = "100000000000001", "300000000000001", "400000000000001"


class MetaStandIn(StandIn):
    """One page with an app. ``leads``: the answers of filled forms, by number."""

    name = "meta"
    title = "Meta: лид-формы и Messenger"
    hint = "Впишите адреса вебхуков meta_leadgen и messenger из amo-bridge intake addresses и тот же маркер проверки."
    pasted = ("webhook_url", "messenger_url", "verify_token", "app_secret")
    repeats = (60, 300, 3600)

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.app_secret, self.token, self.verify_token = "meta-test-app-secret", "EAAtesttoken", "meta-test-verify"
        self.webhook_url = self.messenger_url = ""
        self.leads: dict[str, dict[str, Any]] = {}
        self.subscribed: list[str] = []
        self.people: dict[str, str] = {}
        self._ids = itertools.count(150000000000001)

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}",
            "token": self.token,
            "app_secret": self.app_secret,
            "verify_token": self.verify_token,
            "webhook_url": self.webhook_url,
            "messenger_url": self.messenger_url,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        """An address is asked for its challenge, as the app's page does."""
        known_settings(settings, ("app_secret", "token", "verify_token", "webhook_url", "messenger_url"))
        for name, value in settings.items():
            if name.endswith("_url") and value:
                self._verify(str(value), str(settings.get("verify_token", self.verify_token)))
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        return _no(4, "Application request limit reached", 400, kind="OAuthException")

    def unauthorised(self) -> ResponseReturnValue:
        return _no(190, "Error validating access token: Session has expired", 401, kind="OAuthException", subcode=463)

    def register(self, routes: Blueprint) -> None:
        @routes.get("/<version>/<node>")
        def read(version: str, node: str) -> ResponseReturnValue:
            if problem := self._refused():
                return problem
            wanted = [name for name in request.args.get("fields", "").split(",") if name]
            if node == "me":
                return jsonify(id=PAGE, name="Агентство")
            if node in self.people:
                first, _, last = self.people[node].partition(" ")
                return jsonify({"first_name": first, "last_name": last, "id": node})
            lead = self.leads.get(node)
            if lead is None:
                words = f"Unsupported get request. Object with ID '{node}' does not exist"
                return _no(100, words, 400, kind="GraphMethodException", subcode=33)
            return jsonify({name: lead[name] for name in lead if name == "id" or not wanted or name in wanted})

        @routes.get("/<version>/<node>/leads")
        def list_leads(version: str, node: str) -> ResponseReturnValue:
            return self._refused() or jsonify(data=[one for one in self.leads.values() if one["form_id"] == node])

        @routes.route("/<version>/<node>/subscribed_apps", methods=["GET", "POST"])
        def subscribed(version: str, node: str) -> ResponseReturnValue:
            if problem := self._refused():
                return problem
            if request.method == "POST":
                self.subscribed = request.values.get("subscribed_fields", "").split(",")
                return jsonify(success=True)
            app = {"id": APP, "name": "amo-bridge", "subscribed_fields": self.subscribed}
            return jsonify(data=[app] if self.subscribed else [])

    def _refused(self) -> ResponseReturnValue | None:
        """A wrong token, or a proof of another app."""
        if request.values.get("access_token") != self.token:
            return self.unauthorised()
        proof = request.values.get("appsecret_proof")
        own = hmac.new(self.app_secret.encode(), self.token.encode(), hashlib.sha256).hexdigest()
        if proof is not None and not hmac.compare_digest(proof, own):
            return _no(100, "Invalid appsecret_proof provided in the API argument", 400, kind="GraphMethodException")
        return None

    def _verify(self, url: str, token: str) -> None:
        challenge = str(secrets.randbelow(10**10))
        asked = urlencode({"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": challenge})
        status, answer = self.post(VendorWebhook("verify", f"{url}?{asked}", b"", {}, method="GET"))
        if (status, answer) != (200, challenge):
            raise ValueError(f"адрес не повторил hub.challenge: {status or 'не отвечает'} {answer[:80]}")

    def actions(self) -> tuple[ClientAction, ...]:
        name = ActionField("name", "кто", "Дарья Тестова")
        answers = (
            ActionField("phone", "телефон", "+79000000081"),
            ActionField("email", "почта", "darya@example.com"),
            ActionField("answer", "чем занимаетесь", "Кофейня"),
        )
        text = ActionField("text", "сообщение", "Сколько стоит реклама?", is_long=True)
        return (
            ClientAction("lead", "Заполнить лид-форму", (name, *answers), self._fill),
            ClientAction("write", "Написать странице", (name, text), self._write),
        )

    def _fill(self, fields: Mapping[str, str]) -> str:
        if not self.webhook_url:
            raise ValueError("адрес meta_leadgen не вписан")
        told = {
            "full_name": fields.get("name", ""),
            "phone_number": fields.get("phone", ""),
            "email": fields.get("email", ""),
            "чем_вы_занимаетесь?": fields.get("answer", ""),
        }
        return f"лид {self.lead({name: value for name, value in told.items() if value})} ушёл: {self.webhook_url}"

    def _write(self, fields: Mapping[str, str]) -> str:
        if not self.messenger_url:
            raise ValueError("адрес messenger не вписан")
        self.write(fields.get("name", ""), fields.get("text", ""))
        return f"сообщение ушло: {self.messenger_url}"

    def lead(self, answers: Mapping[str, str]) -> str:
        """A lead form is filled; its number. The webhook tells nothing but that."""
        number = str(next(self._ids))
        created = int(self.timeline.now())
        self.leads[number] = {
            "id": number,
            "created_time": created,
            "form_id": FORM,
            "field_data": [{"name": name, "values": [value]} for name, value in answers.items()],
        }
        value = {"leadgen_id": number, "page_id": PAGE, "form_id": FORM, "created_time": created}
        self._post("leadgen", self.webhook_url, {"changes": [{"field": "leadgen", "value": value}]})
        return number

    def write(self, name: str, text: str) -> None:
        """Somebody writes to the page."""
        sender = str(next(self._ids))
        self.people[sender] = name
        message = {"mid": f"m_{secrets.token_hex(16)}", "text": text}
        entry = {
            "sender": {"id": sender},
            "recipient": {"id": PAGE},
            "timestamp": int(self.timeline.now() * 1000),
            "message": message,
        }
        self._post("messages", self.messenger_url, {"messaging": [entry]})

    def _post(self, event: str, url: str, entry: Mapping[str, Any]) -> None:
        if not url:
            return
        document = {"object": "page", "entry": [{"id": PAGE, "time": int(self.timeline.now()), **entry}]}
        # ASCII with \uXXXX, as Meta sends it: the proof is of these bytes.
        raw = json.dumps(document).encode()
        signature = hmac.new(self.app_secret.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        self.send(VendorWebhook(event, url, raw, headers, {"X-Hub-Signature-256": f"sha256={'0' * 64}"}))


def _no(code: int, message: str, status: int, *, kind: str, subcode: int | None = None) -> ResponseReturnValue:
    error: dict[str, Any] = {"message": message, "type": kind, "code": code, "fbtrace_id": secrets.token_hex(8)}
    if subcode is not None:
        error["error_subcode"] = subcode
    return jsonify(error=error), status
