"""Zadarma and Novofon 1.0: signed requests, NOTIFY_* webhooks, statistics.

From Zadarma's API documentation and its PHP class. Assumed: a call that the manager did not take leaves no row in the
statistics; a call back tells NOTIFY_OUT_* (``tells_call_backs`` switches that off, for nobody has said it does).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote_plus, urlencode

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.calls import SILENCE, Moment, Outcome, Switchboard, SwitchedCall, digits, pbx_actions
from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ClientAction, StandIn, VendorWebhook, known_settings

PER_MINUTE, STATISTICS_PER_MINUTE = 100, 3
LONGEST_PERIOD = timedelta(days=31)
MOSCOW = timezone(timedelta(hours=3))
DISPOSITIONS: Mapping[Outcome, str] = {
    "talked": "answered", "client_busy": "busy", "client_rejects": "cancel", "client_no_answer": "no answer",
    "no_such_number": "unallocated number", "manager_rejects": "cancel", "manager_busy": "busy",
    "manager_no_answer": "no answer",
}  # fmt: skip
STATUS_CODES: Mapping[Outcome, str] = {
    "talked": "16", "client_busy": "17", "client_rejects": "21", "client_no_answer": "19", "no_such_number": "1",
    "manager_rejects": "21", "manager_busy": "17", "manager_no_answer": "19",
}  # fmt: skip
_INCOMING = ("caller_id", "called_did", "call_start")
_OUTGOING = ("internal", "destination", "call_start")
_SWITCHES = (
    "notify_start", "notify_internal", "notify_answer", "notify_end", "notify_out_start", "notify_out_end",
    "notify_record",
)  # fmt: skip


class ZadarmaStandIn(StandIn):
    """One account with a PBX."""

    name = "zadarma"
    title = "Zadarma"
    hint = "Вебхук поставит amo-bridge intake connect zadarma."
    agent = "Zadarma API v1"

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.key, self.secret = f"{self.name}-test-key", f"{self.name}-test-secret"
        self.line = "74950000001"
        self.extensions = {"100": True, "101": True}
        self.tells_call_backs = True
        self.webhook_url = ""
        self.switches = dict.fromkeys(_SWITCHES, False)
        self.board = Switchboard(timeline, self._tell)
        self._asked: deque[float] = deque()
        self._asked_statistics: deque[float] = deque()

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}",
            "key": self.key,
            "secret": self.secret,
            "webhook_url": self.webhook_url,
            "line": self.line,
            "tells_call_backs": self.tells_call_backs,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("key", "secret", "webhook_url", "line", "tells_call_backs", "extensions"))
        for name, value in settings.items():
            setattr(self, name, value)
        if settings.get("webhook_url"):
            self.switches = dict.fromkeys(_SWITCHES, True)

    def actions(self) -> tuple[ClientAction, ...]:
        return pbx_actions(self.board, self.line)

    def limited(self) -> ResponseReturnValue:
        answer = jsonify(status="error", message="You've exceeded the allowed number of requests")
        answer.status_code = 429
        reset = int(self.timeline.now() // 60 * 60 + 60)
        answer.headers.extend(
            {"X-RateLimit-Limit": str(PER_MINUTE), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
        )
        return answer

    def unauthorised(self) -> ResponseReturnValue:
        return jsonify(status="error", message="Not authorized"), 401

    def register(self, routes: Blueprint) -> None:
        def signed(path: str, method: str, view: Callable[[Mapping[str, str]], ResponseReturnValue]) -> None:
            def answered(**parts: str) -> ResponseReturnValue:
                given = {**request.args.to_dict(), **request.form.to_dict()}
                own = request.path.removeprefix(f"/{self.name}")
                if not self._is_signed(own, given):
                    return self.unauthorised()
                if self._is_over(self._asked, PER_MINUTE):
                    return self.limited()
                return view({**given, **parts})

            routes.add_url_rule(path, f"{method} {path}", answered, methods=[method])

        signed("/v1/request/callback/", "GET", self._call_back)
        signed("/v1/statistics/pbx/", "GET", self._statistics)
        signed("/v1/pbx/internal/", "GET", self._internal)
        signed("/v1/pbx/internal/<number>/status/", "GET", self._status)
        signed("/v1/pbx/record/request/", "GET", self._record)
        signed("/v1/pbx/callinfo/url/", "GET", lambda _: jsonify(status="success", url=self.webhook_url))
        signed("/v1/pbx/callinfo/url/", "POST", self._set_url)
        signed("/v1/pbx/callinfo/notifications/", "GET", lambda _: self._shown_switches())
        signed("/v1/pbx/callinfo/notifications/", "POST", self._set_switches)
        signed("/v1/info/balance/", "GET", lambda _: jsonify(status="success", balance=100.5, currency="RUB"))

        @routes.get("/records/<name>")
        def record(name: str) -> ResponseReturnValue:
            return Response(SILENCE, content_type="audio/mpeg")

    def _is_signed(self, path: str, given: Mapping[str, str]) -> bool:
        name, _, signature = request.headers.get("Authorization", "").partition(":")
        return name == self.key and hmac.compare_digest(signature, signature_of(path, given, self.secret))

    def _is_over(self, asked: deque[float], most: int) -> bool:
        now = self.timeline.now()
        while asked and asked[0] <= now - 60:
            asked.popleft()
        if len(asked) >= most:
            return True
        asked.append(now)
        return False

    def _call_back(self, given: Mapping[str, str]) -> ResponseReturnValue:
        caller, client = given.get("from", ""), given.get("to", "")
        if not caller or not digits(client):
            return _no("Wrong parameters", 400)
        if len(digits(caller)) < 6 and caller not in self.extensions:
            return _no("Wrong parameter 'from'", 400)
        self.board.call_back(caller, client, given.get("sip", self.line))
        return jsonify({"status": "success", "from": caller, "to": client, "time": int(self.timeline.now())})

    def _statistics(self, given: Mapping[str, str]) -> ResponseReturnValue:
        if self._is_over(self._asked_statistics, STATISTICS_PER_MINUTE):
            return self.limited()
        try:
            start, end = (_moment(given[name]) for name in ("start", "end"))
            skip, limit = int(given.get("skip", 0)), int(given.get("limit", 1000))
        except (KeyError, ValueError):
            return _no("Wrong parameters", 400)
        if end - start > LONGEST_PERIOD.total_seconds():
            return _no("The period is more than a month", 400)
        rows = [self._row(call) for call in self.board.history() if start <= call.began <= end and _is_counted(call)]
        shown = rows[skip : skip + min(limit, 1000)]
        return jsonify(status="success", start=given["start"], end=given["end"], version=2, stats=shown)

    def _row(self, call: SwitchedCall) -> dict[str, Any]:
        is_in = call.direction == "in"
        return {
            "call_id": _call_id(call),
            "sip": call.extension or self.line,
            "callstart": _shown(call.began),
            "clid": f"+{call.client}" if is_in else call.line,
            "destination": (call.extension or self.line) if is_in else call.client,
            "disposition": DISPOSITIONS[call.outcome],
            "seconds": call.talk,
            "is_recorded": "true" if call.talk else "false",
            "pbx_call_id": self.pbx_call_id(call),
        }

    def _internal(self, _: Mapping[str, str]) -> ResponseReturnValue:
        return jsonify(status="success", pbx_id=1234, numbers=list(self.extensions))

    def _status(self, given: Mapping[str, str]) -> ResponseReturnValue:
        number = given["number"]
        if number not in self.extensions:
            return _no("Wrong number", 404)
        is_online = "true" if self.extensions[number] else "false"
        return jsonify(status="success", pbx_id="1234", number=number, is_online=is_online)

    def _record(self, given: Mapping[str, str]) -> ResponseReturnValue:
        wanted = {given.get("call_id"), given.get("pbx_call_id")} - {None}
        fits = [one for one in self.board.calls if wanted & {_call_id(one), self.pbx_call_id(one)}]
        if not fits or not self.board.has_record(fits[0]):
            return _no("File not found", 404)
        link = f"{self.url}/{self.name}/records/{_call_id(fits[0])}.mp3"
        till = _shown(self.timeline.now() + int(given.get("lifetime", 1800)))
        if given.get("call_id"):
            return jsonify(status="success", link=link, lifetime_till=till)
        return jsonify(status="success", links=[link], lifetime_till=till)

    def _set_url(self, given: Mapping[str, str]) -> ResponseReturnValue:
        url = given.get("url", "")
        echo = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()[:10]
        check = VendorWebhook("zd_echo", f"{url}?zd_echo={echo}", b"", {"User-Agent": self.agent}, method="GET")
        if not url or self.post(check) != (200, echo):
            return _no("The URL does not answer zd_echo", 400)
        self.webhook_url = url
        return jsonify(status="success", url=url)

    def _set_switches(self, given: Mapping[str, str]) -> ResponseReturnValue:
        for name in self.switches.keys() & given.keys():
            self.switches[name] = given[name] == "true"
        return self._shown_switches()

    def _shown_switches(self) -> ResponseReturnValue:
        shown = {name: "true" if is_on else "false" for name, is_on in self.switches.items()}
        return jsonify(status="success", notifications=shown)

    def pbx_call_id(self, call: SwitchedCall) -> str:
        """As Zadarma makes it: the direction and 40 hexadecimal digits."""
        text = f"{self.name} {call.number} {int(call.began)}".encode()
        return f"{call.direction}_{hashlib.sha1(text, usedforsecurity=False).hexdigest()}"

    def _tell(self, call: SwitchedCall, moment: Moment) -> None:
        if call.direction == "in":
            self._tell_incoming(call, moment)
        elif self.tells_call_backs and moment != "began" and _is_counted(call):
            self._tell_outgoing(call, moment)

    def _tell_incoming(self, call: SwitchedCall, moment: Moment) -> None:
        fields = {"caller_id": f"+{call.client}", "called_did": call.line}
        match moment:
            case "began":
                self._notify("NOTIFY_START", call, fields, _INCOMING)
                if call.extension:
                    self._notify("NOTIFY_INTERNAL", call, {**fields, "internal": call.extension}, _INCOMING)
            case "manager_answered":
                more = {"destination": call.extension, "internal": call.extension, "caller_id": f"+{call.client}"}
                self._notify("NOTIFY_ANSWER", call, more, ("caller_id", "destination", "call_start"))
            case "ended":
                answered = {"internal": call.extension} if call.talk else {}
                self._notify("NOTIFY_END", call, {**fields, **answered, **self._end_of(call)}, _INCOMING)
            case "recorded":
                self._notify_record(call)

    def _tell_outgoing(self, call: SwitchedCall, moment: Moment) -> None:
        # The extension «0» as caller has been seen in the wild.
        fields = {"internal": call.extension, "destination": f"+{call.client}", "caller_id": "0"}
        match moment:
            case "client_rings":
                self._notify("NOTIFY_OUT_START", call, fields, _OUTGOING)
            case "client_answered":
                more = {"destination": f"+{call.client}", "internal": call.extension, "caller_id": call.extension}
                self._notify("NOTIFY_ANSWER", call, more, ("caller_id", "destination", "call_start"))
            case "ended":
                self._notify("NOTIFY_OUT_END", call, {**fields, **self._end_of(call)}, _OUTGOING)
            case "recorded":
                self._notify_record(call)

    def _end_of(self, call: SwitchedCall) -> dict[str, str]:
        record = {"call_id_with_rec": _call_id(call)} if call.talk else {}
        return {
            "duration": str(call.talk),
            "disposition": DISPOSITIONS[call.outcome],
            "status_code": STATUS_CODES[call.outcome],
            "is_recorded": "1" if call.talk else "0",
            **record,
        }

    def _notify_record(self, call: SwitchedCall) -> None:
        fields = {"call_id_with_rec": _call_id(call)}
        self._notify("NOTIFY_RECORD", call, fields, ("pbx_call_id", "call_id_with_rec"), has_start=False)

    def _notify(
        self, event: str, call: SwitchedCall, fields: Mapping[str, str], signed: tuple[str, ...], has_start: bool = True
    ) -> None:
        if not self.webhook_url or not self.switches.get(event.casefold(), False):
            return
        start = {"call_start": _shown(call.began)} if has_start else {}
        form = {"event": event, **start, "pbx_call_id": self.pbx_call_id(call), **fields}
        text = "".join(form[name] for name in signed)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": self.agent}
        self.send(
            VendorWebhook(
                event,
                self.webhook_url,
                urlencode(form).encode(),
                {**headers, "Signature": _sign(self.secret, text)},
                {"Signature": _sign("somebody else's", text)},
            )
        )


class NovofonStandIn(ZadarmaStandIn):
    """Novofon 1.0: Zadarma's paths, signatures and webhooks under another name."""

    name = "novofon"
    title = "Novofon, прежний кабинет"
    pasted = ("webhook_url",)
    hint = "Впишите адрес вебхука из amo-bridge intake addresses."
    agent = "Novofon API v1"


def signature_of(path: str, parameters: Mapping[str, str], secret: str) -> str:
    """What stands behind the colon of ``Authorization``."""
    query = "&".join(f"{quote_plus(name)}={quote_plus(parameters[name])}" for name in sorted(parameters))
    checksum = hashlib.md5(query.encode(), usedforsecurity=False).hexdigest()
    return _sign(secret, f"{path}{query}{checksum}")


def _sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), "sha1").hexdigest().encode()).decode()


def _is_counted(call: SwitchedCall) -> bool:
    """The client was rung: of a call back that the manager did not take nothing is told."""
    return call.direction == "in" or not call.outcome.startswith("manager_")


def _call_id(call: SwitchedCall) -> str:
    return f"{int(call.began)}.{75000 + call.number}"


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone(MOSCOW).strftime("%Y-%m-%d %H:%M:%S")


def _moment(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=MOSCOW).timestamp()


def _no(message: str, status: int) -> ResponseReturnValue:
    return jsonify(status="error", message=message), status
