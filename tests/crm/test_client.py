from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests
import responses
from responses.registries import OrderedRegistry
from support.client_fakes import BASE, NGINX_403, TOO_MANY, UNAUTHORIZED, Clock, RecordingRateLimiter, client

from amo_bridge.crm.client import php_query
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.errors import (
    CrmBlocked,
    CrmForbidden,
    CrmRefused,
    CrmStopped,
    CrmTemporary,
    CrmUnauthorized,
    CrmUncertain,
)

LEADS = f"{BASE}/api/v4/leads"
ANY_LEADS = re.compile(re.escape(LEADS))
FORBIDDEN = {"title": "Forbidden", "type": "https://httpstatus.es/403", "status": 403, "detail": "Forbidden"}


@pytest.fixture
def amocrm() -> Any:
    with responses.RequestsMock(registry=OrderedRegistry) as mock:
        yield mock


def page(ids: list[int], *, more: bool) -> dict[str, Any]:
    links = {"self": {"href": LEADS}} | ({"next": {"href": f"{LEADS}?page=2"}} if more else {})
    return {"_page": 1, "_links": links, "_embedded": {"leads": [{"id": number} for number in ids]}}


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"filter": {"id": [1, 2]}}, "filter[id][]=1&filter[id][]=2"),
        (
            {"filter": {"statuses": [{"pipeline_id": 1, "status_id": 142}, {"pipeline_id": 2, "status_id": 143}]}},
            (
                "filter[statuses][0][pipeline_id]=1&filter[statuses][0][status_id]=142"
                "&filter[statuses][1][pipeline_id]=2&filter[statuses][1][status_id]=143"
            ),
        ),
        ({"filter": {"is_completed": False}, "order": {"id": "asc"}}, "filter[is_completed]=0&order[id]=asc"),
        ({"query": "Иван & Ко", "page": None}, "query=%D0%98%D0%B2%D0%B0%D0%BD+%26+%D0%9A%D0%BE"),
    ],
)
def test_queries_are_php(params: dict[str, Any], query: str) -> None:
    assert php_query(params).replace("%5B", "[").replace("%5D", "]") == query


def test_a_request_carries_the_token_and_no_cookies_of_the_last_one(amocrm: Any) -> None:
    amocrm.get(LEADS + "/1", json={"id": 1}, headers={"Set-Cookie": "session_id=abc"})
    amocrm.get(LEADS + "/1", json={"id": 1})
    asker = client(user_agent="amo-bridge/test")
    asker.get("/api/v4/leads/1")
    asker.get("/api/v4/leads/1")
    headers = amocrm.calls[1].request.headers
    assert headers["Authorization"] == "Bearer long-lived"
    assert headers["User-Agent"] == "amo-bridge/test"
    assert "Cookie" not in headers


def test_a_netrc_does_not_replace_the_token(amocrm: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine example.amocrm.ru login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    amocrm.get(LEADS + "/1", json={"id": 1})
    client().get("/api/v4/leads/1")
    assert amocrm.calls[0].request.headers["Authorization"] == "Bearer long-lived"


def test_nothing_there_is_none(amocrm: Any) -> None:
    amocrm.get(LEADS + "/1", status=204)
    assert client().get("/api/v4/leads/1") is None


def test_pages_end_where_next_is_missing(amocrm: Any) -> None:
    amocrm.get(f"{LEADS}?with=contacts&page=1&limit=250", json=page([1, 2], more=True))
    amocrm.get(f"{LEADS}?with=contacts&page=2&limit=250", json=page([3], more=False))
    rows = client().pages("/api/v4/leads", {"with": "contacts"}, "leads")
    assert [row["id"] for row in rows] == [1, 2, 3]


def test_pages_end_with_an_empty_one(amocrm: Any) -> None:
    amocrm.get(f"{LEADS}?page=1&limit=250", json=page([1], more=True))
    amocrm.get(f"{LEADS}?page=2&limit=250", status=204)
    assert [row["id"] for row in client().pages("/api/v4/leads", None, "leads")] == [1]


def test_a_page_too_heavy_is_read_in_pieces_and_no_row_is_lost_or_doubled() -> None:
    """The list has 400 rows; pages of more than 100 rows time out. 250 → 125 → 62."""
    everything = list(range(1, 401))
    limits = []

    def reply(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        number, limit = int(request.params["page"]), int(request.params["limit"])  # type: ignore[attr-defined]
        limits.append(limit)
        if limit > 100 and number > 1:
            return 504, {}, "<html><title>504 Gateway Time-out</title></html>"
        rows = everything[(number - 1) * limit : number * limit]
        return 200, {}, json.dumps(page(rows, more=number * limit < len(everything)))

    with responses.RequestsMock() as amocrm:
        amocrm.add_callback("GET", ANY_LEADS, callback=reply)
        rows = [row["id"] for row in client().pages("/api/v4/leads", None, "leads")]
    assert rows == everything
    assert limits[:4] == [250, 250, 125, 62]


def test_a_page_that_is_too_heavy_at_any_size_is_an_error(amocrm: Any) -> None:
    for _ in (250, 125, 62, *[50] * 5):
        amocrm.get(ANY_LEADS, status=504, body="<html><title>504</title></html>")
    with pytest.raises(CrmUncertain):
        list(client().pages("/api/v4/leads", None, "leads"))


def test_reads_are_tried_again_with_growing_pauses(amocrm: Any) -> None:
    clock = Clock()
    amocrm.get(LEADS + "/1", status=502, body="<html><title>502 Bad Gateway</title></html>")
    amocrm.get(LEADS + "/1", body=requests.ReadTimeout())
    amocrm.get(LEADS + "/1", status=429, json={**TOO_MANY, "retry_after": 9})
    amocrm.get(LEADS + "/1", json={"id": 1})
    limiter = RecordingRateLimiter()
    assert client(limiter, clock=clock).get("/api/v4/leads/1") == {"id": 1}
    assert len(clock.slept) == 3
    assert clock.slept[2] >= 9
    assert limiter.pushed == [9]
    assert limiter.acquired == 4


def test_reads_are_not_tried_for_ever(amocrm: Any) -> None:
    for _ in range(5):
        amocrm.get(LEADS + "/1", status=500, body="")
    with pytest.raises(CrmUncertain):
        client().get("/api/v4/leads/1")


def test_nobody_is_kept_waiting_longer_than_his_patience(amocrm: Any) -> None:
    clock = Clock()
    amocrm.get(LEADS + "/1", status=429, json=TOO_MANY)
    with pytest.raises(CrmTemporary) as caught:
        client(clock=clock, max_retry_wait=60).get("/api/v4/leads/1")
    assert caught.value.retry_after == 300
    assert clock.slept == []


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ({"status": 502, "body": "<html></html>"}, CrmUncertain),
        ({"body": requests.ReadTimeout()}, CrmUncertain),
        ({"body": requests.ConnectionError("reset")}, CrmUncertain),
        ({"status": 429, "json": TOO_MANY}, CrmTemporary),
    ],
)
def test_writes_are_sent_once(amocrm: Any, reply: dict[str, Any], kind: type[Exception]) -> None:
    amocrm.post(LEADS, **reply)
    with pytest.raises(kind) as caught:
        client().post("/api/v4/leads", [{"name": "x"}])
    assert type(caught.value) is kind
    assert len(amocrm.calls) == 1


def test_a_429_without_a_time_pushes_back_longer_each_time(amocrm: Any) -> None:
    for _ in range(3):
        amocrm.post(LEADS, status=429, body="Too many requests")
    amocrm.post(LEADS, json={})
    amocrm.post(LEADS, status=429, body="Too many requests")
    limiter = RecordingRateLimiter()
    asker = client(limiter)
    for refused in (True, True, True, False, True):
        if refused:
            with pytest.raises(CrmTemporary):
                asker.post("/api/v4/leads", [])
        else:
            asker.post("/api/v4/leads", [])
    assert limiter.pushed == [1, 2, 4, 1]


@pytest.mark.parametrize("method", ["post", "patch", "put", "delete"])
def test_every_way_of_writing_sends_json(amocrm: Any, method: str) -> None:
    body = [{"name": "Сделка"}]
    amocrm.add(method.upper(), LEADS, status=202, match=[responses.matchers.json_params_matcher(body)])
    assert getattr(client(), method)("/api/v4/leads", body) is None


def test_complex_answers_with_a_bare_list(amocrm: Any) -> None:
    told = [{"id": 1, "contact_id": 2, "company_id": 3, "request_id": ["x"], "merged": False}]
    amocrm.post(LEADS + "/complex", json=told)
    assert client().post("/api/v4/leads/complex", [{}]) == told


class RenewedOnce:
    """Tokens of the other kind: the first is refused, then there is another."""

    base_url: str | None = None

    def __init__(self) -> None:
        self.token = "old"
        self.failed: list[str] = []

    def access_token(self) -> str:
        return self.token

    def renew(self, failed: str) -> str | None:
        self.failed.append(failed)
        self.token = "new"
        return self.token


def test_a_refused_token_is_renewed_once_and_the_request_repeated_even_a_write(amocrm: Any) -> None:
    amocrm.post(LEADS, status=401, json=UNAUTHORIZED)
    amocrm.post(LEADS, json={"_embedded": {"leads": [{"id": 5}]}})
    tokens, limiter = RenewedOnce(), RecordingRateLimiter()
    assert client(limiter, tokens).post("/api/v4/leads", [{}]) == {"_embedded": {"leads": [{"id": 5}]}}
    assert tokens.failed == ["old"]
    assert [call.request.headers["Authorization"] for call in amocrm.calls] == ["Bearer old", "Bearer new"]
    assert (limiter.acquired, limiter.opened_by) == (2, [])


def test_a_token_refused_twice_stops_everything(amocrm: Any) -> None:
    amocrm.get(LEADS + "/1", status=401, json=UNAUTHORIZED)
    amocrm.get(LEADS + "/1", status=401, json=UNAUTHORIZED)
    limiter = RecordingRateLimiter()
    with pytest.raises(CrmUnauthorized):
        client(limiter, RenewedOnce()).get("/api/v4/leads/1")
    assert [type(error) for error in limiter.opened_by] == [CrmUnauthorized]


def test_a_long_lived_token_is_not_tried_again(amocrm: Any) -> None:
    amocrm.get(LEADS + "/1", status=401, json=UNAUTHORIZED)
    with pytest.raises(CrmUnauthorized):
        client().get("/api/v4/leads/1")


def test_a_renamed_account_is_asked_at_its_new_address(amocrm: Any) -> None:
    tokens = RenewedOnce()
    tokens.base_url = "https://renamed.amocrm.ru"
    amocrm.get("https://renamed.amocrm.ru/api/v4/leads/1", json={"id": 1})
    assert client(tokens=tokens).get("/api/v4/leads/1") == {"id": 1}


def test_a_block_opens_the_circuit_breaker_and_the_next_request_is_not_sent(amocrm: Any) -> None:
    clock = Clock()
    limiter = LocalRateLimiter(probe_interval=60, clock=clock, sleep=clock.sleep)
    asker = client(limiter, clock=clock)
    amocrm.get(LEADS + "/1", status=403, body=NGINX_403)
    for _ in range(2):
        with pytest.raises(CrmBlocked):
            asker.get("/api/v4/leads/1")
    assert len(amocrm.calls) == 1

    clock.now += 60
    amocrm.get(LEADS + "/1", json={"id": 1})
    assert asker.get("/api/v4/leads/1") == {"id": 1}
    assert limiter.stopped() is None


def test_a_missing_right_for_one_method_does_not_stop_the_others(amocrm: Any) -> None:
    amocrm.get(f"{BASE}/api/v4/users", status=403, json=FORBIDDEN)
    limiter = RecordingRateLimiter()
    with pytest.raises(CrmForbidden):
        client(limiter).get("/api/v4/users")
    assert limiter.opened_by == []


def test_a_refusal_proves_that_amocrm_works(amocrm: Any) -> None:
    amocrm.get(f"{BASE}/api/v4/xyz", status=404, json={"title": "Not Found", "status": 404, "detail": "Cannot GET"})
    limiter = RecordingRateLimiter()
    limiter.probing = True
    with pytest.raises(CrmRefused):
        client(limiter).get("/api/v4/xyz")
    assert limiter.resumed == 1


def test_no_redirect_is_followed(amocrm: Any) -> None:
    amocrm.post(LEADS, status=302, headers={"Location": "https://elsewhere.example/"})
    with pytest.raises(CrmStopped, match=r"elsewhere\.example"):
        client().post("/api/v4/leads", [{}])


def test_who_lost_the_lead_sends_nothing(amocrm: Any) -> None:
    class NotLeading(Exception):
        pass

    def check() -> None:
        raise NotLeading

    with pytest.raises(NotLeading):
        client(before_send=check).post("/api/v4/leads", [{}])
    assert len(amocrm.calls) == 0
