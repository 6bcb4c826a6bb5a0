"""Conventions every client of amoCRM depends on: envelopes, 204, batches, errors, query arrays."""

from __future__ import annotations

import pytest
from support.sandbox_account import SandboxAccount

from amo_bridge.sandbox.http import Span, tree


def test_an_empty_list_is_204_without_a_body(account: SandboxAccount) -> None:
    answer = account.get("leads")
    assert (answer.status, answer.raw) == (204, b"")
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("path", ["leads/1", "contacts/1", "companies/1", "tasks/1", "leads/notes/1", "users/1"])
def test_a_missing_single_entity_is_204_too(account: SandboxAccount, path: str) -> None:
    answer = account.get(path)
    assert (answer.status, answer.raw) == (204, b"")


def test_success_is_hal_json_and_errors_are_problem_json(account: SandboxAccount) -> None:
    assert account.get("account").headers["Content-Type"] == "application/hal+json"
    missing = account.get("no/such/thing")
    assert missing.headers["Content-Type"] == "application/problem+json"
    assert missing.json == {
        "title": "Not Found",
        "type": "https://httpstatus.es/404",
        "status": 404,
        "detail": "Cannot GET http://localhost/api/v4/no/such/thing",
    }


def test_every_answer_has_a_request_id(account: SandboxAccount) -> None:
    ids = {account.get(path).headers["X-Request-Id"] for path in ("account", "leads", "no/such/thing")}
    assert len(ids) == 3


def test_deals_cannot_be_deleted(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    answer = account.call("DELETE", f"leads/{lead_id}")
    assert (answer.status, answer.json["title"]) == (405, "Method Not Allowed")


def test_pages_of_fifty_and_no_next_link_on_the_last(account: SandboxAccount) -> None:
    account.post("leads", [{"name": f"№{number}"} for number in range(60)])
    first = account.get("leads").json
    assert (first["_page"], len(first["_embedded"]["leads"])) == (1, 50)
    assert "_total_items" not in first
    assert "prev" not in first["_links"]
    second = account.get(first["_links"]["next"]["href"].removeprefix("http://localhost")).json
    assert (second["_page"], len(second["_embedded"]["leads"])) == (2, 10)
    assert "next" not in second["_links"]
    assert "prev" in second["_links"]
    assert account.get("leads?page=3").status == 204


def test_a_list_never_gives_more_than_250(account: SandboxAccount) -> None:
    account.post("leads", [{}] * 250)
    account.post("leads", [{}] * 5)
    assert len(account.get("leads?limit=500").json["_embedded"]["leads"]) == 250


def test_a_batch_of_251_is_422_and_writes_nothing(account: SandboxAccount) -> None:
    answer = account.post("leads", [{}] * 251)
    assert (answer.status, answer.json["detail"]) == (422, "Limit 250 per page")
    assert account.get("leads").status == 204


@pytest.mark.parametrize("body", [b"[]", b"{}", b"", b"null"])
def test_an_empty_body_is_400(account: SandboxAccount, body: bytes) -> None:
    answer = account.call("POST", "leads", raw=body)
    assert (answer.status, answer.json["detail"]) == (400, "Request data can not be empty")


def test_what_is_not_json_is_400(account: SandboxAccount) -> None:
    assert account.call("POST", "leads", raw=b"{name: x").status == 400


def test_an_object_where_a_list_belongs_is_400(account: SandboxAccount) -> None:
    assert account.post("leads", {"name": "x"}).errors == [("", "InvalidType")]


def test_one_wrong_object_refuses_the_whole_batch(account: SandboxAccount) -> None:
    answer = account.post("leads", [{"name": "good"}, {"price": "5", "status_id": 1, "request_id": "mine"}])
    assert answer.status == 400
    assert answer.json == {
        "validation-errors": [
            {
                "request_id": "mine",
                "errors": [
                    {"code": "InvalidType", "path": "price", "detail": "This value should be of type int."},
                    {
                        "code": "NotSupportedChoice",
                        "path": "status_id",
                        "detail": "The value you selected is not a valid choice.",
                    },
                ],
            }
        ],
        "title": "Bad Request",
        "type": "https://httpstatus.es/400",
        "status": 400,
        "detail": "Request validation failed",
    }
    assert account.get("leads").status == 204
    assert account.changes == []


def test_request_ids_are_echoed_and_default_to_the_index(account: SandboxAccount) -> None:
    added = account.post("leads", [{}, {"request_id": "b"}, {}]).json["_embedded"]["leads"]
    assert [item["request_id"] for item in added] == ["0", "b", "2"]
    assert added[0].keys() == {"id", "request_id", "_links"}


def test_unknown_keys_are_ignored_so_that_a_read_model_can_be_sent_back(account: SandboxAccount) -> None:
    lead_id = account.add_lead(name="a")
    model = account.lead(lead_id)
    assert account.patch(f"leads/{lead_id}", {**model, "name": "b"}).status == 200
    assert account.lead(lead_id)["name"] == "b"


def test_php_arrays_in_a_query() -> None:
    pairs = [("filter[id][0]", "1"), ("filter[id][]", "2"), ("filter[statuses][0][pipeline_id]", "3"), ("page", "4")]
    assert tree(pairs) == {
        "filter": {"id": {"0": "1", "1": "2"}, "statuses": {"0": {"pipeline_id": "3"}}},
        "page": "4",
    }


def test_a_span_holds_both_its_ends() -> None:
    span = Span.of({"from": "5", "to": "7"})
    assert span is not None
    assert [value for value in range(4, 9) if span.holds(value)] == [5, 6, 7]
