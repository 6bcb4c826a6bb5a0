"""Novofon 2.0: JSON-RPC for calls and reports, webhooks by the template that the admin pastes.

From clients of this engine (it is UIS's and CoMagic's too). Assumed: mnemonics of errors other than the envelope, the
fields of the report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.calls import SILENCE, Moment, Switchboard, SwitchedCall, digits, pbx_actions
from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ClientAction, StandIn, VendorWebhook, known_settings

MOSCOW = timezone(timedelta(hours=3))
FIRST_SESSION = 1234567890


class RpcError(Exception):
    """An answer with ``error``."""

    def __init__(self, code: int, message: str, mnemonic: str, field: str = "", value: object = None) -> None:
        self.code, self.message = code, message
        self.data = {"mnemonic": mnemonic, "field": field, "value": value, "params": {}, "extended_helper": None}
        super().__init__(message)


class Novofon2StandIn(StandIn):
    """One account."""

    name = "novofon2"
    title = "Novofon 2.0"
    pasted = ("webhook_url",)
    hint = "Впишите адрес вебхука из amo-bridge intake addresses, как в кабинете; тело уже то, которого ждёт мост."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.access_token = "novofon2-test-token"
        self.line = "74950000003"
        self.employees = {100500: ("Ольга Тестова", "100"), 100501: ("Пётр Примеров", "101")}
        self.webhook_url = ""
        self.is_address_known = True
        self.board = Switchboard(timeline, self._tell)

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}",
            "access_token": self.access_token,
            "webhook_url": self.webhook_url,
            "line": self.line,
            "employees": {str(number): name for number, (name, _) in self.employees.items()},
            "is_address_known": self.is_address_known,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("access_token", "webhook_url", "line", "is_address_known"))
        for name, value in settings.items():
            setattr(self, name, value)

    def actions(self) -> tuple[ClientAction, ...]:
        return pbx_actions(self.board, self.line)

    def limited(self) -> ResponseReturnValue:
        return _failed(None, RpcError(-32029, "Rate limit exceeded", "limit_exceeded"))

    def unauthorised(self) -> ResponseReturnValue:
        return _failed(None, RpcError(-32001, "Access token is invalid", "access_token_invalid", "access_token"))

    def register(self, routes: Blueprint) -> None:
        calls: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "start.employee_call": self._start,
            "list.calls": self._list,
            "hangup.call": self._hang_up,
        }
        reports: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "get.calls_report": self._report,
            "get.employees": self._employees,
            "get.virtual_numbers": lambda _: [{"id": 1, "virtual_phone_number": self.line, "status": "active"}],
        }

        @routes.post("/v4.0")
        def call_api() -> ResponseReturnValue:
            return self._answered(calls)

        @routes.post("/v2.0")
        def data_api() -> ResponseReturnValue:
            return self._answered(reports)

        @routes.get("/records/<name>")
        def record(name: str) -> ResponseReturnValue:
            return Response(SILENCE, content_type="audio/mpeg")

    def _answered(self, methods: Mapping[str, Callable[[Mapping[str, Any]], Any]]) -> ResponseReturnValue:
        document = request.get_json(force=True, silent=True)
        if not isinstance(document, dict):
            return _failed(None, RpcError(-32700, "Parse error", "parse_error"))
        number, method, parameters = document.get("id"), document.get("method"), document.get("params")
        try:
            if document.get("jsonrpc") != "2.0" or method not in methods:
                raise RpcError(-32601, "Method not found", "method_not_found")
            if not isinstance(parameters, dict) or parameters.get("access_token") != self.access_token:
                raise RpcError(-32001, "Access token is invalid", "access_token_invalid", "access_token")
            if not self.is_address_known:
                raise RpcError(-32603, "IP address is not in the white list", "ip_not_whitelisted")
            data = methods[str(method)](parameters)
        except RpcError as error:
            return _failed(number, error)
        return jsonify(jsonrpc="2.0", id=number, result={"data": data, "metadata": {}})

    def _start(self, given: Mapping[str, Any]) -> Any:
        employee = given.get("employee")
        for name in ("first_call", "virtual_phone_number", "contact", "direction"):
            if not given.get(name):
                raise RpcError(-32602, f"Required parameter: {name}", "required_parameter_missed", name)
        if not isinstance(employee, dict) or not isinstance(employee.get("id"), int):
            raise RpcError(-32602, "employee.id must be a number", "invalid_parameter_value", "employee.id")
        if employee["id"] not in self.employees:
            raise RpcError(-32602, "Employee not found", "entity_not_found", "employee.id", employee["id"])
        if str(given["virtual_phone_number"]) != self.line:
            line = given["virtual_phone_number"]
            raise RpcError(-32602, "Virtual number not found", "entity_not_found", "virtual_phone_number", line)
        contact = str(given["contact"])
        if contact != digits(contact) or len(contact) < 10:
            raise RpcError(-32602, "Invalid contact", "invalid_parameter_value", "contact", contact)
        extension = self.employees[employee["id"]][1]
        call = self.board.call_back(extension, contact, self.line, str(given.get("external_id") or ""))
        call.notes["employee_id"] = str(employee["id"])
        return {"call_session_id": session_of(call)}

    def _list(self, given: Mapping[str, Any]) -> Any:
        return [
            {
                "call_session_id": session_of(call),
                "external_id": call.external_id or None,
                "direction": call.direction,
                "contact_phone_number": call.client,
                "virtual_phone_number": call.line,
                "legs": list(_legs(call)),
            }
            for call in self.board.going_on()
        ]

    def _hang_up(self, given: Mapping[str, Any]) -> Any:
        number = given.get("call_session_id")
        if not isinstance(number, int) or not self.board.hang_up(number - FIRST_SESSION):
            raise RpcError(-32602, "Call session not found", "call_session_not_found", "call_session_id", number)
        return {"success": True}

    def _report(self, given: Mapping[str, Any]) -> Any:
        try:
            first, last = (_moment(str(given[name])) for name in ("date_from", "date_till"))
        except (KeyError, ValueError) as error:
            raise RpcError(-32602, "Wrong period", "invalid_parameter_value", "date_from") from error
        fields = given.get("fields")
        rows = [self._row(call) for call in self.board.history() if first <= call.began <= last]
        condition = given.get("filter")
        if isinstance(condition, dict) and condition.get("operator") == "=":
            rows = [row for row in rows if row.get(str(condition.get("field"))) == condition.get("value")]
        offset, limit = int(given.get("offset", 0)), min(int(given.get("limit", 1000)), 10000)
        rows = rows[offset : offset + limit]
        return [{name: row[name] for name in row if not fields or name in fields} for row in rows]

    def _row(self, call: SwitchedCall) -> dict[str, Any]:
        has_record = self.board.has_record(call)
        return {
            "id": session_of(call),
            "call_session_id": session_of(call),
            "external_id": call.external_id or None,
            "start_time": _shown(call.began),
            "finish_time": _shown(call.ended or call.began),
            "direction": call.direction,
            "contact_phone_number": call.client,
            "virtual_phone_number": call.line,
            "is_lost": call.talk == 0,
            "finish_reason": call.outcome,
            "talk_duration": call.talk,
            "total_duration": call.duration,
            "employees": [{"employee_id": int(call.notes.get("employee_id") or 0)}],
            "call_records": [f"{self.url}/{self.name}/records/{session_of(call)}.mp3"] if has_record else [],
        }

    def _employees(self, _: Mapping[str, Any]) -> Any:
        return [
            {"id": number, "full_name": name, "extension": {"extension_phone_number": extension}}
            for number, (name, extension) in self.employees.items()
        ]

    def _tell(self, call: SwitchedCall, moment: Moment) -> None:
        if not self.webhook_url or moment not in ("ended", "recorded"):
            return
        if moment == "recorded":
            link = f"{self.url}/{self.name}/records/{session_of(call)}.mp3"
            self._send(
                "RECORD_CALL",
                {"call_session_id": session_of(call), "call_record_file_info": {"file_link": link}},
            )
            return
        self._send(
            "CALL_END",
            {
                "notification_time": _shown(self.timeline.now()),
                "call_session_id": session_of(call),
                "external_id": call.external_id or None,
                "direction": call.direction,
                "virtual_phone_number": call.line,
                "contact_phone_number": call.client,
                "is_lost": call.talk == 0,
                "talk_time_duration": call.talk,
                "extension_phone_number": call.extension,
            },
        )

    def _send(self, event: str, fields: Mapping[str, Any]) -> None:
        body = json.dumps({"event": event, **fields}, ensure_ascii=False).encode()
        self.send(VendorWebhook(event, self.webhook_url, body, {"Content-Type": "application/json"}))


def session_of(call: SwitchedCall) -> int:
    """The call's number, as the API and the webhooks say it."""
    return FIRST_SESSION + call.number


def _legs(call: SwitchedCall) -> Any:
    both = call.manager_at is not None and call.client_at is not None
    yield {"leg_id": 1, "state": "Разговор" if both else "Дозвон", "phone_number": call.extension, "is_operator": True}
    if call.direction == "in" or call.client_rang_at is not None:
        yield {"leg_id": 2, "state": "Разговор" if both else "Дозвон", "phone_number": call.client}


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone(MOSCOW).strftime("%Y-%m-%d %H:%M:%S")


def _moment(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=MOSCOW).timestamp()


def _failed(number: Any, error: RpcError) -> ResponseReturnValue:
    return jsonify(jsonrpc="2.0", id=number, error={"code": error.code, "message": error.message, "data": error.data})
