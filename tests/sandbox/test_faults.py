"""Limits and faults: what a client gets, and what was done all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.sandbox_http import ServedSandbox, served_sandbox

from amo_bridge.sandbox.faults import HOOK_FAULTS, HTTP_FAULTS, Fault
from amo_bridge.sandbox.limits import Limits


@pytest.fixture
def sandbox() -> Iterator[ServedSandbox]:
    with served_sandbox() as served:
        yield served


def add_deal(sandbox: ServedSandbox, name: str = "Новая") -> requests.Response:
    return sandbox.call("POST", "/api/v4/leads", [{"name": name}])


def deals(sandbox: ServedSandbox) -> list[str]:
    return [deal["name"] for deal in sandbox.world.table("leads").values()]


# --- limits ------------------------------------------------------------------------------------------------------


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_seven_requests_in_any_second_are_served() -> None:
    watch = Watch()
    limits = Limits(watch)

    first = [limits.verdict("t", "a") for _ in range(8)]
    watch.now += 0.99
    still = limits.verdict("t", "a")
    watch.now += 0.02
    later = [limits.verdict("t", "a") for _ in range(8)]

    assert first == [200] * 7 + [429]
    assert still == 429
    assert later == [200] * 7 + [429]


def test_each_token_has_its_own_seven_but_the_account_has_fifty() -> None:
    limits = Limits(Watch())

    verdicts = [limits.verdict(f"token {number // 7}", "a") for number in range(7 * 8)]

    assert verdicts == [200] * 50 + [429] * 6


def test_who_ignores_429_is_blocked_for_a_while() -> None:
    watch = Watch()
    limits = Limits(watch)
    limits.set({"per_second": 0, "block_after": 3, "block_seconds": 10})

    refused = [limits.verdict("t", "a") for _ in range(5)]
    watch.now += 9
    others = limits.verdict("t", "b")
    still = limits.verdict("another", "a")
    watch.now += 2

    assert refused == [429, 429, 429, 403, 403]
    assert (others, still, limits.verdict("t", "a")) == (429, 403, 429)


def test_old_429_are_forgiven() -> None:
    watch = Watch()
    limits = Limits(watch)
    limits.set({"per_second": 0, "block_after": 2, "block_window": 60})

    verdicts = []
    for _ in range(6):
        verdicts.append(limits.verdict("t", "a"))
        watch.now += 31

    assert verdicts == [429] * 6


def test_too_many_requests_are_answered_as_amocrm_does(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "limits", {"per_second": 1, "block_after": 2, "retry_after": 3})

    answers = [sandbox.call("GET", "/api/v4/account") for _ in range(1)]
    sandbox.control("POST", "limits", {"per_second": 0})
    answers += [sandbox.call("GET", "/api/v4/account") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 429, 429, 403]
    assert answers[1].headers["Content-Type"] == "application/problem+json"
    assert (answers[1].json()["title"], answers[1].json()["retry_after"]) == ("Too Many Requests", 3)
    assert answers[3].headers["Content-Type"].startswith("text/html")
    assert "<title>403 Forbidden</title>" in answers[3].text


def test_people_and_controls_are_never_limited(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "limits", {"per_second": 0, "block_after": 0})
    blocked = sandbox.call("GET", "/api/v4/account").status_code

    sandbox.new_deal()

    assert blocked == 403
    assert sandbox.control("GET", "limits")["refused_so_far"] == 1
    assert len(deals(sandbox)) == 1


def test_limits_can_be_switched_off_and_nonsense_is_refused(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "limits", {"per_second": 0, "enabled": False})

    assert sandbox.call("GET", "/api/v4/account").status_code == 200
    for nonsense in ({"speed": 1}, {"per_second": -1}, {"enabled": 1}, {"per_second": "many"}):
        assert sandbox.call("POST", "/sandbox/limits", nonsense).status_code == 400


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_5xx_is_a_page_and_nothing_is_done(sandbox: ServedSandbox, status: int) -> None:
    sandbox.control("POST", "faults", {"kind": "status", "status": status})

    answer = add_deal(sandbox)

    assert answer.status_code == status
    assert "nginx" in answer.text
    assert deals(sandbox) == []


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        ({"kind": "status", "status": 429}, 429, "application/problem+json"),
        ({"kind": "html_403"}, 403, "text/html"),
        ({"kind": "unpaid_402"}, 402, "application/problem+json"),
        ({"kind": "blocked_page"}, 200, "text/html; charset=utf-8"),
    ],
)
def test_refusals_of_the_whole_account(
    sandbox: ServedSandbox, fault: dict[str, Any], status: int, content_type: str
) -> None:
    sandbox.control("POST", "faults", fault)

    answer = add_deal(sandbox)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    assert deals(sandbox) == []


def test_a_lost_answer_was_done(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "faults", {"kind": "lost_answer", "count": 1})

    with pytest.raises(requests.ConnectionError):
        add_deal(sandbox)

    assert deals(sandbox) == ["Новая"]
    assert add_deal(sandbox).status_code == 200


def test_a_refused_connection_did_nothing(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "faults", {"kind": "refuse_before", "count": 1})

    with pytest.raises(requests.ConnectionError):
        add_deal(sandbox)

    assert deals(sandbox) == []


def test_a_slow_write_lands_after_its_504(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "faults", {"kind": "slow_write_lands_late", "count": 1, "ms": 1})

    with sandbox.world.lock:  # no write can land meanwhile, but the 504 comes
        answer = add_deal(sandbox, "Опоздавшая")
        at_once = deals(sandbox)
    sandbox.flush()

    assert (answer.status_code, at_once) == (504, [])
    assert deals(sandbox) == ["Опоздавшая"]


def test_a_slow_answer_comes_in_full(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "faults", {"kind": "slow", "ms": 30})

    assert add_deal(sandbox).status_code == 200
    [logged] = sandbox.control("GET", "requests")["requests"]
    assert logged["fault"] == "slow"
    assert logged["ms"] >= 30


def test_a_fault_strikes_only_what_it_is_aimed_at(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "faults", {"kind": "status", "status": 502, "method": "post", "path": "/api/v4/leads*"})

    assert add_deal(sandbox).status_code == 502
    assert sandbox.call("GET", "/api/v4/leads").status_code == 204
    assert sandbox.call("GET", "/api/v4/account").status_code == 200


def test_people_are_spared_unless_the_fault_says_otherwise(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "faults", {"kind": "status"})
    sandbox.new_deal()
    sandbox.control("DELETE", "faults")
    sandbox.control("POST", "faults", {"kind": "status", "people": True})
    person = sandbox.user("Иван Петров")

    assert sandbox.call("GET", "/api/v4/leads", X_Sandbox_Person=person).status_code == 503


def test_the_same_seed_strikes_the_same_requests() -> None:
    def strikes(seed: int) -> list[bool]:
        fault = Fault.read(1, {"kind": "status", "probability": 0.5, "seed": seed})
        return [fault.strikes() for _ in range(40)]

    assert strikes(7) == strikes(7)
    assert strikes(7) != strikes(8)
    assert 5 < sum(strikes(7)) < 35


def test_filters_can_be_lost_and_come_back(sandbox: ServedSandbox) -> None:
    one, other = sandbox.new_deal(), sandbox.new_deal()

    def found() -> list[int]:
        answer = sandbox.call("GET", f"/api/v4/leads?filter[id]={one}").json()
        return sorted(deal["id"] for deal in answer["_embedded"]["leads"])

    sandbox.control("POST", "faults", {"kind": "filters_off"})
    without = found()
    account = sandbox.call("GET", "/api/v4/account?with=is_api_filter_enabled").json()
    sandbox.control("DELETE", "faults")

    assert without == [one, other]
    assert account["is_api_filter_enabled"] is False
    assert found() == [one]


def test_a_fault_can_be_switched_off_alone(sandbox: ServedSandbox) -> None:
    first = sandbox.control("POST", "faults", {"kind": "status"})["id"]
    sandbox.control("POST", "faults", {"kind": "hook_drop"})

    sandbox.control("DELETE", f"faults/{first}")

    assert [fault["kind"] for fault in sandbox.control("GET", "faults")["faults"]] == ["hook_drop"]
    assert sandbox.call("DELETE", f"/sandbox/faults/{first}").status_code == 404


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"kind": "rain"},
        {"kind": "status", "status": 418},
        {"kind": "status", "probability": 2},
        {"kind": "slow", "mss": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox: ServedSandbox, nonsense: dict[str, Any]) -> None:
    assert sandbox.call("POST", "/sandbox/faults", nonsense).status_code == 400
    assert sandbox.control("GET", "faults")["faults"] == []


@pytest.mark.parametrize("kind", [*HTTP_FAULTS, *HOOK_FAULTS])
def test_every_documented_fault_can_be_switched_on(sandbox: ServedSandbox, kind: str) -> None:
    assert sandbox.control("POST", "faults", {"kind": kind})["kind"] == kind
