"""Many entities in few requests, and nothing that exists is ever missing from the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from support.client_fakes import BASE, client

from amo_bridge.crm.reads import IDS_IN_ADDRESS, contacts_by_ids, deals_by_ids, tasks_by_ids, tasks_of_deals

NEWEST_FIRST = "order[updated_at]"


class Amocrm:
    """Lists and single entities by id; its filters work, or are silently ignored."""

    def __init__(self, rows: Iterable[dict[str, Any]], *, filters: bool = True) -> None:
        self.rows = list(rows)
        self.filters = filters
        self.asked: list[str] = []

    def __call__(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        url = urlsplit(str(request.url))
        assert len(str(request.url)) < 8000
        asked = parse_qs(url.query)
        kind, _, number = url.path.removeprefix("/api/v4/").partition("/")
        if number:
            self.asked.append("one")
            found = [row for row in self.rows if row["id"] == int(number)]
            return (200, {}, json.dumps(found[0])) if found else (204, {}, "")
        self.asked.append("newest" if NEWEST_FIRST in asked else "list")
        return self._listed(kind, asked)

    def _listed(self, kind: str, asked: dict[str, list[str]]) -> tuple[int, dict[str, str], str]:
        rows = self.rows
        if NEWEST_FIRST in asked:
            rows = sorted(rows, key=lambda row: -row["updated_at"])
        if self.filters:
            for name in ("id", "entity_id"):
                wanted = asked.get(f"filter[{name}][]")
                rows = [row for row in rows if wanted is None or str(row[name]) in wanted]
        page, limit = int(asked["page"][0]), int(asked["limit"][0])
        part = rows[(page - 1) * limit : page * limit]
        links = {"next": {"href": "…"}} if page * limit < len(rows) else {}
        return (200, {}, json.dumps({"_links": links, "_embedded": {kind: part}})) if part else (204, {}, "")


def deals(count: int) -> list[dict[str, Any]]:
    """Deals 1…count; the higher the id, the later it was changed."""
    return [{"id": number, "name": f"Сделка {number}", "updated_at": 1000 + number} for number in range(1, count + 1)]


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def put(mock: responses.RequestsMock, amocrm: Amocrm) -> Amocrm:
    mock.add_callback("GET", re.compile(re.escape(BASE)), callback=amocrm)
    return amocrm


def test_with_the_filter_batches_do(mock: responses.RequestsMock) -> None:
    amocrm = put(mock, Amocrm(deals(1000)))
    wanted = range(1, 451)
    found = deals_by_ids(client(), wanted, True)
    assert set(found) == set(wanted)
    assert found[7].name == "Сделка 7"
    assert amocrm.asked == ["list"] * 3
    assert "with=contacts%2Closs_reason" in str(mock.calls[0].request.url)


def test_what_the_filter_did_not_bring_is_asked_for_by_itself(mock: responses.RequestsMock) -> None:
    amocrm = put(mock, Amocrm(deals(10)))
    assert set(deals_by_ids(client(), [1, 2, 99], True)) == {1, 2}
    assert amocrm.asked == ["list", "one"]


def test_an_ignored_filter_is_seen_and_the_whole_account_not_read(mock: responses.RequestsMock) -> None:
    amocrm = put(mock, Amocrm(deals(10_000), filters=False))
    wanted = [5, 6, *range(9_990, 10_001)]
    assert set(deals_by_ids(client(), wanted, True)) == set(wanted)
    assert amocrm.asked == ["list", "newest", "one", "one"]


def test_without_the_filter_the_newest_are_looked_through_as_long_as_it_helps(mock: responses.RequestsMock) -> None:
    amocrm = put(mock, Amocrm(deals(2000), filters=False))
    wanted = [5, 6, 7, 8, *range(1_700, 2_001)]
    assert set(deals_by_ids(client(), wanted, False)) == set(wanted)
    assert amocrm.asked == ["newest"] * 3 + ["one"] * 4


def test_one_or_two_are_read_one_by_one(mock: responses.RequestsMock) -> None:
    amocrm = put(mock, Amocrm(deals(2000), filters=False))
    assert set(deals_by_ids(client(), [5, 5, 1999], False)) == {5, 1999}
    assert amocrm.asked == ["one", "one"]


def test_nothing_asked_is_no_request() -> None:
    assert deals_by_ids(client(), [], True) == {}
    assert tasks_of_deals(client(), [], are_completed=False) == {}


def test_a_full_batch_fits_into_an_address(mock: responses.RequestsMock) -> None:
    """Ids of ten digits; the stand-in refuses addresses that servers refuse."""
    rows = [{"id": 9_000_000_000 + number, "updated_at": 1} for number in range(IDS_IN_ADDRESS)]
    put(mock, Amocrm(rows))
    assert len(deals_by_ids(client(), [row["id"] for row in rows], True)) == IDS_IN_ADDRESS


def test_contacts_with_their_deals(mock: responses.RequestsMock) -> None:
    rows = [{"id": number, "updated_at": 1, "_embedded": {"leads": [{"id": 5}]}} for number in (1, 2)]
    put(mock, Amocrm(rows))
    assert contacts_by_ids(client(), [1, 2], True)[2].deal_ids == (5,)
    assert "with=leads" in str(mock.calls[0].request.url)


def task(number: int, deal_id: int, **more: Any) -> dict[str, Any]:
    usual = {"text": "Позвонить", "entity_id": deal_id, "entity_type": "leads", "is_completed": False, "result": []}
    return {"id": number, "updated_at": 1, "complete_till": 1_700_000_000 - number} | usual | more


def test_tasks_by_ids(mock: responses.RequestsMock) -> None:
    amocrm = put(mock, Amocrm([task(1, 10, is_completed=True), task(2, 10)]))
    found = tasks_by_ids(client(), [1, 2, 3])
    assert {number: record.is_completed for number, record in found.items()} == {1: True, 2: False}
    assert amocrm.asked == ["list", "one"]


@pytest.mark.parametrize("filters", [True, False])
def test_open_tasks_of_deals(mock: responses.RequestsMock, filters: bool) -> None:
    rows = [
        task(1, 10),
        task(2, 10),
        task(3, 10, is_completed=True),
        task(4, 11, entity_type="contacts"),
        task(5, 12),
        task(6, 99),
    ]
    put(mock, Amocrm(rows, filters=filters))
    found = tasks_of_deals(client(), [10, 11, 12], are_completed=False)
    assert {deal_id: [one.id for one in own] for deal_id, own in found.items()} == {10: [2, 1], 11: [], 12: [5]}
