"""Every answer of amoCRM, and every silence, becomes the exception that says what to do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from support.client_fakes import NGINX_403, TOO_MANY, UNAUTHORIZED, answer

from amo_bridge.crm.responses import no_answer, understand
from amo_bridge.errors import (
    CrmBlocked,
    CrmError,
    CrmForbidden,
    CrmRefused,
    CrmStopped,
    CrmTemporary,
    CrmUnauthorized,
    CrmUncertain,
    CrmUnpaid,
)

VALIDATION = {
    "validation-errors": [
        {
            "request_id": "0",
            "errors": [
                {
                    "code": "NotSupportedChoice",
                    "path": "custom_fields_values.0.field_id",
                    "detail": "The value you selected is not a valid choice.",
                }
            ],
        }
    ],
    "title": "Bad Request",
    "type": "https://httpstatus.es/400",
    "status": 400,
    "detail": "Request validation failed",
}


def problem(status: int, title: str, detail: str) -> dict[str, Any]:
    return {"title": title, "type": f"https://httpstatus.es/{status}", "status": status, "detail": detail}


BLOCKED_PAGE = "<!doctype html><html><head><title>Аккаунт\n заблокирован</title></head><body>…</body></html>"

TABLE: list[tuple[int, Any, type[CrmError], str]] = [
    (400, VALIDATION, CrmRefused, "custom_fields_values.0.field_id"),
    (400, problem(400, "Bad Request", "Request data can not be empty"), CrmRefused, "can not be empty"),
    (401, UNAUTHORIZED, CrmUnauthorized, "Invalid user name or password"),
    (401, "<html><title>401 Authorization Required</title></html>", CrmUnauthorized, "401 Authorization Required"),
    (402, problem(402, "Payment Required", "Payment required"), CrmUnpaid, "Payment required"),
    (403, problem(403, "Forbidden", "Invalid scope"), CrmForbidden, "Invalid scope"),
    (403, NGINX_403, CrmBlocked, "403 Forbidden"),
    (403, BLOCKED_PAGE, CrmBlocked, "Аккаунт заблокирован"),
    (404, problem(404, "Not Found", "Cannot GET https://acme.amocrm.ru/api/v4/xyz"), CrmRefused, "Cannot GET"),
    (404, "<html><title>404 Not Found</title></html>", CrmStopped, "address"),
    (405, problem(405, "Method Not Allowed", ""), CrmRefused, "Method Not Allowed"),
    (408, "", CrmUncertain, ""),
    (413, "<html><title>413 Request Entity Too Large</title></html>", CrmRefused, "413"),
    (422, problem(422, "Unprocessable Entity", "Limit 250 per page"), CrmRefused, "Limit 250 per page"),
    (429, TOO_MANY, CrmTemporary, "too many requests"),
    (429, "slow down", CrmTemporary, "slow down"),
    (500, {"title": "ErrInternalServer", "status": 500, "detail": "oops", "trace_id": "1"}, CrmUncertain, "oops"),
    (502, "<html><title>502 Bad Gateway</title></html>", CrmUncertain, "502 Bad Gateway"),
    (503, "", CrmUncertain, ""),
    (504, "<html><title>504 Gateway Time-out</title></html>", CrmUncertain, "504 Gateway Time-out"),
    (200, BLOCKED_PAGE, CrmBlocked, "Аккаунт заблокирован"),
    (200, '{"_embedded":{"leads":[{"id":', CrmUncertain, "cut off"),
    (200, "", CrmUncertain, "cut off"),
    (200, '"just a text"', CrmUncertain, "not JSON"),
    (302, "", CrmStopped, "redirected"),
]


@pytest.mark.parametrize(("status", "body", "kind", "words"), TABLE)
def test_every_bad_answer_has_its_exception(status: int, body: Any, kind: type[CrmError], words: str) -> None:
    # The content type lies on purpose: only status and body may decide.
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    with pytest.raises(CrmError) as caught:
        understand(answer(status, text, Content_Type="text/plain", X_Request_Id="r-1"), method="GET", path="/p")
    assert type(caught.value) is kind
    assert words in caught.value.detail
    assert (caught.value.status, caught.value.request_id) == (status, "r-1")
    assert "<" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_json_is_read_whatever_it_is_called(status: int) -> None:
    assert understand(answer(status, '{"id":1}', Content_Type="text/html"), method="GET", path="/p") == {"id": 1}
    assert understand(answer(status, '[{"id":1}]'), method="POST", path="/p") == [{"id": 1}]


@pytest.mark.parametrize("status", [202, 204])
def test_an_empty_answer_may_be_meant(status: int) -> None:
    assert understand(answer(status), method="DELETE", path="/p") is None


def test_bad_items_are_named_with_the_vendors_words() -> None:
    second = {"request_id": "17", "errors": [{"code": "TooLong", "path": "name", "detail": "This value is too long."}]}
    body = {**VALIDATION, "validation-errors": [*VALIDATION["validation-errors"], second]}  # type: ignore[misc]
    with pytest.raises(CrmRefused) as caught:
        understand(answer(400, json.dumps(body)), method="POST", path="/p")
    assert caught.value.bad_items == {
        "0": "custom_fields_values.0.field_id: The value you selected is not a valid choice. (NotSupportedChoice)",
        "17": "name: This value is too long. (TooLong)",
    }


@pytest.mark.parametrize(
    "errors", [None, "x", [None], [{"errors": "x"}], {"0": []}, [{"request_id": None, "errors": {}}]]
)
def test_a_refusal_of_an_unknown_shape_is_still_a_refusal(errors: Any) -> None:
    with pytest.raises(CrmRefused) as caught:
        understand(answer(400, json.dumps({**VALIDATION, "validation-errors": errors})), method="POST", path="/p")
    assert caught.value.bad_items == {}


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        (TOO_MANY, None, 300.0),
        ({}, "7", 7.0),
        ({}, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ({"retry_after": -1}, None, None),
    ],
)
def test_how_long_to_wait(body: dict[str, Any], header: str | None, seconds: float | None) -> None:
    headers = {"Retry_After": header} if header else {}
    with pytest.raises(CrmTemporary) as caught:
        understand(answer(429, json.dumps(body), **headers), method="GET", path="/p")
    assert caught.value.retry_after == seconds


@contextmanager
def raw_server(reply: bytes) -> Iterator[str]:
    """Takes one connection, reads the request's head, answers these bytes and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    finally:
        thread.join()
        listener.close()


def failure(url: str) -> CrmError:
    session = requests.Session()
    session.trust_env = False
    with session, pytest.raises(requests.RequestException) as caught:
        session.get(url, timeout=5)
    return no_answer(caught.value, method="GET", path="/x")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["hung up", "cut in a chunk", "broken compression"],
)
def test_an_answer_lost_on_its_way_is_uncertain(reply: bytes) -> None:
    with raw_server(reply) as url:
        assert type(failure(url)) is CrmUncertain


def test_silence_is_uncertain() -> None:
    assert type(no_answer(requests.ReadTimeout("x"), method="POST", path="/p")) is CrmUncertain


def test_what_never_left_was_surely_not_applied() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert type(failure(f"http://127.0.0.1:{port}/x")) is CrmTemporary
    assert type(failure("http://no-such-host.invalid/x")) is CrmTemporary


def test_an_older_failure_in_hand_does_not_excuse_a_new_one() -> None:
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        requests.get(f"http://127.0.0.1:{port}/x", timeout=5)
    except requests.RequestException:
        with pytest.raises(requests.ReadTimeout) as caught:
            raise requests.ReadTimeout("later")  # noqa: B904 - just this: an error raised while another is handled
    assert type(no_answer(caught.value, method="POST", path="/p")) is CrmUncertain


def test_phones_of_an_address_do_not_get_into_the_message() -> None:
    told = failure("http://no-such-host.invalid/api/v4/contacts?query=79991234567")
    assert "79991234567" not in str(told)


def test_a_useless_address_stops_everything() -> None:
    with pytest.raises(requests.RequestException) as caught:
        requests.get("example.amocrm.ru/api", timeout=5)
    assert type(no_answer(caught.value, method="GET", path="/p")) is CrmStopped
