"""The stand-in of Novofon 2.0: JSON-RPC, our own mark comes back, webhooks by the template."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from amo_bridge.standins.calls import CallScript
from amo_bridge.standins.novofon import Novofon2StandIn
from amo_bridge.standins.server import StandIns
from tests.standins.conftest import Received

CALL = {
    "first_call": "employee",
    "switch_at_once": True,
    "virtual_phone_number": "74950000003",
    "contact": "79000000121",
    "external_id": "dial-77-1",
    "direction": "out",
    "employee": {"id": 100500},
}


@pytest.fixture
def novofon(stand_ins: StandIns) -> Novofon2StandIn:
    made = stand_ins["novofon2"]
    assert isinstance(made, Novofon2StandIn)
    return made


def ask(novofon: Novofon2StandIn, method: str, version: str = "v4.0", **parameters: Any) -> dict[str, Any]:
    body = {
        "jsonrpc": "2.0",
        "id": "1",
        "method": method,
        "params": {"access_token": "novofon2-test-token", **parameters},
    }
    answer = requests.post(f"{novofon.url}/novofon2/{version}", json=body, timeout=5)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


def test_our_own_mark_comes_back_in_the_list_the_webhook_and_the_report(
    stand_ins: StandIns, novofon: Novofon2StandIn, received: Received
) -> None:
    novofon.configure({"webhook_url": received.url})
    session = ask(novofon, "start.employee_call", **CALL)["result"]["data"]["call_session_id"]
    (going_on,) = ask(novofon, "list.calls")["result"]["data"]
    assert (going_on["call_session_id"], going_on["external_id"]) == (session, "dial-77-1")
    stand_ins.timeline.advance(200)
    assert ask(novofon, "list.calls")["result"]["data"] == []
    end, record = (json.loads(body) for body in received.bodies)
    assert (end["event"], end["external_id"], end["talk_time_duration"], end["is_lost"]) == (
        "CALL_END", "dial-77-1", 45, False,
    )  # fmt: skip
    assert record["call_record_file_info"]["file_link"].endswith(f"/{session}.mp3")
    period = {"date_from": "2020-01-01 00:00:00", "date_till": "2100-01-01 00:00:00"}
    report = ask(novofon, "get.calls_report", "v2.0", **period, fields=["id", "talk_duration", "external_id"])
    assert report["result"]["data"] == [{"id": session, "talk_duration": 45, "external_id": "dial-77-1"}]


def test_a_call_that_the_manager_rejects_is_lost(
    stand_ins: StandIns, novofon: Novofon2StandIn, received: Received
) -> None:
    novofon.configure({"webhook_url": received.url})
    novofon.board.default = CallScript("manager_rejects")
    ask(novofon, "start.employee_call", **CALL)
    assert len(ask(novofon, "list.calls")["result"]["data"][0]["legs"]) == 1
    stand_ins.timeline.advance(200)
    (end,) = (json.loads(body) for body in received.bodies)
    assert (end["is_lost"], end["talk_time_duration"]) == (True, 0)


@pytest.mark.parametrize(
    ("change", "mnemonic"),
    [
        ({"access_token": "wrong"}, "access_token_invalid"),
        ({"employee": {"id": "100500"}}, "invalid_parameter_value"),
        ({"employee": {"id": 1}}, "entity_not_found"),
        ({"contact": ""}, "required_parameter_missed"),
        ({"contact": "+79000000121"}, "invalid_parameter_value"),
        ({"virtual_phone_number": "74950000009"}, "entity_not_found"),
    ],
)
def test_errors_come_with_a_mnemonic(novofon: Novofon2StandIn, change: dict[str, Any], mnemonic: str) -> None:
    answer = ask(novofon, "start.employee_call", **{**CALL, **change})
    assert answer["error"]["data"]["mnemonic"] == mnemonic
    assert novofon.board.calls == []


def test_an_address_that_is_not_in_the_white_list_is_refused(novofon: Novofon2StandIn) -> None:
    novofon.configure({"is_address_known": False})
    assert ask(novofon, "list.calls")["error"]["data"]["mnemonic"] == "ip_not_whitelisted"
