"""onlinePBX: a key pair that expires, errors in HTTP 200, the history, webhooks without a signature.

From the clients that public repositories hold. Assumed: the words of refusals, except KEY_IS_EXPIRED.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.calls import SILENCE, Moment, Switchboard, SwitchedCall, digits, pbx_actions
from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ClientAction, StandIn, VendorWebhook, known_settings

PAIR_SECONDS = 3 * 24 * 3600
"""The pair lives so long after it was last used."""
RECORD_LINK_SECONDS = 600
LONGEST_PERIOD_SECONDS = 7 * 24 * 3600


class OnlinePbxStandIn(StandIn):
    """One domain."""

    name = "onlinepbx"
    title = "onlinePBX"
    pasted = ("webhook_url",)
    hint = "Впишите адрес вебхука из amo-bridge intake addresses, как в кабинете."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.domain, self.auth_key = "test.onpbx.ru", "onlinepbx-test-key"
        self.line = "74950000002"
        self.extensions = {"100": "Ольга Тестова", "101": "Пётр Примеров"}
        self.registered = {"100", "101"}
        self.webhook_url = ""
        self.webhook_format = "json"
        self.withholds_uuid = False
        self.board = Switchboard(timeline, self._tell)
        self._pair: tuple[str, str] | None = None
        self._pair_used_at = 0.0
        self._links: dict[str, float] = {}

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}",
            "domain": self.domain,
            "auth_key": self.auth_key,
            "webhook_url": self.webhook_url,
            "webhook_format": self.webhook_format,
            "withholds_uuid": self.withholds_uuid,
            "line": self.line,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        known = ("domain", "auth_key", "webhook_url", "webhook_format", "withholds_uuid", "line", "extensions")
        known_settings(settings, (*known, "registered"))
        if settings.get("webhook_format", "json") not in ("json", "form"):
            raise ValueError("webhook_format: json или form")
        for name, value in settings.items():
            setattr(self, name, set(value) if name == "registered" else value)

    def actions(self) -> tuple[ClientAction, ...]:
        return pbx_actions(self.board, self.line)

    def limited(self) -> ResponseReturnValue:
        return jsonify(status="0", comment="Too many requests", errorCode="TOO_MANY_REQUESTS"), 429

    def unauthorised(self) -> ResponseReturnValue:
        return jsonify(status="0", comment="Not authenticated", isNotAuth=True)

    def expire_pair(self) -> None:
        """As after three days in which nobody asked."""
        self._pair_used_at = -PAIR_SECONDS

    def register(self, routes: Blueprint) -> None:
        views: dict[str, Callable[[Mapping[str, str]], ResponseReturnValue]] = {
            "call/now.json": self._call,
            "call/instantly.json": self._call,
            "mongo_history/search.json": self._history,
            "user/get.json": self._users,
        }

        @routes.post("/<domain>/<path:method>")
        def api(domain: str, method: str) -> ResponseReturnValue:
            given = request.form.to_dict()
            if domain != self.domain:
                return _no("Domain not found", "DOMAIN_NOT_FOUND")
            if method == "auth.json":
                return self._authenticate(given)
            if method not in views:
                return _no("Method not found", "METHOD_NOT_FOUND")
            if not self._is_known():
                return self.unauthorised()
            return views[method](given)

        @routes.get("/calls-records/download/<token>/rec.mp3")
        def record(token: str) -> ResponseReturnValue:
            if self._links.get(token, 0) < self.timeline.now():
                return Response("KEY_IS_EXPIRED", 404, content_type="text/plain")
            return Response(SILENCE, content_type="audio/mpeg")

    def _authenticate(self, given: Mapping[str, str]) -> ResponseReturnValue:
        if given.get("auth_key") != self.auth_key:
            return _no("Wrong auth_key", "WRONG_AUTH_KEY")
        if self._pair is None or given.get("new") == "true":
            self._pair = (secrets.token_hex(8), secrets.token_hex(16))
            self._pair_used_at = self.timeline.now()
        return jsonify(status="1", data={"key_id": self._pair[0], "key": self._pair[1]})

    def _is_known(self) -> bool:
        now = self.timeline.now()
        is_alive = self._pair is not None and now - self._pair_used_at < PAIR_SECONDS
        if not is_alive or request.headers.get("x-pbx-authentication") != ":".join(self._pair or ()):
            return False
        self._pair_used_at = now
        return True

    def _call(self, given: Mapping[str, str]) -> ResponseReturnValue:
        caller, client = given.get("from", ""), given.get("to", "")
        if not caller or not client:
            return _no("Wrong parameters: from, to", "WRONG_PARAMETERS")
        if caller in self.extensions and caller not in self.registered:
            self.board.scripts.appendleft(self._script("manager_no_answer"))
        elif client != digits(client):
            self.board.scripts.appendleft(self._script("no_such_number"))
        call = self.board.call_back(caller, client, given.get("gate_to") or self.line)
        return jsonify(status="1", data={} if self.withholds_uuid else {"uuid": self.uuid_of(call)})

    def _script(self, outcome: Any) -> Any:
        return type(self.board.default)(outcome)

    def _history(self, given: Mapping[str, str]) -> ResponseReturnValue:
        if given.get("uuid") and given.get("download"):
            return self._link(given["uuid"])
        try:
            period = {name: float(given[name]) for name in given if "_stamp_" in name}
        except ValueError:
            return _no("Wrong stamp", "WRONG_PARAMETERS")
        for edge in ("start", "end"):
            first, last = period.get(f"{edge}_stamp_from"), period.get(f"{edge}_stamp_to")
            if (first is None) != (last is None):
                return _no("Both stamps are needed", "WRONG_PARAMETERS")
            if first is not None and last is not None and last - first > LONGEST_PERIOD_SECONDS:
                return _no("The period is more than a week", "PERIOD_TOO_LONG")
        if not period and not given.get("uuid") and not given.get("phone_numbers"):
            return _no("A filter is needed", "WRONG_PARAMETERS")
        numbers = set(filter(None, (digits(one) for one in given.get("phone_numbers", "").split(","))))
        wanted_uuid = given.get("uuid")
        rows = [
            self._row(call)
            for call in self.board.history()
            if (not wanted_uuid or self.uuid_of(call) == wanted_uuid)
            and (not numbers or numbers & {call.client, call.extension})
            and period.get("start_stamp_from", 0) <= call.began <= period.get("start_stamp_to", 1e12)
            and period.get("end_stamp_from", 0) <= (call.ended or 0) <= period.get("end_stamp_to", 1e12)
        ]
        return jsonify(status="1", data=rows)

    def _link(self, wanted: str) -> ResponseReturnValue:
        fits = [call for call in self.board.history() if self.uuid_of(call) == wanted and self.board.has_record(call)]
        if not fits:
            return _no("Record not found", "NOT_FOUND")
        return jsonify(status="1", data=self._record_url())

    def _record_url(self) -> str:
        token = secrets.token_hex(12)
        self._links[token] = self.timeline.now() + RECORD_LINK_SECONDS
        return f"{self.url}/{self.name}/calls-records/download/{token}/rec.mp3"

    def _row(self, call: SwitchedCall) -> dict[str, Any]:
        is_in = call.direction == "in"
        return {
            "uuid": self.uuid_of(call),
            "accountcode": "inbound" if is_in else "outbound",
            "caller_id_name": call.client if is_in else call.extension,
            "caller_id_number": call.client if is_in else call.extension,
            "destination_number": (call.extension or call.line) if is_in else call.client,
            "start_stamp": round(call.began),
            "end_stamp": round(call.ended or call.began),
            "duration": call.duration,
            "user_talk_time": call.talk,
            "hangup_cause": call.cause,
            "gateway": call.line,
            "events": list(_legs(call)),
        }

    def _users(self, given: Mapping[str, str]) -> ResponseReturnValue:
        return jsonify(
            status="1",
            data=[
                {
                    "num": num,
                    "name": name,
                    "enabled": "1",
                    "device": {"ip": "192.0.2.10"} if num in self.registered else {},
                }
                for num, name in self.extensions.items()
            ],
        )

    def uuid_of(self, call: SwitchedCall) -> str:
        """The call's own number, the same in answers, webhooks and history."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.domain} {call.number} {int(call.began)}"))

    def _tell(self, call: SwitchedCall, moment: Moment) -> None:
        if moment == "began":
            self._send("call_start", call)
        elif moment == ("manager_answered" if call.direction == "in" else "client_answered"):
            self._send("call_answered", call)
        elif moment == "ended":
            # Both come, with the same uuid.
            if call.direction == "in" and not call.talk:
                self._send("call_missed", call)
            self._send("call_end", call)

    def _send(self, event: str, call: SwitchedCall) -> None:
        if not self.webhook_url:
            return
        is_in = call.direction == "in"
        body: dict[str, Any] = {
            "uuid": self.uuid_of(call),
            "event": event,
            "direction": "inbound" if is_in else "outbound",
            "caller": call.client if is_in else call.extension,
            "callee": (call.extension or call.line) if is_in else call.client,
            "gateway": call.line,
            "date": str(round(self.timeline.now())),
        }
        if event in ("call_end", "call_missed"):
            body |= {
                "call_duration": call.duration,
                "dialog_duration": call.talk,
                "hangup_cause": call.cause,
                "download_url": self._record_url() if call.talk else "",
            }
        is_json = self.webhook_format == "json"
        kind = "application/json" if is_json else "application/x-www-form-urlencoded"
        raw = json.dumps(body, ensure_ascii=False) if is_json else urlencode(body)
        self.send(VendorWebhook(event, self.webhook_url, raw.encode(), {"Content-Type": kind}))


def _legs(call: SwitchedCall) -> Any:
    """The colleague's leg, and the client's if he was rung at all."""
    ended = round(call.ended or call.began)
    if call.extension:
        yield {
            "type": "user",
            "number": call.extension,
            "start_stamp": round(call.began),
            "answer_stamp": round(call.manager_at) if call.manager_at else 0,
            "end_stamp": ended,
        }
    if call.direction == "in" or call.client_rang_at is not None:
        yield {
            "type": "gateway",
            "number": call.client,
            "start_stamp": round(call.client_rang_at or call.began),
            "answer_stamp": round(call.client_at) if call.client_at else 0,
            "end_stamp": ended,
        }


def _no(comment: str, code: str) -> ResponseReturnValue:
    """HTTP 200 as ever; the body says that it went wrong."""
    return jsonify(status="0", comment=comment, errorCode=code)
