"""What a vendor's HTTP API answers, and what is to be done about it."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import responses

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

API = "https://api.gate.example"
SECRET = "do-not-show-this"
PATH = "/messages"


def client() -> HttpClient:
    return HttpClient("Gate", API, SECRET, headers={"Authorization": f"Bearer {SECRET}"})


@responses.activate
def test_an_answer_is_its_json() -> None:
    responses.post(f"{API}{PATH}", json={"id": 1})
    assert client().ask("POST", PATH, {"text": "раз"}) == {"id": 1}
    assert responses.calls[0].request.headers["Authorization"] == f"Bearer {SECRET}"


@responses.activate
def test_what_is_not_there_is_none_but_only_for_who_asks() -> None:
    responses.get(f"{API}{PATH}", status=404)
    responses.post(f"{API}{PATH}", status=404)
    assert client().ask("GET", PATH) is None
    with pytest.raises(ChannelRefused):
        client().ask("POST", PATH, {})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 401, "body": "wrong token"}, ChannelDown),
        ({"status": 403}, ChannelDown),
        ({"status": 400, "body": "no such number"}, ChannelRefused),
        ({"status": 429}, ChannelBusy),
        ({"status": 500}, ChannelUncertain),
        ({"status": 200, "body": "<html>"}, ChannelUncertain),
        ({"body": requests.ReadTimeout("30 s")}, ChannelUncertain),
        ({"body": requests.ConnectionError("reset")}, ChannelUncertain),
        ({"body": requests.ConnectionError("NewConnectionError: refused")}, ChannelDown),
        ({"body": requests.ConnectTimeout("10 s")}, ChannelDown),
        ({"body": requests.exceptions.SSLError("certificate")}, ChannelDown),
    ],
)
@responses.activate
def test_a_failure_says_what_is_to_be_done(answer: dict[str, Any], expected: type[ChannelError]) -> None:
    responses.post(f"{API}{PATH}", **answer)
    with pytest.raises(expected, match="Gate"):
        client().ask("POST", PATH, {})


@pytest.mark.parametrize(("header", "seconds"), [("17", 17.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
@responses.activate
def test_too_many_requests_wait_as_long_as_the_vendor_says(header: str, seconds: float | None) -> None:
    responses.post(f"{API}{PATH}", status=429, headers={"Retry-After": header})
    with pytest.raises(ChannelBusy) as told:
        client().ask("POST", PATH, {})
    assert told.value.retry_after == seconds


@pytest.mark.parametrize(
    "answer",
    [{"status": 400, "body": f"{SECRET} is no token"}, {"body": requests.ConnectionError(f"/bot{SECRET}/send")}],
)
@responses.activate
def test_no_error_shows_the_secret(answer: dict[str, Any]) -> None:
    responses.post(f"{API}{PATH}", **answer)
    with pytest.raises(ChannelError) as told:
        client().ask("POST", PATH, {})
    assert SECRET not in str(told.value)


@responses.activate
@pytest.mark.parametrize(("host", "is_shown"), [("https://api.example", True), ("https://files.example", False)])
def test_another_host_to_which_it_is_sent_on_sees_no_key(host: str, is_shown: bool) -> None:
    responses.get("https://api.example/a", status=302, headers={"Location": f"{host}/b"})
    there = responses.get(f"{host}/b", json={})
    HttpClient("Сервис", "https://api.example", "k", headers={"X-API-KEY": "k"}).ask("GET", "/a")
    assert ("X-API-KEY" in there.calls[0].request.headers) == is_shown
