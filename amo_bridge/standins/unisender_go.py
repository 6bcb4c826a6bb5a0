"""Unisender Go: letters taken once under one key, lists of events on request, signed webhooks.

From the vendor's Web API reference and a public client (integrations-2, §8). Assumed: the form of ``metadata`` in a
list of events (JSON), and that the answer to a letter for nobody carries ``failed_emails``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ActionField, ClientAction, StandIn, VendorWebhook, known_settings

LARGEST_REQUEST = 10 << 20
KEY_SECONDS = 60
DELIVERED_AFTER_SECONDS = 2.0
REFUSED_STATES = ("unsubscribed", "complained", "invalid", "temporary_unavailable", "permanent_unavailable", "blocked")
ALL_STATES = ("sent", "delivered", "opened", "clicked", "unsubscribed", "soft_bounced", "hard_bounced", "spam")
CLIENT_DOES: Mapping[str, tuple[str, str]] = {
    "opened": ("open", "Открыть письмо"),
    "spam": ("complain", "Пожаловаться на спам"),
    "unsubscribed": ("unsubscribe", "Отписаться"),
    "hard_bounced": ("bounce", "Ящика нет: письмо вернулось"),
}


@dataclass
class TakenLetter:
    """A letter that the service has. ``states``: (when, state) as the lists of events tell them."""

    job_id: str
    message: Mapping[str, Any]
    at: float
    states: list[tuple[float, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(self.message["recipients"][0]["email"])

    @property
    def files(self) -> dict[str, bytes]:
        return {one["name"]: base64.b64decode(one["content"]) for one in self.message.get("attachments", ())}


class UnisenderGoStandIn(StandIn):
    """One account. ``refuses``: address → why it is not written to. ``error``: the code, words and status of every
    answer to a letter, until it is emptied."""

    name = "unisender_go"
    title = "Unisender Go"
    pasted = ("webhook_url",)
    hint = "Впишите api в [unisender_go], ключ — в AMO_BRIDGE_UNISENDER_GO_KEY; адрес — из amo-bridge intake addresses."
    repeats = (60.0, 300.0, 900.0)

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.key = "unisender-go-test-key"
        self.webhook_url, self.webhook_status = "", "active"
        self.told_of: list[str] = list(ALL_STATES)
        self.domains: list[str] = ["agency.example"]
        self.refuses: dict[str, str] = {}
        self.error: dict[str, Any] = {}
        self.may_skip_unsubscribe = False
        self.letters: list[TakenLetter] = []
        self.dumps: dict[str, Mapping[str, Any]] = {}
        self.dump_looks = 1
        """How often a list of events is asked for before it is ready."""
        self._looks: dict[str, int] = {}
        self._jobs = itertools.count(1)

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}", "key": self.key, "webhook_url": self.webhook_url,
            "domains": self.domains, "refuses": self.refuses, "error": self.error,
            "may_skip_unsubscribe": self.may_skip_unsubscribe,
            "letters": [{"to": one.address, "subject": one.message["subject"]} for one in self.letters],
        }  # fmt: skip

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("key", "webhook_url", "domains", "refuses", "error", "may_skip_unsubscribe"))
        for status in dict(settings.get("refuses") or {}).values():
            if status not in REFUSED_STATES:
                raise ValueError(f"refuses: одно из {', '.join(REFUSED_STATES)}")
        for name, value in settings.items():
            setattr(self, name, value)

    def actions(self) -> tuple[ClientAction, ...]:
        address = (ActionField("email", "Кто (пусто — кому писали последнему)"),)
        return tuple(
            ClientAction(name, title, address, lambda fields, state=state: self._client(fields["email"], state))  # type: ignore[misc]
            for state, (name, title) in CLIENT_DOES.items()
        )

    def limited(self) -> ResponseReturnValue:
        return _error(0, "Too many requests", 429)

    def unauthorised(self) -> ResponseReturnValue:
        return _error(102, "Invalid API key", 401)

    def register(self, routes: Blueprint) -> None:
        views = {
            "email/send": self._send, "system/info": self._info, "domain/list": self._domains,
            "webhook/list": self._webhooks, "webhook/set": self._set_webhook,
            "event-dump/create": self._order, "event-dump/get": self._ordered, "event-dump/delete": self._forget,
        }  # fmt: skip

        @routes.post("/ru/transactional/api/v1/<path:method>")
        def api(method: str) -> ResponseReturnValue:
            if request.headers.get("X-API-KEY") != self.key:
                return self.unauthorised()
            if (request.content_length or 0) > LARGEST_REQUEST:
                return _error(199, "Request too large", 413)
            view = views.get(method.removesuffix(".json"))
            body = request.get_json(force=True, silent=True)
            if view is None:
                return _error(0, "Not found", 404)
            return view(body) if isinstance(body, dict) else _error(111, "JSON parsing error", 400)

        @routes.get("/event-dump/<dump_id>.csv")
        def file(dump_id: str) -> ResponseReturnValue:
            return Response(self._csv(self.dumps[dump_id]), content_type="text/csv; charset=utf-8")

    def report(self, letter: TakenLetter, state: str, response: str = "") -> None:
        """Tell of it: in the lists of events at once, by a webhook where one is set."""
        with self.timeline.lock:
            letter.states.append((self.timeline.now(), state))
        if self.webhook_url and self.webhook_status == "active" and state in self.told_of:
            self.send(self._webhook(letter, state, response))

    # --- what it is asked ---

    def _send(self, body: Mapping[str, Any]) -> ResponseReturnValue:
        if self.error:
            told = self.error
            return _error(int(told["code"]), str(told.get("message", "")), int(told.get("status", 400)))
        message = body.get("message") or {}
        problem = self._problem(message)
        if problem is not None:
            return problem
        address = str(message["recipients"][0]["email"])
        if address in self.refuses:
            return _error(204, "No valid recipients", 400, failed_emails={address: self.refuses[address]})
        letter = TakenLetter(f"1job{next(self._jobs):04}-go", message, self.timeline.now())
        self.letters.append(letter)
        self.timeline.at(0.0, lambda: self.report(letter, "sent"), asks_others=True)
        self.timeline.at(DELIVERED_AFTER_SECONDS, lambda: self._deliver(letter), asks_others=True)
        return jsonify(status="success", job_id=letter.job_id, emails=[address])

    def _problem(self, message: Mapping[str, Any]) -> ResponseReturnValue | None:
        domain = str(message.get("from_email", "")).rpartition("@")[2]
        if domain not in self.domains:
            return _error(206, "Sender email is not verified", 400)
        if not message.get("subject"):
            return _error(203, "Email subject is missing", 400)
        if message.get("skip_unsubscribe") and not self.may_skip_unsubscribe:
            return _error(1588, "No right for skip_unsubscribe", 400)
        names = [one["name"] for one in message.get("attachments", ())]
        if len(set(names)) < len(names) or any("/" in name for name in names):
            return _error(1591, "attachments: duplicated or wrong filename", 400)
        key, now = message.get("idempotence_key"), self.timeline.now()
        if key and any(
            one.message.get("idempotence_key") == key and now - one.at < KEY_SECONDS for one in self.letters
        ):
            return _error(1573, "Duplicate message with same idempotence_key", 400)
        return None

    def _info(self, _: Mapping[str, Any]) -> ResponseReturnValue:
        counted = {"emails_included": 1000, "emails_sent": len(self.letters)}
        return jsonify(status="success", user_id=11344, email="info@agency.example", accounting=counted)

    def _domains(self, body: Mapping[str, Any]) -> ResponseReturnValue:
        known = [one for one in self.domains if body.get("domain") in (None, one)]
        rows = [
            {"domain": one, "verification-record": {"status": "confirmed"}, "dkim": {"status": "active"}}
            for one in known
        ]
        return jsonify(status="success", domains=rows)

    def _webhooks(self, _: Mapping[str, Any]) -> ResponseReturnValue:
        row = {"url": self.webhook_url, "status": self.webhook_status, "events": {"email_status": self.told_of}}
        return jsonify(status="success", objects=[row] if self.webhook_url else [])

    def _set_webhook(self, body: Mapping[str, Any]) -> ResponseReturnValue:
        if not body.get("url"):
            return _error(2701, "url should not be blank", 400)
        self.webhook_url, self.webhook_status = str(body["url"]), str(body.get("status", "active"))
        self.told_of = list(dict(body.get("events") or {}).get("email_status", ()))
        return jsonify(status="success", object={"url": self.webhook_url})

    def _order(self, body: Mapping[str, Any]) -> ResponseReturnValue:
        if not body.get("start_time"):
            return _error(3300, "start_time should not be blank", 400)
        dump_id = f"dump{next(self._jobs)}"
        self.dumps[dump_id] = body
        return jsonify(status="success", dump_id=dump_id)

    def _ordered(self, body: Mapping[str, Any]) -> ResponseReturnValue:
        dump_id = str(body.get("dump_id"))
        if dump_id not in self.dumps:
            return _error(3502, "event dump does not exist", 400)
        self._looks[dump_id] = self._looks.get(dump_id, 0) + 1
        if self._looks[dump_id] <= self.dump_looks:
            return jsonify(status="success", event_dump={"dump_id": dump_id, "dump_status": "in_process", "files": []})
        url = f"{self.url}/{self.name}/event-dump/{dump_id}.csv"
        files = [{"url": url, "size": len(self._csv(self.dumps[dump_id]))}]
        return jsonify(status="success", event_dump={"dump_id": dump_id, "dump_status": "ready", "files": files})

    def _forget(self, body: Mapping[str, Any]) -> ResponseReturnValue:
        self.dumps.pop(str(body.get("dump_id")), None)
        return jsonify(status="success")

    def _csv(self, wanted: Mapping[str, Any]) -> bytes:
        fields = [str(name) for name in wanted.get("dump_fields", ())]
        begin = datetime.strptime(str(wanted["start_time"]), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        address = dict(wanted.get("filter") or {}).get("email")
        out = io.StringIO()
        rows = csv.DictWriter(out, fields, extrasaction="ignore")
        rows.writeheader()
        for letter in self.letters:
            for at, state in letter.states:
                if at >= begin and address in (None, letter.address):
                    metadata = json.dumps(letter.message["recipients"][0].get("metadata", {}))
                    row = {"event_time": _time(at), "job_id": letter.job_id, "email": letter.address, "status": state}
                    rows.writerow({**row, "metadata": metadata})
        return out.getvalue().encode()

    # --- what it tells ---

    def _deliver(self, letter: TakenLetter) -> None:
        if not any(state == "hard_bounced" for _, state in letter.states):
            self.report(letter, "delivered")

    def _client(self, address: str, state: str) -> str:
        if not self.letters:
            return "писем ещё не было"
        letter = next((one for one in reversed(self.letters) if address in ("", one.address)), None)
        if letter is None:
            raise ValueError(f"{address}: такому писем не было")
        address = letter.address
        if state == "hard_bounced":
            self.refuses[address] = "permanent_unavailable"
        elif state in ("spam", "unsubscribed"):
            self.refuses[address] = "complained" if state == "spam" else "unsubscribed"
        self.report(letter, state, "550 5.1.1 No such user" if state == "hard_bounced" else "")
        return f"{state}: {letter.message['subject']}"

    def _webhook(self, letter: TakenLetter, state: str, response: str) -> VendorWebhook:
        data: dict[str, Any] = {
            "job_id": letter.job_id, "metadata": letter.message["recipients"][0].get("metadata", {}),
            "email": letter.address, "status": state, "event_time": _time(self.timeline.now()),
        }  # fmt: skip
        if response:
            data["delivery_info"] = {"delivery_status": "err_user_unknown", "destination_response": response}
        event = {"event_name": "transactional_email_status", "event_data": data}
        document = {"auth": "@", "events_by_user": [{"user_id": 11344, "events": [event]}]}
        # Without blanks, signed by MD5 of itself with the key in the place of the signature.
        unsigned = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        body, forged = (_signed(unsigned, key) for key in (self.key, "somebody-elses"))
        return VendorWebhook(state, self.webhook_url, body, {"Content-Type": "application/json"}, forged_body=forged)


def _signed(unsigned: bytes, key: str) -> bytes:
    mark = b'"auth":"@"'
    proof = hashlib.md5(unsigned.replace(mark, f'"auth":"{key}"'.encode()), usedforsecurity=False).hexdigest()
    return unsigned.replace(mark, f'"auth":"{proof}"'.encode())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _error(code: int, message: str, status: int, **more: Any) -> ResponseReturnValue:
    return jsonify(status="error", code=code, message=message, **more), status
