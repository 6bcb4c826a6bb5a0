"""The stand-in of Zadarma: signatures as the vendor's PHP class makes them, limits, webhooks."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import urlencode

import pytest
import requests

from amo_bridge.standins.calls import CallScript
from amo_bridge.standins.server import StandIns
from amo_bridge.standins.zadarma import ZadarmaStandIn, signature_of
from tests.standins.conftest import Received

VECTORS = [
    (
        "/v1/request/callback/",
        {"from": "100", "to": "79161234567"},
        "OGUxMjE4YmIwNjcxY2VmMzc4YjdmNTk1MzEyMjAzZDljZDY4MzkwMA==",
    ),
    (
        "/v1/request/callback/",
        {"from": "100", "to": "79161234567", "sip": "000001"},
        "NjMyNDlmMTRlMTcyYzIwMmYwZjNlY2E2YzIxMWQ3YWMzM2ZiOTc0OQ==",
    ),
    (
        "/v1/statistics/pbx/",
        {"start": "2026-11-29 00:00:00", "end": "2026-11-29 23:59:59", "version": "2"},
        "MmVkZmI1NWFhZjAwZWE4YjU5MDA3OTk1MWRkOTIwOGU3ZDY5MmEwOA==",
    ),
]


@pytest.mark.parametrize(("path", "parameters", "signature"), VECTORS)
def test_the_signature_is_that_of_the_vendors_own_class(path: str, parameters: dict[str, str], signature: str) -> None:
    assert signature_of(path, {**parameters, "format": "json"}, "test-secret") == signature


@pytest.fixture
def zadarma(stand_ins: StandIns) -> ZadarmaStandIn:
    made = stand_ins["zadarma"]
    assert isinstance(made, ZadarmaStandIn)
    return made


def ask(vendor: ZadarmaStandIn, path: str, method: str = "GET", **parameters: str) -> requests.Response:
    given = {**parameters, "format": "json"}
    headers = {"Authorization": f"{vendor.key}:{signature_of(path, given, vendor.secret)}"}
    where = {"params": given} if method == "GET" else {"data": given}
    return requests.request(method, f"{vendor.url}/{vendor.name}{path}", headers=headers, timeout=5, **where)


def connect(vendor: ZadarmaStandIn, received: Received) -> None:
    assert ask(vendor, "/v1/pbx/callinfo/url/", "POST", url=received.url).json()["status"] == "success"
    switches = {name: "true" for name in vendor.switches}
    assert ask(vendor, "/v1/pbx/callinfo/notifications/", "POST", **switches).status_code == 200


def test_a_wrong_signature_is_401_in_the_vendors_words(zadarma: ZadarmaStandIn) -> None:
    zadarma.secret = "another"
    url = f"{zadarma.url}/zadarma/v1/info/balance/"
    headers = {"Authorization": f"{zadarma.key}:{signature_of('/v1/info/balance/', {}, 'the old one')}"}
    answer = requests.get(url, headers=headers, timeout=5)
    assert (answer.status_code, answer.json()) == (401, {"status": "error", "message": "Not authorized"})


def test_a_call_back_is_rung_told_and_counted(stand_ins: StandIns, zadarma: ZadarmaStandIn, received: Received) -> None:
    connect(zadarma, received)
    asked = ask(zadarma, "/v1/request/callback/", **{"from": "100", "to": "79000000102"}).json()
    assert "call_id" not in asked, "no number of the call is handed out"
    stand_ins.timeline.advance(200)
    assert [form["event"] for form in received.forms] == [
        "NOTIFY_OUT_START", "NOTIFY_ANSWER", "NOTIFY_OUT_END", "NOTIFY_RECORD",
    ]  # fmt: skip
    end, record = received.forms[2:]
    assert (end["disposition"], end["duration"], end["destination"]) == ("answered", "45", "+79000000102")
    text = f"{end['internal']}{end['destination']}{end['call_start']}"
    proof = base64.b64encode(hmac.new(zadarma.secret.encode(), text.encode(), "sha1").hexdigest().encode()).decode()
    assert received.headers[2]["Signature"] == proof
    begin = {"start": "2020-01-01 00:00:00", "end": "2020-01-20 00:00:00"}
    assert ask(zadarma, "/v1/statistics/pbx/", **begin).json()["stats"] == []
    day = end["call_start"][:10]
    rows = ask(zadarma, "/v1/statistics/pbx/", start=f"{day} 00:00:00", end=f"{day} 23:59:59").json()["stats"]
    assert [(row["sip"], row["destination"], row["seconds"]) for row in rows] == [("100", "79000000102", 45)]
    link = ask(zadarma, "/v1/pbx/record/request/", call_id=record["call_id_with_rec"]).json()["link"]
    assert requests.get(link, timeout=5).headers["Content-Type"] == "audio/mpeg"


def test_of_a_call_back_that_the_manager_rejects_nothing_is_told(
    stand_ins: StandIns, zadarma: ZadarmaStandIn, received: Received
) -> None:
    connect(zadarma, received)
    zadarma.board.default = CallScript("manager_rejects")
    ask(zadarma, "/v1/request/callback/", **{"from": "100", "to": "79000000102"})
    stand_ins.timeline.advance(200)
    assert received.forms == []


def test_statistics_may_be_asked_three_times_a_minute(stand_ins: StandIns, zadarma: ZadarmaStandIn) -> None:
    day = {"start": "2026-11-29 00:00:00", "end": "2026-11-29 23:59:59"}
    codes = [ask(zadarma, "/v1/statistics/pbx/", **day).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    stand_ins.timeline.advance(61)
    assert ask(zadarma, "/v1/statistics/pbx/", **day).status_code == 200


def test_an_address_that_does_not_answer_the_check_is_refused(zadarma: ZadarmaStandIn, received: Received) -> None:
    received.echoes = False
    answer = ask(zadarma, "/v1/pbx/callinfo/url/", "POST", url=received.url)
    assert (answer.status_code, zadarma.webhook_url) == (400, "")


def test_a_lost_answer_has_rung_all_the_same(stand_ins: StandIns, zadarma: ZadarmaStandIn) -> None:
    stand_ins.faults.add("lost_answer", vendor="zadarma", path="/v1/request/*")
    with pytest.raises(requests.ConnectionError):
        ask(zadarma, "/v1/request/callback/", **{"from": "100", "to": "79000000102"})
    assert [call.client for call in zadarma.board.calls] == ["79000000102"]


@pytest.mark.parametrize(
    ("kind", "events"),
    [
        ("hook_drop", ["NOTIFY_INTERNAL", "NOTIFY_END"]),
        ("hook_duplicate", ["NOTIFY_START", "NOTIFY_START", "NOTIFY_INTERNAL", "NOTIFY_END"]),
        ("hook_reorder", ["NOTIFY_INTERNAL", "NOTIFY_START", "NOTIFY_END"]),
        ("hook_delay", ["NOTIFY_INTERNAL", "NOTIFY_END", "NOTIFY_START"]),
    ],
)
def test_webhooks_get_lost_doubled_and_late(
    kind: str, events: list[str], stand_ins: StandIns, zadarma: ZadarmaStandIn, received: Received
) -> None:
    connect(zadarma, received)
    stand_ins.faults.add(kind, vendor="zadarma", path="NOTIFY_START")
    zadarma.board.call_in("79000000101", "100", zadarma.line, CallScript("client_no_answer"))
    stand_ins.timeline.advance(200)
    assert [form["event"] for form in received.forms] == events


def test_novofon_is_the_same_with_keys_of_its_own(stand_ins: StandIns) -> None:
    novofon = stand_ins["novofon"]
    assert isinstance(novofon, ZadarmaStandIn)
    assert ask(novofon, "/v1/info/balance/").status_code == 200
    wrong = {"Authorization": f"zadarma-test-key:{signature_of('/v1/info/balance/', {}, 'zadarma-test-secret')}"}
    assert (
        requests.get(f"{novofon.url}/novofon/v1/info/balance/?{urlencode({})}", headers=wrong, timeout=5).status_code
        == 401
    )
