"""Control endpoints: clock, request log, state, reset, the page that explains them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.sandbox_http import TOKEN, ServedSandbox, served_sandbox

from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.faults import HOOK_FAULTS, HTTP_FAULTS
from amo_bridge.sandbox.server import create_app


@pytest.fixture
def sandbox() -> Iterator[ServedSandbox]:
    with served_sandbox() as served:
        yield served


def test_the_page_names_every_control_with_an_explanation(sandbox: ServedSandbox) -> None:
    parts = sandbox.control("GET", "")["parts"]

    rules = [rule.rule for rule in create_app(load_world()).url_map.iter_rules() if rule.rule.startswith("/sandbox")]
    named = {name.split(" ", 1)[1]: text for name, text in parts["Controls"].items()}
    assert set(named) == set(rules)
    assert [name for name, text in named.items() if not text] == []
    assert set(parts["Faults: POST /sandbox/faults with a kind"]) == {*HTTP_FAULTS, *HOOK_FAULTS}


def test_a_browser_gets_the_page_as_html(sandbox: ServedSandbox) -> None:
    page = sandbox.call("GET", "/sandbox/", token="", Accept="text/html,application/xhtml+xml,*/*;q=0.8")

    assert page.headers["Content-Type"].startswith("text/html")
    assert "X-Sandbox-Person" in page.text


def test_the_clock_is_frozen_set_and_moved(sandbox: ServedSandbox) -> None:
    answer = sandbox.control("POST", "clock", {"freeze": True, "set": "2026-11-02T09:00:00", "advance": 60})

    assert answer == {"now": 1793599260, "iso": "2026-11-02T06:01:00+00:00", "frozen": True}
    assert sandbox.control("GET", "clock") == answer
    assert sandbox.control("POST", "clock", {"freeze": False})["frozen"] is False


@pytest.mark.parametrize("nonsense", [{"set": "tomorrow"}, {"advance": "1"}, {"forward": 1}, [1]])
def test_a_clock_that_is_told_nonsense_stays(sandbox: ServedSandbox, nonsense: object) -> None:
    before = sandbox.control("POST", "clock", {"freeze": True})

    assert sandbox.call("POST", "/sandbox/clock", nonsense).status_code == 400
    assert sandbox.control("GET", "clock") == before


def test_requests_are_logged_and_counted_by_path(sandbox: ServedSandbox) -> None:
    deal = sandbox.new_deal()
    sandbox.call("GET", f"/api/v4/leads/{deal}?with=contacts")
    sandbox.call("GET", f"/api/v4/leads/{deal}/notes")
    sandbox.call("PATCH", f"/api/v4/leads/{deal}", {"price": "wrong"})

    [_, *logged] = sandbox.control("GET", "requests")["requests"]
    first = logged[0]
    assert [(one["method"], one["status"]) for one in logged] == [("GET", 200), ("GET", 204), ("PATCH", 400)]
    assert (first["path"], first["query"]) == (f"/api/v4/leads/{deal}", "with=contacts")
    assert first["token"] == TOKEN[-8:]
    assert logged[2]["body"] == '{"price": "wrong"}'
    since = sandbox.control("GET", f"requests?since={first['number']}")["requests"]
    assert [one["number"] for one in since] == [one["number"] for one in logged[1:]]
    # The person who made the deal is no client and is not counted.
    assert sandbox.control("GET", "requests/count") == {
        "total": 3,
        "by_path": {
            "GET /api/v4/leads/{id}": 1,
            "GET /api/v4/leads/{id}/notes": 1,
            "PATCH /api/v4/leads/{id}": 1,
        },
    }
    sandbox.control("DELETE", "requests")
    assert sandbox.control("GET", "requests/count")["total"] == 0


def test_a_hung_up_request_is_logged_without_a_status(sandbox: ServedSandbox) -> None:
    sandbox.control("POST", "faults", {"kind": "refuse_before"})

    with pytest.raises(OSError, match=r"aborted|reset|RemoteDisconnected"):
        sandbox.call("GET", "/api/v4/account")

    [logged] = sandbox.control("GET", "requests")["requests"]
    assert (logged["status"], logged["fault"]) == (None, "refuse_before")


def test_the_state_shows_all_tables(sandbox: ServedSandbox) -> None:
    deal = sandbox.new_deal(name="Видна")

    state = sandbox.control("GET", "state")

    assert state["tables"]["leads"][str(deal)]["name"] == "Видна"
    assert state["account"]["subdomain"] == "agency"
    assert list(sandbox.control("GET", "state?kind=leads")["tables"]) == ["leads"]


def test_a_reset_gives_a_new_account(sandbox: ServedSandbox) -> None:
    old = sandbox.call("GET", "/api/v4/account?with=amojo_id").json()["amojo_id"]
    sandbox.new_deal()
    sandbox.subscribe("http://127.0.0.1:9/hook", "add_lead")
    sandbox.control("POST", "faults", {"kind": "status", "path": "/api/v4/leads"})
    sandbox.control("POST", "limits", {"per_second": 1000})
    sandbox.control("POST", "clock", {"advance": 86400})

    answer = sandbox.control("POST", "reset")

    assert answer["amojo_id"] != old
    assert sandbox.call("GET", "/api/v4/leads").status_code == 204
    assert sandbox.control("GET", "faults")["faults"] == []
    assert sandbox.control("GET", "limits")["per_second"] == 7
    assert not sandbox.world.table("webhooks")
    assert sandbox.call("GET", "/api/v4/account?with=amojo_id").json()["amojo_id"] == answer["amojo_id"]
